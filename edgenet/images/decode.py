"""Image files, from whatever source, to upright 8-bit images: with bounded memory, and one error for all decoders.

A few kilobytes can stand for gigabytes of pixels, and a folder of photos is decoded on all cores: both the pixels of
one file and those that all threads hold together are limited.
"""

import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Lock
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from edgenet.errors import EdgenetError, first_line

Result = TypeVar("Result")

# A photo of 108 megapixels passes. Decoded and converted, so many take two copies of four bytes: 1.1 GB.
MAX_PIXELS = 2**27
# What else decoders hold, in multiples of that: WebP's and HEIC's have copies of their own, a progressive JPEG all
# coefficients, a TIFF strip the whole image.
COPIES = {"WEBP": 3, "HEIF": 3, "AVIF": 3, "TIFF": 2, "progressive JPEG": 2}
# Others are not tried, whatever a file contains: among them are formats that run other programs (EPS).
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "TIFF", "GIF", "HEIF", "AVIF")
# Images of more pixels are decoded one at a time, and no others meanwhile. A photo of 12 megapixels is not among them.
LARGE = 2**24
# Pixels that are converted at a time.
BAND = 2**20
ORIENTATION = 0x0112
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def decode(path: Path, mode: str, finish: Callable[[Image.Image], Result]) -> Result:
    """Read an image file, the first frame of an animation, and return what `finish` makes of it.

    mode: RGB or L. finish: gets the image upright, in 8 bits a channel, with white where it was transparent; the image
    is not to be used after it.

    Raises EdgenetError, with the file's name, when it is no regular file or no whole image, or has too many pixels.
    """
    _check_file(path)
    with _as_one_error(path), _without_pillows_warnings, Image.open(path, formats=_formats()) as image:
        cost = _cost(path, image)
        if cost <= LARGE:
            with _memory.reserved(cost):
                return finish(_eight_bit(_upright(image), mode))
        # A thread of its own, since the C library keeps up to 64 MB of freed memory for each thread that had much.
        with _memory.reserved(MAX_PIXELS), ThreadPoolExecutor(1) as own:
            return own.submit(lambda: finish(_eight_bit(_upright(image), mode))).result()


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _check_file(path: Path) -> None:
    """Opening a pipe would wait forever, and reading a device might never end."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise EdgenetError(f"{path}: expected a whole image, found none ({reason}); replace or remove it") from error
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise EdgenetError(f"{path}: expected an image file, found {kind}; give a regular file")
    if status.st_size == 0:
        raise EdgenetError(f"{path}: expected a whole image, found an empty file; replace or remove it")


@contextmanager
def _as_one_error(path: Path) -> Iterator[None]:
    """Turns what decoders raise into an error that names the file."""
    try:
        yield
    except EdgenetError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, min(MAX_PIXELS, 2 * (Image.MAX_IMAGE_PIXELS or MAX_PIXELS))) from error
    except Exception as error:  # each of Pillow's decoders has exceptions of its own for damaged files
        raise EdgenetError(
            f"{path}: expected a whole image, found none ({first_line(error)}); replace or remove it"
        ) from error


def _too_large(path: Path, most: int) -> EdgenetError:
    return EdgenetError(
        f"{path}: expected a picture of up to {most // 1_000_000:,} million pixels, found more; make it smaller or "
        "remove it"
    )


def _cost(path: Path, image: Image.Image) -> int:
    """What an image that is about to be decoded takes of MAX_PIXELS. Raises EdgenetError when it is more than all."""
    kind = "progressive JPEG" if image.info.get("progressive") else image.format
    copies = COPIES.get(kind, 1)
    cost = image.width * image.height * copies
    if cost > MAX_PIXELS:
        raise _too_large(path, MAX_PIXELS // copies)
    return cost


class _Memory:
    """Lets threads decode at the same time as long as their images have no more than MAX_PIXELS together."""

    def __init__(self):
        self._used, self._changed = 0, Condition()

    @contextmanager
    def reserved(self, cost: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._used + cost <= MAX_PIXELS)
            self._used += cost
        try:
            yield
        finally:
            with self._changed:
                self._used -= cost
                self._changed.notify_all()


class _WithoutPillowsWarnings:
    """Keeps what Pillow says of odd but readable files from being printed while any thread reads an image.

    `warnings.catch_warnings` would put back the filters as they were when some thread began, whatever the program did
    to them since. Here, one entry is added by the first thread and taken out by the last.
    """

    ENTRY = ("ignore", None, Warning, re.compile(r"(PIL|pillow_heif)\b"), 0)

    def __init__(self):
        self._threads, self._lock, self._filters = 0, Lock(), None

    def __enter__(self) -> None:
        with self._lock:
            self._threads += 1
            if self._threads == 1:
                self._filters = warnings.filters
                self._filters.insert(0, self.ENTRY)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._threads -= 1
            if self._threads == 0:
                # By identity: an equal entry may be the program's own.
                places = [number for number, entry in enumerate(self._filters) if entry is self.ENTRY]
                for place in reversed(places):
                    del self._filters[place]


_memory, _without_pillows_warnings = _Memory(), _WithoutPillowsWarnings()


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data say; damaged ones say nothing."""
    image.load()
    try:
        if image.getexif().get(ORIENTATION, 1) not in range(2, 9):
            return image  # ImageOps would copy it
        turned = ImageOps.exif_transpose(image)
    except Exception:
        return image
    image.close()  # frees its pixels
    return turned


def _eight_bit(image: Image.Image, mode: str) -> Image.Image:
    """`image` as RGB or L, 8 bits a channel; transparent parts are white."""
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a channel, of which nobody knows what is white")
    if image.mode.startswith("I;16"):
        return _in_bands(image, mode, lambda band: _upper_bytes(band).convert(mode))
    if image.has_transparency_data:
        return _in_bands(image, mode, lambda band: _on_white(band).convert(mode))
    return image if image.mode == mode else image.convert(mode)


def _in_bands(image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The whole image converted a few rows at a time: what lies between has no copies of all of it."""
    result, rows = Image.new(mode, image.size), max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        result.paste(convert(image.crop(box)), box)
    return result


def _upper_bytes(image: Image.Image) -> Image.Image:
    """Pillow would cut 16 bits off at 255 instead of scaling them."""
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
