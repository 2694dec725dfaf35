"""What a file really is that cannot be read as an image: a web page, a Git LFS pointer, an image that was cut off."""

import os
import re
from pathlib import Path
from typing import BinaryIO

from PIL import UnidentifiedImageError

from edgenet.errors import first_line
from edgenet.images import formats

HEAD_BYTES, TAIL_BYTES = 1024, 4096
CUT_OFF, UNKNOWN = "cut off: the end of the file is missing", "not an image of a known format"
# What Pillow's decoders say of a file that ends too early.
_ENDS_EARLY = re.compile(r"truncated|not enough|end of file|unexpected eof|premature", re.IGNORECASE)
_UNSUPPORTED = "a format that is not supported; save it as JPEG or PNG"
# Offset, bytes, and what begins with them.
_SIGNATURES = (
    (0, b"version https://git-lfs", "a Git LFS pointer instead of the image; run `git lfs pull`"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "a ZIP archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"\0\0\x01\xba", "a video"),
    (0, b"FLV\x01", "a video"),
    (0, b"OggS", "a video or audio file"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a video or audio file"),
    (8, b"AVI ", "a video"),
    (8, b"WAVE", "an audio file"),
    (0, b"ID3", "an audio file"),
    (4, b"moov", "a video"),
    (4, b"mdat", "a video"),
    (0, b"\0\0\0\x0cJXL ", f"a JPEG XL image, {_UNSUPPORTED}"),
    (0, b"\xff\x0a", f"a JPEG XL image, {_UNSUPPORTED}"),
    (0, b"\0\0\0\x0cjP  ", f"a JPEG 2000 image, {_UNSUPPORTED}"),
    (0, b"\xff\x4f\xff\x51", f"a JPEG 2000 image, {_UNSUPPORTED}"),
    (0, b"8BPS", f"a Photoshop document, {_UNSUPPORTED}"),
    (0, b"\0\0\x01\0", f"an icon, {_UNSUPPORTED}"),
    (0, b"FUJIFILMCCD-RAW", f"a raw image of a camera, {_UNSUPPORTED}"),
    (0, b"IIRO", f"a raw image of a camera, {_UNSUPPORTED}"),
    (0, b"IIU\0", f"a raw image of a camera, {_UNSUPPORTED}"),
    (8, b"crx ", f"a raw image of a camera, {_UNSUPPORTED}"),
    (128, b"DICM", f"a DICOM image, {_UNSUPPORTED}"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"SQLite format 3", "an SQLite database"),
)
_HTML = re.compile(rb"<!doctype html|<(html|head|body|script|title|meta|div|center)\b", re.IGNORECASE)
_CONTROL_CHARACTERS = bytes(code for code in range(32) if code not in b"\t\n\f\r\x1b")


def describe(path: Path, error: Exception) -> str:
    """Why a file cannot be read as an image, in a few words.

    Args:
        path: The file.
        error: What Pillow raised.

    Returns:
        What the file is, if it is no image; for an image, what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            head, size = file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size
            image_format = formats.image_format(head)
            unidentified = isinstance(error, UnidentifiedImageError)
            if image_format is None:
                kind = _other(head)
                return kind or (UNKNOWN if unidentified else first_line(error))
            if hint := formats.install_hint(image_format):
                kind = "a HEIC image" if image_format == "HEIF" else "an AVIF image"
                return f"{kind}, for which there is no decoder; {hint}"
            if _ENDS_EARLY.search(str(error)) or _is_cut_off(file, image_format, head, size):
                return CUT_OFF
            return f"a damaged {image_format} image" if unidentified else first_line(error)
    except OSError:
        return first_line(error)


def _other(head: bytes) -> str | None:
    """What a file of no known image format is, by its first bytes; None if that is unknown."""
    if not head.strip(b"\0"):
        return "zero bytes instead of an image"
    for offset, start, text in _SIGNATURES:
        if head.startswith(start, offset):
            return text
    if formats.iso_brands(head):
        return "a video"
    return _text_kind(head)


def _text_kind(head: bytes) -> str | None:
    """What kind of text a file is; None if it is none."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "a text file"
    if head.translate(None, _CONTROL_CHARACTERS) != head:
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        if _HTML.search(head):
            return "an HTML page, as a failed download leaves it"
        return f"an SVG drawing, {_UNSUPPORTED}" if b"<svg" in head else "an XML file"
    if re.match(rb'\{\s*["}]|\[\s*[\[{"\d\]-]', start):
        return "a JSON file"
    ascii_bytes = sum(byte < 128 for byte in head)
    return "a text file" if ascii_bytes >= 0.7 * len(head) else None


def _is_cut_off(file: BinaryIO, image_format: str, head: bytes, size: int) -> bool:
    """Whether the end of an image file is missing, as far as its format tells where that is."""
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    if image_format == "PNG":
        return b"IEND" not in tail
    if image_format == "JPEG":
        return b"\xff\xd9" not in tail
    if image_format == "GIF":
        return not tail.rstrip(b"\0").endswith(b";")
    if image_format == "WEBP":
        return int.from_bytes(head[4:8], "little") + 8 > size
    if image_format == "BMP":
        return int.from_bytes(head[2:6], "little") > size
    if image_format == "TIFF":
        return int.from_bytes(head[4:8], "little" if head[:1] == b"I" else "big") >= size
    return image_format in ("HEIF", "AVIF") and _boxes_end(file, size) > size


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last box of a file in the ISO base media format ends, in bytes from the beginning."""
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0: up to the end of the file
            return size
        end += length
    return end
