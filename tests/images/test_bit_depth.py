"""Images with 16 bits per channel: what they look like, and whether they use all bits."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recipes import square

from edgenet.images import decode, preprocess
from edgenet.images.bit_depth import UsedBits
from edgenet.records import Preprocessing

RANDOM = np.random.default_rng(5)


def values(bits: int, largest: int | None = None) -> np.ndarray:
    """Levels of 24 x 32 pixels of so many bits, of which one is the largest."""
    largest = 2**bits - 1 if largest is None else largest
    found = RANDOM.integers(0, largest + 1, (24, 32)).astype(np.uint16)
    found[0, 0] = largest
    return found


def grey_png(path: Path, levels: np.ndarray) -> Path:
    Image.fromarray(levels).save(path)
    return path


def tiff(levels: np.ndarray, bits: int, order: str = "<", signed: bool = False) -> bytes:
    """A TIFF file, uncompressed. levels: (height, width) or (height, width, 3). Pillow cannot write all of these."""
    height, width, channels = *levels.shape[:2], levels.shape[2] if levels.ndim == 3 else 1
    if bits == 12:  # two values in three bytes
        flat = levels.astype(np.uint32).reshape(-1, 2)
        joined = (flat[:, 0] << 12) | flat[:, 1]
        data = np.stack([joined >> 16, joined >> 8, joined], axis=1).astype(np.uint8).tobytes()
    else:
        data = levels.astype(f"{order}u2").tobytes()
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, bits), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 2 if channels == 3 else 1), (273, 4, 1, 0), (277, 3, 1, channels)]
    tags += [(278, 3, 1, height), (279, 4, 1, len(data)), (339, 3, 1, 2 if signed else 1)]
    end = 8 + 2 + 12 * len(tags) + 4
    depths = struct.pack(f"{order}3H", *[bits] * 3)
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        if tag == 273:
            value = end + len(depths)
        packed = struct.pack(f"{order}I", value) if kind == 4 else struct.pack(f"{order}HH", value, 0)
        if tag == 258 and channels == 3:
            packed = struct.pack(f"{order}I", end)
        header += struct.pack(f"{order}HHI", tag, kind, count) + packed
    return header + struct.pack(f"{order}I", 0) + depths + data


def note_on(*paths: Path, recipe: Preprocessing | None = None) -> str | None:
    used = UsedBits()
    list(preprocess.load_all(paths, recipe or square(16), used))
    return used.note()


@pytest.mark.parametrize(("bits", "factor"), [(8, 256), (10, 64), (12, 16)])
def test_images_that_use_few_of_their_bits_are_noticed(tmp_path, bits, factor):
    paths = [grey_png(tmp_path / f"{number}.png", values(bits)) for number in range(3)]
    assert note_on(*paths) == (
        f"3 images have 16 bits per channel, but no value is above {2**bits - 1:,} ({bits} bits), so they look almost "
        f"black; multiply the values by {factor}, or save 8 bits per channel"
    )
    assert max(int(image.max()) for image in preprocess.load_all(paths, square(16))) <= 15


def test_of_one_image(tmp_path):
    assert note_on(grey_png(tmp_path / "a.png", values(12))).startswith("1 image has 16 bits per channel, but no ")


@pytest.mark.parametrize("largest", [4_096, 16_383, 65_535])
def test_one_brighter_image_shows_that_the_others_are_dark(tmp_path, largest):
    dark = [grey_png(tmp_path / f"{number}.png", values(10)) for number in range(5)]
    assert note_on(*dark) is not None
    assert note_on(*dark, grey_png(tmp_path / "bright.png", values(16, largest))) is None


def test_images_with_8_bits_are_no_evidence(tmp_path):
    Image.fromarray(np.full((8, 8), 2, np.uint8)).save(tmp_path / "dark.png")
    assert note_on(tmp_path / "dark.png") is None
    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(tmp_path / "white.png")
    assert note_on(tmp_path / "white.png", grey_png(tmp_path / "a.png", values(12))) is not None


COLOUR = np.stack([values(12), values(12), values(12)], axis=2)


def png_of_16_bits(levels: np.ndarray) -> bytes:
    """A PNG file with 16 bits per channel and 3 or 4 channels, which Pillow cannot write."""
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, channels = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


FILES = {
    "colour.png": png_of_16_bits(COLOUR),
    "transparent.png": png_of_16_bits(np.dstack([COLOUR, np.full((24, 32), 65_535)])),
    "colour.tif": tiff(COLOUR, 16),
    "colour, big-endian.tif": tiff(COLOUR, 16, ">"),
    "grey.tif": tiff(values(12), 16),
    "grey, big-endian.tif": tiff(values(12), 16, ">"),
    "grey.pgm": b"P5\n32 24\n65535\n" + values(12).astype(">u2").tobytes(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("channels", [1, 3])
def test_in_every_format(tmp_path, name, channels):
    from edgenet.images.input_range import InputRange

    path = tmp_path / name
    path.write_bytes(FILES[name])
    note = note_on(path, recipe=InputRange().recipe(16, 16, channels))
    assert note.startswith("1 image has 16 bits per channel, but no value is above 4,095 (12 bits), ")


def test_compressed_tiff(tmp_path):
    buffer = BytesIO()
    Image.fromarray(values(12)).save(buffer, "TIFF", compression="tiff_lzw")
    (tmp_path / "a.tif").write_bytes(buffer.getvalue())
    assert "(12 bits)" in note_on(tmp_path / "a.tif")


def test_a_file_that_says_12_bits_is_read_as_such(tmp_path):
    levels = values(12)
    (tmp_path / "a.tif").write_bytes(tiff(levels, 12))
    found = preprocess.load_full_size(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, np.stack([levels >> 4] * 3, axis=2))
    assert note_on(tmp_path / "a.tif") is None


def test_signed_values_are_refused_as_before(tmp_path):
    from edgenet.errors import EdgenetError

    (tmp_path / "a.tif").write_bytes(tiff(values(12), 16, signed=True))
    with pytest.raises(EdgenetError, match=r"\(32 bits per channel, and no value is known for white\)"):
        preprocess.load(tmp_path / "a.tif", square(16))


def test_pillow_images_are_converted_like_their_files(tmp_path):
    levels = values(12)
    (tmp_path / "a.tif").write_bytes(tiff(levels, 12))
    (tmp_path / "a.pgm").write_bytes(FILES["grey.pgm"])
    for name in ("a.tif", "a.pgm"):
        with Image.open(tmp_path / name) as image:
            converted = np.asarray(decode.convert(image, "RGB"))
        np.testing.assert_array_equal(converted, preprocess.load_full_size(tmp_path / name))
