"""Thumbnails of the images that flipped, for reports."""

import base64
import heapq
import io

import numpy as np
from PIL import Image

from edgenet.images.preprocess import rounded

MAX_IMAGES = 48
# Of a thumbnail's longer side.
MAX_PIXELS = 96
JPEG_QUALITY = 80


class Gallery:
    """Collects images, and keeps the MAX_IMAGES with the highest scores."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str, str]] = []
        self._files: set[str] = set()

    def add(self, file: str, pixels: np.ndarray, score: float) -> None:
        """Add an image; once more has no effect.

        Args:
            file: Its path in the bundle.
            pixels: At the model's input size, (height, width, channels).
            score: The score of the reference's top class; of a multi-label model the largest change of a score.
        """
        full = len(self._heap) == MAX_IMAGES
        if file in self._files or (full and (score, file) <= self._heap[0][:2]):
            return
        self._files.add(file)
        entry = (score, file, _jpeg(pixels))
        if full:
            heapq.heappushpop(self._heap, entry)
        else:
            heapq.heappush(self._heap, entry)

    def thumbnails(self) -> dict[str, str]:
        """JPEG in base64 by file, the highest score first."""
        return {file: data for _, file, data in sorted(self._heap, reverse=True)}


def _jpeg(pixels: np.ndarray) -> str:
    pixels = rounded(pixels)
    image = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
    image.thumbnail((MAX_PIXELS, MAX_PIXELS))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return base64.b64encode(file.getvalue()).decode()
