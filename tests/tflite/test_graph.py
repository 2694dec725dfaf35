"""Operators run one by one give the scores of the whole model, and changing one leaves the others unchanged."""

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


def run(graph, images: np.ndarray) -> np.ndarray:
    """The output for each image, (n, classes), when each operator runs as a model of its own."""
    from edgenet.tflite.operator_runner import OperatorRunner

    runners = [(op, OperatorRunner(graph, op)) for op in graph.operators]
    scores = []
    for image in images:
        values = {graph.input: image[None]}
        for op, runner in runners:
            outputs = runner(*(values[number] for number in graph.computed_inputs(op)))
            values |= dict(zip(map(int, op.outputs), outputs, strict=True))
        scores.append(values[graph.output][0])
    return np.stack(scores)


def layers_of(graph) -> list:
    """The operators that are layers, each with its Layer."""
    return [(op, graph.layer(op)) for op in graph.operators if graph.layer(op)]


@pytest.mark.parametrize("model", ["tiny", "net_bytes"])
def test_operators_run_one_by_one_give_the_scores_of_the_whole_model(request, model, evaluation_images, scores_of):
    from edgenet.tflite.graph import Graph

    data = request.getfixturevalue(model)
    scores = run(Graph(data), preprocess.normalize(evaluation_images[:8], RECIPE))
    # Sums of up to 256 terms may be added in another order, each rounded to 6e-8, in 28 layers: as in test_converter.
    np.testing.assert_allclose(scores, scores_of(data, evaluation_images[:8]), rtol=0, atol=4e-4)
    assert np.ptp(scores, axis=0).min() > 4e-2  # differences between images are larger than the tolerance


def test_reading_and_writing_changes_no_score(net_bytes, evaluation_images, scores_of):
    from edgenet.tflite.graph import Graph

    np.testing.assert_array_equal(
        scores_of(Graph(net_bytes).to_bytes(), evaluation_images), scores_of(net_bytes, evaluation_images)
    )


def test_every_kind_of_layer_is_supported_except_the_transposed_convolution(net_bytes):
    from edgenet.tflite.graph import Graph

    graph = Graph(net_bytes)
    supported = {graph.kind(op): graph.layer(op) is not None for op in graph.operators}
    assert {kind for kind, is_layer in supported.items() if is_layer} == {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
    }
    assert supported["TRANSPOSE_CONV"] is False
    assert len([op for op in graph.operators if graph.layer(op)]) == 7  # all with weights, except that one


def test_a_layer_is_its_linear_part_clipped(small):
    from edgenet.tflite.graph import Graph
    from edgenet.tflite.operator_runner import OperatorRunner

    graph = Graph(small)
    layers = layers_of(graph)
    assert [layer.bounds for _, layer in layers] == [(0, 6), (0, np.inf), (-np.inf, np.inf)]
    random = np.random.default_rng(3)
    for op, layer in layers:
        shape = [1, 4, 4, 3] if layer.kind == "CONV_2D" else [1, 48]
        inputs = random.normal(0, 9, shape).astype(np.float32)
        (linear,), (clipped,) = OperatorRunner(graph, op, linear=True)(inputs), OperatorRunner(graph, op)(inputs)
        assert linear.min() < 0 and linear.max() > 6
        np.testing.assert_array_equal(np.clip(linear, *layer.bounds), clipped)


def test_a_dense_layer_without_bias_has_zeros_and_accepts_a_bias(small):
    from edgenet.tflite.graph import Graph

    graph = Graph(small)
    op, layer = layers_of(graph)[2]
    np.testing.assert_array_equal(layer.bias, np.zeros(4, np.float32))
    images = np.random.default_rng(3).uniform(-1, 1, (1, 4, 4, 3)).astype(np.float32)
    before = run(graph, images)
    bias = np.array([1, -2, 3, -4], np.float32)
    graph.set_weights(op, layer.weights, bias)
    graph = Graph(graph.to_bytes())  # written and read again
    np.testing.assert_array_equal(layers_of(graph)[2][1].bias, bias)
    # One more rounding to 6e-8 of values below 100.
    np.testing.assert_allclose(run(graph, images), before + bias, rtol=0, atol=1e-5)


def test_replacing_shared_constants_changes_one_layer_only(small):
    from edgenet.tflite.graph import Graph

    graph = Graph(small)
    (first, layer), (second, _), _ = layers_of(graph)
    assert first.inputs[1] == second.inputs[1] and first.inputs[2] == second.inputs[2]  # the converter shares them
    graph.set_weights(first, layer.weights * 2, layer.bias + 3)
    graph = Graph(graph.to_bytes())
    (_, changed), (_, other), _ = layers_of(graph)
    np.testing.assert_array_equal(changed.weights, layer.weights * 2)
    np.testing.assert_array_equal(changed.bias, layer.bias + 3)
    np.testing.assert_array_equal(other.weights, layer.weights)
    np.testing.assert_array_equal(other.bias, layer.bias)


def test_the_scale_of_a_channel_is_its_largest_weight_divided_by_127(tiny):
    from edgenet.tflite.graph import Graph

    for _, layer in layers_of(Graph(tiny)):
        channels = np.moveaxis(layer.weights, layer.axis, 0).reshape(len(layer.scales), -1)
        # The tolerance is one rounding to float32.
        np.testing.assert_allclose(layer.scales * 127, [np.abs(channel).max() for channel in channels], rtol=1e-6)


@pytest.mark.parametrize(
    "damage",
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
def test_a_file_that_refers_to_missing_parts_is_refused(small, damage):
    from edgenet.tflite import flatbuffer
    from edgenet.tflite.graph import Graph

    model = flatbuffer.read(small)
    damage(model)
    with pytest.raises(
        EdgenetError, match=r"^the \.tflite file is damaged: it refers to parts that it does not contain$"
    ):
        Graph(flatbuffer.write(model))


def test_a_name_that_is_not_valid_utf_8_is_decoded_with_replacement_characters(small):
    from edgenet.tflite import flatbuffer
    from edgenet.tflite.graph import Graph

    model = flatbuffer.read(small)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = b"\xff\xfe"
    graph = Graph(flatbuffer.write(model))
    assert {graph.name(op) for op in graph.operators} == {"��"}
