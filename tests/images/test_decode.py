"""Decoding: what hostile and odd image files cost, and that the program's own warnings stay as they are."""

import os
import re
import socket
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin
from recipes import square

from edgenet.errors import EdgenetError
from edgenet.images import decode, listing, pillow_warnings, preprocess

EXIF = Image.Exif()
EXIF[decode.ORIENTATION] = 6


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# Each a whole file of 40 x 30 pixels.
RGB, RGBA = Image.fromarray(pixels(30, 40, 3)), Image.fromarray(pixels(30, 40, 4))
SEVERAL = {"save_all": True, "append_images": [Image.fromarray(pixels(30, 40, 3, seed=n)) for n in range(1, 9)]}
FILES = {
    "png": encoded(RGBA, "PNG", exif=EXIF),
    "palette.png": encoded(RGB.quantize(16), "PNG", transparency=3),
    "one colour.png": encoded(RGB, "PNG", transparency=(1, 2, 3)),
    "grey and alpha.png": encoded(RGBA.convert("LA"), "PNG"),
    "16 bits.png": encoded(Image.fromarray(pixels(30, 40).astype(np.uint16) * 257), "PNG"),
    "animated.png": encoded(RGB, "PNG", **SEVERAL),
    "jpg": encoded(RGB, "JPEG", exif=EXIF),
    "progressive.jpg": encoded(RGB, "JPEG", progressive=True),
    "cmyk.jpg": encoded(RGB.convert("CMYK"), "JPEG"),
    "webp": encoded(RGBA, "WEBP", lossless=True, exif=EXIF),
    "animated.webp": encoded(RGB, "WEBP", lossless=True, **SEVERAL),
    "bmp": encoded(RGB, "BMP"),
    "tif": encoded(RGBA, "TIFF", compression="tiff_lzw"),
    "pages.tif": encoded(RGB, "TIFF", **SEVERAL),
    "gif": encoded(RGB.quantize(16), "GIF", **SEVERAL),
}


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / f"a file.{name}"
    path.write_bytes(data)
    return path


def at_once(path: Path, mode: str) -> np.ndarray:
    """The first frame, converted as a whole, as edgenet did it at first."""
    with Image.open(path) as image:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert(mode))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("band", [1, 97, 2**20])
def test_an_image_in_bands_is_the_image_as_a_whole_to_the_bit(tmp_path, monkeypatch, kind, mode, band):
    monkeypatch.setattr(decode, "BAND_PIXELS", band)
    path = written(tmp_path, kind, FILES[kind])
    np.testing.assert_array_equal(decode.decode(path, mode, np.asarray), at_once(path, mode))


# What is too large


def enlarged(data: bytes, kind: str, side: int) -> bytes:
    """A file whose header says that it has side x side pixels."""
    data = bytearray(data)
    if kind == "png":
        data[16:24] = side.to_bytes(4, "big") * 2
        data[29:33] = PngImagePlugin._crc32(bytes(data[12:29])).to_bytes(4, "big")
    elif kind == "bmp":
        data[18:26] = side.to_bytes(4, "little") * 2
    elif kind == "jpg":
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = side.to_bytes(2, "big") * 2
    elif kind == "gif":
        data[6:10] = side.to_bytes(2, "little") * 2
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "bmp", "jpg", "gif"])
@pytest.mark.parametrize("side", [11_600, 13_000, 60_000])  # Pillow itself refuses the last
def test_more_pixels_than_are_allowed_are_refused_by_the_header(tmp_path, kind, side):
    path = written(tmp_path, kind, enlarged(FILES[kind], kind, side))
    expected = rf"^{path}: the image has more than 1\d\d million pixels; make it smaller or remove it$"
    with pytest.raises(EdgenetError, match=expected):
        preprocess.load(path, square(32))


def test_a_photo_of_108_megapixels_is_allowed():
    assert decode.MAX_PIXELS >= 12_000 * 9_000


@pytest.mark.parametrize(
    ("kind", "copies"), [("webp", 3), ("tif", 2), ("progressive.jpg", 2), ("png", 1), ("jpg", 1), ("bmp", 1)]
)
def test_what_a_decoder_needs_beside_the_image_counts(tmp_path, monkeypatch, kind, copies):
    path = written(tmp_path, kind, FILES[kind])
    monkeypatch.setattr(decode, "MAX_PIXELS", 1_200 * copies)  # 40 x 30
    preprocess.load(path, square(8))
    monkeypatch.setattr(decode, "MAX_PIXELS", 1_200 * copies - 1)
    with pytest.raises(EdgenetError, match=": the image has more than 0 million pixels; "):
        preprocess.load(path, square(8))


def test_all_threads_together_hold_no_more_than_one_image_may_have(monkeypatch):
    monkeypatch.setattr(decode, "MAX_PIXELS", 100)
    memory, held, most, largest = decode._MemoryLimit(), [], [], []

    def use(cost: int) -> None:
        with memory.reserved(cost):
            held.append(cost)
            most.append(sum(held))
            largest.append(len(held))
            held.remove(cost)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, [100, 10, 60, 50, 1, 99, 30] * 40))
    assert max(most) <= 100
    assert len(most) == 280


CODE = """
import sys, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from edgenet.errors import EdgenetError
from edgenet.images import decode, listing, preprocess
from edgenet.images.input_range import InputRange
from edgenet.benchmarking.worker import peak_bytes
recipe = InputRange().recipe(32, 32, 3)
def load(path):
    try:
        return preprocess.load(Path(path), recipe)
    except EdgenetError as error:
        return str(error)
"""


def alone(code: str) -> str:
    """What code prints in a process of its own; nothing may be on its stderr, but for what libtiff's C code says."""
    done = subprocess.run([sys.executable, "-c", CODE + code], capture_output=True, text=True, timeout=300)
    printed = [line for line in done.stderr.splitlines() if not re.match(r"tempfile\.tif|TIFF|LZW", line)]
    assert (done.returncode, printed) == (0, [])
    return done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the peak of a process")
def test_many_threads_take_no_more_memory_than_is_allowed(tmp_path):
    # 12 threads, each an image of 4.4 million pixels with an orientation and transparency: 18 MB, twice.
    path = written(tmp_path, "png", encoded(Image.new("RGBA", (2_100, 2_100)), "PNG", exif=EXIF, compress_level=1))
    grown = alone(f"""
decode.LARGE_IMAGE_PIXELS = 4_000_000
load({str(written(tmp_path, "jpg", FILES["jpg"]))!r})
before = peak_bytes()
with ThreadPoolExecutor(12) as pool:
    assert all(image.shape == (32, 32, 3) for image in pool.map(load, [{str(path)!r}] * 18))
print(peak_bytes() - before)
""")
    # One image, and what the allocator keeps of those before: as much again. All 12 would take 420 MB.
    assert int(grown) < 100_000_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_process_decodes_large_images(tmp_path):
    path = written(tmp_path, "png", encoded(Image.new("RGB", (40, 40)), "PNG"))
    printed = alone(f"""
import os
warnings.simplefilter("ignore")  # Python warns of forks of processes with threads
decode.LARGE_IMAGE_PIXELS = 1_000
assert load({str(path)!r}).shape == (32, 32, 3)
if child := os.fork():
    print(os.waitpid(child, 0)[1])
else:
    os._exit(load({str(path)!r}).shape != (32, 32, 3))
""")
    assert printed == "0\n"


# What is no image


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(EdgenetError, match=r"pipe\.png: a named pipe, not an image file; give a "):
            preprocess.load(tmp_path / "pipe.png", square(8))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(EdgenetError, match=r"folder\.png: a folder, not an image file; "):
        preprocess.load_full_size(tmp_path / "folder.png")
    if hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(tmp_path / "s.png"))  # a short name: an address has 108 bytes
            with pytest.raises(EdgenetError, match=r"s\.png: a socket, not an image file; "):
                preprocess.load(tmp_path / "s.png", square(8))
    if Path("/dev/zero").exists():
        with pytest.raises(EdgenetError, match=r"^/dev/zero: a device, not an image file; "):
            preprocess.load(Path("/dev/zero"), square(8))
    with pytest.raises(EdgenetError, match=r"not a file name \(.*embedded null .*\); check the path$"):
        preprocess.load(Path("a\0b.png"), square(8))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_folder_with_a_pipe_is_read_without_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    path = written(tmp_path, "png", FILES["png"])
    assert listing.find_images(tmp_path).paths == [path]


def test_text_that_grows_without_end_is_refused(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * 10_000_000, zip=True)
    path = written(tmp_path, "png", encoded(RGB, "PNG", pnginfo=text))
    with pytest.raises(EdgenetError, match=rf"^{path}: not a readable image \(.*too large.*\); replace"):
        preprocess.load(path, square(8))


def test_a_format_that_runs_other_programs_is_not_tried(tmp_path):
    path = written(tmp_path, "png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with Image.open(path) as image:
        assert image.format == "EPS"
    with pytest.raises(EdgenetError, match=r"not a readable image \(a PostScript file\); replace "):
        preprocess.load(path, square(8))


@pytest.mark.parametrize("error", [MemoryError(), SyntaxError("a\nb"), OSError("x"), RecursionError("deep")])
def test_whatever_a_decoder_raises_is_one_line_with_the_file(tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    path = written(tmp_path, "png", FILES["png"])
    monkeypatch.setattr(Image, "open", fail)
    reason = str(error).splitlines()[0] if str(error) else "MemoryError"
    with pytest.raises(EdgenetError, match=rf"^{path}: not a readable image \({reason}\); replace or "):
        preprocess.load(path, square(8))


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_file_is_an_image_or_one_clear_line(tmp_path, seed):
    random, paths = np.random.default_rng(seed), []
    for number in range(100):
        name = list(FILES)[number % len(FILES)]
        data = bytearray(FILES[name])
        for place in random.integers(0, min(len(data), 400 if number % 2 else len(data)), random.integers(1, 9)):
            data[place] = random.integers(256)
        if number % 5 == 0:
            del data[random.integers(len(data)) :]
        path = tmp_path / f"{number} {name}"
        path.write_bytes(data)
        paths.append(str(path))
    # In a process of its own: what a damaged file makes Pillow print would be seen there.
    printed = alone(f"""
before = peak_bytes()
found = [load(path) for path in {paths!r}]
for path, one in zip({paths!r}, found):
    if isinstance(one, str):
        assert path in one and "\\n" not in one, one
    else:
        assert one.shape == (32, 32, 3)
print(sum(isinstance(one, str) for one in found), peak_bytes() - before)
""")
    refused, grown = map(int, printed.split())
    assert 10 <= refused <= 90
    assert grown < 1_200_000_000


# Warnings


def test_neither_import_nor_decoding_changes_the_filters_of_warnings(tmp_path):
    # The EXIF data of the first one are cut off, which Pillow warns of; of the second, that it is large.
    odd = bytearray(encoded(RGB, "JPEG", exif=EXIF))
    odd[20:40] = b"\xff" * 20
    paths = [str(written(tmp_path, "odd.jpg", bytes(odd)))]
    large = encoded(Image.new("1", (9_500, 9_500)), "PNG")
    paths.append(str(written(tmp_path, "large.png", large)))
    printed = alone(f"""
import importlib
before = list(warnings.filters)
importlib.reload(decode); importlib.reload(preprocess)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(load, {[*paths, *paths[:1] * 8]!r}))
assert warnings.filters == before
from PIL import Image
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("mine")
    Image.open({paths[1]!r}).close()
print([str(one.category.__name__) for one in caught])
""")
    assert printed == "['UserWarning', 'DecompressionBombWarning']\n"
    # In a process that has everything else that the module imports.
    code = "import warnings, numpy, PIL.Image, PIL.ImageOps; before = list(warnings.filters)\n"
    code += "import edgenet.images.preprocess\n"
    code += "assert warnings.filters == before"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_filters_that_the_program_changes_meanwhile_stay_changed(tmp_path):
    path = written(tmp_path, "png", FILES["png"])
    with warnings.catch_warnings():

        def change(image: Image.Image) -> None:
            warnings.filterwarnings("error", message="a message of the program")

        decode.decode(path, "RGB", change)
        assert warnings.filters[0][0] == "error"
        assert not any(entry is pillow_warnings.IgnoredWarnings.ENTRY for entry in warnings.filters)


def test_warnings_of_the_program_are_shown_while_images_are_read(tmp_path):
    path = written(tmp_path, "png", FILES["png"])
    with pytest.warns(UserWarning, match="mine"):
        decode.decode(path, "RGB", lambda image: warnings.warn("mine", stacklevel=1))
