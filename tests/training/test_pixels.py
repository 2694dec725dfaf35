"""Decoded images in a file."""

import numpy as np
import pytest
from photo_folders import class_folders
from PIL import Image

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.images.input_range import InputRange
from edgenet.progress import SILENT
from edgenet.training.pixels import EnlargedImages, PixelFile, decode_all, margin_side

RECIPE = InputRange().recipe(32, 32, 3)


def test_the_pixels_are_those_of_the_recipe(tmp_path):
    paths = sorted(class_folders(tmp_path / "photos", {"ant": 5}).rglob("*.png"))
    decode_all(paths, RECIPE, tmp_path / "plain", tmp_path / "larger", SILENT)
    plain = PixelFile(tmp_path / "plain", 32)
    assert len(plain) == 5
    expected = np.stack([preprocess.load(path, RECIPE) for path in paths])
    assert (plain.read([3, 0]) == expected[[3, 0]]).all()
    assert PixelFile(tmp_path / "larger", margin_side(32)).read(np.array([1])).shape == (1, 37, 37, 3)


def test_no_file_is_left_after_an_error(tmp_path):
    class_folders(tmp_path / "photos", {"ant": 2})
    broken = tmp_path / "photos" / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(EdgenetError, match=r"broken\.png"):
        decode_all([broken], RECIPE, tmp_path / "plain", tmp_path / "larger", SILENT)
    assert {path.name for path in tmp_path.iterdir()} == {"photos"}


NOISE = np.random.default_rng(1).integers(0, 256, (20, 28, 28), dtype=np.uint8)
# Smooth images, each steeper than the one before: many of their resized values are halfway between two.
RAMPS = np.stack([np.add.outer(np.arange(28), np.arange(28)) * steep for steep in range(1, 5)]).astype(np.uint8)


@pytest.mark.parametrize("size", [32, 64, 96, 224])
@pytest.mark.parametrize("images", [NOISE, RAMPS], ids=["noise", "ramps"])
def test_enlarged_images_are_those_of_a_file(tmp_path, images, size):
    found = EnlargedImages(images, size).read(range(len(images)))
    for number, image in enumerate(images):
        path = tmp_path / f"{number}.png"
        Image.fromarray(image).save(path)
        # Exactly: both end in whole pixels. An exported model then sees what it was trained with.
        np.testing.assert_array_equal(found[number], preprocess.load(path, InputRange().recipe(size, size, 3)))


def test_an_enlarged_image_does_not_depend_on_the_others_that_are_read():
    images = EnlargedImages(NOISE, 96)
    np.testing.assert_array_equal(images.read([4, 2])[1], images.read([2])[0])
