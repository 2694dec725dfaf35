"""Image files to pixels: what every model sees."""

import os
import subprocess
import sys
import zlib
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recipes import RECIPE, square

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.images.input_range import InputRange
from edgenet.images.resize_options import KERAS_DATASET
from edgenet.records import Interpolation, Preprocessing, Resize, ResizeMode

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the peak of a process")


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def grey(pixels: np.ndarray) -> np.ndarray:
    """Three equal channels."""
    return pixels[..., None].repeat(3, axis=-1)


def triangle(inputs: int, outputs: int) -> np.ndarray:
    """Weights (outputs, inputs) of antialiased bilinear resizing."""
    scale = inputs / outputs
    centres = (np.arange(outputs) + 0.5) * scale
    distance = np.abs(np.arange(inputs) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.clip(1 - distance, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def alone(code: str) -> tuple[str, str]:
    """What code that loads images in a process of its own writes to stdout and stderr."""
    imports = "from pathlib import Path; from edgenet.images import listing, preprocess;"
    imports += "from edgenet.errors import EdgenetError;"
    imports += "from edgenet.images.input_range import InputRange; from edgenet.benchmarking.worker import peak_bytes\n"
    done = subprocess.run([sys.executable, "-c", imports + code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def by_the_recipe(pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
    """An image (height, width, channels) as the recipe says, in float64 and without a rounded level."""
    height, width = pixels.shape[:2]
    down, across = round(recipe.height / recipe.resize.crop), round(recipe.width / recipe.resize.crop)
    # It just covers that in one direction, and reaches as far in the other as its shape says.
    if down * width >= across * height:
        across = round(Fraction(width * down, height))
    else:
        down = round(Fraction(height * across, width))
    resized = np.einsum("ij,kl,jlc->ikc", triangle(height, down), triangle(width, across), pixels, optimize=True)
    top, left = (down - recipe.height) // 2, (across - recipe.width) // 2
    return resized[top : top + recipe.height, left : left + recipe.width]


# Pillow rounds to whole levels after each axis: half a level twice, and its weights have 22 bits.
TWICE_ROUNDED = 1.01


# Images to pixels


@pytest.mark.parametrize("size", [16, 28, 32, 96])
def test_a_square_image_is_resized_as_pillow_does(tmp_path, size):
    path = save(tmp_path / "a.png", noise(28, 28, 3))
    with Image.open(path) as image:
        expected = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    loaded = preprocess.load(path, square(size))
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, expected)


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize(("height", "width"), [(100, 160), (161, 100), (96, 97), (50, 50), (7, 300)])
def test_the_shorter_side_is_resized_with_a_triangle_filter_and_the_centre_cut_out(tmp_path, height, width, size):
    pixels = noise(height, width, 3)
    loaded = preprocess.load(save(tmp_path / "a.png", pixels), square(size))
    np.testing.assert_allclose(loaded, by_the_recipe(pixels, square(size)), rtol=0, atol=TWICE_ROUNDED)


@pytest.mark.parametrize("crop", [1.0, 0.875, 0.8, 0.3])
@pytest.mark.parametrize("shape", [(32, 32), (24, 64), (64, 24), (33, 47)])
@pytest.mark.parametrize(("height", "width"), [(100, 160), (90, 31), (20, 20)])
def test_a_margin_is_left_out_and_inputs_need_not_be_square(tmp_path, height, width, shape, crop):
    pixels, recipe = noise(height, width, 3), InputRange().recipe(*shape, 3, Resize(crop=crop))
    loaded = preprocess.load(save(tmp_path / "a.png", pixels), recipe)
    assert loaded.shape == (*shape, 3)
    np.testing.assert_allclose(loaded, by_the_recipe(pixels, recipe), rtol=0, atol=TWICE_ROUNDED)


def test_the_usual_crop_of_imagenet(tmp_path):
    # The shorter side to 256 = 224 / 0.875, the other to 400 / 300 * 256 = 341.3; 16 rows and 58 columns go in front.
    path = save(tmp_path / "a.png", noise(300, 400, 3))
    with Image.open(path) as image:
        expected = np.asarray(image.resize((341, 256), Image.Resampling.BILINEAR))[16 : 16 + 224, 58 : 58 + 224]
    loaded = preprocess.load(path, InputRange().recipe(224, 224, 3, Resize(crop=0.875)))
    # Pillow may count places in float32, which turns a level that lies between two.
    np.testing.assert_allclose(loaded, expected.astype(int), rtol=0, atol=1)


@linux
def test_a_long_thin_image_takes_no_more_memory_than_others(tmp_path):
    # Resized as a whole, it would have 224 x 1,120,000 pixels: 250 million.
    path = save(tmp_path / "thin.png", noise(2, 10_000, 3))
    said, _ = alone(f"""
before = peak_bytes()
preprocess.load(Path({str(path)!r}), InputRange().recipe(224, 224, 3))
print(peak_bytes() - before)
""")
    assert int(said) < 50_000_000


@pytest.mark.parametrize("wide", [True, False])
def test_what_is_outside_the_central_square_is_not_seen(tmp_path, wide):
    inside = noise(40, 100, 3) if wide else noise(100, 40, 3)
    outside = inside.copy()
    # The square is 30...70; resized 40 to 32, the filter reaches two pixels over its edge.
    for part in (slice(0, 28), slice(72, 100)):
        outside[(slice(None), part) if wide else part] = 255
    both = (save(tmp_path / f"{name}.png", pixels) for name, pixels in (("in", inside), ("out", outside)))
    np.testing.assert_array_equal(*(preprocess.load(path, square(32)) for path in both))


# EXIF 2.3, tag 274: how the stored rows and columns lie in the image as it is to be seen.
ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_exif_orientation_is_followed(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[274] = orientation
    # Loaded at its own size, so that nothing is resized; smooth, so that JPEG can hold it.
    stored = np.add.outer(np.arange(64) * 3, np.arange(64))[..., None].astype(np.uint8).repeat(3, axis=2)
    path = save(tmp_path / f"a.{ending}", stored, exif=exif, quality=95)
    with Image.open(path) as image:
        decoded = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(preprocess.load(path, square(64)), ORIENTATIONS[orientation](decoded))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_image_is_turned_before_its_centre_is_cut_out(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    stored, recipe = noise(60, 100, 3), InputRange().recipe(24, 40, 3, Resize(crop=0.8))
    turned = save(tmp_path / "turned.png", np.ascontiguousarray(ORIENTATIONS[orientation](stored)))
    loaded = preprocess.load(save(tmp_path / "a.png", stored, exif=exif), recipe)
    np.testing.assert_array_equal(loaded, preprocess.load(turned, recipe))


@pytest.mark.filterwarnings("ignore")
def test_a_photo_keeps_its_size_and_comes_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees, clockwise
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    shown = preprocess.load_full_size(save(tmp_path / "a.png", stored, exif=exif))
    assert np.array_equal(shown, grey(np.rot90(stored, -1)))


def test_a_photo_that_is_damaged_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(EdgenetError, match=r"a\.png: not a readable image \(the file is empty\)"):
        preprocess.load_full_size(tmp_path / "a.png")


def test_damaged_exif_data_say_nothing(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 8), "red").save(tmp_path / "whole.jpg", exif=exif)
    data = bytearray((tmp_path / "whole.jpg").read_bytes())
    start = data.index(b"Exif\0\0") + 6
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = data.copy()
        for place in random.integers(start, start + 26, 3):
            damaged[place] = random.integers(256)
        (tmp_path / "damaged.jpg").write_bytes(damaged)
        assert preprocess.load(tmp_path / "damaged.jpg", square(8)).shape == (8, 8, 3)


@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "PNG", "tif", "tiff"])
def test_lossless_formats_give_the_pixels_themselves(tmp_path, ending):
    pixels = noise(32, 32, 3)
    path = save(tmp_path / f"a.{ending}", pixels, lossless=True)
    np.testing.assert_array_equal(preprocess.load(path, square(32)), pixels)


def test_a_jpeg_is_nearly_the_image(tmp_path):
    pixels = grey(np.add.outer(np.arange(64) * 2, np.arange(64))).astype(np.uint8)
    pixels[..., 0] //= 2
    loaded = preprocess.load(save(tmp_path / "a.jpg", pixels, quality=95, subsampling=0), square(64))
    # At quality 95 a smooth image keeps its levels within a few; swapped channels would be off by up to 95.
    assert np.abs(loaded.astype(int) - pixels).max() <= 8


def test_a_jpeg_for_print_has_the_colours_of_its_inks(tmp_path):
    inks = {(0, 0, 0, 0): "white", (0, 0, 0, 255): "black", (255, 0, 0, 0): "cyan", (0, 255, 255, 0): "red"}
    image = Image.new("CMYK", (64, 16))
    for number, ink in enumerate(inks):
        image.paste(ink, (16 * number, 0, 16 * number + 16, 16))  # whole blocks of the JPEG
    image.save(tmp_path / "a.jpg", quality=95)
    loaded = preprocess.load(tmp_path / "a.jpg", InputRange().recipe(16, 64, 3))
    with Image.open(tmp_path / "a.jpg") as stored:
        assert stored.mode == "CMYK"
        np.testing.assert_array_equal(loaded, stored.convert("RGB"))
    for number, colour in enumerate(inks.values()):
        expected = Image.new("RGB", (16, 16), colour)
        # At quality 95 the mean of a block is stored in quarters of a level; inks and colours each round once.
        np.testing.assert_allclose(loaded[:, 16 * number : 16 * number + 16], expected, rtol=0, atol=1)


def test_grey_becomes_three_equal_channels(tmp_path):
    pixels = noise(32, 32)
    loaded = preprocess.load(save(tmp_path / "a.png", pixels), square(32))
    np.testing.assert_array_equal(loaded, grey(pixels))


@pytest.mark.parametrize(("ending", "order"), [("png", "<"), ("tif", "<"), ("tif", ">")])
def test_sixteen_bit_grey_keeps_its_levels(tmp_path, ending, order):
    levels = noise(32, 32)
    # 257 times a level of 8 bits is the same grey in 16.
    path = save(tmp_path / f"a.{ending}", (levels.astype(np.uint16) * 257).astype(f"{order}u2"))
    np.testing.assert_array_equal(preprocess.load(path, square(32)), grey(levels))
    np.testing.assert_array_equal(preprocess.load(path, InputRange().recipe(32, 32, 1)), levels[..., None])


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_levels_without_a_white_are_refused(tmp_path, dtype):
    path = save(tmp_path / "a.tif", noise(32, 32).astype(dtype))
    text = (
        r"^.*/a\.tif: not a readable image \(32 bits per channel, and no value is known for white\); "
        "replace or remove it$"
    )
    with pytest.raises(EdgenetError, match=text):
        preprocess.load(path, square(32))


def test_one_bit_becomes_black_and_white(tmp_path):
    bits = noise(32, 32) > 127
    loaded = preprocess.load(save(tmp_path / "a.png", bits), square(32))
    np.testing.assert_array_equal(loaded, grey(np.where(bits, 255, 0)))


def test_a_grey_input_gets_the_luma_of_a_colour_image(tmp_path):
    pixels = noise(32, 32, 3)
    loaded = preprocess.load(save(tmp_path / "a.png", pixels), InputRange().recipe(32, 32, 1))
    assert (loaded.dtype, loaded.shape) == (np.uint8, (32, 32, 1))
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(loaded[..., 0], image.convert("L"))
    # ITU-R 601-2, rounded: half a level, and weights of 16 bits.
    np.testing.assert_allclose(loaded[..., 0], pixels @ (0.299, 0.587, 0.114), rtol=0, atol=0.51)


def test_a_palette_is_looked_up_before_resizing(tmp_path):
    path = tmp_path / "a.png"
    colours = np.array([[200, 10, 30], [0, 90, 255], [7, 7, 7]], np.uint8)
    indices = noise(28, 28) % 3
    image = Image.fromarray(indices, "P")
    image.putpalette(colours.tobytes())
    image.save(path)
    expected = preprocess.load(save(tmp_path / "rgb.png", colours[indices]), square(32))
    np.testing.assert_array_equal(preprocess.load(path, square(32)), expected)


def test_an_opaque_alpha_channel_changes_nothing(tmp_path):
    pixels = noise(28, 28, 4)
    pixels[..., 3] = 255
    expected = preprocess.load(save(tmp_path / "rgb.png", pixels[..., :3]), square(32))
    np.testing.assert_array_equal(preprocess.load(save(tmp_path / "a.png", pixels), square(32)), expected)


def test_transparent_pixels_are_white(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4] = (255, 0, 0, 255)
    pixels[4:] = (255, 0, 0, 0)  # red that nobody sees
    Image.fromarray(pixels).save(tmp_path / "half.png")
    loaded = preprocess.load(tmp_path / "half.png", square(8))
    assert (loaded[:4] == (255, 0, 0)).all()
    assert (loaded[4:] == 255).all()


HALF = 128  # of 255: about half transparent

# Each image has a row of its colour opaque, then one transparent (where the format can, half), of 8 pixels each.
TRANSPARENT = {
    "RGBA": (
        lambda: Image.fromarray(np.uint8([[[200, 40, 0, 255]] * 8, [[200, 40, 0, HALF]] * 8])),
        {},
        (200, 40, 0),
        HALF,
    ),
    "LA": (lambda: Image.fromarray(np.uint8([[[90, 255]] * 8, [[90, HALF]] * 8]), "LA"), {}, (90, 90, 90), HALF),
    "palette": (
        lambda: _palette(np.uint8([[0] * 8, [1] * 8])),
        {"transparency": bytes([255, HALF])},
        (200, 40, 0),
        HALF,
    ),
    "one colour of a palette": (lambda: _palette(np.uint8([[0] * 8, [1] * 8])), {"transparency": 1}, (200, 40, 0), 0),
    "one colour": (
        lambda: Image.fromarray(np.uint8([[[200, 40, 0]] * 8, [[1, 2, 3]] * 8])),
        {"transparency": (1, 2, 3)},
        (200, 40, 0),
        0,
    ),
    "one grey": (lambda: Image.fromarray(np.uint8([[90] * 8, [7] * 8])), {"transparency": 7}, (90, 90, 90), 0),
}


def _palette(indices: np.ndarray) -> Image.Image:
    image = Image.fromarray(indices, "P")
    image.putpalette([200, 40, 0] * 2)
    return image


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TRANSPARENT)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_transparent_lies_on_white(tmp_path, kind, channels):
    make, options, colour, alpha = TRANSPARENT[kind]
    make().save(tmp_path / "a.png", **options)
    above, below = preprocess.load(tmp_path / "a.png", InputRange().recipe(2, 8, channels)).astype(float)
    colour = np.float64(colour if channels == 3 else [np.dot(colour, (0.299, 0.587, 0.114))])
    # Levels are whole numbers: mixed ones are rounded once, and once more where they become grey.
    np.testing.assert_allclose(above, np.tile(colour, (8, 1)), rtol=0, atol=0.51)
    over_white = colour * alpha / 255 + 255 - alpha
    np.testing.assert_allclose(below, np.tile(over_white, (8, 1)), rtol=0, atol=1.01)


# Files that are no images


def _encoded(ending: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(buffer, ending)
    return buffer.getvalue()


BROKEN = {
    "text": (b"no image\n", r"\(.+\)"),
    "zero bytes": (b"", r"\(the file is empty\)"),
    "half a JPEG": (_encoded("JPEG")[:-2000], r"\(.+\)"),
    "half a PNG": (_encoded("PNG")[:-2000], r"\(.+\)"),
    "head of a PNG": (_encoded("PNG")[:20], r"\(.+\)"),
    "half a WebP": (_encoded("WEBP")[:-2000], r"\(.+\)"),
    "half a TIFF": (_encoded("TIFF")[:-2000], r"\(.+\)"),
    "half a BMP": (_encoded("BMP")[:-2000], r"\(.+\)"),
    "PNG with a changed byte": (_encoded("PNG")[:60] + b"\0\0\0" + _encoded("PNG")[63:], r"\(.+\)"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_is_named(tmp_path, kind):
    data, found = BROKEN[kind]
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(EdgenetError, match=rf"bad\.png: not a readable image {found}; replace or remove it$") as caught:
        preprocess.load(path, square(32))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(EdgenetError, match=r"gone\.png: no such file; check the path$"):
        preprocess.load(tmp_path / "gone.png", square(32))


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "bomb.png", np.zeros((1_500, 1_500), bool))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # Pillow refuses what has more than twice as many
    text = r"^.*/bomb\.png: the image has more than 2 million pixels; make it smaller or remove it$"
    with pytest.raises(EdgenetError, match=text):
        preprocess.load(path, square(32))


def empty_png(path: Path, side: int) -> Path:
    """A whole image of side x side black pixels, a bit each, in few bytes."""

    def part(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    line = bytes(1 + (side + 7) // 8)  # no filter, then the pixels
    pressed = zlib.compressobj(1)
    pixels = b"".join(pressed.compress(line) for _ in range(side)) + pressed.flush()
    header = part(b"IHDR", size + size + bytes([1, 0, 0, 0, 0]))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + part(b"IDAT", pixels) + part(b"IEND", b""))
    return path


# In processes of their own: pytest has its own filters of warnings, and its peak is not that of an image.


def test_an_image_of_900_million_pixels_is_refused_from_its_first_bytes(tmp_path):
    path = empty_png(tmp_path / "huge.png", 30_000)
    said, warned = alone(f"""
before = peak_bytes()
try:
    preprocess.load(Path({str(path)!r}), InputRange().recipe(32, 32, 3))
except EdgenetError as error:
    print(error)
print(peak_bytes() - before)
""")
    text, grown = said.splitlines()
    assert text == f"{path}: the image has more than 134 million pixels; make it smaller or remove it"
    assert warned == ""
    # A byte a pixel would be 900 MB; Pillow's code for PNG is a few.
    assert int(grown) < 30_000_000


def test_images_that_pillow_would_warn_of_are_loaded_without_a_word(tmp_path):
    large = empty_png(tmp_path / "large.png", 9_500)  # 90 million: Pillow warns from 89 on, and refuses from 178 on
    exif = Image.Exif()
    exif[271] = "the maker of a camera"
    Image.new("RGB", (8, 8)).save(tmp_path / "exif.jpg", exif=exif)
    data = (tmp_path / "exif.jpg").read_bytes()
    # The maker's name lies far behind the end of the EXIF data, by its entry: tag, text, length and place.
    damaged = tmp_path / "damaged.jpg"
    entry = bytes.fromhex("010f0002") + len("the maker of a camera\0").to_bytes(4, "big")
    damaged.write_bytes(data.replace(entry + data[data.index(entry) + 8 :][:4], entry + b"\x7f\xff\xff\xff"))
    code = "for path in sys.argv[1:]: preprocess.load(Path(path), InputRange().recipe(32, 32, 1))"
    assert alone(f"import sys; sys.argv[1:] = {[str(large), str(damaged)]!r}\n{code}") == ("", "")
    with pytest.warns(UserWarning, match="Truncated File Read"), Image.open(damaged) as image:
        image.load()
        image.getexif()
    with pytest.warns(Image.DecompressionBombWarning), Image.open(large):
        pass


# Many of them


def test_load_all_keeps_the_order(tmp_path):
    # Sizes fall from large to small: with several threads the last ones are done first.
    paths = [
        save(tmp_path / f"{number}.png", np.full((side, side, 3), number, np.uint8))
        for number, side in enumerate(range(400, 0, -10))
    ]
    assert [int(image[0, 0, 0]) for image in preprocess.load_all(paths, square(8))] == list(range(40))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_load_all_of_a_few(tmp_path, count):
    paths = [save(tmp_path / f"{number}.png", noise(8, 8, 3, seed=number)) for number in range(count)]
    loaded = list(preprocess.load_all(paths, square(8)))
    assert len(loaded) == count
    for number, image in enumerate(loaded):
        np.testing.assert_array_equal(image, noise(8, 8, 3, seed=number))


def test_load_all_holds_only_a_few(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", noise(8, 8, 3))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    drawn, most = 0, 0

    def paths():
        nonlocal drawn
        for _ in range(300):
            drawn += 1
            yield path

    for taken, _ in enumerate(preprocess.load_all(paths(), square(8))):
        most = max(most, drawn - taken)
    assert drawn == 300
    # A handful for each of two cores, and not most of 300.
    assert most <= 20


@linux
def test_peak_memory_does_not_grow_with_the_number_of_images(tmp_path):
    paths = [save(tmp_path / f"{number}.png", noise(40, 50, 3, seed=number)) for number in range(20)]

    def peak(repeats: int) -> int:
        said, _ = alone(f"""
paths = [Path(path) for path in {list(map(str, paths))!r}] * {repeats}
count = sum(1 for _ in preprocess.load_all(paths, InputRange().recipe(96, 96, 3)))
print(count, peak_bytes())
""")
        count, peak_bytes = map(int, said.split())
        assert count == 20 * repeats
        return peak_bytes

    # 1,800 more, held as they are, would be 50 MB.
    assert peak(100) - peak(10) < 0.2 * 1_800 * 96 * 96 * 3


def test_load_all_stops_at_the_first_bad_file(tmp_path):
    good = save(tmp_path / "good.png", noise(8, 8, 3))
    for name in ("bad.png", "worse.png"):
        (tmp_path / name).write_bytes(b"")
    loading = preprocess.load_all([good, good, tmp_path / "bad.png", good, tmp_path / "worse.png"], square(8))
    next(loading)
    next(loading)
    with pytest.raises(EdgenetError, match=r"/bad\.png: not a readable image \(the file is empty\)"):
        next(loading)


def test_ahead_draws_so_many_before_each_turn():
    drawn = []

    def items():
        for number in range(10):
            drawn.append(number)
            yield number

    given = []
    for number in preprocess.prefetch(items(), 3):
        given.append(number)
        assert len(drawn) == min(number + 4, 10)
    assert given == list(range(10))


def test_batches():
    images = noise(7, 4, 4, 3)
    stacked = list(preprocess.batches(iter(images), 3))
    assert [batch.shape for batch in stacked] == [(3, 4, 4, 3), (3, 4, 4, 3), (1, 4, 4, 3)]
    np.testing.assert_array_equal(np.concatenate(stacked), images)
    assert list(preprocess.batches([], 3)) == []


# Other ways of resizing


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"), [(50, 100, 16, 32), (90, 30, 32, 11), (20, 20, 32, 32)]
)
def test_padding_centres_the_whole_image_on_the_colour(tmp_path, height, width, rows, columns, channels):
    path = save(tmp_path / "a.png", noise(height, width, 3))
    resize = replace(KERAS_DATASET, mode=ResizeMode.PAD, pad=(114, 0, 255))
    loaded = preprocess.load(path, InputRange().recipe(32, 32, channels, resize))
    assert (loaded.dtype, loaded.shape) == (np.float32, (32, 32, channels))
    top, left = (32 - rows) // 2, (32 - columns) // 2
    inside = loaded[top : top + rows, left : left + columns]
    stretched = InputRange().recipe(rows, columns, channels, KERAS_DATASET)
    np.testing.assert_array_equal(inside, preprocess.load(path, stretched))
    outside = np.ones((32, 32), bool)
    outside[top : top + rows, left : left + columns] = False
    grey_value = Image.new("RGB", (1, 1), (114, 0, 255)).convert("L").getpixel((0, 0))
    assert (loaded[outside] == ((114, 0, 255) if channels == 3 else (grey_value,))).all()


@pytest.mark.parametrize("mode", ResizeMode)
@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_and_its_pixels_are_resized_alike(mode, rounded, antialias, interpolation, channels):
    resize = Resize(mode, 0.8, (1, 2, 3), interpolation, antialias=antialias, rounded=rounded)
    recipe = InputRange().recipe(24, 40, channels, resize)
    pixels = noise(70, 50, 3)
    image = Image.fromarray(pixels).convert("RGB" if channels == 3 else "L")
    found = preprocess.resize(image, recipe)
    assert (found.dtype, found.shape) == (recipe.dtype, recipe.shape)
    arrays = (
        [pixels, np.concatenate([pixels, noise(70, 50, 1)], axis=2)] if channels == 3 else [np.array(image)[..., None]]
    )
    for array in arrays:
        np.testing.assert_array_equal(preprocess.resize(array, recipe), found)


def test_rounded_pixels_are_the_float_ones_rounded(tmp_path):
    path = save(tmp_path / "a.png", noise(70, 50, 3))
    exact = preprocess.load(path, InputRange().recipe(24, 40, 3, KERAS_DATASET))
    found = preprocess.load(path, InputRange().recipe(24, 40, 3, replace(KERAS_DATASET, rounded=True)))
    assert found.dtype == np.uint8 and exact.dtype == np.float32
    np.testing.assert_array_equal(found, preprocess.rounded(exact))
    np.testing.assert_array_equal(found, np.rint(exact))


def test_a_large_image_is_resized_in_parts(tmp_path, monkeypatch):
    path, recipe = save(tmp_path / "a.png", noise(70, 50, 3)), InputRange().recipe(24, 40, 3, KERAS_DATASET)
    whole = preprocess.load(path, recipe)
    for pixels in (1, 170, 3_400):
        monkeypatch.setattr(preprocess, "BAND_PIXELS", pixels)
        np.testing.assert_array_equal(preprocess.load(path, recipe), whole)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK"])
def test_a_jpeg_decoded_as_tensorflow_does_is_turned_where_that_is_asked_for(tmp_path, orientation, kind):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(noise(24, 40, 3)).convert(kind).save(tmp_path / "a.jpg", exif=exif)
    stored = preprocess.load(tmp_path / "a.jpg", InputRange().recipe(24, 40, 3, KERAS_DATASET))
    size = (24, 40) if orientation < 5 else (40, 24)
    upright = preprocess.load(tmp_path / "a.jpg", InputRange().recipe(*size, 3, replace(KERAS_DATASET, exif=True)))
    np.testing.assert_array_equal(upright, ORIENTATIONS[orientation](stored))


def test_a_jpeg_that_only_pillow_decodes_has_its_pixels(tmp_path, monkeypatch):
    import simplejpeg

    def fail(*_, **__):
        raise ValueError("unsupported")

    path, recipe = save(tmp_path / "a.jpg", noise(24, 40, 3)), InputRange().recipe(24, 40, 3, KERAS_DATASET)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", fail)
    with Image.open(path) as image:
        np.testing.assert_array_equal(preprocess.load(path, recipe), image)


# Numbers


def test_normalize():
    levels = np.arange(256, dtype=np.uint8)
    found = preprocess.normalize(levels, RECIPE)
    assert found.dtype == np.float32
    assert (found[0], found[255]) == (-1, 1)
    # The quotient, of at most 1, rounds by at most 2**-25, and its half levels are exact.
    np.testing.assert_allclose(found, np.arange(256) / 127.5 - 1, rtol=0, atol=2**-24)
    assert preprocess.normalize(noise(2, 3, 4, 3), RECIPE).shape == (2, 3, 4, 3)


def test_each_channel_has_a_mean_and_deviation_of_its_own():
    pixels = noise(2, 16, 16, 3)
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    found = preprocess.normalize(pixels, Preprocessing(16, 16, 3, mean, std))
    assert (found.dtype, found.shape) == (np.float32, pixels.shape)
    expected = (pixels.astype(np.float64) - np.float64(mean)) / np.float64(std)
    # Mean and difference are off by 2**-18 and 2**-17 at most, divided by 57; divisor and quotient, up to 2.7, round.
    np.testing.assert_allclose(found, expected, rtol=0, atol=(2**-18 + 2**-17) / 57 + 2 * 2.7 * 2**-24)


def test_channels_are_swapped_after_each_got_its_mean():
    pixels = noise(2, 16, 16, 3)
    found = preprocess.normalize(pixels, Preprocessing(16, 16, 3, (123.68, 116.779, 103.939), (1.0,) * 3, "BGR"))
    red, green, blue = np.moveaxis(pixels.astype(np.float64), -1, 0)
    expected = np.stack([blue - 103.939, green - 116.779, red - 123.68], axis=-1)
    # Mean and difference round to float32.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2**-18 + 2**-17)


def test_channels_are_swapped_where_all_have_the_same_range():
    pixels, recipe = noise(2, 16, 16, 3), InputRange(order="BGR").recipe(16, 16, 3)
    np.testing.assert_array_equal(preprocess.normalize(pixels, recipe), preprocess.normalize(pixels[..., ::-1], RECIPE))


def test_digest_is_of_the_pixels_not_of_the_file(tmp_path):
    pixels = noise(16, 16, 3)
    png, bmp = save(tmp_path / "a.png", pixels), save(tmp_path / "sub" / "b.bmp", pixels)
    assert preprocess.digest(preprocess.load(png, square(16))) == preprocess.digest(preprocess.load(bmp, square(16)))
    assert preprocess.digest(np.asfortranarray(pixels)) == preprocess.digest(pixels)
    pixels[15, 15, 2] ^= 1
    assert preprocess.digest(preprocess.load(png, square(16))) != preprocess.digest(pixels)


# Decoding once


def test_decode_all_keeps_what_load_gives(tmp_path):
    paths = [save(tmp_path / f"{seed}.png", noise(20 + seed, 30, 3, seed=seed)) for seed in range(9)]
    others = (
        InputRange().recipe(12, 18, channels, how) for channels, how in ((1, Resize(crop=0.875)), (3, KERAS_DATASET))
    )
    for recipe in (square(16), *others):
        pixels = preprocess.decode_all(paths, recipe, tmp_path / "pixels.npy")
        assert (pixels.dtype, pixels.shape) == (np.dtype(recipe.dtype), (9, *recipe.shape))
        assert isinstance(pixels, np.memmap) and not pixels.flags.writeable
        for one, path in zip(pixels, paths, strict=True):
            np.testing.assert_array_equal(one, preprocess.load(path, recipe))
            assert preprocess.digest(one) == preprocess.digest(preprocess.load(path, recipe))
        np.testing.assert_array_equal(np.load(tmp_path / "pixels.npy"), pixels)
        read = list(preprocess.read_decoded(tmp_path / "pixels.npy"))
        assert {one.dtype for one in read} == {np.dtype(recipe.dtype)}
        np.testing.assert_array_equal(np.stack(read), pixels)


def test_decode_all_of_no_images(tmp_path):
    assert preprocess.decode_all([], square(16), tmp_path / "pixels.npy").shape == (0, 16, 16, 3)
    assert not list(preprocess.read_decoded(tmp_path / "pixels.npy"))


def test_decode_all_leaves_no_file_after_a_bad_image(tmp_path):
    paths = [save(tmp_path / "good.png", noise(20, 30, 3)), tmp_path / "gone.png"]
    with pytest.raises(EdgenetError, match=r"gone\.png: no such file"):
        preprocess.decode_all(paths, square(16), tmp_path / "pixels.npy")
    assert not (tmp_path / "pixels.npy").exists()
