"""Operators that stay in float32: what the quantizer assumes of them is what the mixed file computes."""

import numpy as np
import pytest
from recipes import RECIPE

from edgenet.litert.model_runner import ModelRunner
from edgenet.quantize import equalization, quantizer
from edgenet.quantize.activations import Activations
from edgenet.quantize.ranges import measure_statistics
from edgenet.quiet import quiet
from edgenet.tflite.graph import CHANNEL_AXIS, Graph
from edgenet.tflite.layer_names import LayerNames
from edgenet.tflite.pairing import pair_operators

# The first layers, of which the addition after them uses two; one layer between int8 ones; two in a row; and the end.
KEPT = {"start": ["until:narrow"], "middle": ["wide"], "two": ["narrow", "add"], "end": ["from:bare"]}


@pytest.fixture(scope="module")
def net_converter(net, converter):
    return converter(net)


@pytest.fixture(scope="module")
def float32(net_converter) -> bytes:
    return net_converter.float32()


def positions(float32: bytes, name: str) -> list[int]:
    return LayerNames(Graph(float32)).select(KEPT[name])


def quantized(float32, batches, kept=(), float_input=False) -> quantizer.QuantizedWeights:
    return quantizer.quantize_full_integer(float32, batches, (-1.0, 1.0), kept=kept, float_input=float_input)


def test_without_kept_operators_the_model_is_that_of_full_integers(float32, batches):
    assert quantized(float32, batches).model == quantizer.quantize_full_integer(float32, batches, (-1.0, 1.0)).model


@pytest.mark.parametrize("name", KEPT)
def test_kept_layers_have_their_float_weights_and_the_others_integers(float32, batches, name):
    kept, before = positions(float32, name), Graph(float32)
    choice = quantized(float32, batches, kept)
    if choice.exponents:
        equalization.apply(before, choice.exponents)
    after = Graph(choice.model)
    layers = [n for n, op in enumerate(before.operators) if before.kind(op) in CHANNEL_AXIS]
    assert 0 < len(set(layers) & set(kept)) < len(layers)
    for position in layers:
        weights, chosen = (graph.constant(int(graph.operators[position].inputs[1])) for graph in (before, after))
        assert np.array_equal(weights, chosen) == (position in kept)
        assert (choice.weights[before.full_name(before.operators[position])] is None) == (position in kept)


# As floats, pixels are half-way between two integers, and int8 layers get either: not compared.
@pytest.mark.parametrize(
    ("name", "interface"), [("start", "uint8"), ("start", "float32"), ("middle", "uint8"), ("two", "uint8")]
)
def test_each_operator_gets_the_values_that_it_gets_in_the_file(
    net_converter, float32, calibration_images, batches, name, interface
):
    kept, few = positions(float32, name), calibration_images[:4]
    with quiet():
        data = net_converter.mixed(lambda: few, kept, interface)
    choice = quantized(float32, lambda: list(batches())[:4], kept, interface == "float32")
    graph, file = Graph(choice.model), Graph(data)
    activations = Activations(graph, _ranges(graph, few, batches), list(batches())[:4], kept, interface == "float32")
    counterparts, compared = _counterparts(graph, net_converter.int8(lambda: few), file), 0
    # The rounding of a transposed convolution is not the quantizer's, so that later tensors differ.
    end = next(n for n, op in enumerate(graph.operators) if graph.kind(op) == "TRANSPOSE_CONV")
    for op in graph.operators[: end + 1]:
        inputs = [np.concatenate(values) for values in zip(*activations.inputs(op), strict=True)]
        actual = _tensors(data, file.computed_inputs(counterparts[id(op)]), few)
        for index, expected, values in zip(graph.computed_inputs(op), inputs, actual, strict=True):
            compared += 1
            _assert_same(graph, index, expected, values)
        activations.advance(op, graph.layer(op))
    assert compared == end + 2  # the addition has two inputs


def _counterparts(float32: Graph, int8: bytes, mixed: Graph) -> dict:
    """The operators of a mixed file by those of the float32 file."""
    full_integer = Graph(int8)
    named = {
        mixed.full_name(op).removesuffix("/float32"): op
        for op in mixed.operators
        if mixed.kind(op) not in ("QUANTIZE", "DEQUANTIZE")
    }
    return {
        id(pair.float_op): named[full_integer.full_name(pair.int8_op)]
        for pair in pair_operators(float32, full_integer)
        if full_integer.full_name(pair.int8_op) in named
    }


def _ranges(graph: Graph, few: np.ndarray, batches):
    """The ranges that the quantizer has written into a model."""
    statistics = measure_statistics(graph, list(batches())[: len(few)])
    for index in statistics.low:
        quantization = graph.tensor(index).quantization
        statistics.low[index], statistics.high[index] = float(quantization.min[0]), float(quantization.max[0])
    return statistics


def _tensors(data: bytes, indices: list[int], images: np.ndarray) -> list[np.ndarray]:
    runner = ModelRunner(data, indices, 1, RECIPE)
    found = [[] for _ in indices]
    for image in images:
        runner.run(image[None])
        for values, index in zip(found, indices, strict=True):
            values.append(runner.tensor(index))
    return list(map(np.concatenate, found))


def _assert_same(graph: Graph, index: int, expected: np.ndarray, actual: np.ndarray) -> None:
    quantization = graph.tensor(index).quantization
    scale = (float(quantization.max[0]) - float(quantization.min[0])) / 255
    # 8-bit values differ by one where a float error of another order of sums changes the rounding, and what follows
    # from it; a missing rounding or one too many would change nearly all of them.
    difference = np.abs(expected - actual)
    assert difference.max() < 3.5 * scale
    assert np.mean(difference > 0.02 * scale) < 0.1


@pytest.mark.parametrize("kept", [["stem"], ["until:deep"], ["narrow"], ["from:narrow"]])
def test_the_biases_keep_the_mean_of_int8_and_of_kept_layers(net_converter, float32, calibration_images, kept):
    """Sequential bias correction: the means of a layer without activation are those of the float32 file."""
    names = LayerNames(Graph(float32))
    with quiet():
        data = net_converter.mixed(lambda: calibration_images, names.select(kept))
        int8 = net_converter.int8(lambda: calibration_images)
    before, (position,) = Graph(float32), names.find("narrow")
    pair = next(pair for pair in pair_operators(before, Graph(int8)) if pair.float_op is before.operators[position])
    own = _counterparts(before, int8, Graph(data))[id(pair.float_op)]
    (expected,) = _tensors(float32, [pair.outputs[0]], calibration_images)
    (actual,) = _tensors(data, [int(own.outputs[0])], calibration_images)
    means = [values.mean(axis=(0, 1, 2), dtype=np.float64) for values in (expected, actual)]
    scale = float(Graph(int8).tensor(pair.outputs[1]).quantization.scale[0])
    # 24 images of 16 x 16 roundings, each with a standard deviation of 0.29 scales: 0.004 for their mean.
    np.testing.assert_allclose(*means, rtol=0, atol=0.02 * scale)
