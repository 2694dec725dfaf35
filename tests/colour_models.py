"""Keras models made by hand, which know images by their mean colour and only in one input range, and such images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from edgenet.images import preprocess
from edgenet.images.input_range import InputRange

SIDE = 16
NAMES = ["brick", "fog", "sea", "snow"]
# The mean colours of the classes, RGB. With red and blue swapped, brick is nearest to sea and sea to brick. In a range
# of other contrast, fog is taken for snow or for brick, the darkest one.
COLOURS = np.array([[150, 60, 40], [150, 150, 150], [50, 80, 190], [230, 230, 235]])


def labelled(count: int, seed: int = 1) -> tuple[list[np.ndarray], list[int]]:
    """Images, uint8 (SIDE, SIDE, 3), of noise around their class' colour, and their classes, each equally often."""
    random = np.random.default_rng(seed)
    classes = [number % len(COLOURS) for number in range(count)]
    means = COLOURS[classes] + random.normal(0, 12, (count, 3))
    noise = random.normal(0, 25, (count, SIDE, SIDE, 3))
    return list(np.clip(means[:, None, None] + noise, 0, 255).astype(np.uint8)), classes


def save(images: Sequence[np.ndarray], classes: Sequence[int], folder: Path, *, folders: bool = True) -> Path:
    """Write images, each into the folder of its class unless `folders` is False."""
    for number, (pixels, label) in enumerate(zip(images, classes, strict=True)):
        path = folder / (NAMES[label] if folders else "") / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def nearest_colour(expected: InputRange, *, sharpness: float = 0.01, backbone: InputRange | None = None):
    """A model that gives the class whose colour is nearest to the mean of the image.

    Args:
        expected: The input range in which it does so.
        sharpness: Of the softmax: the logits are the squared distances in pixel values times this.
        backbone: If given, the model begins with a convolution and a batch normalization with the statistics of images
            in this input range, like a backbone that was trained with it.
    """
    import keras
    from keras import layers

    recipe = expected.recipe(SIDE, SIDE, 3)
    image = x = keras.Input((SIDE, SIDE, 3))
    colours = preprocess.normalize(COLOURS, recipe).astype(np.float64)
    # How much one pixel value is, in each channel of the input.
    unit = 1 / np.array(recipe.std)
    unit = unit[::-1] if expected.order == "BGR" else unit
    if backbone:
        x = layers.Conv2D(3, 1, use_bias=False, name="conv")(x)
        x = layers.BatchNormalization(scale=False, center=False, epsilon=1e-7, name="norm")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(len(COLOURS), activation="softmax", name="head")(x))
    if backbone:
        pixels = preprocess.normalize(np.stack(labelled(200, seed=9)[0]), backbone.recipe(SIDE, SIDE, 3))
        mean, variance = pixels.mean(axis=(0, 1, 2)), pixels.var(axis=(0, 1, 2))
        model.get_layer("conv").set_weights([np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)])
        model.get_layer("norm").set_weights([mean, variance])
        colours, unit = (colours - mean) / np.sqrt(variance), unit / np.sqrt(variance)
    # -|x - c|^2 without |x|^2, which is the same for all classes.
    scale = sharpness / unit**2
    model.get_layer("head").set_weights([2 * (scale * colours).T, -(scale * colours**2).sum(axis=1)])
    return model
