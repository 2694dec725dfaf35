"""Pre-processing recipes that tests use: square RGB images in [-1, 1]."""

from edgenet.images.input_range import InputRange
from edgenet.records import Preprocessing, Resize


def square(size: int, resize: Resize = Resize()) -> Preprocessing:
    return InputRange().recipe(size, size, 3, resize)


# `preprocess.normalize` uses its range only.
RECIPE = square(32)
