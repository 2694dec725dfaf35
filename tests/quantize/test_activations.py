"""The grid of activations is the one that the converter makes of a range."""

import numpy as np
import pytest

from edgenet.images import preprocess
from edgenet.images.input_range import COMMON, InputRange
from edgenet.litert.runner import as_input
from edgenet.quantize.activations import Grid
from edgenet.quiet import quiet


@pytest.fixture(scope="module")
def grids(net, converter, seen, batches) -> list[tuple[tuple[float, float], float, int]]:
    """Of the tensors of a real int8 file: the range that they were given, their scale, and their int8 zero point."""
    from edgenet.quantize import quantizer
    from edgenet.tflite import flatbuffer

    with quiet():
        made = converter(net)
        ranged = flatbuffer.read(quantizer.full_integer(made.float32(), batches, (-1.0, 1.0)).model)
        quantized = flatbuffer.read(made.int8(lambda: seen, "int8"))
    found = {tensor.name: tensor.quantization for tensor in quantized.subgraphs[0].tensors}
    return [
        ((float(tensor.quantization.min[0]), float(tensor.quantization.max[0])), grid.scale[0], int(grid.zeroPoint[0]))
        for tensor, grid in _both(ranged, quantized, found)
    ]


def _both(ranged, quantized, found):
    """The tensors of layers with a range of their own. Pooling and reshaping keep the grid of what they take."""
    from edgenet.tflite import flatbuffer

    graph = ranged.subgraphs[0]
    for op in graph.operators:
        tensor = graph.tensors[op.outputs[0]]
        if flatbuffer.operator(ranged, op) in ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "FULLY_CONNECTED"):
            yield tensor, found[tensor.name]
    yield graph.tensors[graph.inputs[0]], found[b"image"]


def test_the_grid_of_a_range_is_that_of_the_converter(grids):
    assert len(grids) >= 9  # seven layers, an addition, the input
    assert any(low < 0 for (low, _), _, _ in grids) and any(low == 0 for (low, _), _, _ in grids)
    for (low, high), scale, zero_point in grids:
        grid = Grid.of(low, high)
        # float32 in the file, double here.
        assert grid.scale == pytest.approx(scale, rel=1e-6)
        assert grid.zero_point - 128 == zero_point


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (-1.0, 1.0, 2 / 255, 127),  # pixels
        (0.0, 6.0, 6 / 255, 0),
        (1.0, 5.0, 5 / 255, 0),  # zero is always in it
        (-5.0, -1.0, 5 / 255, 255),
        (0.0, 0.0, 1e-6 / 255, 0),  # a tensor that is always zero
    ],
)
def test_grids(low, high, scale, zero_point):
    grid = Grid.of(low, high)
    assert grid.scale == pytest.approx(scale)
    assert grid.zero_point == zero_point
    assert not grid.dequantize(grid.quantize(np.zeros(1, np.float32))).any()


def test_values_come_back_half_a_step_away_at_most_and_saturate():
    grid = Grid.of(-2.0, 4.0)
    inside = np.linspace(-2, 4, 999, dtype=np.float32)
    # Half a step, and as much again at the ends, where zero's place was rounded.
    assert np.abs(grid.dequantize(grid.quantize(inside)) - inside).max() <= 1.0001 * grid.scale
    assert np.abs(grid.dequantize(grid.quantize(inside[20:-20])) - inside[20:-20]).max() <= 0.5001 * grid.scale
    assert grid.quantize(np.array([-9, 9], np.float32)).tolist() == [0, 255]
    steps = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(grid.quantize(grid.dequantize(steps)), steps)


@pytest.mark.parametrize("taken", [*COMMON.values(), InputRange.between(-2, 2), InputRange.between(0, 2)], ids=str)
def test_pixels_are_quantized_as_the_runtime_gets_them(taken):
    # A middle of 127.5 lies between two integers. Bias correction makes good what the model will see: raw pixels.
    recipe = taken.recipe(1, 256, 3)
    pixels = np.arange(256, dtype=np.uint8)[None, None, :, None].repeat(3, axis=-1)
    grid = Grid.of(*recipe.range)
    expected = as_input(pixels, recipe, np.dtype(np.uint8), grid.scale, grid.zero_point)
    np.testing.assert_array_equal(grid.quantize(preprocess.normalize(pixels, recipe)), expected)
