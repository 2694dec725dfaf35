"""The images that are kept, in what order, and what they look like."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from edgenet.benchmarking.gallery import MAX_IMAGES, MAX_PIXELS, Gallery

GREY = np.full((8, 8, 3), 128, np.uint8)


def decoded(data: str) -> Image.Image:
    opened = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert opened.format == "JPEG"
    return opened


def gradient(height: int, width: int, channels: int) -> np.ndarray:
    """Brighter from left to right; the second channel from top to bottom, the third the other way round."""
    y, x = np.mgrid[:height, :width]
    ramps = [255 * x / (width - 1), 255 * y / (height - 1), 255 - 255 * x / (width - 1)]
    return np.stack(ramps[:channels], axis=-1).astype(np.uint8)


def test_the_highest_scores_come_first():
    gallery = Gallery()
    for file, score in (("a", 0.5), ("b", 0.9), ("c", 0.7)):
        gallery.add(file, GREY, score)
    assert list(gallery.thumbnails()) == ["b", "c", "a"]


def test_without_images_there_are_none():
    assert Gallery().thumbnails() == {}


def test_each_is_kept_once_however_many_variants_flip_it():
    gallery = Gallery()
    for file in ("a", "b", "a", "b", "a"):
        gallery.add(file, GREY, 0.5)
    assert sorted(gallery.thumbnails()) == ["a", "b"]


@pytest.mark.parametrize("seed", range(3))
def test_only_the_highest_scores_are_kept_in_whatever_order_they_come(seed):
    score = {f"{number}.png": number / 1_000 for number in range(5 * MAX_IMAGES)}
    order = np.random.default_rng(seed).permutation(list(score)).tolist()
    gallery = Gallery()
    for file in [*order, *order[::-1]]:  # and again, as another variant does
        gallery.add(file, GREY, score[file])
    assert list(gallery.thumbnails()) == sorted(score, key=score.get, reverse=True)[:MAX_IMAGES]


def test_as_many_as_there_is_room_for_are_all_kept():
    gallery = Gallery()
    for number in range(MAX_IMAGES):
        gallery.add(str(number), GREY, 0.5)
    assert len(gallery.thumbnails()) == MAX_IMAGES == 48


def test_which_of_equal_scores_are_kept_does_not_depend_on_their_order():
    kept = []
    for step in (1, -1):
        gallery = Gallery()
        for number in range(2 * MAX_IMAGES)[::step]:
            gallery.add(f"{number:03}.png", GREY, 0.5)
        kept.append(gallery.thumbnails())
    assert kept[0] == kept[1]
    assert list(kept[0]) == list(kept[1])


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("sides", [(64, 64), (40, 90), (90, 40)], ids=["square", "wide", "tall"])
def test_a_small_image_looks_as_it_did(channels, sides):
    pixels = gradient(*sides, channels)
    gallery = Gallery()
    gallery.add("a", pixels, 0.5)
    found = decoded(gallery.thumbnails()["a"])
    assert (found.size, found.mode) == (sides[::-1], "RGB" if channels == 3 else "L")
    # JPEG at quality 80 rounds the brightness of a block of 8 x 8 to steps of 6 and of its slopes to 5, and colours,
    # of 2 x 2 pixels at a time, to 7: a few of each add up to less than 20 of 255, and to 4 on average.
    error = np.abs(np.asarray(found, float).reshape(pixels.shape) - pixels)
    assert error.max() < 20
    assert error.mean() < 4


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ((224, 224), (MAX_PIXELS, MAX_PIXELS)),
        ((200, 400), (MAX_PIXELS // 2, MAX_PIXELS)),
        ((400, 200), (MAX_PIXELS, MAX_PIXELS // 2)),
    ],
)
def test_a_large_image_is_made_small_and_keeps_its_shape(channels, sides, expected):
    gallery = Gallery()
    gallery.add("a", gradient(*sides, channels), 0.5)
    found = decoded(gallery.thumbnails()["a"])
    assert found.size == expected[::-1]
    # What was brighter to the right still is, by the same: 255 over the width, less half a pixel at each end; with the
    # rounding of a JPEG, as above.
    brightness = np.asarray(found, float).reshape(*expected, channels)[..., 0].mean(axis=0)
    assert brightness[-1] - brightness[0] == pytest.approx(255 * (1 - 1 / len(brightness)), abs=20)


def test_a_thumbnail_is_of_a_few_kilobytes():
    gallery = Gallery()
    gallery.add("a", np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8), 0.5)
    # Noise, the worst: up to 8 bits for each of 96 x 96 brightnesses and as many again for colours, in base64.
    assert len(gallery.thumbnails()["a"]) < 2 * 96 * 96 * 4 / 3
