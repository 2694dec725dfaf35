"""Recipes that tests use: square RGB pictures in [-1, 1], the whole shorter side of them."""

from edgenet.images.input_range import InputRange
from edgenet.records import Preprocessing


def square(size: int) -> Preprocessing:
    return InputRange().recipe(size, size, 3)


# Its range is all that `images.normalize` looks at.
RECIPE = square(32)
