"""Images that tests draw."""

import numpy as np
from PIL import Image


def draw(random: np.random.Generator, height: int, width: int) -> Image.Image:
    """An image of a few colour waves and some noise, with black and white in it."""
    y, x = np.mgrid[:height, :width] / height
    waves = [np.sin(random.uniform(-9, 9) * x + random.uniform(-9, 9) * y + random.uniform(0, 6)) for _ in range(3)]
    pixels = np.stack(waves, axis=-1) * random.uniform(60, 127) + 127.5 + random.normal(0, 8, (height, width, 3))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    pixels[12:16, 12:16], pixels[16:20, 12:16] = 0, 255
    return Image.fromarray(pixels)


def scene(random: np.random.Generator, height: int, width: int) -> Image.Image:
    """An image with details of all sizes, whose amplitudes fall in proportion to the size, as in photos."""
    total = np.zeros((height, width, 3))
    for cells in (2, 4, 8, 16, 32):
        noise = (random.normal(0, 1, (cells, cells, 3)) + random.normal(0, 2, (cells, cells, 1))) / cells
        layer = [
            Image.fromarray(noise[..., channel].astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
            for channel in range(3)
        ]
        total += np.stack([np.asarray(one) for one in layer], axis=-1)
    return Image.fromarray(np.clip(127.5 + 50 * total, 0, 255).astype(np.uint8))
