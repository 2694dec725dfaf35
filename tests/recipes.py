"""Pre-processing recipes that tests use: square RGB images in [-1, 1], the whole shorter side."""

from edgenet.images.input_range import InputRange
from edgenet.records import Preprocessing


def square(size: int) -> Preprocessing:
    return InputRange().recipe(size, size, 3)


# `preprocess.normalize` uses its range only.
RECIPE = square(32)
