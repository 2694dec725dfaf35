"""Rounding: second moments against TensorFlow's own operators, and what compensated rounding promises."""

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
    """What a convolution's operator says; a depthwise one has the same fields."""
    made = schema.Conv2DOptionsT()
    made.strideH, made.strideW = stride
    made.dilationHFactor, made.dilationWFactor = dilation
    made.padding = getattr(schema.Padding, padding)
    return made


def energies(layer: Layer, moments: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """e^T E e for each output channel, errors in the shape of the weights."""
    rows = np.moveaxis(errors, layer.axis, 0).reshape(len(layer.scales), -1).astype(np.float64)
    return np.einsum("ci,cij,cj->c", rows, np.broadcast_to(moments, (len(rows), *moments.shape[-2:])), rows)


# Kind, kernel (height, width), stride, dilation, padding; 8 x 7 pictures have no more positions than are looked at.
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
] + [("CONV_2D", (3, 1), (1, 2), (1, 1), "SAME")]  # TensorFlow's depthwise convolution has one stride only


@pytest.mark.parametrize(("kind", "kernel", "stride", "dilation", "padding"), CONVOLUTIONS)
def test_moments_tell_the_energy_of_a_convolution(kind, kernel, stride, dilation, padding):
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
def test_moments_tell_the_energy_of_a_dense_layer(shape):
    random = np.random.default_rng(2)
    inputs, weights = random.normal(0.3, 1, shape).astype(np.float32), random.normal(0, 1, (5, 20))
    layer = layer_of("FULLY_CONNECTED", weights)
    moments = gptq.second_moments(layer, schema.FullyConnectedOptionsT(), inputs)
    expected = ((inputs.reshape(-1, 20).astype(np.float64) @ layer.weights.T.astype(np.float64)) ** 2).sum(axis=0)
    np.testing.assert_allclose(energies(layer, moments, layer.weights), expected, rtol=1e-9)  # doubles on both sides


def test_moments_of_a_large_picture_come_from_all_of_it():
    # Halves of another size: 1 on the left, 3 on the right, so the mean square is (1 + 9) / 2.
    inputs = np.ones((1, 40, 40, 1), np.float32)
    inputs[:, :, 20:] = 3
    layer = layer_of("CONV_2D", np.ones((1, 1, 1, 1)))
    all_of = gptq.second_moments(layer, options(), np.ones((1, 40, 40, 1), np.float32))
    # At most 64 places of the picture, spread evenly: one more or less in a half is 1/64 of the two's difference of 8.
    assert gptq.second_moments(layer, options(), inputs) / all_of == pytest.approx(5, abs=0.25)


@pytest.fixture(params=["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def case(request) -> tuple[Layer, np.ndarray]:
    """A layer, and the second moments of inputs that go together, as a picture's do."""
    random = np.random.default_rng(3)
    smooth = random.normal(0, 1, (4, 8, 8, 6)).cumsum(axis=1).cumsum(axis=2).astype(np.float32)
    shape = {"CONV_2D": (16, 3, 3, 6), "DEPTHWISE_CONV_2D": (1, 3, 3, 6), "FULLY_CONNECTED": (16, 384)}[request.param]
    layer = layer_of(request.param, random.normal(0, 1, shape))
    return layer, gptq.second_moments(layer, options(), smooth)


def test_compensated_leaves_the_output_nearer_than_nearest(case):
    layer, moments = case
    error = {}
    for name, integers in (
        ("nearest", gptq.nearest(layer)),
        ("compensated", gptq.compensated(layer, moments)),
    ):
        error[name] = energies(layer, moments, gptq.values(layer, integers) - layer.weights).sum()
    # Neighbours that go together leave much to make good: measured 0.01 (dense) to 0.2 (depthwise, 9 weights only).
    assert error["compensated"] < 0.5 * error["nearest"]


def test_compensated_stays_on_the_grid_and_keeps_its_ends(case):
    layer, moments = case
    integers = gptq.compensated(layer, moments)
    assert (integers.shape, integers.dtype) == (layer.weights.shape, np.int32)
    assert (integers.min(), integers.max()) == (-127, 127)
    rows, weights = (np.moveaxis(a, layer.axis, 0).reshape(len(layer.scales), -1) for a in (integers, layer.weights))
    largest = np.abs(weights).argmax(axis=1)[:, None]
    signs = np.sign(np.take_along_axis(weights, largest, axis=1))
    np.testing.assert_array_equal(np.take_along_axis(rows, largest, axis=1), 127 * signs)


def test_the_rounded_weights_have_the_scale_of_the_weights(case):
    layer, moments = case
    rounded = layer_of(layer.kind, gptq.values(layer, gptq.compensated(layer, moments)))
    np.testing.assert_allclose(rounded.scales, layer.scales, rtol=1e-6)  # one rounding to float32


def test_nearest_is_half_a_step_away_at_most(case):
    layer, _ = case
    away = np.abs(gptq.values(layer, gptq.nearest(layer)) - layer.weights)
    assert np.all(away <= layer.by_channel(layer.scales) * 0.50001)  # and float32 rounding


def test_weights_on_the_grid_stay(case):
    layer, moments = case
    random = np.random.default_rng(4)
    integers = random.integers(-127, 128, layer.weights.shape)
    # The first of each channel is its largest.
    integers[(slice(None), *[0] * (integers.ndim - 1)) if layer.axis == 0 else (0, 0, 0, slice(None))] = -127
    on_grid = layer_of(layer.kind, integers * layer.by_channel(layer.scales))
    np.testing.assert_array_equal(gptq.nearest(on_grid), integers)
    np.testing.assert_array_equal(gptq.compensated(on_grid, moments), integers)


def test_a_channel_of_zeros_stays_zero(case):
    layer, moments = case
    weights = layer.weights.copy()
    np.moveaxis(weights, layer.axis, 0)[2] = 0
    dead = layer_of(layer.kind, weights)
    for integers in (gptq.nearest(dead), gptq.compensated(dead, moments)):
        rows = np.moveaxis(integers, layer.axis, 0)
        assert not rows[2].any()
        assert rows[3].any()
        assert not np.moveaxis(gptq.values(dead, integers), layer.axis, 0)[2].any()


def test_inputs_of_zeros_leave_rounding_to_nearest(case):
    layer, moments = case
    np.testing.assert_array_equal(gptq.compensated(layer, np.zeros_like(moments)), gptq.nearest(layer))


def test_one_constant_input_picture_gives_integers(case):
    # All patches alike: moments of rank one, which only the damping makes invertible.
    layer, moments = case
    constant = np.ones_like(moments)
    integers = gptq.compensated(layer, constant)
    assert np.abs(integers).max() == 127
    error = [
        energies(layer, constant, gptq.values(layer, q) - layer.weights).sum() for q in (integers, gptq.nearest(layer))
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
    for integers in (gptq.nearest(layer), gptq.compensated(layer, np.eye(size))):
        stored = gptq.values(layer, integers)
        # Half a step of each channel's own scale; beside it, the rounding of the product to float32.
        error = np.abs(stored - layer.weights.astype(np.float64))
        assert np.all(error <= layer.by_channel(0.5 * layer.scales) + 1e-7 * np.abs(layer.weights))


def test_a_layer_of_zeros_stays_zero():
    layer = layer_of("CONV_2D", np.zeros((3, 1, 1, 2)))
    assert not gptq.nearest(layer).any()
    assert not gptq.compensated(layer, np.eye(2)).any()
    assert np.isfinite(layer.scales).all()
