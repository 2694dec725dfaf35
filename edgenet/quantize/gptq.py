"""Rounding of a layer's weights to int8: to the nearest integer, or by GPTQ.

GPTQ is by Frantar et al., arXiv:2210.17323. What the paper calls the Hessian is here the matrix of second moments of
the layer's inputs, sum of x x^T; the factor of 2 between them cancels.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite.graph import Layer

# Added to the diagonal of the second moments, as a fraction of its mean, to make them invertible (as in the paper).
DAMPING_FRACTION = 0.01
# Output positions of each image that enter the second moments: neighbouring positions are nearly alike.
MAX_POSITIONS = 64
# Inverting the second moments of more inputs takes minutes.
MAX_INPUTS = 2048
# Matrices of this size or smaller are inverted as a whole.
LEAF = 64
# Images that are multiplied at once: 32 times MAX_POSITIONS is enough for several threads, and takes some 10 MB.
TOGETHER = 32
# Inputs whose rounding errors reach the inputs after them together: the batch size of the paper.
BLOCK = 128


def round_to_nearest(layer: Layer) -> np.ndarray:
    """Return the weights rounded to the nearest integer, int32 from -127 to 127, in the weights' shape."""
    return np.clip(np.rint(layer.weights / layer.by_channel(layer.scales)), -127, 127).astype(np.int32)


def round_with_gptq(layer: Layer, moments: np.ndarray) -> np.ndarray:
    """Return the weights rounded one by one, each rounding error compensated in the weights that follow.

    This is algorithm 1 of GPTQ: it minimizes the squared error of the layer's output, given the second moments of its
    inputs. The largest weight of each channel stays 127, because it determines the scale that the converter chooses;
    it is smaller where the scale is MIN_SCALE.

    Args:
        layer: The layer.
        moments: `sum_of_second_moments` of the calibration images, float64.

    Returns:
        The integers, int32 from -127 to 127, in the weights' shape.
    """
    rows = np.moveaxis(layer.weights, layer.axis, 0)
    # One input's weights beside each other: they are rounded together. (inputs, channels)
    weights = np.ascontiguousarray((rows.reshape(len(rows), -1) / layer.scales[:, None]).T)
    largest = np.abs(weights).argmax(axis=0)
    peaks = np.rint(np.take_along_axis(weights, largest[None], axis=0)[0])
    # (inputs, inputs, 1), or (inputs, inputs, channels) where each channel has its own inputs.
    factors = np.moveaxis(np.atleast_3d(_inverse_cholesky(moments).T), 0, 1)
    rounded = np.empty_like(weights)
    for start in range(0, len(weights), BLOCK):
        end = min(start + BLOCK, len(weights))
        for number in range(start, end):
            integers = np.clip(np.rint(weights[number]), -127, 127)
            integers = np.where(largest == number, peaks, integers)
            error = (weights[number] - integers) / factors[number, number]
            weights[number + 1 : end] -= error * factors[number, number + 1 : end]
            weights[number], rounded[number] = error, integers
        # The inputs after the block get all of its errors at once, which is what takes the time: section 3.3, step 2.
        if end < len(weights):
            weights[end:] -= _spread(factors[start:end, end:], weights[start:end])
    return np.moveaxis(rounded.T.reshape(rows.shape), 0, layer.axis).astype(np.int32)


def _spread(factors: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return what the errors of a block, (block, channels), add up to in the inputs after it, (inputs, channels)."""
    if factors.shape[2] == 1:
        return np.asarray(factors[..., 0].T @ errors)
    return np.asarray(np.einsum("bic,bc->ic", factors, errors))


def dequantize(layer: Layer, integers: np.ndarray) -> np.ndarray:
    """Return the weights that integers represent at the layer's scales, float32."""
    return np.asarray(integers * layer.by_channel(layer.scales), np.float32)


def supports(layer: Layer, channels: int) -> bool:
    """Whether `round_with_gptq` supports a layer.

    It does not support grouped convolutions, where each group has its own inputs, or layers with more than MAX_INPUTS
    inputs.

    Args:
        layer: The layer.
        channels: The number of channels of its input.
    """
    grouped = layer.kind == "CONV_2D" and layer.weights.shape[3] != channels
    return not grouped and layer.weights.size // len(layer.bias) <= MAX_INPUTS


def sum_of_second_moments(layer: Layer, options: schema.Conv2DOptionsT, batches: Iterable[np.ndarray]) -> np.ndarray:
    """Return the sum of `second_moments` over batches, of which several are multiplied at once.

    With one image at a time, starting threads takes longer than multiplying.

    Args:
        layer, options: As in `second_moments`.
        batches: The layer's inputs.
    """
    total, waiting = np.zeros(()), []
    for batch in batches:
        waiting.append(batch)
        if len(waiting) * len(batch) >= TOGETHER:
            total = total + second_moments(layer, options, np.concatenate(waiting))
            waiting = []
    if waiting:
        total = total + second_moments(layer, options, np.concatenate(waiting))
    return np.asarray(total)


def second_moments(layer: Layer, options: schema.Conv2DOptionsT, inputs: np.ndarray) -> np.ndarray:
    """Return the sum of x x^T over output positions of a batch, x being the inputs that the weights multiply there.

    Args:
        layer: The layer.
        options: The operator's options: strides, dilation and padding. Not used for FULLY_CONNECTED.
        inputs: The layer's input, float32 (batch, height, width, channels), or (..., inputs) for FULLY_CONNECTED.

    Returns:
        float64 (inputs, inputs), or (output channels, inputs, inputs) for a depthwise convolution. The sum is over at
        most MAX_POSITIONS evenly spaced positions of each image.
    """
    if layer.kind == "FULLY_CONNECTED":
        patches = inputs.reshape(-1, layer.weights.shape[1]).astype(np.float64)
        return patches.T @ patches
    patches = _patches(inputs, layer.weights.shape[1:3], options)
    batch, positions, height, width, channels = patches.shape
    if layer.kind == "DEPTHWISE_CONV_2D":
        # In the order of the new axes: numpy multiplies matrices in any other order without its library.
        by_channel = patches.reshape(-1, channels).T.astype(np.float64, order="C")
        by_channel = by_channel.reshape(channels, -1, height * width)
        moments = by_channel.transpose(0, 2, 1) @ by_channel
        return np.repeat(moments, layer.weights.shape[3] // channels, axis=0)
    rows = patches.reshape(batch * positions, -1).astype(np.float64)
    return rows.T @ rows


def _patches(values: np.ndarray, kernel: Sequence[int], options: schema.Conv2DOptionsT) -> np.ndarray:
    """Return what a kernel sees at evenly spaced output positions, padded with zeros as TensorFlow does.

    Returns:
        float32 (batch, positions, kernel height, kernel width, channels).
    """
    rows = _taps(values.shape[1], kernel[0], options.strideH, options.dilationHFactor, options.padding)
    columns = _taps(values.shape[2], kernel[1], options.strideW, options.dilationWFactor, options.padding)
    count = len(rows) * len(columns)
    positions = np.unique(np.linspace(0, count - 1, min(MAX_POSITIONS, count)).round().astype(int))
    down, across = rows[positions // len(columns)][:, :, None], columns[positions % len(columns)][:, None, :]
    patches = values[:, down.clip(0, values.shape[1] - 1), across.clip(0, values.shape[2] - 1)]
    outside = (down < 0) | (down >= values.shape[1]) | (across < 0) | (across >= values.shape[2])
    patches[:, outside] = 0
    return patches


def _taps(length: int, size: int, stride: int, dilation: int, padding: int) -> np.ndarray:
    """Return the inputs of each output along one axis, (outputs, size); those outside of 0 to `length` are padding."""
    extent = dilation * (size - 1) + 1
    if padding == schema.Padding.SAME:
        outputs = -(-length // stride)
        first = -(max((outputs - 1) * stride + extent - length, 0) // 2)
    else:
        outputs, first = (length - extent) // stride + 1, 0
    return np.asarray(first + stride * np.arange(outputs)[:, None] + dilation * np.arange(size))


def _inverse_cholesky(moments: np.ndarray) -> np.ndarray:
    """Return the upper Cholesky factor of the inverse of the damped second moments, by which GPTQ spreads errors."""
    size = moments.shape[-1]
    diagonal = np.diagonal(moments, axis1=-2, axis2=-1).mean(axis=-1)
    # Inputs that are always zero spread no error; any positive damping will do.
    damping = np.where(diagonal > 0, DAMPING_FRACTION * diagonal, 1.0)
    return _inverse_factor(moments + damping[..., None, None] * np.eye(size))


def _inverse_factor(matrix: np.ndarray) -> np.ndarray:
    """Return the upper triangular U with U^T U = matrix^-1, of a symmetric positive definite matrix or a stack of them.

    U is the inverse of the upper triangular R with R R^T = matrix. By blocks, nearly all of the work is multiplication
    of matrices, which numpy's library does well on several cores, unlike a Cholesky decomposition.
    """
    size = matrix.shape[-1]
    if size <= LEAF:
        lower = np.linalg.cholesky(matrix[..., ::-1, ::-1])
        return np.triu(np.linalg.inv(lower[..., ::-1, ::-1]))
    half = size // 2
    second = _inverse_factor(matrix[..., half:, half:])
    corner = matrix[..., :half, half:] @ np.swapaxes(second, -1, -2)
    first = _inverse_factor(matrix[..., :half, :half] - corner @ np.swapaxes(corner, -1, -2))
    factor = np.zeros_like(matrix)
    factor[..., :half, :half], factor[..., half:, half:] = first, second
    factor[..., :half, half:] = -first @ corner @ second
    return factor
