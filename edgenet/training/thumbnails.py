"""Small copies of photos, for pages and records."""

import base64
import io
from pathlib import Path

from PIL import Image

from edgenet.images.decode import decode_reduced
from edgenet.images.file_check import BrokenImageError

# Of the longer side, in pixels.
SIDE = 120
JPEG_QUALITY = 75


def jpeg(path: Path) -> str:
    """A small copy of an image file: JPEG in base64, about 5 kB; empty where the file cannot be read any more."""

    def encode(image: Image.Image, height: int, width: int) -> str:
        image = image.copy()
        image.thumbnail((SIDE, SIDE))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=JPEG_QUALITY)
        return base64.b64encode(file.getvalue()).decode()

    try:
        return decode_reduced(path, SIDE, encode)
    except BrokenImageError:
        return ""
