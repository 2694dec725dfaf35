"""Decode image files of any source to upright 8-bit images, with bounded memory and one kind of error.

A few kilobytes can decode to gigabytes of pixels, and a folder of photos is decoded on all cores. So the number of
pixels is limited, both in one file and in all files that are decoded at the same time.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from threading import Condition
from typing import TypeAlias, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edgenet.errors import EdgenetError, first_line
from edgenet.images import bit_depth, content, formats, tensorflow_decoding
from edgenet.images.bit_depth import UsedBits
from edgenet.images.file_check import BrokenImageError, check_file
from edgenet.images.pillow_warnings import ignored_warnings
from edgenet.records import Resize

Result = TypeVar("Result")
Convert: TypeAlias = Callable[[Image.Image], Image.Image]

# Room for a photo of 108 megapixels. Decoding and converting take two copies of four bytes per pixel: 1.1 GB.
MAX_PIXELS = 2**27
# Further memory of decoders, in multiples of the above: WebP, HEIC and AVIF have copies of their own, a progressive
# JPEG keeps all coefficients, a TIFF strip may be the whole image; PPM has a decoder in Python.
DECODER_COPIES = {"WEBP": 3, "HEIF": 3, "AVIF": 3, "TIFF": 2, "PPM": 3, "progressive JPEG": 2}
# Larger images are decoded one at a time, with no others meanwhile. A photo of 12 megapixels is not large.
LARGE_IMAGE_PIXELS = 2**24
# Pixels that are converted at a time.
BAND_PIXELS = 2**20
ORIENTATION = 0x0112  # EXIF tag
# Pillow's names for JPEG files of one image, and of several.
JPEG = ("JPEG", "MPO")


def decode(
    path: Path,
    mode: str,
    finish: Callable[[Image.Image | np.ndarray], Result],
    used_bits: UsedBits | None = None,
    how: Resize = Resize(),
) -> Result:
    """Read an image file (the first frame of an animation) and process the image.

    Args:
        path: The file.
        mode: "RGB" or "L" (grey).
        finish: Called with the image, 8 bits per channel, or with its pixels (`tensorflow_decoding.jpeg`) if that is
            how they were decoded. It must not be used after the call.
        used_bits: Gets the image if it has 16 bits per channel.
        how: What to do with an EXIF rotation and transparency, and whether to decode as TensorFlow does; by default the
            image is upright, and transparent parts are white.

    Returns:
        The result of `finish`.

    Raises:
        BrokenImageError: The file is not a readable image, not a regular file, or has too many pixels.
    """
    return _read(path, lambda image: finish(_pixels(path, image, mode, used_bits, how)))


def check(path: Path) -> None:
    """Find out whether a file can be decoded, in about a quarter of the time if it is a JPEG.

    All of its data are read, but a JPEG's are decoded to an eighth of its size.

    Raises:
        BrokenImageError: As `decode`.
    """
    _read(path, lambda image: _converted(_reduced(image, 1), "RGB"))


def decode_reduced(path: Path, side: int, finish: Callable[[Image.Image, int, int], Result]) -> Result:
    """Read an image file for a small copy of it, in about a quarter of the time if it is a large JPEG.

    Args:
        path: The file.
        side: A JPEG is decoded to a half, a quarter or an eighth of its size, as long as both sides keep so many
            pixels. Images of other formats are not reduced.
        finish: Called with the image, RGB and upright, and with the height and width of the whole image. The image must
            not be used after the call.

    Returns:
        The result of `finish`.

    Raises:
        BrokenImageError: As `decode`.
    """

    def process(image: Image.Image) -> Result:
        whole = image.size
        size = _reduced(image, side).size
        upright = _converted(image, "RGB")
        width, height = whole if upright.size == size else whole[::-1]
        return finish(upright, height, width)

    return _read(path, process)


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """Have an opened JPEG decoded to fewer pixels, but not to fewer than `side` in height and width."""
    if image.format in JPEG:
        image.draft(None, (side, side))
    return image


def _read(path: Path, process: Callable[[Image.Image], Result]) -> Result:
    """Open a file, and process the image when there is memory for it."""
    check_file(path)
    with _readable(path), ignored_warnings, _open(path) as image:
        cost = _memory_cost(path, image)
        if cost <= LARGE_IMAGE_PIXELS:
            with _memory.reserved(cost):
                return process(image)
        # In one thread: the C library keeps up to 64 MB of freed memory for each thread that used much.
        with _memory.reserved(MAX_PIXELS):
            running = _large_images(os.getpid()).submit(process, image)
            try:
                return running.result()
            finally:
                wait([running])  # after Ctrl-C, too: the thread still uses the image


@cache
def _large_images(process: int) -> ThreadPoolExecutor:
    """The thread for large images of a process: a forked one does not have its parent's."""
    return ThreadPoolExecutor(1, thread_name_prefix="edgenet-large-images")


def convert(image: Image.Image, mode: str, how: Resize = Resize()) -> Image.Image:
    """Convert a PIL image as `decode` converts an image file.

    Args:
        image: Any PIL image. It stays as it is.
        mode: "RGB" or "L".
        how: As in `decode`.

    Returns:
        The image with 8 bits per channel.

    Raises:
        EdgenetError: Pillow cannot convert it.
    """
    try:
        bits = bit_depth.declared(image)  # before its pixels are loaded
        copy = image.copy()
        conversion = _conversion(image, mode, how)
        return _eight_bit(_upright(copy) if how.exif else copy, mode, bits, *conversion)
    except Exception as error:  # as in `decode`
        raise EdgenetError(f"this image cannot be converted to {mode}: {first_line(error)}") from error


def _open(path: Path) -> Image.Image:
    """Open an image file. Decoders of rare formats are imported only if the usual ones do not recognize the file."""
    Image.preinit()
    try:
        return Image.open(path, formats=_formats())
    except UnidentifiedImageError:
        formats.can_read_heic()
        Image.init()
        return Image.open(path, formats=_formats())


def _formats() -> list[str]:
    return [name for name in formats.FORMATS if name in Image.OPEN]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn the exceptions of decoders into an error that names the file."""
    try:
        yield
    except EdgenetError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, min(MAX_PIXELS, 2 * (Image.MAX_IMAGE_PIXELS or MAX_PIXELS))) from error
    except Exception as error:  # each of Pillow's decoders has its own exceptions for damaged files
        raise BrokenImageError.of(path, content.describe(path, error)) from error


def _too_large(path: Path, limit: int) -> BrokenImageError:
    reason = f"more than {limit // 1_000_000:,} million pixels"
    return BrokenImageError.of(path, reason, f"the image has {reason}", "make it smaller or remove it")


def _memory_cost(path: Path, image: Image.Image) -> int:
    """The part of MAX_PIXELS that decoding this image takes. Raises EdgenetError if it is more than all."""
    kind = "progressive JPEG" if image.info.get("progressive") else image.format
    copies = DECODER_COPIES.get(kind or "", 1)
    cost = image.width * image.height * copies
    if cost > MAX_PIXELS:
        raise _too_large(path, MAX_PIXELS // copies)
    return cost


class _MemoryLimit:
    """Lets threads decode at the same time as long as their images have at most MAX_PIXELS together."""

    def __init__(self) -> None:
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


_memory = _MemoryLimit()


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; damaged EXIF data are ignored."""
    image.load()
    try:
        if image.getexif().get(ORIENTATION, 1) not in range(2, 9):
            return image  # ImageOps would copy it
        turned = ImageOps.exif_transpose(image)
    except Exception:
        return image
    image.close()  # frees its pixels
    return turned


def _pixels(
    path: Path, image: Image.Image, mode: str, used_bits: UsedBits | None, how: Resize
) -> Image.Image | np.ndarray:
    """The image of an opened file, with 8 bits per channel."""
    if how.fast_dct and image.format in JPEG:
        pixels = tensorflow_decoding.jpeg(path.read_bytes(), image, mode)
        if pixels is not None:
            return _upright_pixels(pixels, image) if how.exif else pixels
    return _converted(image, mode, used_bits, how)


def _upright_pixels(pixels: np.ndarray, image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation of an opened file to its pixels."""
    turned = tensorflow_decoding.as_image(pixels)
    turned.info = image.info
    return _upright(turned)


def _converted(image: Image.Image, mode: str, used_bits: UsedBits | None = None, how: Resize = Resize()) -> Image.Image:
    """The image of an opened file, with 8 bits per channel, as Pillow decodes it."""
    bits, conversion = bit_depth.declared(image), _conversion(image, mode, how)
    upright = _upright(image) if how.exif else image
    converted = _eight_bit(upright, mode, bits, *conversion)
    if used_bits and bits == 16:
        used_bits.add(upright, converted)
    return converted


def _conversion(image: Image.Image, mode: str, how: Resize) -> tuple[Sequence[int] | None, Convert | None]:
    """What is behind transparent parts, and what computes grey values instead of Pillow, for an opened file."""
    if not how.fast_dct:
        return how.background, None
    background = how.background or tensorflow_decoding.background(image)
    if mode == "RGB" or image.format != "PNG":
        return background, None
    return background, partial(tensorflow_decoding.grey, exponent=tensorflow_decoding.gamma(image))


def _eight_bit(
    image: Image.Image, mode: str, bits: int, background: Sequence[int] | None, grey: Convert | None
) -> Image.Image:
    """Convert to RGB or L with 8 bits per channel.

    Args:
        image: The image.
        mode: "RGB" or "L".
        bits: How many bits per channel its file has (`bit_depth.declared`).
        background: What is behind transparent parts, red, green and blue; None: the alpha channel is dropped.
        grey: Computes grey values from colours; None: Pillow does.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and bits == 16):
        return _in_bands(image, mode, lambda band: _upper_bits(band, bits).convert(mode))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits per channel, and no value is known for white")
    if image.has_transparency_data:
        opaque = partial(_opaque, background=background)
        return _in_bands(image, mode, lambda band: grey(opaque(band)) if grey else opaque(band).convert(mode))
    if image.mode == mode:
        return image
    return _in_bands(image, mode, grey) if grey else image.convert(mode)


def _in_bands(image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert an image a few rows at a time, so that no intermediate image is of full size."""
    result, rows = Image.new(mode, image.size), max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        result.paste(convert(image.crop(box)), box)
    return result


def _upper_bits(image: Image.Image, bits: int) -> Image.Image:
    """The upper 8 of 12 or 16 bits; Pillow would clip at 255 instead of scaling."""
    return Image.fromarray((np.asarray(image) >> (bits - 8)).astype(np.uint8))


def _opaque(image: Image.Image, background: Sequence[int] | None) -> Image.Image:
    image = image.convert("RGBA")
    if background is None:
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image)
