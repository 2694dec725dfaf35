"""Random changes to a training image, as a camera would make them: what the model must not care about."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

# The largest side of an erased rectangle, as a fraction of the image's.
MAX_ERASED_SIDE = 0.4
# Luma of red, green and blue (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Augmentation:
    """How much images are changed.

    Attributes:
        min_side: The smallest sides of the part that is kept, as a fraction of the image's.
        max_stretch: How far that part may be from a square.
        jitter: Brightness, contrast and saturation are multiplied by up to 1 + this, or as little.
        erased: How often a rectangle is erased (random erasing: Zhong et al., arXiv:1708.04896).
    """

    min_side: float = 0.7
    max_stretch: float = 1.15
    jitter: float = 0.25
    erased: float = 0.25


PHOTOS = Augmentation()
# Things that all have the same size, in the middle, and are lit alike.
PRODUCTS = Augmentation(min_side=0.85, max_stretch=1.0, jitter=0.1, erased=0.5)


def augment(
    image: np.ndarray, size: int, random: np.random.Generator, mirror: bool, how: Augmentation = PHOTOS
) -> np.ndarray:
    """Cut out a part, mirror it, and change its colours; sometimes erase a rectangle.

    Args:
        image: uint8 (height, width, 3).
        size: Height and width of the result in pixels.
        random: The source of all random numbers.
        mirror: Whether half of the images are mirrored.
        how: How much it is changed.

    Returns:
        uint8 (size, size, 3).
    """
    height, width = image.shape[:2]
    side = random.uniform(how.min_side, 1.0)
    stretch = math.exp(random.uniform(-1, 1) * math.log(how.max_stretch) / 2)
    part_height, part_width = min(1.0, side * stretch) * height, min(1.0, side / stretch) * width
    top, left = random.uniform(0, height - part_height), random.uniform(0, width - part_width)
    box = (left, top, left + part_width, top + part_height)
    pixels = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box))
    if random.random() < 0.5 and mirror:
        pixels = pixels[:, ::-1]
    changed = _jittered(pixels, random, how.jitter)
    if random.random() < how.erased:
        _erase(changed, random)
    return changed


def _jittered(pixels: np.ndarray, random: np.random.Generator, jitter: float) -> np.ndarray:
    brightness, contrast, saturation = np.exp(random.uniform(-1, 1, 3) * math.log(1 + jitter))
    values = pixels.astype(np.float32)
    grey = (values @ LUMA)[..., None]
    mean = float(grey.mean())
    # In one step: saturation moves each pixel along its own grey, contrast all of them along the mean.
    values = ((grey + saturation * (values - grey) - mean) * contrast + mean) * brightness
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _erase(pixels: np.ndarray, random: np.random.Generator) -> None:
    size = pixels.shape[0]
    height, width = (max(1, round(side * size)) for side in random.uniform(0.1, MAX_ERASED_SIDE, 2))
    top, left = random.integers(0, size - height + 1), random.integers(0, size - width + 1)
    pixels[top : top + height, left : left + width] = random.integers(0, 256, 3)
