"""Converts arrays and Pillow images to single images as uint8 pixels, and refuses normalized ones."""

from typing import Any

import numpy as np
from PIL import Image, ImageOps

from edgenet.errors import EdgenetError


class PixelConverter:
    """Converts the images of one source, whose values have one scale.

    Args:
        parameter: The name of the argument that the images come from, for error messages.

    Attributes:
        rounded: How many images had fractional values.
    """

    def __init__(self, parameter: str):
        self.rounded = 0
        self._parameter = parameter
        self._largest = 0.0

    def convert(self, pixels: np.ndarray, number: int) -> np.ndarray:
        """Convert one image.

        Args:
            pixels: (height, width, channels) or (height, width), with 1, 3 or 4 channels and values from 0 to 255.
            number: The number of the image, for error messages.

        Returns:
            uint8 (height, width) or (height, width, 3 or 4).

        Raises:
            EdgenetError: It has another shape or other values.
        """
        if pixels.ndim not in (2, 3) or 0 in pixels.shape or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
            raise self._error(
                f"image {number:,} has the shape {pixels.shape}; expected (height, width, channels) with 1, 3 or "
                "4 channels, or (height, width)"
            )
        pixels = self._as_uint8(pixels, number)
        return np.ascontiguousarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)

    def check_scale(self) -> None:
        """Raise EdgenetError if all values were at most 1 and some were above 0."""
        if 0 < self._largest <= 1:
            raise self._error(
                "no pixel value is above 1: the images are normalized. Give them before normalization, with values "
                "from 0 to 255"
            )

    def _as_uint8(self, pixels: np.ndarray, number: int) -> np.ndarray:
        if pixels.dtype == np.uint8:
            self._largest = 255.0  # normalized values are not integers
            return pixels
        if pixels.dtype.kind not in "iuf":
            raise self._error(f"image {number:,} has the dtype {pixels.dtype}; give uint8 pixels from 0 to 255")
        values = pixels.astype(np.float64)
        low, high = float(np.min(values)), float(np.max(values))
        if not (np.isfinite(low) and np.isfinite(high)):
            raise self._error(f"image {number:,} contains NaN or infinity")
        whole = np.rint(values)
        if whole.min() < 0 or whole.max() > 255 or (low < 0 and high <= 1):
            raise self._error(
                f"image {number:,} has values from {low:g} to {high:g}; give pixels from 0 to 255, before normalization"
            )
        self._largest = max(self._largest, high)
        self.rounded += bool((whole != values).any())
        return whole.astype(np.uint8)

    def _error(self, message: str) -> EdgenetError:
        return EdgenetError(message, parameter=self._parameter)


def as_array(value: Any) -> np.ndarray:
    """A number, text, list, array or tensor as an array."""
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def from_pillow(image: Image.Image) -> np.ndarray:
    """The pixels of a Pillow image, turned upright."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode not in ("L", "RGB", "RGBA"):
        upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    return np.asarray(upright)


def is_batch(pixels: np.ndarray) -> bool:
    """Whether an array has several images: 4 dimensions, or 3 of which the last is not channels."""
    return pixels.ndim == 4 or (pixels.ndim == 3 and pixels.shape[-1] not in (1, 3, 4))
