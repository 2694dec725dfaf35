"""Random changes to a training image, as a camera would make them: what the model must not care about."""

import math

import numpy as np
from PIL import Image

# The sides of the part that is kept, as a fraction of the image's, and how far it may be from a square.
MIN_SIDE, MAX_STRETCH = 0.7, 1.15
# Brightness, contrast and saturation are multiplied by up to 1 + this, or as little.
JITTER = 0.25
# Random erasing (Zhong et al., arXiv:1708.04896): how often, and the largest side as a fraction of the image's.
ERASED, MAX_ERASED_SIDE = 0.25, 0.4
# Luma of red, green and blue (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def augment(image: np.ndarray, size: int, random: np.random.Generator, mirror: bool) -> np.ndarray:
    """Cut out a part, mirror it, and change its colours; sometimes erase a rectangle.

    Args:
        image: uint8 (height, width, 3).
        size: Height and width of the result in pixels.
        random: The source of all random numbers.
        mirror: Whether half of the images are mirrored.

    Returns:
        uint8 (size, size, 3).
    """
    height, width = image.shape[:2]
    side = random.uniform(MIN_SIDE, 1.0)
    stretch = math.exp(random.uniform(-1, 1) * math.log(MAX_STRETCH) / 2)
    part_height, part_width = min(1.0, side * stretch) * height, min(1.0, side / stretch) * width
    top, left = random.uniform(0, height - part_height), random.uniform(0, width - part_width)
    box = (left, top, left + part_width, top + part_height)
    pixels = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box))
    if random.random() < 0.5 and mirror:
        pixels = pixels[:, ::-1]
    changed = _jittered(pixels, random)
    if random.random() < ERASED:
        _erase(changed, random)
    return changed


def _jittered(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    brightness, contrast, saturation = np.exp(random.uniform(-1, 1, 3) * math.log(1 + JITTER))
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
