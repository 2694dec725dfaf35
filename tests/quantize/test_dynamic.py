"""Dynamic range: int8 weights with a scale for each channel in the file, and the runtime that uses them."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from recipes import RECIPE

from edgenet.images import preprocess
from edgenet.quantize import dynamic, quantizer
from edgenet.quiet import quiet
from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import Graph

LARGE = 1024


@pytest.fixture(scope="module")
def dense(calibration_images):
    """A Keras model of one convolution and two Dense layers, with channel weights that differ by a factor of 1000."""
    with quiet():
        import keras
        from keras import layers

        keras.utils.set_random_seed(2)
        image = keras.Input((32, 32, 3))
        x = layers.Conv2D(40, 3, strides=4, name="conv", activation="relu6")(image)
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(64, activation="relu", name="wide")(x)
        model = keras.Model(image, layers.Dense(16, name="logits")(x))
        for name in ("conv", "wide", "logits"):
            kernel = model.get_layer(name).kernel
            decades = np.logspace(-3, 0, kernel.shape[-1])
            kernel.assign(kernel.numpy() * np.random.default_rng(1).permutation(decades))
        return model


@pytest.fixture(scope="module")
def quantized(dense, converter, batches) -> quantizer.QuantizedWeights:
    return quantizer.quantize_weights(converter(dense).float32(), batches, dynamic.is_quantized)


def stored(data: bytes) -> list[tuple[str, object, np.ndarray | None]]:
    """Kind, tensor and values of the weights of each layer."""
    model = flatbuffer.read(data)
    tensors = model.subgraphs[0].tensors
    return [
        (flatbuffer.operator_kind(model, op), tensors[op.inputs[1]], flatbuffer.constant(model, tensors[op.inputs[1]]))
        for op in model.subgraphs[0].operators
        if flatbuffer.operator_kind(model, op) in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    ]


def channel_scales(data: bytes) -> list[np.ndarray]:
    """The scale of each channel of each layer: in the weights, or in the MUL behind a dense layer."""
    graph, found = Graph(data), []
    for op in graph.operators:
        if graph.kind(op) in ("CONV_2D", "FULLY_CONNECTED"):
            scales = graph.tensor(op.inputs[1]).quantization.scale
            if graph.kind(op) == "FULLY_CONNECTED":
                (after,) = graph.consumers(int(op.outputs[0]))
                assert (len(scales), graph.kind(after)) == (1, "MUL")
                scales = scales[0] * graph.constant(after.inputs[1])
            found.append(np.asarray(scales))
    return found


def versions(data: bytes) -> dict[str, int]:
    return {flatbuffer.OPERATOR_KINDS[code.builtinCode]: code.version for code in flatbuffer.read(data).operatorCodes}


def test_large_weights_are_int8_with_a_scale_for_each_channel(quantized):
    kinds, data = [], dynamic.store_weights(quantized.model, quantized.weights)
    for (kind, tensor, values), scales in zip(stored(data), channel_scales(data), strict=True):
        kinds.append(kind)
        assert (values.dtype, values.size >= LARGE) == (np.int8, True)
        assert tensor.quantization.quantizedDimension == 0
        assert len(tensor.quantization.scale) == len(tensor.quantization.zeroPoint)
        assert len(scales) == values.shape[0]
        assert not tensor.quantization.zeroPoint.any()
        assert scales.max() > 100 * scales.min()  # the channels differ by a factor of 1000
        assert np.abs(values.reshape(len(values), -1)).max(axis=1).tolist() == [127] * len(values)
    assert kinds == ["CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED"]


def test_small_weights_and_those_of_depthwise_convolutions_stay_float32(tiny_bundle):
    for kind, _, values in stored(tiny_bundle.file("dynamic.tflite").read_bytes()):
        integers = values.size >= LARGE and kind != "DEPTHWISE_CONV_2D"
        assert values.dtype == (np.int8 if integers else np.float32)


def test_the_file_contains_the_chosen_weights(quantized):
    graph = Graph(quantized.model)
    layers = [graph.layer(op) for op in graph.operators if graph.layer(op)]
    data = dynamic.store_weights(quantized.model, quantized.weights)
    written = zip(stored(data), channel_scales(data), strict=True)
    for layer, integers, ((_, _, values), scales) in zip(layers, quantized.weights.values(), written, strict=True):
        dequantized = values * scales.reshape(-1, *[1] * (values.ndim - 1))
        np.testing.assert_array_equal(values, integers)
        # The tolerance is three roundings to float32.
        np.testing.assert_allclose(dequantized, layer.weights, rtol=4e-7)


@pytest.mark.parametrize("part", ["logits", "conv"])
def test_the_runtime_uses_a_scale_for_each_channel(quantized, evaluation_images, scores_of, part):
    weights = quantized.weights
    if part == "conv":  # only the convolution as int8
        weights = dict(list(weights.items())[:1])
    scores = scores_of(dynamic.store_weights(quantized.model, weights), evaluation_images)
    expected = scores_of(quantized.model, evaluation_images)
    # The runtime adds the rounding of activations to 8 bits of the image's largest value: half of 1/127 in each term.
    # These errors add in squares to 0.2% of an output for each layer; 2% of the largest output is well above that.
    error = np.sqrt(np.mean((scores - expected) ** 2, axis=0))
    assert np.all(error < 0.02 * np.abs(expected).max(axis=0))
    # A single scale would be wrong by up to the factor of 1000 between channels.
    assert np.any(error > 0)


def test_operator_versions_are_those_of_the_converter(dense, converter, quantized):
    """Of convolutions. A dense layer with a scale for each channel, as the converter writes it, needs a new runtime."""
    with quiet():
        stock = converter(dense).stock_dynamic()
    ours, theirs = versions(dynamic.store_weights(quantized.model, quantized.weights)), versions(stock)
    assert {kind: len(tensor.quantization.scale) > 1 for kind, tensor, _ in stored(stock)} == {
        "CONV_2D": True,
        "FULLY_CONNECTED": True,
    }  # otherwise its versions are for per-tensor scales
    assert ours["CONV_2D"] == theirs["CONV_2D"]
    assert (ours["FULLY_CONNECTED"], theirs["FULLY_CONNECTED"]) == (6, 12)


def test_other_operators_keep_their_versions(quantized):
    before, after = versions(quantized.model), versions(dynamic.store_weights(quantized.model, quantized.weights))
    assert {kind for kind in before if before[kind] != after[kind]} == {"CONV_2D", "FULLY_CONNECTED"}
    assert after.keys() - before.keys() == {"MUL", "ADD"}


def test_a_dense_layer_gives_what_it_gives_with_its_scales_in_the_weights(quantized, evaluation_images, scores_of):
    data = dynamic.store_weights(quantized.model, quantized.weights)
    graph = Graph(quantized.model)  # as FULLY_CONNECTED of version 12
    for op in graph.operators:
        layer = graph.layer(op)
        if layer:
            integers, tensor = quantized.weights[graph.full_name(op)], graph.tensor(op.inputs[1])
            tensor.type, tensor.buffer = schema.TensorType.INT8, graph.add_buffer(integers.astype(np.int8))
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = layer.scales.astype(np.float32)
            tensor.quantization.zeroPoint = np.zeros(len(layer.scales), np.int64)
    for code in graph.model.operatorCodes:
        kind = flatbuffer.OPERATOR_KINDS[code.builtinCode]
        code.version = {"CONV_2D": 5, "FULLY_CONNECTED": 12}.get(kind, code.version)
    expected, scores = (scores_of(file, evaluation_images) for file in (graph.to_bytes(), data))
    # Three more roundings to float32 in each of two layers; sums of 64 terms may cancel to a tenth.
    np.testing.assert_allclose(scores, expected, rtol=0, atol=6 * 6e-8 * 10 * np.abs(expected).max())


def test_channels_of_zeros_and_layers_without_bias(net, converter, batches, evaluation_images, scores_of):
    data = converter(net).float32()
    graph = Graph(data)
    op = next(op for op in graph.operators if graph.kind(op) == "FULLY_CONNECTED")
    layer = graph.layer(op)
    weights = np.random.default_rng(0).normal(size=layer.weights.shape)
    weights[2] = 0
    graph.set_weights(op, weights, layer.bias)
    quantized = quantizer.quantize_weights(graph.to_bytes(), batches, lambda one: one.kind == "FULLY_CONNECTED")
    scores = scores_of(dynamic.store_weights(quantized.model, quantized.weights), evaluation_images)
    expected = scores_of(quantized.model, evaluation_images)
    # Activations are rounded to 8 bits: half of 1/127 of the largest one. Of logits within 10, scores move by a quarter
    # of that, and there are two of them.
    assert np.abs(scores - expected).max() < 0.5 / 127 * 10 / 4 * 2


def test_dynamic_of_a_net_of_all_kinds_is_near_keras(net, converter, calibration_images, evaluation_images, scores_of):
    with quiet():
        net_converter = converter(net)
        expected = net.predict(preprocess.normalize(evaluation_images, RECIPE), verbose=0)
        scores = scores_of(net_converter.dynamic(lambda: calibration_images), evaluation_images)
    # As in test_converter: rounding errors of 1.1% a layer, ten layers, of logits within 4, times a slope of 1/4.
    assert np.abs(scores - expected).mean() < 0.035
