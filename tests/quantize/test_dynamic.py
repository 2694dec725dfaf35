"""Dynamic range: int8 weights with per-channel scales in the file, and the runtime that uses them."""

import numpy as np
import pytest
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


def versions(data: bytes) -> dict[str, int]:
    return {flatbuffer.OPERATOR_KINDS[code.builtinCode]: code.version for code in flatbuffer.read(data).operatorCodes}


def test_large_weights_are_int8_with_a_scale_for_each_channel(quantized):
    kinds = []
    for kind, tensor, values in stored(dynamic.store_weights(quantized.model, quantized.weights)):
        kinds.append(kind)
        assert (values.dtype, values.size >= LARGE) == (np.int8, True)
        scales = tensor.quantization.scale
        assert tensor.quantization.quantizedDimension == 0
        assert len(scales) == len(tensor.quantization.zeroPoint) == values.shape[0]
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
    written = stored(dynamic.store_weights(quantized.model, quantized.weights))
    for layer, integers, (_, tensor, values) in zip(layers, quantized.weights.values(), written, strict=True):
        dequantized = values * tensor.quantization.scale.reshape(-1, *[1] * (values.ndim - 1))
        np.testing.assert_array_equal(values, integers)
        # The tolerance is two roundings to float32.
        np.testing.assert_allclose(dequantized, layer.weights, rtol=3e-7)


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
    with quiet():
        stock = converter(dense).stock_dynamic()
    ours, theirs = versions(dynamic.store_weights(quantized.model, quantized.weights)), versions(stock)
    assert {kind: len(tensor.quantization.scale) > 1 for kind, tensor, _ in stored(stock)} == {
        "CONV_2D": True,
        "FULLY_CONNECTED": True,
    }  # otherwise its versions are for per-tensor scales
    for kind in ("CONV_2D", "FULLY_CONNECTED"):
        assert ours[kind] == theirs[kind]


def test_only_operators_with_int8_weights_get_another_version(quantized):
    before, after = versions(quantized.model), versions(dynamic.store_weights(quantized.model, quantized.weights))
    assert {kind for kind in before if before[kind] != after[kind]} == {"CONV_2D", "FULLY_CONNECTED"}


def test_dynamic_of_a_net_of_all_kinds_is_near_keras(net, converter, calibration_images, evaluation_images, scores_of):
    with quiet():
        net_converter = converter(net)
        expected = net.predict(preprocess.normalize(evaluation_images, RECIPE), verbose=0)
        scores = scores_of(net_converter.dynamic(lambda: calibration_images), evaluation_images)
    # As in test_converter: rounding errors of 1.1% a layer, ten layers, of logits within 4, times a slope of 1/4.
    assert np.abs(scores - expected).mean() < 0.035
