"""Image files to pixels: what every model sees."""

import os
import subprocess
import sys
import tempfile
import zlib
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
from edgenet.records import Preprocessing

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
    imports = "from pathlib import Path; from edgenet.images import preprocess;"
    imports += "from edgenet.errors import EdgenetError;"
    imports += "from edgenet.images.input_range import InputRange; from edgenet.benchmarking.worker import peak_bytes\n"
    done = subprocess.run([sys.executable, "-c", imports + code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def by_the_recipe(pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
    """A picture (height, width, channels) as the recipe says, in float64 and without a rounded level."""
    height, width = pixels.shape[:2]
    down, across = round(recipe.height / recipe.crop), round(recipe.width / recipe.crop)
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


# Pictures to pixels


@pytest.mark.parametrize("size", [16, 28, 32, 96])
def test_a_square_picture_is_resized_as_pillow_does(tmp_path, size):
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
    pixels, recipe = noise(height, width, 3), InputRange().recipe(*shape, 3, crop)
    loaded = preprocess.load(save(tmp_path / "a.png", pixels), recipe)
    assert loaded.shape == (*shape, 3)
    np.testing.assert_allclose(loaded, by_the_recipe(pixels, recipe), rtol=0, atol=TWICE_ROUNDED)


def test_the_usual_crop_of_imagenet(tmp_path):
    # The shorter side to 256 = 224 / 0.875, the other to 400 / 300 * 256 = 341.3; 16 rows and 58 columns go in front.
    path = save(tmp_path / "a.png", noise(300, 400, 3))
    with Image.open(path) as image:
        expected = np.asarray(image.resize((341, 256), Image.Resampling.BILINEAR))[16 : 16 + 224, 58 : 58 + 224]
    loaded = preprocess.load(path, InputRange().recipe(224, 224, 3, 0.875))
    # Pillow may count places in float32, which turns a level that lies between two.
    np.testing.assert_allclose(loaded, expected.astype(int), rtol=0, atol=1)


@linux
def test_a_long_thin_picture_takes_no_more_memory_than_others(tmp_path):
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


# EXIF 2.3, tag 274: how the stored rows and columns lie in the picture as it is to be seen.
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
def test_a_picture_is_turned_before_its_centre_is_cut_out(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    stored, recipe = noise(60, 100, 3), InputRange().recipe(24, 40, 3, 0.8)
    turned = save(tmp_path / "turned.png", np.ascontiguousarray(ORIENTATIONS[orientation](stored)))
    loaded = preprocess.load(save(tmp_path / "a.png", stored, exif=exif), recipe)
    np.testing.assert_array_equal(loaded, preprocess.load(turned, recipe))


@pytest.mark.filterwarnings("ignore")
def test_a_photo_keeps_its_size_and_comes_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees, clockwise
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    shown = preprocess.photo(save(tmp_path / "a.png", stored, exif=exif))
    assert np.array_equal(shown, grey(np.rot90(stored, -1)))


def test_a_photo_that_is_damaged_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(EdgenetError, match=r"a\.png: expected a whole image, found an empty file"):
        preprocess.photo(tmp_path / "a.png")


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


def test_a_jpeg_is_nearly_the_picture(tmp_path):
    pixels = grey(np.add.outer(np.arange(64) * 2, np.arange(64))).astype(np.uint8)
    pixels[..., 0] //= 2
    loaded = preprocess.load(save(tmp_path / "a.jpg", pixels, quality=95, subsampling=0), square(64))
    # At quality 95 a smooth picture keeps its levels within a few; swapped channels would be off by up to 95.
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
        r"^.*/a\.tif: expected a whole image, found none \(32 bits a channel, of which nobody knows what is white\); "
        "replace or remove it$"
    )
    with pytest.raises(EdgenetError, match=text):
        preprocess.load(path, square(32))


def test_one_bit_becomes_black_and_white(tmp_path):
    bits = noise(32, 32) > 127
    loaded = preprocess.load(save(tmp_path / "a.png", bits), square(32))
    np.testing.assert_array_equal(loaded, grey(np.where(bits, 255, 0)))


def test_a_grey_input_gets_the_luma_of_a_colour_picture(tmp_path):
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

# Each picture has a row of its colour opaque, then one transparent (where the format can, half), of 8 pixels each.
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
    "text": (b"no image\n", r"found none \(.+\)"),
    "zero bytes": (b"", "found an empty file"),
    "half a JPEG": (_encoded("JPEG")[:-2000], r"found none \(.+\)"),
    "half a PNG": (_encoded("PNG")[:-2000], r"found none \(.+\)"),
    "head of a PNG": (_encoded("PNG")[:20], r"found none \(.+\)"),
    "half a WebP": (_encoded("WEBP")[:-2000], r"found none \(.+\)"),
    "half a TIFF": (_encoded("TIFF")[:-2000], r"found none \(.+\)"),
    "half a BMP": (_encoded("BMP")[:-2000], r"found none \(.+\)"),
    "PNG with a changed byte": (_encoded("PNG")[:60] + b"\0\0\0" + _encoded("PNG")[63:], r"found none \(.+\)"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_is_named(tmp_path, kind):
    data, found = BROKEN[kind]
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(
        EdgenetError, match=rf"bad\.png: expected a whole image, {found}; replace or remove it$"
    ) as caught:
        preprocess.load(path, square(32))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(EdgenetError, match=r"gone\.png: expected a whole image, found none \(.+\)"):
        preprocess.load(tmp_path / "gone.png", square(32))


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "bomb.png", np.zeros((1_500, 1_500), bool))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # Pillow refuses what has more than twice as many
    text = r"^.*/bomb\.png: expected a picture of up to 2 million pixels, found more; make it smaller or remove it$"
    with pytest.raises(EdgenetError, match=text):
        preprocess.load(path, square(32))


def empty_png(path: Path, side: int) -> Path:
    """A whole picture of side x side black pixels, a bit each, in few bytes."""

    def part(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    line = bytes(1 + (side + 7) // 8)  # no filter, then the pixels
    pressed = zlib.compressobj(1)
    pixels = b"".join(pressed.compress(line) for _ in range(side)) + pressed.flush()
    header = part(b"IHDR", size + size + bytes([1, 0, 0, 0, 0]))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + part(b"IDAT", pixels) + part(b"IEND", b""))
    return path


# In processes of their own: pytest has its own filters of warnings, and its peak is not that of a picture.


def test_a_picture_of_900_million_pixels_is_refused_from_its_first_bytes(tmp_path):
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
    assert text == f"{path}: expected a picture of up to 134 million pixels, found more; make it smaller or remove it"
    assert warned == ""
    # A byte a pixel would be 900 MB; Pillow's code for PNG is a few.
    assert int(grown) < 30_000_000


def test_pictures_that_pillow_would_warn_of_are_loaded_without_a_word(tmp_path):
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
    assert [int(picture[0, 0, 0]) for picture in preprocess.load_all(paths, square(8))] == list(range(40))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_load_all_of_a_few(tmp_path, count):
    paths = [save(tmp_path / f"{number}.png", noise(8, 8, 3, seed=number)) for number in range(count)]
    loaded = list(preprocess.load_all(paths, square(8)))
    assert len(loaded) == count
    for number, picture in enumerate(loaded):
        np.testing.assert_array_equal(picture, noise(8, 8, 3, seed=number))


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
def test_peak_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
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
    with pytest.raises(EdgenetError, match=r"/bad\.png: expected a whole image, found an empty file"):
        next(loading)


def test_ahead_draws_so_many_before_each_turn():
    drawn = []

    def items():
        for number in range(10):
            drawn.append(number)
            yield number

    given = []
    for number in preprocess.ahead(items(), 3):
        given.append(number)
        assert len(drawn) == min(number + 4, 10)
    assert given == list(range(10))


def test_batches():
    pictures = noise(7, 4, 4, 3)
    stacked = list(preprocess.batches(iter(pictures), 3))
    assert [batch.shape for batch in stacked] == [(3, 4, 4, 3), (3, 4, 4, 3), (1, 4, 4, 3)]
    np.testing.assert_array_equal(np.concatenate(stacked), pictures)
    assert list(preprocess.batches([], 3)) == []


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
    found = preprocess.normalize(pixels, Preprocessing(16, 16, 3, 1.0, mean, std))
    assert (found.dtype, found.shape) == (np.float32, pixels.shape)
    expected = (pixels.astype(np.float64) - np.float64(mean)) / np.float64(std)
    # Mean and difference are off by 2**-18 and 2**-17 at most, divided by 57; divisor and quotient, up to 2.7, round.
    np.testing.assert_allclose(found, expected, rtol=0, atol=(2**-18 + 2**-17) / 57 + 2 * 2.7 * 2**-24)


def test_channels_are_swapped_after_each_got_its_mean():
    pixels = noise(2, 16, 16, 3)
    found = preprocess.normalize(pixels, Preprocessing(16, 16, 3, 1.0, (123.68, 116.779, 103.939), (1.0,) * 3, "BGR"))
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


# Folders


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"whatever")


def names(folder: Path) -> list[str]:
    """What is found there, in order."""
    return [path.relative_to(folder).as_posix() for path in preprocess.find(folder).paths]


@pytest.fixture(params=["with pillow-heif", "without pillow-heif"])
def decoder(request, monkeypatch):
    """Whether HEIC can be read; where it can, both cases are tried."""
    if request.param == "without pillow-heif":
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
    else:
        pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    preprocess._can_read_heic.cache_clear()
    yield request.param == "with pillow-heif"
    preprocess._can_read_heic.cache_clear()


def test_find_sorts_goes_down_and_passes_over_what_is_hidden_or_no_image(tmp_path):
    wanted = ["a/2.png", "a/10.JPG", "b.jpeg", "b/c/d.webp", "z.bmp", "b/scan.tif", "b/scan.TIFF"]
    others = [".hidden.png", ".git/e.png", "a/.cache/f.png", "notes.txt", "README", "a/g.png.part", "h.gif"]
    touch(tmp_path, *wanted, *others)
    (tmp_path / "folder.png").mkdir()
    found = preprocess.find(tmp_path)
    assert found.paths == sorted(found.paths)
    assert {path.relative_to(tmp_path).as_posix() for path in found.paths} == set(wanted)
    assert found.note() == "passed over 3 hidden files, 4 files that are no images"


def test_there_is_nothing_to_say_where_nothing_is_passed_over(tmp_path):
    touch(tmp_path, "a.png", "b/c.jpg")
    (tmp_path / "empty").mkdir()
    assert preprocess.find(tmp_path).note() is None


def test_many_are_counted_in_words(tmp_path):
    touch(tmp_path, "a.png", *(f"{number}.txt" for number in range(1_234)))
    assert preprocess.find(tmp_path).note() == "passed over 1,234 files that are no images"


def test_find_below_a_hidden_folder(tmp_path):
    # Only what is hidden below the folder counts, not where the folder itself lies.
    path = save(tmp_path / ".private" / "images" / "a.png", noise(8, 8))
    assert preprocess.find(tmp_path / ".private" / "images").paths == [path]


def test_find_without_a_folder(tmp_path):
    with pytest.raises(EdgenetError, match=r"photos: expected a folder of images, found nothing$"):
        preprocess.find(tmp_path / "photos")
    (tmp_path / "photos").write_text("a file")
    with pytest.raises(EdgenetError, match=r"photos: expected a folder of images, found a file$"):
        preprocess.find(tmp_path / "photos")


def test_find_in_a_folder_without_images(tmp_path):
    expected = r": expected images \(\.png, .*\.tiff.*\), found none; "
    with pytest.raises(EdgenetError, match=rf"{expected}put some there$"):
        preprocess.find(tmp_path)
    touch(tmp_path, "notes.txt", ".a.png")
    text = rf"{expected}passed over 1 hidden files, 1 files that are no images$"
    with pytest.raises(EdgenetError, match=text):
        preprocess.find(tmp_path)


def test_pictures_of_phones_are_found_or_told_with_a_hint(tmp_path, decoder):
    touch(tmp_path, "a.png", "b.heic", "c.HEIF")
    found = preprocess.find(tmp_path)
    hint = "passed over 2 HEIC pictures (pip install pillow-heif to read them)"
    expected = (["a.png", "b.heic", "c.HEIF"], None) if decoder else (["a.png"], hint)
    assert ([path.name for path in found.paths], found.note()) == expected


def test_a_folder_of_nothing_but_pictures_of_phones(tmp_path, decoder):
    touch(tmp_path, "b.heic")
    if decoder:
        assert names(tmp_path) == ["b.heic"]
        return
    text = r"found none; passed over 1 HEIC pictures \(pip install pillow-heif to read them\)$"
    with pytest.raises(EdgenetError, match=text):
        preprocess.find(tmp_path)


def test_pictures_of_phones_are_read(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    pixels = np.stack([np.add.outer(np.arange(64) * 2, np.arange(64))] * 3, axis=2).astype(np.uint8)
    pixels[..., 0] //= 2
    heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / "a.heic", quality=95, chroma=444)
    (path,) = preprocess.find(tmp_path).paths
    # As for a JPEG of that quality.
    assert np.abs(preprocess.load(path, square(64)).astype(int) - pixels).max() <= 8


def test_a_link_to_a_folder_above_ends(tmp_path):
    touch(tmp_path, "a/1.png", "a/b/2.png")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to(tmp_path)
    assert names(tmp_path) == ["a/1.png", "a/b/2.png"]
    assert names(tmp_path / "a" / "b") == ["2.png", "up/1.png"]


def test_a_folder_that_is_linked_to_is_seen_once_where_it_lies(tmp_path):
    touch(tmp_path, "z/1.png", "z/deep/2.png")
    for link in ("a", "z/deeper"):
        (tmp_path / link).symlink_to(tmp_path / "z" / "deep")
    (tmp_path / "b").symlink_to("z")
    assert names(tmp_path) == ["z/1.png", "z/deep/2.png"]


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    touch(tmp_path, "here/1.png", "elsewhere/2.png", "elsewhere/more/3.png", "third/4.png", "third/.5.png")
    (tmp_path / "here" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here" / "c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "more" / "third").symlink_to(tmp_path / "third")
    (tmp_path / "third" / "back").symlink_to(tmp_path / "here")
    assert names(tmp_path / "here") == ["1.png", "b/2.png", "b/more/3.png", "b/more/third/4.png"]
    assert preprocess.find(tmp_path / "here").note() == "passed over 1 hidden files"
    # The folder itself may be a link too.
    assert names(tmp_path / "here" / "b") == names(tmp_path / "elsewhere")


def test_links_to_files_are_files_and_links_to_nothing_are_not(tmp_path):
    touch(tmp_path, "elsewhere/1.png", "here/2.png")
    (tmp_path / "here" / "3.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "here" / "4.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "here" / "5").symlink_to(tmp_path / "gone")
    assert names(tmp_path / "here") == ["2.png", "3.png"]


@pytest.mark.parametrize(
    ("mode", "asked", "named"),
    [(0, "", "closed"), (0, "closed", "closed"), (0, "closed/inside", "closed/inside"), (0o444, "", "closed")],
    ids=["below", "itself", "above", "names only"],
)
def test_a_folder_that_may_not_be_looked_into_is_named(mode, asked, named):
    # Root may look everywhere: this is nobody's process, and a place that everybody may reach.
    with tempfile.TemporaryDirectory() as place:
        closed = Path(place, "closed")
        touch(closed, "inside/a.png", "b.png")
        os.chmod(place, 0o755)
        closed.chmod(mode)
        try:
            said, _ = alone(f"""
import os
os.geteuid() or os.seteuid(65534)
try:
    preprocess.find(Path({place!r}, {asked!r}))
except EdgenetError as error:
    print(error)
""")
        finally:
            closed.chmod(0o700)
        start = f"{place}/{named}"
        assert said.startswith(start)
        assert said.endswith(": Permission denied\n")
        assert said.count("\n") == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are UTF-8 there")
def test_a_name_that_is_no_text_is_told(tmp_path):
    touch(tmp_path, os.fsdecode(b"\xff.png"))
    text = r"^PosixPath\('.*/\\udcff\.png'\): expected a file name in UTF-8, found other bytes; rename it$"
    with pytest.raises(EdgenetError, match=text):
        preprocess.find(tmp_path)
