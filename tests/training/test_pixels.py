"""Decoded images in a file."""

import numpy as np
import pytest
from photo_folders import class_folders

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.images.input_range import InputRange
from edgenet.progress import SILENT
from edgenet.training.pixels import PixelFile, decode_all, margin_side

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
