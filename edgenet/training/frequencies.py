"""An image as its low frequencies, by which copies are found: those of the whole image, and of slightly smaller parts.

The signs of the lowest coefficients of the discrete cosine transform are a fingerprint that survives compression,
resizing and brightness (the DCT hash of C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions,
2010, which compares with the median of the coefficients instead of 0). The cosine between all coefficients, each
weighted by its frequency, decides: the amplitudes in photos fall in inverse proportion to the frequency (D. J. Field,
Journal of the Optical Society of America A 4, 1987), so the weights make all frequencies count alike.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from edgenet.training.fingerprint import LUMA_SIDE

# Windows on each axis, as fractions of the image: all of it, and 95 % of it at three places.
WINDOWS = ((0.0, 1.0), (0.0, 0.95), (0.025, 0.975), (0.05, 1.0))
# The first part is the whole image.
PARTS = tuple(product(range(len(WINDOWS)), repeat=2))
# A window is averaged to so many cells an axis, whose lowest frequencies are taken.
CELLS, FREQUENCIES, SIGNED = 32, 16, 8
BITS = SIGNED**2 - 1


def _averages(start: float, end: float) -> np.ndarray:
    """The matrix (CELLS, LUMA_SIDE) that averages a window over equal cells."""
    edges = (start + (end - start) * np.arange(CELLS + 1) / CELLS) * LUMA_SIDE
    pixels = np.arange(LUMA_SIDE)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    overlap = np.maximum(overlap, 0)
    return overlap / overlap.sum(axis=1, keepdims=True)


def _cosines() -> np.ndarray:
    """The first rows of the orthonormal DCT-II, (FREQUENCIES, CELLS)."""
    rows = np.cos(np.pi * (np.arange(CELLS) + 0.5) * np.arange(FREQUENCIES)[:, None] / CELLS) * np.sqrt(2 / CELLS)
    rows[0] /= np.sqrt(2)
    return rows


_TRANSFORMS = [(_cosines() @ _averages(*window)).astype(np.float32) for window in WINDOWS]
_WEIGHTS = np.hypot(*np.meshgrid(np.arange(FREQUENCIES), np.arange(FREQUENCIES))).astype(np.float32)  # 0 for the mean
# The lowest frequencies first; the mean, which is brightness, is none of them.
_SIGNED = np.array([(row, column) for row, column in product(range(SIGNED), repeat=2) if row or column])


def coefficients(luma: np.ndarray, part: int) -> np.ndarray:
    """The weighted frequencies of a part of each image.

    Args:
        luma: uint8 (images, LUMA_SIDE, LUMA_SIDE).
        part: An index of PARTS.

    Returns:
        Of length 1, or 0 for an image of one colour: float32 (images, FREQUENCIES ** 2).
    """
    rows, columns = PARTS[part]
    values = np.matmul(np.matmul(_TRANSFORMS[rows], luma.astype(np.float32)), _TRANSFORMS[columns].T) * _WEIGHTS
    flat = values.reshape(len(luma), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def signs(luma: np.ndarray, part: int) -> np.ndarray:
    """The signs of the lowest frequencies of a part of each image: BITS bits of uint64 (images,)."""
    square = coefficients(luma, part).reshape(-1, FREQUENCIES, FREQUENCIES)
    bits = square[:, _SIGNED[:, 0], _SIGNED[:, 1]] > 0
    return bits.astype(np.uint64) @ (np.uint64(1) << np.arange(BITS, dtype=np.uint64))


def permuted(hashes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The same hashes with their bits in another order.

    Args:
        hashes: uint64 (n,).
        order: The bits to put in the highest places, the highest first: a permutation of BITS numbers.
    """
    result = np.zeros_like(hashes)
    for bit in order:
        result = (result << np.uint64(1)) | ((hashes >> np.uint64(bit)) & np.uint64(1))
    return result


def orders(count: int) -> Iterator[np.ndarray]:
    """Orders of the bits, the same in each run."""
    random = np.random.default_rng(0)
    for _ in range(count):
        yield random.permutation(BITS)
