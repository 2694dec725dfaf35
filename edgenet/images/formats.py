"""The image formats that are read: their suffixes, their first bytes, and whether there is a decoder for each."""

import re
from functools import cache
from importlib.util import find_spec

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".jfif", ".jpe", ".ppm", ".pgm", ".pbm", ".pnm"),
)
# The format of iPhones. Pillow reads it with the help of another package.
HEIC_SUFFIXES, HEIC_PACKAGE = (".heic", ".heif", ".hif"), "pillow_heif"
INSTALL_HEIC = "pip install pillow-heif"
# Pillow reads it from 11.3 on, unless it was built without the library.
AVIF_SUFFIXES, INSTALL_AVIF = (".avif",), "pip install -U pillow"
# Formats that are tried, regardless of the file's suffix. Others include formats that run programs (EPS).
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "HEIF", "AVIF")

# Bytes at the beginning of a file that `image_format` needs.
HEAD_BYTES = 64
_SIGNATURES = {
    # A file that was cut off after two bytes, or whose line ends were converted, is named by what it was.
    "PNG": rb"\x89PNG",
    "JPEG": rb"\xff\xd8(\xff|\Z)",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF....WEBP",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    # The size of the second header tells it from text that begins with BM.
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "PPM": rb"P[1-6]\s+[0-9#]",
}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def image_format(head: bytes) -> str | None:
    """The format of an image file, as Pillow calls it, by its first bytes.

    Args:
        head: The first HEAD_BYTES bytes of the file, or all of a smaller one.

    Returns:
        One of FORMATS, whether there is a decoder for it or not; None for anything else.
    """
    for name, pattern in _SIGNATURES.items():
        if re.match(pattern, head, re.DOTALL):
            return name
    brands = iso_brands(head)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIC_BRANDS else None


def iso_brands(head: bytes) -> set[bytes]:
    """The brands of a file in the ISO base media format (ISO/IEC 14496-12), such as HEIC, AVIF and MP4; else empty."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[start : start + 4] for start in range(16, end, 4))}


def readable_suffixes() -> tuple[str, ...]:
    """The suffixes of the formats that can be read here."""
    heic = HEIC_SUFFIXES if can_read_heic() else ()
    return (*SUFFIXES, *(AVIF_SUFFIXES if can_read_avif() else ()), *heic)


def install_hint(image_format: str) -> str | None:
    """The command that installs the decoder of a format; None if it can be read."""
    if image_format == "HEIF" and not can_read_heic():
        return INSTALL_HEIC
    return INSTALL_AVIF if image_format == "AVIF" and not can_read_avif() else None


@cache
def can_read_heic() -> bool:
    """Whether a decoder is installed. If so, it is registered with Pillow."""
    if not find_spec(HEIC_PACKAGE):
        return False
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return True


@cache
def can_read_avif() -> bool:
    """Whether Pillow has the library."""
    from PIL import features

    return "avif" in features.modules and bool(features.check_module("avif"))
