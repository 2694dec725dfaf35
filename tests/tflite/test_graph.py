"""Operators one by one do what the whole model does, and changing one changes that one only."""

import numpy as np
import pytest
from recipes import RECIPE

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.quiet import quiet


@pytest.fixture(scope="module")
def net_bytes(net, converter) -> bytes:
    """The float32 .tflite of `net`."""
    return converter(net).float32()


@pytest.fixture(scope="module")
def small(converter) -> bytes:
    """Two 1 x 1 convolutions with equal weights and equal biases of zero, and a Dense without bias."""
    with quiet():
        import keras
        from keras import layers

        image = keras.Input((4, 4, 3))
        same = {"kernel_initializer": keras.initializers.Constant(np.arange(9).reshape(1, 1, 3, 3) / 9)}
        x = layers.Conv2D(3, 1, name="first", activation="relu6", **same)(image)
        x = layers.Conv2D(3, 1, name="second", activation="relu", **same)(x)
        x = layers.Dense(4, use_bias=False, name="bare")(layers.Flatten()(x))
        model = keras.Model(image, x)
    return converter(model).float32()


def run(graph, pictures: np.ndarray) -> np.ndarray:
    """The output for each picture, (n, classes), when each operator runs as a model of its own."""
    from edgenet.tflite.graph import Operator

    programs = [(op, Operator(graph, op)) for op in graph.operators]
    found = []
    for picture in pictures:
        values = {graph.input: picture[None]}
        for op, program in programs:
            outputs = program(*(values[number] for number in graph.takes(op)))
            values |= dict(zip(map(int, op.outputs), outputs, strict=True))
        found.append(values[graph.output][0])
    return np.stack(found)


def layers_of(graph) -> list:
    """The operators that are layers, each with its Layer."""
    return [(op, graph.layer(op)) for op in graph.operators if graph.layer(op)]


@pytest.mark.parametrize("model", ["tiny", "net_bytes"])
def test_one_by_one_they_give_the_scores_of_the_whole(request, model, unseen, scores_of):
    from edgenet.tflite.graph import Graph

    data = request.getfixturevalue(model)
    found = run(Graph(data), preprocess.normalize(unseen[:8], RECIPE))
    # Sums of up to 256 terms may be taken in another order, each rounded to 6e-8, in 28 layers: as in test_convert.
    np.testing.assert_allclose(found, scores_of(data, unseen[:8]), rtol=0, atol=4e-4)
    assert np.ptp(found, axis=0).min() > 4e-2  # the tolerance tells pictures apart


def test_reading_and_writing_changes_no_score(net_bytes, unseen, scores_of):
    from edgenet.tflite.graph import Graph

    np.testing.assert_array_equal(scores_of(Graph(net_bytes).to_bytes(), unseen), scores_of(net_bytes, unseen))


def test_every_kind_of_layer_is_known_but_the_transposed_convolution(net_bytes):
    from edgenet.tflite.graph import Graph

    graph = Graph(net_bytes)
    known = {graph.kind(op): graph.layer(op) is not None for op in graph.operators}
    assert {kind for kind, is_layer in known.items() if is_layer} == {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    assert known["TRANSPOSE_CONV"] is False
    assert len([op for op in graph.operators if graph.layer(op)]) == 7  # all with weights, but that one


def test_a_layer_is_its_linear_part_clipped(small):
    from edgenet.tflite.graph import Graph, Operator

    graph = Graph(small)
    found = layers_of(graph)
    assert [layer.bounds for _, layer in found] == [(0, 6), (0, np.inf), (-np.inf, np.inf)]
    random = np.random.default_rng(3)
    for op, layer in found:
        shape = [1, 4, 4, 3] if layer.kind == "CONV_2D" else [1, 48]
        inputs = random.normal(0, 9, shape).astype(np.float32)
        (linear,), (clipped,) = Operator(graph, op, linear=True)(inputs), Operator(graph, op)(inputs)
        assert linear.min() < 0 and linear.max() > 6
        np.testing.assert_array_equal(np.clip(linear, *layer.bounds), clipped)


def test_a_dense_layer_without_bias_has_one_of_zeros_and_takes_another(small):
    from edgenet.tflite.graph import Graph

    graph = Graph(small)
    op, layer = layers_of(graph)[2]
    np.testing.assert_array_equal(layer.bias, np.zeros(4, np.float32))
    pictures = np.random.default_rng(3).uniform(-1, 1, (1, 4, 4, 3)).astype(np.float32)
    before = run(graph, pictures)
    bias = np.array([1, -2, 3, -4], np.float32)
    graph.replace(op, layer.weights, bias)
    graph = Graph(graph.to_bytes())  # it survives the file
    np.testing.assert_array_equal(layers_of(graph)[2][1].bias, bias)
    # One more rounding to 6e-8 of values below 100.
    np.testing.assert_allclose(run(graph, pictures), before + bias, rtol=0, atol=1e-5)


def test_replacing_shared_constants_changes_one_layer_only(small):
    from edgenet.tflite.graph import Graph

    graph = Graph(small)
    (first, layer), (second, _), _ = layers_of(graph)
    assert first.inputs[1] == second.inputs[1] and first.inputs[2] == second.inputs[2]  # the converter shares them
    graph.replace(first, layer.weights * 2, layer.bias + 3)
    graph = Graph(graph.to_bytes())
    (_, changed), (_, other), _ = layers_of(graph)
    np.testing.assert_array_equal(changed.weights, layer.weights * 2)
    np.testing.assert_array_equal(changed.bias, layer.bias + 3)
    np.testing.assert_array_equal(other.weights, layer.weights)
    np.testing.assert_array_equal(other.bias, layer.bias)


def test_the_steps_of_a_channel_are_its_largest_weight_over_127(tiny):
    from edgenet.tflite.graph import Graph

    for _, layer in layers_of(Graph(tiny)):
        channels = np.moveaxis(layer.weights, layer.axis, 0).reshape(len(layer.scales), -1)
        # One rounding to float32.
        np.testing.assert_allclose(layer.scales * 127, [np.abs(channel).max() for channel in channels], rtol=1e-6)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda model: setattr(model.subgraphs[0], "inputs", []),
        lambda model: setattr(model.subgraphs[0], "outputs", [99]),
        lambda model: setattr(model.subgraphs[0], "operators", []),
        lambda model: setattr(model.subgraphs[0].operators[0], "inputs", [0, 10**6, 1]),
        lambda model: setattr(model.subgraphs[0].operators[0], "opcodeIndex", 77),
        lambda model: setattr(model.subgraphs[0].operators[-1], "outputs", []),
        lambda model: setattr(model.subgraphs[0].tensors[0], "buffer", 10**6),
        lambda model: setattr(model, "buffers", []),
        lambda model: setattr(model, "subgraphs", []),
    ],
)
def test_a_file_that_refers_to_what_it_does_not_have_is_refused(small, spoil):
    from edgenet.tflite import flatbuffer
    from edgenet.tflite.graph import Graph

    model = flatbuffer.read(small)
    spoil(model)
    with pytest.raises(EdgenetError, match=r"refers to parts that it does not have; it is damaged$"):
        Graph(flatbuffer.write(model))


def test_a_name_that_is_no_text_is_a_name(small):
    from edgenet.tflite import flatbuffer
    from edgenet.tflite.graph import Graph

    model = flatbuffer.read(small)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = b"\xff\xfe"
    graph = Graph(flatbuffer.write(model))
    assert {graph.name(op) for op in graph.operators} == {"��"}
