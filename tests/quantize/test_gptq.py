"""GPTQ: second moments against TensorFlow's operators, and the properties of the rounded weights."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgenet.quantize import gptq
from edgenet.tflite.graph import CHANNEL_AXIS, Layer


def layer_of(kind: str, weights: np.ndarray) -> Layer:
    """A layer without bias and activation."""
    channels = weights.shape[CHANNEL_AXIS[kind]]
    weights, bias = weights.astype(np.float32), np.zeros(channels, np.float32)
    return Layer("a layer", kind, 0, weights, bias, CHANNEL_AXIS[kind], (-np.inf, np.inf))


def options(stride=(1, 1), dilation=(1, 1), padding="SAME") -> schema.Conv2DOptionsT:
    """The options of a convolution; a depthwise convolution has the same fields."""
    options = schema.Conv2DOptionsT()
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    options.padding = getattr(schema.Padding, padding)
    return options


def energies(layer: Layer, moments: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """e^T M e for each output channel, with errors e in the shape of the weights and moments M."""
    rows = np.moveaxis(errors, layer.axis, 0).reshape(len(layer.scales), -1).astype(np.float64)
    return np.einsum("ci,cij,cj->c", rows, np.broadcast_to(moments, (len(rows), *moments.shape[-2:])), rows)


# Kind, kernel (height, width), stride, dilation, padding; images of 8 x 7 have fewer positions than MAX_POSITIONS.
CONVOLUTIONS = [
    (kind, *rest)
    for kind in ("CONV_2D", "DEPTHWISE_CONV_2D")
    for rest in (
        ((3, 3), (1, 1), (1, 1), "SAME"),
        ((3, 3), (1, 1), (1, 1), "VALID"),
        ((3, 3), (2, 2), (1, 1), "SAME"),
        ((3, 3), (2, 2), (1, 1), "VALID"),
        ((2, 2), (2, 2), (1, 1), "SAME"),
        ((3, 3), (1, 1), (2, 2), "SAME"),
        ((3, 2), (1, 1), (1, 2), "VALID"),
        ((1, 1), (1, 1), (1, 1), "SAME"),
        ((1, 1), (2, 2), (1, 1), "VALID"),
        ((5, 5), (3, 3), (1, 1), "SAME"),
    )
] + [("CONV_2D", (3, 1), (1, 2), (1, 1), "SAME")]  # TensorFlow's depthwise convolution has a single stride


@pytest.mark.parametrize(("kind", "kernel", "stride", "dilation", "padding"), CONVOLUTIONS)
def test_moments_give_the_energy_of_a_convolution(kind, kernel, stride, dilation, padding):
    import tensorflow as tf

    random = np.random.default_rng(1)
    inputs = random.normal(0.3, 1, (3, 8, 7, 4)).astype(np.float32)
    multiplier = 2
    # In TensorFlow's order, (height, width, in, out or multiplier).
    kernels = random.normal(0, 1, (*kernel, 4, 5 if kind == "CONV_2D" else multiplier)).astype(np.float32)
    if kind == "CONV_2D":
        outputs = tf.nn.conv2d(inputs, kernels, stride, padding, dilations=dilation)
        weights = kernels.transpose(3, 0, 1, 2)
    else:
        outputs = tf.nn.depthwise_conv2d(inputs, kernels, [1, *stride, 1], padding, dilations=dilation)
        weights = kernels.reshape(1, *kernel, 4 * multiplier)
    layer = layer_of(kind, weights)
    moments = gptq.second_moments(layer, options(stride, dilation, padding), inputs)
    expected = (outputs.numpy().astype(np.float64) ** 2).sum(axis=(0, 1, 2))
    # Each output is a float32 sum of up to 100 terms, rounded to 6e-8 each.
    np.testing.assert_allclose(energies(layer, moments, weights), expected, rtol=2e-5)


@pytest.mark.parametrize("shape", [(6, 20), (2, 3, 20)])
def test_moments_give_the_energy_of_a_dense_layer(shape):
    random = np.random.default_rng(2)
    inputs, weights = random.normal(0.3, 1, shape).astype(np.float32), random.normal(0, 1, (5, 20))
    layer = layer_of("FULLY_CONNECTED", weights)
    moments = gptq.second_moments(layer, schema.FullyConnectedOptionsT(), inputs)
    expected = ((inputs.reshape(-1, 20).astype(np.float64) @ layer.weights.T.astype(np.float64)) ** 2).sum(axis=0)
    np.testing.assert_allclose(energies(layer, moments, layer.weights), expected, rtol=1e-9)  # doubles on both sides


def test_moments_of_a_large_image_cover_all_of_it():
    # 1 in the left half, 3 in the right half: the mean square is (1 + 9) / 2.
    inputs = np.ones((1, 40, 40, 1), np.float32)
    inputs[:, :, 20:] = 3
    layer = layer_of("CONV_2D", np.ones((1, 1, 1, 1)))
    ones = gptq.second_moments(layer, options(), np.ones((1, 40, 40, 1), np.float32))
    # At most 64 evenly spaced positions: one more or less in a half changes the mean by 1/64 of the difference of 8.
    assert gptq.second_moments(layer, options(), inputs) / ones == pytest.approx(5, abs=0.25)


@pytest.fixture(params=["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def case(request) -> tuple[Layer, np.ndarray]:
    """A layer, and the second moments of smooth inputs, which are correlated like those of images."""
    random = np.random.default_rng(3)
    smooth = random.normal(0, 1, (4, 8, 8, 6)).cumsum(axis=1).cumsum(axis=2).astype(np.float32)
    shape = {"CONV_2D": (16, 3, 3, 6), "DEPTHWISE_CONV_2D": (1, 3, 3, 6), "FULLY_CONNECTED": (16, 384)}[request.param]
    layer = layer_of(request.param, random.normal(0, 1, shape))
    return layer, gptq.second_moments(layer, options(), smooth)


def test_gptq_has_a_smaller_output_error_than_rounding_to_nearest(case):
    layer, moments = case
    error = {}
    for name, integers in (
        ("nearest", gptq.round_to_nearest(layer)),
        ("gptq", gptq.round_with_gptq(layer, moments)),
    ):
        error[name] = energies(layer, moments, gptq.dequantize(layer, integers) - layer.weights).sum()
    # Correlated neighbours allow much compensation: measured 0.01 (dense) to 0.2 (depthwise, only 9 weights).
    assert error["gptq"] < 0.5 * error["nearest"]


def test_gptq_gives_integers_in_range_and_keeps_the_largest_weights(case):
    layer, moments = case
    integers = gptq.round_with_gptq(layer, moments)
    assert (integers.shape, integers.dtype) == (layer.weights.shape, np.int32)
    assert (integers.min(), integers.max()) == (-127, 127)
    rows, weights = (np.moveaxis(a, layer.axis, 0).reshape(len(layer.scales), -1) for a in (integers, layer.weights))
    largest = np.abs(weights).argmax(axis=1)[:, None]
    signs = np.sign(np.take_along_axis(weights, largest, axis=1))
    np.testing.assert_array_equal(np.take_along_axis(rows, largest, axis=1), 127 * signs)


def test_the_rounded_weights_have_the_scale_of_the_weights(case):
    layer, moments = case
    rounded = layer_of(layer.kind, gptq.dequantize(layer, gptq.round_with_gptq(layer, moments)))
    np.testing.assert_allclose(rounded.scales, layer.scales, rtol=1e-6)  # one rounding to float32


def test_rounding_to_nearest_is_off_by_at_most_half_a_scale(case):
    layer, _ = case
    error = np.abs(gptq.dequantize(layer, gptq.round_to_nearest(layer)) - layer.weights)
    assert np.all(error <= layer.by_channel(layer.scales) * 0.50001)  # and float32 rounding


def test_weights_that_are_multiples_of_the_scale_are_unchanged(case):
    layer, moments = case
    random = np.random.default_rng(4)
    integers = random.integers(-127, 128, layer.weights.shape)
    # The first weight of each channel is its largest.
    integers[(slice(None), *[0] * (integers.ndim - 1)) if layer.axis == 0 else (0, 0, 0, slice(None))] = -127
    exact = layer_of(layer.kind, integers * layer.by_channel(layer.scales))
    np.testing.assert_array_equal(gptq.round_to_nearest(exact), integers)
    np.testing.assert_array_equal(gptq.round_with_gptq(exact, moments), integers)


def test_a_channel_of_zeros_stays_zero(case):
    layer, moments = case
    weights = layer.weights.copy()
    np.moveaxis(weights, layer.axis, 0)[2] = 0
    dead = layer_of(layer.kind, weights)
    for integers in (gptq.round_to_nearest(dead), gptq.round_with_gptq(dead, moments)):
        rows = np.moveaxis(integers, layer.axis, 0)
        assert not rows[2].any()
        assert rows[3].any()
        assert not np.moveaxis(gptq.dequantize(dead, integers), layer.axis, 0)[2].any()


def test_with_inputs_of_zeros_gptq_rounds_to_nearest(case):
    layer, moments = case
    np.testing.assert_array_equal(gptq.round_with_gptq(layer, np.zeros_like(moments)), gptq.round_to_nearest(layer))


def test_one_constant_image_gives_finite_integers(case):
    # All patches are equal: moments of rank one, which are invertible only because of the damping.
    layer, moments = case
    constant = np.ones_like(moments)
    integers = gptq.round_with_gptq(layer, constant)
    assert np.abs(integers).max() == 127
    error = [
        energies(layer, constant, gptq.dequantize(layer, q) - layer.weights).sum()
        for q in (integers, gptq.round_to_nearest(layer))
    ]
    assert error[0] < error[1]


@pytest.mark.parametrize("kind", list(CHANNEL_AXIS))
@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-40, 1e-37, 1e-36])
def test_every_scale_is_a_positive_normal_number(kind, value):
    weights = np.random.default_rng(3).normal(size=(4, 3) if kind == "FULLY_CONNECTED" else (4, 1, 1, 4))
    np.moveaxis(weights, CHANNEL_AXIS[kind], 0)[2] = np.float32(value) * np.float32(0.9)
    layer = layer_of(kind, weights)
    assert (layer.scales.astype(np.float32) >= np.finfo(np.float32).tiny).all()
    size = layer.weights.size // len(layer.bias)
    for integers in (gptq.round_to_nearest(layer), gptq.round_with_gptq(layer, np.eye(size))):
        stored = gptq.dequantize(layer, integers)
        # Half a scale of each channel, plus the rounding of the product to float32.
        error = np.abs(stored - layer.weights.astype(np.float64))
        assert np.all(error <= layer.by_channel(0.5 * layer.scales) + 1e-7 * np.abs(layer.weights))


def test_a_layer_of_zeros_stays_zero():
    layer = layer_of("CONV_2D", np.zeros((3, 1, 1, 2)))
    assert not gptq.round_to_nearest(layer).any()
    assert not gptq.round_with_gptq(layer, np.eye(2)).any()
    assert np.isfinite(layer.scales).all()
