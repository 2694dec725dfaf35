"""Calibration images that the quantizer does not get, and views of them: other crops, mirror images, other brightness.

A hundred photos cannot judge a drift of 1%. What a view is called does not matter, since files are compared with the
float32 file on it; it only must be an image of the kind that the model is for.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from edgenet.images import preprocess

# Of the calibration images, this fraction is held back, up to MAX_HELD_BACK.
HELD_BACK_FRACTION, MAX_HELD_BACK = 0.4, 500
# Fewer calibration images are too few to hold some back.
MIN_CALIBRATION = 20
# Views of all images that are held back together; at most MAX_VIEWS of each.
TOTAL_VIEWS, MAX_VIEWS = 1_000, 25
# The smallest side of a crop, as a fraction of the image's, and the strongest change of the brightness.
MIN_CROP, MAX_BRIGHTNESS = 0.8, 0.2


def hold_back(count: int) -> list[int]:
    """The indices of the images that are held back, of `count` calibration images: evenly spaced over all.

    Args:
        count: At least MIN_CALIBRATION.
    """
    held = min(round(HELD_BACK_FRACTION * count), MAX_HELD_BACK)
    return np.unique(((np.arange(held) + 0.5) * count / held).astype(int)).tolist()


def views_of_each(images: int) -> int:
    """How many views of each of so many images are made."""
    return max(1, min(TOTAL_VIEWS // images, MAX_VIEWS))


def make_views(images: Sequence[np.ndarray], count: int, mirrored: bool, out: np.ndarray) -> None:
    """Make views of images, always the same. The first one of each is the image itself.

    Args:
        images: uint8 or float32 (height, width, channels), 0 to 255.
        count: Views of each image.
        mirrored: Whether half of the others are mirror images.
        out: The views, (count * images, height, width, channels), in the dtype of the images: the first one of each
            image, then the second one of each, and so on.
    """
    for number, image in enumerate(images):
        random = np.random.default_rng(number)
        out[number] = image
        for view in range(1, count):
            out[view * len(images) + number] = _view(image, random, mirrored)


def mirror(images: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Images with left and right exchanged."""
    return [image[:, ::-1] for image in images]


def _view(image: np.ndarray, random: np.random.Generator, mirrored: bool) -> np.ndarray:
    height, width, channels = image.shape
    pixels = preprocess.rounded(image)
    side = random.uniform(MIN_CROP, 1.0)
    left, top = random.uniform(0, 1 - side, 2) * (width, height)
    box = (left, top, left + side * width, top + side * height)
    opened = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
    resized = np.asarray(opened.resize((width, height), Image.Resampling.BICUBIC, box)).reshape(image.shape)
    if mirrored and random.random() < 0.5:
        resized = resized[:, ::-1]
    factor = 1 + random.uniform(-MAX_BRIGHTNESS, MAX_BRIGHTNESS)
    return np.clip(np.rint(resized * factor), 0, 255).astype(image.dtype)
