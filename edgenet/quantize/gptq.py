"""Rounding of weights to the 8-bit grid, so that the errors of one layer's weights cancel as far as they can."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite.graph import Layer

# Added to the diagonal of the second moments, as a share of its mean, so that they can be inverted (GPTQ's choice).
DAMPING = 0.01
# Output positions of a picture that are looked at: neighbours tell much the same.
POSITIONS = 64
MOST_INPUTS = 2048


def nearest(layer: Layer) -> np.ndarray:
    """The weights rounded to the nearest point of the grid, as int32 from -127 to 127."""
    return np.clip(np.rint(layer.weights / layer.by_channel(layer.scales)), -127, 127).astype(np.int32)


def compensated(layer: Layer, moments: np.ndarray) -> np.ndarray:
    """The weights rounded one by one, each rounding error made good by the weights that are still to come.

    This is the rounding of GPTQ (Frantar et al., arXiv:2210.17323, algorithm 1): it leaves the layer's output nearest
    to what it was, given the second moments of its inputs.

    moments: as `second_moments` adds them up. Returns int32 from -127 to 127. The largest weight of each channel keeps
    127, since it sets the scale that the converter chooses; or less, where the smallest scale that there is sets it.
    """
    rows = np.moveaxis(layer.weights, layer.axis, 0)
    weights = rows.reshape(len(rows), -1) / layer.scales[:, None]
    largest = np.abs(weights).argmax(axis=1)
    peaks = np.rint(np.take_along_axis(weights, largest[:, None], axis=1)[:, 0])
    factors = _factors(moments)
    rounded = np.empty_like(weights)
    for column in range(weights.shape[1]):
        whole = np.clip(np.rint(weights[:, column]), -127, 127)
        whole = np.where(largest == column, peaks, whole)
        error = (weights[:, column] - whole) / factors[..., column, column]
        weights[:, column + 1 :] -= error[:, None] * factors[..., column, column + 1 :]
        rounded[:, column] = whole
    return np.moveaxis(rounded.reshape(rows.shape), 0, layer.axis).astype(np.int32)


def values(layer: Layer, integers: np.ndarray) -> np.ndarray:
    """The weights that integers stand for, as float32."""
    return (integers * layer.by_channel(layer.scales)).astype(np.float32)


def can_compensate(layer: Layer, channels: int) -> bool:
    """Whether `compensated` can be used for a layer whose input has so many channels.

    Not where the convolution is grouped, so that each group has inputs of its own, or has so many inputs that inverting
    their moments takes minutes.
    """
    grouped = layer.kind == "CONV_2D" and layer.weights.shape[3] != channels
    return not grouped and layer.weights.size // len(layer.bias) <= MOST_INPUTS


def second_moments(layer: Layer, options, inputs: np.ndarray) -> np.ndarray:
    """The sum of x x^T over some output positions of a batch, x being the inputs that a position's weights multiply.

    inputs: float32, the layer's input. options: the operator's, with strides, dilation and padding. Returns float64
    (inputs, inputs), or (channels, inputs, inputs) for a depthwise convolution.
    """
    if layer.kind == "FULLY_CONNECTED":
        patches = inputs.reshape(-1, layer.weights.shape[1]).astype(np.float64)
        return patches.T @ patches
    height, width = layer.weights.shape[1:3]
    windows = _windows(inputs, height, options.strideH, options.dilationHFactor, options.padding, axis=1)
    windows = _windows(windows, width, options.strideW, options.dilationWFactor, options.padding, axis=2)
    batch, rows, columns, channels = windows.shape[:4]
    chosen = np.unique(np.linspace(0, rows * columns - 1, min(POSITIONS, rows * columns)).round().astype(int))
    patches = windows[:, chosen // columns, chosen % columns].astype(np.float64)  # (batch, positions, channels, h, w)
    if layer.kind == "DEPTHWISE_CONV_2D":
        patches = np.moveaxis(patches, 2, 0).reshape(channels, -1, height * width)
        moments = patches.transpose(0, 2, 1) @ patches
        return np.repeat(moments, layer.weights.shape[3] // channels, axis=0)
    patches = np.moveaxis(patches, 2, 4).reshape(batch * len(chosen), -1)
    return patches.T @ patches


def _windows(values: np.ndarray, size: int, stride: int, dilation: int, padding: int, axis: int) -> np.ndarray:
    """Every window of `size` along one axis, as one more axis at the end, padded as TensorFlow pads."""
    reach = dilation * (size - 1) + 1
    if padding == schema.Padding.SAME:
        length = values.shape[axis]
        missing = max((-(-length // stride) - 1) * stride + reach - length, 0)
        widths = [(0, 0)] * values.ndim
        widths[axis] = (missing // 2, missing - missing // 2)
        values = np.pad(values, widths)
    windows = np.lib.stride_tricks.sliding_window_view(values, reach, axis)[..., ::dilation]
    return windows[(slice(None),) * axis + (slice(None, None, stride),)]


def _factors(moments: np.ndarray) -> np.ndarray:
    """The upper Cholesky factor of the inverse of the damped moments: what GPTQ moves errors by."""
    size = moments.shape[-1]
    diagonal = np.diagonal(moments, axis1=-2, axis2=-1).mean(axis=-1)
    # Inputs that are always zero move nothing; any damping serves them.
    damping = np.where(diagonal > 0, DAMPING * diagonal, 1.0)
    inverse = np.linalg.inv(moments + damping[..., None, None] * np.eye(size))
    return np.swapaxes(np.linalg.cholesky(inverse), -1, -2)
