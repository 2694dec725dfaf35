"""Scale and zero point of activations are those that the converter derives from a range."""

import numpy as np
import pytest

from edgenet.images import preprocess
from edgenet.images.input_range import COMMON, InputRange
from edgenet.litert.runner import as_input
from edgenet.quantize.activations import QuantizationParameters
from edgenet.quiet import quiet


@pytest.fixture(scope="module")
def tensors(net, converter, calibration_images, batches) -> list[tuple[tuple[float, float], float, int]]:
    """For each tensor of an int8 file: the range that was set, the scale, and the int8 zero point."""
    from edgenet.quantize import quantizer
    from edgenet.tflite import flatbuffer

    with quiet():
        net_converter = converter(net)
        ranged = flatbuffer.read(quantizer.quantize_full_integer(net_converter.float32(), batches, (-1.0, 1.0)).model)
        quantized = flatbuffer.read(net_converter.int8(lambda: calibration_images, "int8"))
    parameters = {tensor.name: tensor.quantization for tensor in quantized.subgraphs[0].tensors}
    return [
        ((float(tensor.quantization.min[0]), float(tensor.quantization.max[0])), own.scale[0], int(own.zeroPoint[0]))
        for tensor, own in _with_own_range(ranged, parameters)
    ]


def _with_own_range(ranged, parameters):
    """The tensors with a range of their own. Pooling and reshaping keep the scale and zero point of their input."""
    from edgenet.tflite import flatbuffer

    graph = ranged.subgraphs[0]
    for op in graph.operators:
        tensor = graph.tensors[op.outputs[0]]
        if flatbuffer.operator_kind(ranged, op) in ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "FULLY_CONNECTED"):
            yield tensor, parameters[tensor.name]
    yield graph.tensors[graph.inputs[0]], parameters[b"image"]


def test_the_parameters_of_a_range_are_those_of_the_converter(tensors):
    assert len(tensors) >= 9  # seven layers, an addition, the input
    assert any(low < 0 for (low, _), _, _ in tensors) and any(low == 0 for (low, _), _, _ in tensors)
    for (low, high), scale, zero_point in tensors:
        parameters = QuantizationParameters.from_range(low, high)
        # float32 in the file, double here.
        assert parameters.scale == pytest.approx(scale, rel=1e-6)
        assert parameters.zero_point - 128 == zero_point


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (-1.0, 1.0, 2 / 255, 127),  # pixels
        (0.0, 6.0, 6 / 255, 0),
        (1.0, 5.0, 5 / 255, 0),  # the range always includes zero
        (-5.0, -1.0, 5 / 255, 255),
        (0.0, 0.0, 1e-6 / 255, 0),  # a tensor that is always zero
    ],
)
def test_scale_and_zero_point(low, high, scale, zero_point):
    parameters = QuantizationParameters.from_range(low, high)
    assert parameters.scale == pytest.approx(scale)
    assert parameters.zero_point == zero_point
    assert not parameters.dequantize(parameters.quantize(np.zeros(1, np.float32))).any()


def test_quantization_is_off_by_at_most_half_a_scale_and_saturates():
    parameters = QuantizationParameters.from_range(-2.0, 4.0)
    inside = np.linspace(-2, 4, 999, dtype=np.float32)
    # Half a scale, and another half at the ends, because the zero point is rounded.
    assert np.abs(parameters.dequantize(parameters.quantize(inside)) - inside).max() <= 1.0001 * parameters.scale
    assert (
        np.abs(parameters.dequantize(parameters.quantize(inside[20:-20])) - inside[20:-20]).max()
        <= 0.5001 * parameters.scale
    )
    assert parameters.quantize(np.array([-9, 9], np.float32)).tolist() == [0, 255]
    integers = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(parameters.quantize(parameters.dequantize(integers)), integers)


@pytest.mark.parametrize(
    "input_range", [*COMMON.values(), InputRange.between(-2, 2), InputRange.between(0, 2)], ids=str
)
def test_quantized_pixels_are_those_of_the_runner(input_range):
    # Zero is at pixel 127.5, between two integers. Bias correction must use what the model will get: raw pixels.
    recipe = input_range.recipe(1, 256, 3)
    pixels = np.arange(256, dtype=np.uint8)[None, None, :, None].repeat(3, axis=-1)
    parameters = QuantizationParameters.from_range(*recipe.range)
    expected = as_input(pixels, recipe, np.dtype(np.uint8), parameters.scale, parameters.zero_point)
    np.testing.assert_array_equal(parameters.quantize(preprocess.normalize(pixels, recipe)), expected)
