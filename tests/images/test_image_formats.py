"""Which files of a folder are images: by suffix, or by their first bytes."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from recipes import square

from edgenet.images import formats, listing, preprocess

# A smooth image: what lossy formats change is small.
ROWS, COLUMNS = np.mgrid[0:48, 0:64]
PIXELS = np.stack([ROWS * 4, COLUMNS * 3, 255 - ROWS * 2], axis=2).astype(np.uint8)
RGB = Image.fromarray(PIXELS)


def encoded(kind: str, image: Image.Image = RGB, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# Suffix, contents, and the largest difference of a level from PIXELS: 0 where the format is lossless.
IMAGES = {
    "png": (encoded("PNG"), 0),
    "bmp": (encoded("BMP"), 0),
    "tif": (encoded("TIFF"), 0),
    "webp": (encoded("WEBP", lossless=True), 0),
    "ppm": (encoded("PPM"), 0),
    "pnm": (encoded("PPM"), 0),
    # At quality 95 without subsampling, a JPEG's quantization steps are at most 12, and the rounding at most half of
    # one in each of 64 coefficients; in a smooth image few of them are not zero.
    "jpg": (encoded("JPEG", quality=95, subsampling=0), 4),
    "jfif": (encoded("JPEG", quality=95, subsampling=0), 4),
    "jpe": (encoded("JPEG", quality=95, subsampling=0), 4),
}
if features.check("avif"):
    # Its filters smooth, too: twice as much.
    IMAGES["avif"] = encoded("AVIF", quality=95, subsampling="4:4:4"), 8


def difference(path: Path, expected: np.ndarray = PIXELS) -> int:
    return int(np.abs(preprocess.load_full_size(path).astype(int) - expected).max())


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", IMAGES)
@pytest.mark.parametrize("name", ["photo.{}", "PHOTO.{}", "Größe 写真.{}"])
def test_each_format_is_found_by_its_suffix_and_read(tmp_path, suffix, name):
    data, tolerance = IMAGES[suffix]
    path = write(tmp_path, name.format(suffix.upper() if name.isupper() else suffix), data)
    assert listing.find_images(tmp_path).paths == [path]
    assert difference(path) <= tolerance


@pytest.mark.parametrize("suffix", IMAGES)
@pytest.mark.parametrize(
    "name", ["d41d8cd98f00b204e9800998ecf8427e", "IMG 2024.05.12", "photo.1", "photo.jpg_large", "photo.jpg?w=600"]
)
def test_each_format_is_found_by_its_first_bytes_where_there_is_no_suffix(tmp_path, suffix, name):
    data, tolerance = IMAGES[suffix]
    path = write(tmp_path, name, data)
    assert listing.find_images(tmp_path).paths == [path]
    assert difference(path) <= tolerance


@pytest.mark.parametrize("suffix", IMAGES)
def test_the_wrong_suffix_of_an_image_does_not_matter(tmp_path, suffix):
    data, tolerance = IMAGES[suffix]
    for other in IMAGES:
        assert difference(write(tmp_path, f"photo.{other}", data)) <= tolerance


def test_the_first_frame_of_a_gif_is_read(tmp_path):
    first, second = RGB.quantize(64), Image.new("RGB", RGB.size, "red").quantize(4)
    path = write(tmp_path, "moving.gif", encoded("GIF", first, save_all=True, append_images=[second]))
    assert listing.find_images(tmp_path).paths == [path]
    assert difference(path, np.asarray(first.convert("RGB"))) == 0


def test_a_transparent_gif_is_on_white(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 4, 8))
    path = write(tmp_path, "logo.gif", encoded("GIF", image, transparency=0))
    found = preprocess.load_full_size(path)
    assert (found[:, :4] == (0, 0, 255)).all()
    assert (found[:, 4:] == 255).all()


GREY = COLUMNS.astype(np.uint8) * 4
PLAIN = "\n".join(" ".join(map(str, row)) for row in GREY)
MAPS = {
    "binary": b"P5\n# of a camera\n64 48\n255\n" + GREY.tobytes(),
    "text": f"P2\n64 48\n255\n{PLAIN}\n".encode(),
    # White has the largest value that the file names.
    "16 bits": b"P5\n64 48\n65535\n" + (GREY.astype(np.uint16) * 257).astype(">u2").tobytes(),
    "12 bits": b"P5\n64 48\n4095\n" + np.rint(GREY / 255 * 4095).astype(">u2").tobytes(),
}


@pytest.mark.parametrize("kind", MAPS)
def test_grey_maps_of_any_depth(tmp_path, kind):
    path = write(tmp_path, "a.pgm", MAPS[kind])
    assert listing.find_images(tmp_path).paths == [path]
    # 12 bits: rounded once, then cut to the upper byte.
    assert difference(path, np.stack([GREY] * 3, axis=2)) <= (1 if kind == "12 bits" else 0)
    np.testing.assert_array_equal(preprocess.load(path, square(48)).std(axis=2), 0)


def test_black_and_white_maps(tmp_path):
    bits = (ROWS + COLUMNS) % 2
    path = write(tmp_path, "a.pbm", b"P4\n64 48\n" + np.packbits(bits.astype(bool), axis=1).tobytes())
    assert listing.find_images(tmp_path).paths == [path]
    assert difference(path, np.stack([255 * (1 - bits)] * 3, axis=2)) == 0  # 1 is black


OTHERS = {
    "README": b"BMP files are welcome, and GIF files, too",
    "LICENSE": b"P5 is a sculpture",
    "Makefile": b"P6: all\n",
    "data": bytes(100),
    "checksums": b"II* MM",
    "empty": b"",
    "movie": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "RIFF": b"RIFF\0\0\0\0WAVEfmt ",
}


def test_other_files_without_a_suffix_are_counted(tmp_path):
    image = write(tmp_path, "image", IMAGES["png"][0])
    for name, data in OTHERS.items():
        write(tmp_path, name, data)
    found = listing.find_images(tmp_path)
    assert found.paths == [image]
    assert found.note() == f"skipped {len(OTHERS)} without a suffix"


def test_files_with_other_suffixes_are_counted_and_never_opened(tmp_path, monkeypatch):
    for name in ("a.txt", "b.TXT", "c.csv", "Thumbs.db", ".DS_Store", "d.mp4", "e.json", "f.7z", "g.h5", "h.mp4"):
        write(tmp_path, name, IMAGES["png"][0])
    image = write(tmp_path, "i.png", IMAGES["png"][0])
    opened = []
    monkeypatch.setattr(Path, "open", lambda path, *_: opened.append(path))
    found = listing.find_images(tmp_path)
    assert found.paths == [image]
    assert found.note() == "skipped 1 hidden file, 2 .mp4, 2 .txt, 1 .7z, 1 .csv, 1 .db, 1 .h5, 1 .json"
    assert opened == []


def test_rare_suffixes_are_counted_together(tmp_path):
    write(tmp_path, "i.png", b"")
    for number in range(11):
        for count in range(1 + (number == 4)):
            write(tmp_path, f"{count}.{chr(ord('a') + number)}", b"")
    expected = "skipped 2 .e, 1 .a, 1 .b, 1 .c, 1 .d, 1 .f, 1 .g, 1 .h, 3 other files"
    assert listing.find_images(tmp_path).note() == expected


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
AVIF = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (HEIC, "HEIF"),
        (AVIF, "AVIF"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", None),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", None),  # a raw image of a camera
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"II+\0\x08\0\0\0", "TIFF"),  # BigTIFF
        (b"GIF87a", "GIF"),
        (b"P3 2 2 255", "PPM"),
        (b"P5\n# comment\n", "PPM"),
        (b"P7\nWIDTH 2\n", None),
        (b"\x89HDF\r\n\x1a\n", None),
        (b"", None),
    ],
)
def test_the_first_bytes_of_each_format(head, expected):
    assert formats.image_format(head) == expected


@pytest.fixture
def no_decoders(monkeypatch):
    monkeypatch.setattr(formats, "can_read_heic", lambda: False)
    monkeypatch.setattr(formats, "can_read_avif", lambda: False)


def test_images_without_a_decoder_are_counted_with_what_to_install(tmp_path, no_decoders):
    write(tmp_path, "a.png", IMAGES["png"][0])
    for name, data in {"b.heic": HEIC, "c": HEIC, "d.avif": AVIF, "e.HIF": b"?"}.items():
        write(tmp_path, name, data)
    found = listing.find_images(tmp_path)
    assert [path.name for path in found.paths] == ["a.png"]
    assert found.note() == (
        "skipped 3 HEIC images (pip install pillow-heif to read them), 1 AVIF image (pip install -U pillow to read it)"
    )


def test_a_photo_that_only_claims_to_be_heic_is_read_without_a_decoder(tmp_path, no_decoders):
    path = write(tmp_path, "IMG_0001.HEIC", IMAGES["jpg"][0])
    assert listing.find_images(tmp_path).paths == [path]
    assert difference(path) <= IMAGES["jpg"][1]
