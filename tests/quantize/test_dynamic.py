"""Dynamic range: integers in the file, a scale for each channel, and a runtime that reads them so."""

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
def dense(seen):
    """A Keras model of one convolution and two Dense layers, with channels whose weights differ by a factor of 1000."""
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
def chosen(dense, converter, batches) -> quantizer.Chosen:
    return quantizer.weights_only(converter(dense).float32(), batches, dynamic.rounds)


def stored(data: bytes) -> list[tuple[str, object, np.ndarray | None]]:
    """Kind, tensor and values of the weights of each layer."""
    model = flatbuffer.read(data)
    tensors = model.subgraphs[0].tensors
    return [
        (flatbuffer.operator(model, op), tensors[op.inputs[1]], flatbuffer.constant(model, tensors[op.inputs[1]]))
        for op in model.subgraphs[0].operators
        if flatbuffer.operator(model, op) in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    ]


def versions(data: bytes) -> dict[str, int]:
    return {flatbuffer.OPERATORS[code.builtinCode]: code.version for code in flatbuffer.read(data).operatorCodes}


def test_large_weights_are_integers_with_a_scale_for_each_channel(chosen):
    kinds = []
    for kind, tensor, values in stored(dynamic.store(chosen.model, chosen.weights)):
        kinds.append(kind)
        assert (values.dtype, values.size >= LARGE) == (np.int8, True)
        scales = tensor.quantization.scale
        assert tensor.quantization.quantizedDimension == 0
        assert len(scales) == len(tensor.quantization.zeroPoint) == values.shape[0]
        assert not tensor.quantization.zeroPoint.any()
        assert scales.max() > 100 * scales.min()  # the channels differ by a factor of 1000
        assert np.abs(values.reshape(len(values), -1)).max(axis=1).tolist() == [127] * len(values)
    assert kinds == ["CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED"]


def test_small_weights_and_those_of_depthwise_convolutions_stay(tiny_bundle):
    for kind, _, values in stored(tiny_bundle.file("dynamic.tflite").read_bytes()):
        integers = values.size >= LARGE and kind != "DEPTHWISE_CONV_2D"
        assert values.dtype == (np.int8 if integers else np.float32)


def test_the_file_is_as_the_chosen_weights_say(chosen):
    graph = Graph(chosen.model)
    layers = [graph.layer(op) for op in graph.operators if graph.layer(op)]
    written = stored(dynamic.store(chosen.model, chosen.weights))
    for layer, integers, (_, tensor, values) in zip(layers, chosen.weights.values(), written, strict=True):
        meant = values * tensor.quantization.scale.reshape(-1, *[1] * (values.ndim - 1))
        np.testing.assert_array_equal(values, integers)
        # Two roundings to float32.
        np.testing.assert_allclose(meant, layer.weights, rtol=3e-7)


@pytest.mark.parametrize("part", ["logits", "conv"])
def test_the_runtime_takes_a_scale_for_each_channel(chosen, unseen, scores_of, part):
    weights = chosen.weights
    if part == "conv":  # the convolution alone as integers
        weights = dict(list(weights.items())[:1])
    found = scores_of(dynamic.store(chosen.model, weights), unseen)
    expected = scores_of(chosen.model, unseen)
    # What the runtime adds is its own rounding of activations, to 8 bits of the largest of a picture: half of 1/127 in
    # each term, which add in squares to 0.2 % of an output for each layer; 2 % of each output's spread leaves room.
    error = np.sqrt(np.mean((found - expected) ** 2, axis=0))
    assert np.all(error < 0.02 * np.abs(expected).max(axis=0))
    # One scale for all would be wrong by up to the factor of 1000 between channels.
    assert np.any(error > 0)


def test_versions_of_operators_are_those_that_the_converter_gives(dense, converter, chosen):
    made = converter(dense)
    with quiet():
        stock = made.stock_dynamic()
    ours, theirs = versions(dynamic.store(chosen.model, chosen.weights)), versions(stock)
    assert {kind: len(tensor.quantization.scale) > 1 for kind, tensor, _ in stored(stock)} == {
        "CONV_2D": True,
        "FULLY_CONNECTED": True,
    }  # otherwise the versions are those of another kind of file
    for kind in ("CONV_2D", "FULLY_CONNECTED"):
        assert ours[kind] == theirs[kind]


def test_only_the_operators_with_integers_get_another_version(chosen):
    before, after = versions(chosen.model), versions(dynamic.store(chosen.model, chosen.weights))
    assert {kind for kind in before if before[kind] != after[kind]} == {"CONV_2D", "FULLY_CONNECTED"}


def test_dynamic_of_a_net_of_all_kinds_is_near_keras(net, converter, seen, unseen, scores_of):
    with quiet():
        made = converter(net)
        expected = net.predict(preprocess.normalize(unseen, RECIPE), verbose=0)
        found = scores_of(made.dynamic(lambda: seen), unseen)
    # As in test_convert: rounding errors of 1.1 % a layer, ten layers, of logits within 4, times a slope of 1/4.
    assert np.abs(found - expected).mean() < 0.035
