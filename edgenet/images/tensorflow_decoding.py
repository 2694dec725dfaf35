"""The pixels that `tf.io.decode_image` gives, without TensorFlow, where Pillow's differ: JPEG, grey PNG, and GIF.

Equal to the bit for TensorFlow 2.19 and 2.21, but for: colour PNG files with 16 bits per channel as grey (one step of
255); PNG files whose only word about gamma is an embedded sRGB profile; palettes of BMP files, whose indices TensorFlow
takes for grey values; and animations whose first frame is smaller than the others, of which TensorFlow gives that
frame.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

# libpng's weights of red, green and blue for grey, of 2**15: TensorFlow asks for 0.299 and 0.587 (png_io.cc).
LUMA = (9797, 19234, 3737)
LUMA_BITS = 15
# The exponent of a PNG file that says that it is sRGB (libpng: PNG_GAMMA_sRGB_INVERSE).
SRGB_GAMMA = 0.45455
# Exponents nearer to 1 are taken for 1 (libpng: PNG_GAMMA_THRESHOLD_FIXED).
GAMMA_THRESHOLD = 0.05
# Rows of a CMYK image that are converted at a time.
BAND_ROWS = 64


def jpeg(data: bytes, image: Image.Image, mode: str) -> np.ndarray | None:
    """Decode a JPEG file with libjpeg's fast integer DCT, which is what `tf.io.decode_image` asks for.

    Args:
        data: The file.
        image: The same file, as Pillow opened it. It is decoded only if libjpeg warns about the file: Pillow tells a
            damaged file from an unusual one.
        mode: "RGB" or "L" (grey), for which libjpeg takes the luma that the file has.

    Returns:
        uint8 (height, width, 4), of which the last channel does not count, or (height, width, 1). None if libjpeg
        cannot decode the file but Pillow can, which then has its pixels.

    Raises:
        OSError or another exception of Pillow: The file is damaged.
    """
    import simplejpeg

    cmyk = image.mode == "CMYK"
    colours = "CMYK" if cmyk else "RGBX" if mode == "RGB" else "GRAY"
    try:
        pixels = simplejpeg.decode_jpeg(data, colours, fastdct=True)
    except ValueError:
        image.load()
        try:
            pixels = simplejpeg.decode_jpeg(data, colours, fastdct=True, strict=False)
        except ValueError:
            return None
    if pixels.shape[:2] != (image.height, image.width):
        return None
    if not cmyk:
        return pixels
    _from_cmyk(pixels, inverted="adobe" in image.info)
    if mode == "RGB":
        return pixels
    return np.asarray(as_image(pixels).convert(mode))[..., None]


def _from_cmyk(pixels: np.ndarray, inverted: bool) -> None:
    """Convert CMYK to RGB in place, rounding down (jpeg_mem.cc). Adobe's files have inverted values."""
    for start in range(0, len(pixels), BAND_ROWS):
        band = pixels[start : start + BAND_ROWS].astype(np.uint16)
        if not inverted:
            np.subtract(255, band, out=band)
        pixels[start : start + BAND_ROWS, :, :3] = band[..., :3] * band[..., 3:] // 255


def as_image(pixels: np.ndarray) -> Image.Image:
    """The image, RGB or L, of pixels (height, width, channels) with 1, 3 or 4 channels, as `jpeg` returns them."""
    height, width, channels = pixels.shape
    mode, layout = {1: ("L", "L"), 3: ("RGB", "RGB"), 4: ("RGB", "RGBX")}[channels]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels).data, "raw", layout)


def gamma(image: Image.Image) -> float | None:
    """The exponent that a PNG file states for its values; None without one, or if it is nearly 1."""
    stated = SRGB_GAMMA if "srgb" in image.info else image.info.get("gamma")
    return None if not stated or abs(stated - 1) <= GAMMA_THRESHOLD else float(stated)


def grey(image: Image.Image, exponent: float | None) -> Image.Image:
    """The grey values of a PNG file's image, as libpng computes them (png_do_rgb_to_gray).

    Args:
        image: The image, or a part of it.
        exponent: Of the file (`gamma`): the mean is that of the linear values. Without, it is rounded down.
    """
    pixels = np.asarray(image.convert("RGB")).astype(np.int64)
    if exponent is None:
        return Image.fromarray(((pixels @ LUMA) >> LUMA_BITS).astype(np.uint8))
    linear = _power(1 / exponent)[pixels] @ LUMA + 2 ** (LUMA_BITS - 1)
    is_grey = (pixels == pixels[..., :1]).all(axis=-1)
    values = np.where(is_grey, pixels[..., 0], _power(exponent)[linear >> LUMA_BITS])
    return Image.fromarray(values.astype(np.uint8))


def _power(exponent: float) -> np.ndarray:
    """libpng's table for the 256 values (png_build_8bit_table)."""
    return np.floor(255 * (np.arange(256) / 255) ** exponent + 0.5).astype(np.int64)


def background(image: Image.Image) -> Sequence[int] | None:
    """What is behind transparent parts where the alpha channel is dropped: they are black in a GIF file."""
    return (0, 0, 0) if image.format == "GIF" else None
