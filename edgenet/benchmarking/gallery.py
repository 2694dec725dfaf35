"""The pictures that flipped, small, as the models saw them."""

import base64
import heapq
import io

import numpy as np
from PIL import Image

# Pictures that are kept: those of which Keras was surest. Their longer side, in pixels.
MOST, SIDE = 48, 96


class Gallery:
    """Collects pictures, and keeps the `MOST` of which Keras was surest."""

    def __init__(self):
        self._kept: list[tuple[float, str, str]] = []
        self._files: set[str] = set()

    def add(self, file: str, pixels: np.ndarray, sureness: float) -> None:
        """Take a picture, uint8 (height, width, channels), once. sureness: the score of Keras' top class."""
        full = len(self._kept) == MOST
        if file in self._files or (full and (sureness, file) <= self._kept[0][:2]):
            return
        self._files.add(file)
        entry = (sureness, file, _jpeg(pixels))
        if full:
            heapq.heappushpop(self._kept, entry)
        else:
            heapq.heappush(self._kept, entry)

    def thumbnails(self) -> dict[str, str]:
        """JPEG in base64 by file, the one of which Keras was surest first."""
        return {file: data for _, file, data in sorted(self._kept, reverse=True)}


def _jpeg(pixels: np.ndarray) -> str:
    picture = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode()
