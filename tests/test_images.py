"""Image files to pixels: what every model sees."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenet import images
from edgenet.errors import EdgenetError


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def triangle(inputs: int, start: float, end: float, outputs: int) -> np.ndarray:
    """Weights (outputs, inputs) of antialiased bilinear resizing of the stretch from `start` to `end`."""
    scale = (end - start) / outputs
    width = max(scale, 1.0)
    centres = start + (np.arange(outputs) + 0.5) * scale
    distance = np.abs(np.arange(inputs) + 0.5 - centres[:, None]) / width
    weights = np.clip(1 - distance, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


# Pictures to pixels


@pytest.mark.parametrize("size", [16, 28, 32, 96])
def test_a_square_picture_is_resized_as_pillow_does(tmp_path, size):
    path = save(tmp_path / "a.png", noise(28, 28, 3))
    with Image.open(path) as image:
        expected = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    loaded = images.load(path, size)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, expected)


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize(("height", "width"), [(100, 160), (161, 100), (96, 97), (50, 50)])
def test_the_central_square_is_resized_with_a_triangle_filter(tmp_path, height, width, size):
    pixels = noise(height, width, 3)
    side = min(height, width)
    down, right = (height - side) / 2, (width - side) / 2
    expected = np.einsum(
        "ij,kl,jlc->ikc",
        triangle(height, down, down + side, size),
        triangle(width, right, right + side, size),
        pixels,
        optimize=True,
    )
    # Pillow rounds to whole levels after each axis: half a level twice, and its weights have 22 bits.
    np.testing.assert_allclose(images.load(save(tmp_path / "a.png", pixels), size), expected, rtol=0, atol=1.01)


@pytest.mark.parametrize("wide", [True, False])
def test_what_is_outside_the_central_square_is_not_seen(tmp_path, wide):
    inside = noise(40, 100, 3) if wide else noise(100, 40, 3)
    outside = inside.copy()
    # The square is 30...70; resized 40 to 32, the filter reaches two pixels over its edge.
    for part in (slice(0, 28), slice(72, 100)):
        outside[(slice(None), part) if wide else part] = 255
    loaded = [
        images.load(save(tmp_path / f"{name}.png", pixels), 32) for name, pixels in (("in", inside), ("out", outside))
    ]
    np.testing.assert_array_equal(*loaded)


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
    np.testing.assert_array_equal(images.load(path, 64), ORIENTATIONS[orientation](decoded))


@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "PNG"])
def test_lossless_formats_give_the_pixels_themselves(tmp_path, ending):
    pixels = noise(32, 32, 3)
    np.testing.assert_array_equal(images.load(save(tmp_path / f"a.{ending}", pixels, lossless=True), 32), pixels)


def test_a_jpeg_is_nearly_the_picture(tmp_path):
    pixels = np.stack([np.add.outer(np.arange(64) * 2, np.arange(64))] * 3, axis=2).astype(np.uint8)
    pixels[..., 0] //= 2
    loaded = images.load(save(tmp_path / "a.jpg", pixels, quality=95, subsampling=0), 64)
    # At quality 95 a smooth picture keeps its levels within a few; swapped channels would be off by up to 95.
    assert np.abs(loaded.astype(int) - pixels).max() <= 8


def test_grey_becomes_three_equal_channels(tmp_path):
    pixels = noise(32, 32)
    loaded = images.load(save(tmp_path / "a.png", pixels), 32)
    np.testing.assert_array_equal(loaded, pixels[..., None].repeat(3, axis=2))


def test_sixteen_bit_grey_keeps_its_levels(tmp_path):
    levels = noise(32, 32)
    # 257 times a level of 8 bits is the same grey in 16.
    loaded = images.load(save(tmp_path / "a.png", levels.astype(np.uint16) * 257), 32)
    np.testing.assert_array_equal(loaded, levels[..., None].repeat(3, axis=2))


def test_one_bit_becomes_black_and_white(tmp_path):
    bits = noise(32, 32) > 127
    loaded = images.load(save(tmp_path / "a.png", bits), 32)
    np.testing.assert_array_equal(loaded, np.where(bits, 255, 0)[..., None].repeat(3, axis=2))


def test_a_palette_is_looked_up_before_resizing(tmp_path):
    path = tmp_path / "a.png"
    colours = np.array([[200, 10, 30], [0, 90, 255], [7, 7, 7]], np.uint8)
    indices = noise(28, 28) % 3
    image = Image.fromarray(indices, "P")
    image.putpalette(colours.tobytes())
    image.save(path)
    expected = images.load(save(tmp_path / "rgb.png", colours[indices]), 32)
    np.testing.assert_array_equal(images.load(path, 32), expected)


def test_an_opaque_alpha_channel_changes_nothing(tmp_path):
    pixels = noise(28, 28, 4)
    pixels[..., 3] = 255
    expected = images.load(save(tmp_path / "rgb.png", pixels[..., :3]), 32)
    np.testing.assert_array_equal(images.load(save(tmp_path / "a.png", pixels), 32), expected)


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
        images.load(path, 32)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(EdgenetError, match=r"gone\.png: expected a whole image, found none \(.+\)"):
        images.load(tmp_path / "gone.png", 32)


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "bomb.png", np.zeros((64, 64), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)  # Pillow refuses what has more than twice as many
    with pytest.raises(EdgenetError, match=r"bomb\.png: expected a whole image, found none \(.+\)"):
        images.load(path, 32)


# Many of them


def test_load_all_keeps_the_order(tmp_path):
    # Sizes fall from large to small: with several threads the last ones are done first.
    paths = [
        save(tmp_path / f"{number}.png", np.full((side, side, 3), number, np.uint8))
        for number, side in enumerate(range(400, 0, -10))
    ]
    assert [int(picture[0, 0, 0]) for picture in images.load_all(paths, 8)] == list(range(40))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_load_all_of_a_few(tmp_path, count):
    paths = [save(tmp_path / f"{number}.png", noise(8, 8, 3, seed=number)) for number in range(count)]
    loaded = list(images.load_all(paths, 8))
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

    for taken, _ in enumerate(images.load_all(paths(), 8)):
        most = max(most, drawn - taken)
    assert drawn == 300
    # A handful for each of two cores, and not most of 300.
    assert most <= 20


def test_load_all_stops_at_the_first_bad_file(tmp_path):
    good = save(tmp_path / "good.png", noise(8, 8, 3))
    for name in ("bad.png", "worse.png"):
        (tmp_path / name).write_bytes(b"")
    loading = images.load_all([good, good, tmp_path / "bad.png", good, tmp_path / "worse.png"], 8)
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
    for number in images.ahead(items(), 3):
        given.append(number)
        assert len(drawn) == min(number + 4, 10)
    assert given == list(range(10))


def test_batches():
    pictures = noise(7, 4, 4, 3)
    stacked = list(images.batches(iter(pictures), 3))
    assert [batch.shape for batch in stacked] == [(3, 4, 4, 3), (3, 4, 4, 3), (1, 4, 4, 3)]
    np.testing.assert_array_equal(np.concatenate(stacked), pictures)
    assert list(images.batches([], 3)) == []


# Numbers


def test_normalize():
    levels = np.arange(256, dtype=np.uint8)
    found = images.normalize(levels)
    assert found.dtype == np.float32
    assert (found[0], found[255]) == (-1, 1)
    # The quotient, of at most 2, and the difference each round by at most 2**-24 of a value of at most 2.
    np.testing.assert_allclose(found, np.arange(256) / 127.5 - 1, rtol=0, atol=2 * 2**-23)
    assert images.normalize(noise(2, 3, 4, 3)).shape == (2, 3, 4, 3)


def test_digest_is_of_the_pixels_not_of_the_file(tmp_path):
    pixels = noise(16, 16, 3)
    png, bmp = save(tmp_path / "a.png", pixels), save(tmp_path / "sub" / "b.bmp", pixels)
    assert images.digest(images.load(png, 16)) == images.digest(images.load(bmp, 16))
    assert images.digest(np.asfortranarray(pixels)) == images.digest(pixels)
    pixels[15, 15, 2] ^= 1
    assert images.digest(images.load(png, 16)) != images.digest(pixels)


# Folders and labels


def test_find_sorts_goes_down_and_passes_over_what_is_hidden_or_no_image(tmp_path):
    wanted = ["a/2.png", "a/10.JPG", "b.jpeg", "b/c/d.webp", "z.bmp"]
    others = [".hidden.png", ".git/e.png", "a/.cache/f.png", "notes.txt", "README", "a/g.png.part", "h.gif"]
    for name in wanted + others:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"whatever")
    (tmp_path / "folder.png").mkdir()
    found = images.find(tmp_path)
    assert found == sorted(found)
    assert {path.relative_to(tmp_path).as_posix() for path in found} == set(wanted)


def test_find_below_a_hidden_folder(tmp_path):
    # Only what is hidden below the folder counts, not where the folder itself lies.
    path = save(tmp_path / ".private" / "images" / "a.png", noise(8, 8))
    assert images.find(tmp_path / ".private" / "images") == [path]


def test_find_without_a_folder(tmp_path):
    with pytest.raises(EdgenetError, match=r"photos: expected a folder of images, found nothing$"):
        images.find(tmp_path / "photos")
    (tmp_path / "photos").write_text("a file")
    with pytest.raises(EdgenetError, match=r"photos: expected a folder of images, found a file$"):
        images.find(tmp_path / "photos")


def test_find_in_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(EdgenetError, match=r": expected images \(\.png, .*\), found none; put some there$"):
        images.find(tmp_path)


LABELS = ["ant", "sea urchin", "T-shirt"]


def test_labels_by_folder():
    paths = [Path("x/ant/1.png"), Path("x/sea_urchin/1.png"), Path("x/sea urchin/2.png"), Path("ant/T-shirt/1.png")]
    assert images.labels_by_folder(paths, LABELS) == [0, 1, 1, 2]
    assert images.labels_by_folder(iter(paths), LABELS) == [0, 1, 1, 2]


def test_labels_by_folder_where_no_folder_is_a_class():
    assert images.labels_by_folder([Path("x/1.png"), Path("y/2.png")], LABELS) == [None, None]
    assert images.labels_by_folder([], LABELS) == []


def test_labels_by_folder_where_only_some_are():
    text = (
        r"^x/Ant/2\.png: expected a folder named after a class, as other images have, found 'Ant'; "
        r"rename it, or keep all images in one folder to measure drift alone$"
    )
    with pytest.raises(EdgenetError, match=text):
        images.labels_by_folder([Path("x/ant/1.png"), Path("x/Ant/2.png"), Path("x/bee/3.png")], LABELS)


def test_transparent_pixels_are_white(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4] = (255, 0, 0, 255)
    pixels[4:] = (255, 0, 0, 0)  # red that nobody sees
    Image.fromarray(pixels).save(tmp_path / "half.png")
    loaded = images.load(tmp_path / "half.png", 8)
    assert (loaded[:4] == (255, 0, 0)).all()
    assert (loaded[4:] == 255).all()


@pytest.mark.filterwarnings("ignore")
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
        assert images.load(tmp_path / "damaged.jpg", 8).shape == (8, 8, 3)


def test_labels_by_folder_of_two_classes():
    labels = ["crane", "sea urchin", "crane"]
    assert images.labels_by_folder([Path("x/sea urchin/1.png")], labels) == [1]
    with pytest.raises(EdgenetError, match=r"^x/crane: expected the name of one class, found that of several; rename"):
        images.labels_by_folder([Path("x/crane/1.png")], labels)


@pytest.mark.parametrize(
    "text", ["ant\nsea urchin\nT-shirt\n", "ant\r\nsea urchin \r\n T-shirt\r\n\r\n", "ant\nsea urchin\nT-shirt"]
)
def test_read_labels(tmp_path, text):
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    assert images.read_labels(path) == LABELS


def test_read_labels_with_other_letters(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes("Käfer\n蟻\n".encode())
    assert images.read_labels(path) == ["Käfer", "蟻"]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "none$"),
        (b"\n \n", "none$"),
        (b"ant\n\nbee\n", "an empty one$"),
        (b"ant\n\xff\xfe\n", ".*can't decode"),
    ],
)
def test_read_labels_that_are_none(tmp_path, data, found):
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(EdgenetError, match=rf"labels\.txt: expected a .*class name on each line.*, found {found}"):
        images.read_labels(path)


def test_read_labels_of_no_file(tmp_path):
    with pytest.raises(EdgenetError, match=r"labels\.txt: expected a text file with a class name on each line, found "):
        images.read_labels(tmp_path / "labels.txt")
