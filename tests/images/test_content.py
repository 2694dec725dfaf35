"""What is said of a file that cannot be read as an image: what it really is."""

import random
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from recipes import square

from edgenet.errors import EdgenetError
from edgenet.images import decode, formats, preprocess
from edgenet.images.file_check import BrokenImageError

# The same in every process: tests are named after it.
NOISE = random.Random(1).randbytes(60)

RGB = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
UNSUPPORTED = ", a format that is not supported; save it as JPEG or PNG"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


def encoded(kind: str, **options) -> bytes:
    buffer = BytesIO()
    RGB.save(buffer, kind, **options)
    return buffer.getvalue()


def reason(path: Path) -> str:
    """Why a file cannot be read; both ways to read it must say the same."""
    with pytest.raises(BrokenImageError) as decoding:
        decode.decode(path, "RGB", np.asarray)
    with pytest.raises(BrokenImageError) as checking:
        decode.check(path)
    assert str(decoding.value) == str(checking.value)
    assert "\n" not in str(decoding.value)
    return decoding.value.reason


KINDS = {
    "an HTML page, as a failed download leaves it": [
        b"<!DOCTYPE html>\n<html lang=en><title>404</title>",
        b"\n\n  <!doctype HTML>",
        b"\xef\xbb\xbf<html>",
        b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN'>",
        b"<head><title>Sign in</title></head>",
        b"<!-- cached --><html>",
    ],
    "an XML file": [b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>"],
    f"an SVG drawing{UNSUPPORTED}": [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?><svg/>"],
    "a Git LFS pointer instead of the image; run `git lfs pull`": [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 134\n"
    ],
    "a JSON file": [b'{"message": "Not Found"}', b"[\n  1, 2]", b"{}"],
    "a text file": [b"Not Found\n", "Größe überall\n".encode("cp1252"), "写真\n".encode("utf-16"), b"P5 is no image"],
    "a ZIP archive": [b"PK\x03\x04" + NOISE],
    "a gzip archive": [b"\x1f\x8b\x08" + bytes(60)],
    "a tar archive": [b"photo.jpg" + bytes(248) + b"ustar\x0000" + bytes(300)],
    "a video": [
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"\x1aE\xdf\xa3" + NOISE,
        b"RIFF\0\0\0\0AVI LIST",
    ],
    "a PDF document": [b"%PDF-1.7\n"],
    f"a raw image of a camera{UNSUPPORTED}": [b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom"],
    f"a JPEG XL image{UNSUPPORTED}": [b"\xff\x0a" + NOISE, b"\0\0\0\x0cJXL \r\n\x87\n"],
    f"a JPEG 2000 image{UNSUPPORTED}": [b"\0\0\0\x0cjP  \r\n\x87\n"],
    f"a Photoshop document{UNSUPPORTED}": [b"8BPS\0\1"],
    f"a DICOM image{UNSUPPORTED}": [bytes(128) + b"DICM" + bytes(20)],
    "zero bytes instead of an image": [bytes(1), bytes(5_000)],
    "not an image of a known format": [bytes(range(256))],
    "the file is empty": [b""],
}


@pytest.mark.parametrize(("expected", "data"), [(kind, data) for kind, files in KINDS.items() for data in files])
@pytest.mark.parametrize("name", ["photo.jpg", "写真.png"])
def test_what_a_file_is_that_is_no_image(tmp_path, expected, data, name):
    path = tmp_path / name
    path.write_bytes(data)
    assert reason(path) == expected


WHOLE = {
    "PNG": encoded("PNG"),
    "JPEG": encoded("JPEG"),
    "progressive JPEG": encoded("JPEG", progressive=True),
    "WEBP": encoded("WEBP"),
    "BMP": encoded("BMP"),
    "TIFF": encoded("TIFF"),
    "LZW TIFF": encoded("TIFF", compression="tiff_lzw"),
    "GIF": encoded("GIF"),
    "PPM": encoded("PPM"),
    "12-bit PGM": b"P5\n80 60\n4095\n" + bytes(9_600),
}
if features.check("avif"):
    WHOLE["AVIF"] = encoded("AVIF")


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.5, 0.97])
def test_an_image_that_is_cut_off(tmp_path, kind, fraction):
    data = WHOLE[kind]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    decode.check(path)
    path.write_bytes(data[: max(int(len(data) * fraction), 16)])
    assert reason(path) == "cut off: the end of the file is missing"


def test_a_heic_photo_that_is_cut_off(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    formats.can_read_heic()
    path = tmp_path / "photo.heic"
    heif.from_pillow(RGB).save(path)
    decode.check(path)
    path.write_bytes(path.read_bytes()[:-900])
    assert reason(path) == "cut off: the end of the file is missing"


def test_a_damaged_header(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(WHOLE["PNG"][:16] + bytes(60) + WHOLE["PNG"][76:])
    assert reason(path) == "a damaged PNG image"
    path.write_bytes(WHOLE["PNG"].replace(b"\r\n", b"\n"))  # a transfer as text
    assert reason(path) == "a damaged PNG image"


@pytest.mark.parametrize("name", ["IMG_0001.heic", "IMG_0001.jpg"])
def test_heic_without_its_decoder_says_what_to_install(tmp_path, monkeypatch, name):
    monkeypatch.setattr(formats, "can_read_heic", lambda: False)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    path = tmp_path / name
    path.write_bytes(HEIC)
    with pytest.raises(EdgenetError) as caught:
        preprocess.load(path, square(32))
    assert str(caught.value) == (
        f"{path}: not a readable image (a HEIC image, for which there is no decoder; pip install pillow-heif); "
        "replace or remove it"
    )


def test_a_heic_photo_named_jpg_is_read_with_the_decoder(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    path = tmp_path / "IMG_0001.jpg"
    heif.from_pillow(RGB).save(tmp_path / "a.heic")
    (tmp_path / "a.heic").rename(path)
    # Not by way of a folder: nothing has registered the decoder.
    assert preprocess.load_full_size(path).shape == (60, 80, 3)


def test_what_is_refused_for_its_values_keeps_its_reason(tmp_path):
    path = tmp_path / "a.pfm"
    path.write_bytes(b"Pf\n2 2\n-1.0\n" + struct.pack("4f", *range(4)))
    assert reason(path) == "32 bits per channel, and no value is known for white"


def test_the_pixel_limit_and_odd_paths_are_reasons_too(tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    path.write_bytes(WHOLE["PNG"])
    monkeypatch.setattr(decode, "MAX_PIXELS", 4_799)  # 80 x 60 - 1
    assert reason(path) == "more than 0 million pixels"
    assert reason(tmp_path / "gone.png") == "no such file"
    (tmp_path / "folder.png").mkdir()
    assert reason(tmp_path / "folder.png") == "a folder"
