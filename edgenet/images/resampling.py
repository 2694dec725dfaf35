"""Resizing as TensorFlow and the mobile libraries do it: without antialiasing, which Pillow cannot leave out.

Each output pixel is a weighted mean of a few input pixels: 1 (nearest), 2 (bilinear) or 4 (bicubic) in each direction,
or as many as it covers (area). The positions, kernels and the precision of both are those of `tf.image.resize`
(`tensorflow/core/kernels/image/resize_*_op.cc`); nearest and bilinear give its results to the bit.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from edgenet.records import Interpolation

# Of Keys' cubic convolution kernel, as TensorFlow and Pillow have it (R. Keys, IEEE TASSP 29(6), 1981: -1/2).
KEYS = -0.5
# TensorFlow looks the cubic kernel up in a table with so many positions between two pixels.
CUBIC_POSITIONS = 1024
# Rows of the result that are computed at a time: few, so that they stay in the processor's cache.
BAND_ROWS = 64

# glibc gives the memory of arrays of some 100 KB back to the system when they are freed, and getting it again takes
# longer than resampling. It keeps it after a larger block has been freed once (mallopt(3), M_MMAP_THRESHOLD).
np.empty(2**23, np.uint8)

# What output pixels are made of, in one direction: for each of the input pixels that one has, their indices, int64
# (count,), and weights, float32 (count,). The weights of an output pixel sum to 1. Indices never fall along an array.
Taps: TypeAlias = Sequence[tuple[np.ndarray, np.ndarray]]


def resample(
    image: np.ndarray,
    covered: tuple[int, int],
    window: tuple[int, int, int, int],
    interpolation: Interpolation,
    half_pixel_centers: bool = True,
    rounded: bool = False,
) -> np.ndarray:
    """Resize an image, and keep a part of the result; only that part is computed.

    Args:
        image: uint8 (height, width, channels) with 1 (grey), 3 (RGB) or 4 channels (RGB and one that does not count).
            The last is the fastest for colours: numpy copies 4 bytes at once.
        covered: Height and width of the whole image after resizing, in pixels.
        window: Top, left, height and width of the part that is kept, in pixels after resizing.
        interpolation: The interpolation.
        half_pixel_centers: Whether output pixel i of n from N is at (i + 1/2) N / n - 1/2; without, at i N / n.
        rounded: Whether the result is rounded to integers from 0 to 255.

    Returns:
        The part (height, width, 1 or 3): uint8 if it is rounded, else float32, 0 to 255 (bicubic may go beyond).
    """
    top, left, height, width = window
    down = (image.shape[0], covered[0], top, height)
    across = (image.shape[1], covered[1], left, width)
    if interpolation == Interpolation.NEAREST:
        row_indices, column_indices = (_nearest(*axis, half_pixel_centers) for axis in (down, across))
        packed = _packed(image)
        chosen = packed.reshape(-1).take(row_indices[:, None] * packed.shape[1] + column_indices)
        colours = _colours(chosen.view(np.uint8), packed.itemsize)
        return colours if rounded else colours.astype(np.float32)
    rows, columns = (TAPS[interpolation](*axis, half_pixel_centers) for axis in (down, across))
    # The direction first after which less is left; TensorFlow resizes bilinearly across first.
    if interpolation == Interpolation.BILINEAR or image.shape[0] * covered[1] <= covered[0] * image.shape[1]:
        return _weighted(image, rows, columns, interpolation, rounded)
    return _weighted(image.swapaxes(0, 1), columns, rows, interpolation, rounded).swapaxes(0, 1)


def _packed(image: np.ndarray) -> np.ndarray:
    """The image with one number for each pixel (height, width)."""
    height, width, channels = image.shape
    if channels == 3:
        padded = np.empty((height, width, 4), np.uint8)
        for channel in range(3):
            padded[..., channel] = image[..., channel]
        image = padded
    return np.ascontiguousarray(image).view(np.uint8 if channels == 1 else np.uint32)[..., 0]


def _colours(values: np.ndarray, channels: int) -> np.ndarray:
    """Values (height, width * bytes of a packed pixel) as those of an image (height, width, 1 or 3)."""
    if channels == 1:
        return values[..., None]
    packed = values.reshape(len(values), -1, 4)
    result = np.empty((*packed.shape[:2], 3), values.dtype)
    for channel in range(3):  # numpy copies these faster than three values at a time
        result[..., channel] = packed[..., channel]
    return result


def _weighted(image: np.ndarray, rows: Taps, columns: Taps, interpolation: Interpolation, rounded: bool) -> np.ndarray:
    """Resize across, then down."""
    packed, linear = _packed(image), interpolation == Interpolation.BILINEAR
    pixel_bytes = packed.itemsize
    across = [(indices, np.repeat(weights, pixel_bytes)) for indices, weights in columns]
    height, width, channels = len(rows[0][0]), len(columns[0][0]), min(pixel_bytes, 3)
    result = np.empty((height, width * channels), np.uint8 if rounded else np.float32)
    for start in range(0, height, BAND_ROWS):
        band_rows = [
            (indices[start : start + BAND_ROWS], weights[start : start + BAND_ROWS, None]) for indices, weights in rows
        ]
        part, down = _needed(packed, band_rows)
        wide = _combined(lambda indices, part=part: _floats(part.take(indices, 1)), across, linear)  # type: ignore[misc]
        wide = _colours(wide, pixel_bytes).reshape(len(wide), -1)
        band = _combined(lambda indices, wide=wide: wide.take(indices, 0), down, linear)  # type: ignore[misc]
        if rounded:
            np.clip(np.rint(band, out=band), 0, 255, out=band)
        result[start : start + BAND_ROWS] = band  # as uint8 where they are rounded
    return result.reshape(height, width, channels)


def _needed(packed: np.ndarray, rows: Taps) -> tuple[np.ndarray, Taps]:
    """The rows of an image that count, and their numbers among these."""
    first, last = rows[0][0][0], rows[-1][0][-1]
    if last - first < len(rows) * len(rows[0][0]):
        return packed[first : last + 1], [(indices - first, weights) for indices, weights in rows]
    needed = np.unique(np.concatenate([indices for indices, _ in rows]))
    return packed[needed], [(np.searchsorted(needed, indices), weights) for indices, weights in rows]


def _floats(packed: np.ndarray) -> np.ndarray:
    """The channels of packed pixels (height, width): float32 (height, width * channels)."""
    return packed.view(np.uint8).astype(np.float32)


def _combined(pick: Callable[[np.ndarray], np.ndarray], taps: Taps, linear: bool) -> np.ndarray:
    """The weighted sum of the pixels that `pick` gives for indices, in memory of its own."""
    if linear:  # a + (b - a) * fraction, as TensorFlow computes it
        (before, _), (behind, fractions) = taps
        start, result = pick(before), pick(behind)
        result -= start
        result *= fractions
        result += start
        return result
    (indices, weights), *others = taps
    result = pick(indices)
    result *= weights
    for indices, weights in others:
        part = pick(indices)
        part *= weights
        result += part
    return result


def _positions(size: int, covered: int, first: int, count: int, half_pixel_centers: bool) -> np.ndarray:
    """Where output pixels lie in the input, in one direction: float32 (count,).

    In single precision, as in TensorFlow, which decides on which side of an integer a position falls.
    """
    numbers = np.arange(first, first + count, dtype=np.float32)
    scale = np.float32(size) / np.float32(covered)
    return (numbers + np.float32(0.5)) * scale - np.float32(0.5) if half_pixel_centers else numbers * scale


def _nearest(size: int, covered: int, first: int, count: int, half_pixel_centers: bool) -> np.ndarray:
    """The indices of the nearest input pixels."""
    numbers = np.arange(first, first + count, dtype=np.float32)
    shifted = numbers + np.float32(0.5) if half_pixel_centers else numbers
    return np.clip(np.floor(shifted * (np.float32(size) / np.float32(covered))).astype(np.int64), 0, size - 1)


@lru_cache(maxsize=64)  # images of a folder often have one size
def _linear_taps(size: int, covered: int, first: int, count: int, half_pixel_centers: bool) -> Taps:
    """Of bilinear interpolation: the pixels in front of and behind each position."""
    positions = _positions(size, covered, first, count, half_pixel_centers)
    lower = np.floor(positions)
    index, fraction = lower.astype(np.int64), positions - lower
    return [(np.clip(index, 0, size - 1), 1 - fraction), (np.clip(index + 1, 0, size - 1), fraction)]


def _cubic_taps(size: int, covered: int, first: int, count: int, half_pixel_centers: bool) -> Taps:
    """Of bicubic interpolation; input pixels beyond the edge do not count."""
    positions = _positions(size, covered, first, count, half_pixel_centers)
    lower = np.floor(positions)
    fraction = np.rint((positions - lower) * CUBIC_POSITIONS).astype(np.float64) / CUBIC_POSITIONS
    indices = [lower.astype(np.int64) + offset for offset in (-1, 0, 1, 2)]
    weights = np.stack([keys(np.abs(fraction - offset)) for offset in (-1, 0, 1, 2)])
    weights *= np.stack([(each >= 0) & (each < size) for each in indices])
    weights /= weights.sum(axis=0)
    return [
        (np.clip(each, 0, size - 1), weight.astype(np.float32)) for each, weight in zip(indices, weights, strict=True)
    ]


def keys(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel."""
    near = ((KEYS + 2) * distance - (KEYS + 3)) * distance**2 + 1
    far = ((KEYS * distance - 5 * KEYS) * distance + 8 * KEYS) * distance - 4 * KEYS
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _area_taps(size: int, covered: int, first: int, count: int, half_pixel_centers: bool) -> Taps:
    """Each input pixel counts as much as the area of the output pixel covers of it; there are no centres."""
    numbers = np.arange(first, first + count + 1, dtype=np.float32)
    scale = np.float32(size) / np.float32(covered)
    start, end = numbers[:-1] * scale, numbers[1:] * scale
    lowest = np.floor(start)
    taps = []
    for offset in range(math.ceil(float((end - lowest).max()))):
        pixel = lowest + np.float32(offset)
        part = np.minimum(end, pixel + 1) - np.maximum(start, pixel)
        # Within one input pixel, the difference of two large numbers would be less exact.
        part = np.where((pixel < start) & (pixel + 1 > end), scale, np.clip(part, 0, None))
        taps.append((np.clip(pixel.astype(np.int64), 0, size - 1), part / scale))
    return taps


TAPS: dict[Interpolation, Callable[[int, int, int, int, bool], Taps]] = {
    Interpolation.BILINEAR: _linear_taps,
    Interpolation.BICUBIC: _cubic_taps,
    Interpolation.AREA: _area_taps,
}
