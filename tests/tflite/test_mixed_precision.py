"""Operators of both files are paired, and a file with one layer in other arithmetic differs in that layer only."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from recipes import RECIPE

from edgenet.images import preprocess
from edgenet.litert.runner import as_input
from edgenet.quiet import quiet
from edgenet.tflite import mixed_precision
from edgenet.tflite.graph import CHANNEL_AXIS, Graph
from edgenet.tflite.operator_runner import OperatorRunner
from edgenet.tflite.pairing import Pair, is_int8, pair_operators


@pytest.fixture(scope="module")
def net_files(net, converter, calibration_images) -> tuple[bytes, bytes]:
    """The float32 and the int8 .tflite of `net`."""
    net_converter = converter(net)
    return net_converter.float32(), net_converter.int8(lambda: calibration_images)


@pytest.fixture(scope="module")
def both(net_files) -> tuple[Graph, Graph]:
    return Graph(net_files[0]), Graph(net_files[1])


def tensors(data: bytes, pixels: np.ndarray, values: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """Every computed tensor of a .tflite file for one image, uint8 (1, 32, 32, 3), as XNNPACK computes it.

    values: the input to use instead of the pre-processed image.
    """
    graph = Graph(data)
    numbers = [int(op.outputs[0]) for op in graph.operators]
    with quiet():
        interpreter = Interpreter(model_content=mixed_precision.with_extra_outputs(data, numbers), num_threads=1)
        interpreter.allocate_tensors()
    (details,) = interpreter.get_input_details()
    if values is None:
        values = as_input(pixels, RECIPE, np.dtype(details["dtype"]), *details["quantization"])
    interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    return {number: interpreter.get_tensor(number) for number in numbers}


def parameters(graph: Graph, number: int) -> tuple[np.float32, int]:
    quantization = graph.tensor(number).quantization
    return np.float32(quantization.scale[0]), int(quantization.zeroPoint[0])


def layers(float32: Graph, int8: Graph) -> list[Pair]:
    return [pair for pair in pair_operators(float32, int8) if float32.kind(pair.float_op) in CHANNEL_AXIS]


def dequantized(graph: Graph, number: int, values: np.ndarray) -> np.ndarray:
    scale, zero_point = parameters(graph, number)
    return (values.astype(np.float32) - zero_point) * scale


# Pairs


@pytest.mark.parametrize("interface", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("quantizer", ["int8", "stock_int8"])
def test_every_operator_is_paired(net, converter, calibration_images, interface, quantizer):
    net_converter = converter(net)
    float32, int8 = (
        Graph(net_converter.float32()),
        Graph(getattr(net_converter, quantizer)(lambda: calibration_images, interface)),
    )
    pairs = pair_operators(float32, int8)
    # All operators of the float32 file, in order.
    assert [pair.float_op for pair in pairs] == float32.operators
    assert [int8.operators[pair.position] for pair in pairs] == [pair.int8_op for pair in pairs]
    assert len({pair.position for pair in pairs}) == len(pairs) > 12
    for pair in pairs:
        assert float32.kind(pair.float_op) == int8.kind(pair.int8_op)
        assert is_int8(int8, pair.int8_op)
        assert (pair.outputs[0], pair.outputs[1]) == (pair.float_op.outputs[0], pair.int8_op.outputs[0])


def test_without_names_they_are_paired_by_their_order(net_files, both):
    nameless = Graph(net_files[1])
    for number, tensor in enumerate(nameless.model.subgraphs[0].tensors):
        tensor.name = f"t{number}".encode()
    expected = [(pair.outputs, pair.position) for pair in pair_operators(*both)]
    assert [(pair.outputs, pair.position) for pair in pair_operators(both[0], nameless)] == expected


def test_names_take_precedence_over_the_order(net_files, both):
    """If the names of two layers of the same kind and shape are exchanged, so are their pairs."""
    float32, int8 = Graph(net_files[0]), Graph(net_files[1])
    twins = {}
    for pair in layers(float32, int8):
        shape = tuple(float32.tensor(pair.outputs[0]).shape)
        twins.setdefault((float32.kind(pair.float_op), shape), []).append(pair)
    one, other = next(pairs for pairs in twins.values() if len(pairs) == 2)
    first, second = float32.tensor(one.outputs[0]), float32.tensor(other.outputs[0])
    first.name, second.name = second.name, first.name
    expected = {pair.position: pair.outputs[0] for pair in pair_operators(*both)}
    expected[one.position], expected[other.position] = other.outputs[0], one.outputs[0]
    assert {pair.position: pair.outputs[0] for pair in pair_operators(float32, int8)} == expected


def test_files_of_other_models_and_float_files_have_no_pairs(tiny, both):
    assert layers(Graph(tiny), both[1]) == []
    assert pair_operators(both[0], both[0]) == []


# Mixed precision


def test_a_layer_in_float32_has_its_rounded_float_output_and_nothing_else_changes(net_files, both, evaluation_images):
    float32, int8 = both
    before = tensors(net_files[1], evaluation_images[:1])
    pairs = layers(float32, int8)
    assert {float32.kind(pair.float_op) for pair in pairs} == set(CHANNEL_AXIS)
    for pair in pairs:
        data = mixed_precision.in_float32(net_files[1], [pair], float32)
        after = tensors(data, evaluation_images[:1])
        (source,), number = pair.inputs[1], pair.outputs[1]
        np.testing.assert_array_equal(after[source], before[source])
        (output,) = OperatorRunner(float32, pair.float_op)(dequantized(int8, source, before[source]))
        scale, zero_point = parameters(int8, number)
        unrounded = np.clip(output / scale + zero_point, -128, 127)
        # Half an integer, and sums of up to 200 terms in another order, each rounded to 6e-8 of values below 300.
        assert np.abs(after[number] - unrounded).max() < 0.5 + 1e-2
        # Its constants are replaced: the weights have four bytes instead of one.
        grown = len(data) - len(int8.to_bytes())
        weights = int8.constant(int(pair.int8_op.inputs[1])).size
        assert 0 < grown - 3 * weights < 2_000


def test_a_layer_in_int16_has_the_same_input_and_output_values(net_files, both, evaluation_images):
    float32, int8 = both
    before = tensors(net_files[1], evaluation_images[:1])
    for pair in layers(float32, int8):
        data = mixed_precision.in_int16(net_files[1], pair.position)
        after = tensors(data, evaluation_images[:1])
        (source,), number = pair.inputs[1], pair.outputs[1]
        graph = Graph(data)
        quantize, layer = graph.operators[pair.position : pair.position + 2]
        # Its input has exactly the same values, with a smaller scale and zero point 0.
        scale, zero_point = parameters(int8, source)
        finer = after[int(quantize.outputs[0])]
        assert finer.dtype == np.int16
        assert parameters(graph, int(quantize.outputs[0])) == (scale / 128, 0)
        np.testing.assert_array_equal(finer, 128 * (before[source].astype(np.int32) - zero_point))
        # Its output is rounded to 1/128 of the int8 scale and then to int8: off by one where it is half-way.
        difference = after[number].astype(np.int32) - before[number]
        assert np.abs(difference).max() <= 1
        assert np.mean(difference != 0) < 0.03  # expected for 1/128 of the values; there are at most a thousand
        assert graph.tensor(int(layer.outputs[0])).type == schema.TensorType.INT16


def test_of_two_layers_with_shared_constants_only_one_changes(converter, calibration_images, evaluation_images):
    with quiet():
        import keras
        from keras import layers as keras_layers

        image = keras.Input((32, 32, 3))
        same = {"kernel_initializer": keras.initializers.Constant(np.arange(9).reshape(1, 1, 3, 3) / 9)}
        x = keras_layers.Conv2D(3, 1, name="first", **same)(image)
        x = keras_layers.Conv2D(3, 1, name="second", **same)(x)
        model = keras.Model(image, keras_layers.Softmax()(keras_layers.GlobalAveragePooling2D()(x)))
    net_converter = converter(model)
    float32, data = Graph(net_converter.float32()), net_converter.stock_int8(lambda: calibration_images)
    int8 = Graph(data)
    first, second = layers(float32, int8)
    assert first.float_op.inputs[1] == second.float_op.inputs[1]
    for pair, other in ((first, second), (second, first)):
        for changed in (
            mixed_precision.in_float32(data, [pair], float32),
            mixed_precision.in_int16(data, pair.position),
        ):
            graph = Graph(changed)
            (unchanged,) = (op for op in graph.operators if graph.name(op) == int8.name(other.int8_op))
            for number, original in zip(unchanged.inputs[1:], other.int8_op.inputs[1:], strict=True):
                np.testing.assert_array_equal(graph.constant(int(number)), int8.constant(int(original)))
            tensors(changed, evaluation_images[:1])  # it runs


def test_extra_outputs_are_the_tensors_that_the_runtime_computes(net_files, evaluation_images, scores_of):
    float32 = net_files[0]
    outputs = tensors(float32, evaluation_images[:1])
    with quiet():
        interpreter = Interpreter(
            model_content=float32,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
    interpreter.set_tensor(
        interpreter.get_input_details()[0]["index"], preprocess.normalize(evaluation_images[:1], RECIPE)
    )
    interpreter.invoke()
    assert len(outputs) > 12
    for number, values in outputs.items():
        # Sums of up to 200 terms below 100 may be added in another order, each rounded to 6e-8.
        np.testing.assert_allclose(values, interpreter.get_tensor(number), rtol=0, atol=1e-3)
    graph = Graph(net_files[1])
    extended = mixed_precision.with_extra_outputs(net_files[1], [int(op.outputs[0]) for op in graph.operators])
    with quiet():
        interpreter = Interpreter(model_content=extended)
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], evaluation_images[:1])
    interpreter.invoke()
    scores = interpreter.get_tensor(graph.output)
    np.testing.assert_array_equal(scores / np.float32(256), scores_of(net_files[1], evaluation_images[:1]))


def rounded(data: bytes, pixels: np.ndarray) -> np.ndarray:
    """The image as the layers of an int8 file get it, rounded like its first int8 tensor."""
    graph = Graph(data)
    (first,) = (op for op in graph.operators if graph.input in op.inputs)
    return dequantized(graph, int(first.outputs[0]), tensors(data, pixels)[int(first.outputs[0])])


def kinds(data: bytes) -> list[str]:
    graph = Graph(data)
    return [graph.kind(op) for op in graph.operators]


def test_layers_in_float32_up_to_one_do_not_round_between_each_other(net_files, both, evaluation_images):
    float32, int8 = both
    paired = pair_operators(float32, int8)
    position = layers(float32, int8)[2].position
    before = [pair for pair in paired if pair.position <= position]
    data = mixed_precision.in_float32(net_files[1], before, float32)
    # One conversion of the pixels, and one for each tensor that int8 layers use: the last one, and the skip connection.
    rest = [op for op in int8.operators if op not in [pair.int8_op for pair in before]]
    quantized = {pair.outputs[1] for pair in before if any(pair.outputs[1] in op.inputs for op in rest)}
    assert len(quantized) == 2
    assert kinds(data).count("DEQUANTIZE") == kinds(net_files[1]).count("DEQUANTIZE") + 1
    assert kinds(data).count("QUANTIZE") == kinds(net_files[1]).count("QUANTIZE") + len(quantized)
    for image in evaluation_images[:4]:
        expected_values = tensors(net_files[0], image[None], rounded(net_files[1], image[None]))[before[-1].outputs[0]]
        actual = tensors(data, image[None])[before[-1].outputs[1]]
        scale, zero_point = parameters(int8, before[-1].outputs[1])
        expected = np.clip(np.round(expected_values / scale) + zero_point, -128, 127)
        # A value half-way between two integers is rounded up or down, depending on float32 errors.
        assert np.abs(expected - actual).max() <= 1
        assert (expected == actual).mean() > 0.99


def test_all_layers_in_float32_are_the_float32_file(net_files, both, evaluation_images):
    float32, int8 = both
    data = mixed_precision.in_float32(net_files[1], pair_operators(float32, int8), float32)
    for image in evaluation_images[:4]:
        expected_values = tensors(net_files[0], image[None], rounded(net_files[1], image[None]))[float32.output]
        actual = tensors(data, image[None])[int8.output]
        scale, zero_point = parameters(int8, int8.output)
        assert np.abs((actual.astype(np.float32) - zero_point) * scale - expected_values).max() <= 0.51 * scale


def test_a_single_layer_in_int8_has_the_output_of_the_first_int8_layer(net_files, both, evaluation_images):
    float32, int8 = both
    first = layers(float32, int8)[0]
    op = first.int8_op
    scales = np.asarray(int8.tensor(int(op.inputs[2])).quantization.scale, np.float64)
    bias = int8.constant(int(op.inputs[2])) * scales  # of the int8 file
    data = mixed_precision.in_int8(net_files[0], [first], int8, {first: bias})
    assert kinds(data).count("QUANTIZE") == kinds(data).count("DEQUANTIZE") == 1
    for image in evaluation_images[:4]:
        actual = tensors(data, image[None], rounded(net_files[1], image[None]))[first.outputs[0]]
        scale, zero_point = parameters(int8, first.outputs[1])
        expected_values = (tensors(net_files[1], image[None])[first.outputs[1]].astype(np.float32) - zero_point) * scale
        # Nothing is rounded before it. Sums are in another order: off by one where that changes the rounding.
        assert np.abs(actual - expected_values).max() <= 1.01 * scale
        assert (np.abs(actual - expected_values) < 0.01 * scale).mean() > 0.97
