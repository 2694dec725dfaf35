"""The preprocessing that a model does itself, in all the ways in which people build it in."""

import keras
import numpy as np
import pytest
from keras import layers

from edgenet.images.input_range import InputRange
from edgenet.model import graph_ends, keras_model

SHAPE = (32, 32, 3)
PIXELS, UNIT = InputRange.between(0, 255), InputRange.between(0, 1)

# Deviations of ImageNet's colours, for pixels of 0 to 1.
MEAN, VARIANCE = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]) ** 2


def detected(model: keras.Model, shape: tuple[int, int, int]) -> InputRange | None:
    classifier = keras_model.from_keras(model, "own", size=shape[:2])
    return graph_ends.GraphEnds(classifier.trace(None)).input_range((1, *shape))


def functional(*front, shape=SHAPE) -> keras.Model:
    """A network behind some layers or functions."""
    image = keras.Input(shape)
    x = image
    for part in front:
        x = part(x)
    x = layers.Conv2D(4, 3, activation="relu")(x)
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def sequential(*front, shape=SHAPE) -> keras.Model:
    network = [layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(5)]
    return keras.Sequential([keras.Input(shape), *front, *network])


def nested(*front) -> keras.Sequential:
    return keras.Sequential([keras.Input(SHAPE), *front])


def normalization(scale: float, axis: int = -1) -> layers.Normalization:
    return layers.Normalization(axis, mean=scale * MEAN, variance=scale**2 * VARIANCE)


def adapted() -> layers.Normalization:
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(1).integers(0, 256, (4, *SHAPE)).astype(np.float32))
    return layer


# What layers make small numbers of, and so what the model takes.
FRONTS = {
    "to [-1, 1]": (lambda: [layers.Rescaling(1 / 127.5, offset=-1)], PIXELS),
    "to [0, 1]": (lambda: [layers.Rescaling(1 / 255)], PIXELS),
    "from [0, 1] to [-1, 1]": (lambda: [layers.Rescaling(2.0, offset=-1)], UNIT),
    "of pixels": (lambda: [normalization(255)], PIXELS),
    "of [0, 1]": (lambda: [normalization(1)], UNIT),
    "adapted to pixels": (lambda: [adapted()], PIXELS),
    "of pixels in two steps": (lambda: [layers.Rescaling(1 / 255), normalization(1)], PIXELS),
    "after augmentation": (
        lambda: [layers.RandomFlip(), layers.RandomRotation(0.1), layers.Rescaling(1 / 127.5, offset=-1)],
        PIXELS,
    ),
    "before augmentation": (lambda: [layers.Rescaling(1 / 255), layers.RandomFlip(), layers.RandomZoom(0.1)], PIXELS),
    "after resizing": (lambda: [layers.Resizing(24, 24), layers.Rescaling(1 / 127.5, offset=-1)], PIXELS),
    "nested": (lambda: [nested(layers.Rescaling(1 / 127.5, offset=-1))], PIXELS),
    "nested, of [0, 1]": (lambda: [nested(layers.Rescaling(2.0, offset=-1))], UNIT),
    "nested with augmentation": (lambda: [nested(layers.RandomFlip(), layers.Rescaling(1 / 255))], PIXELS),
    "behind nested augmentation": (
        lambda: [nested(layers.RandomFlip(), layers.RandomRotation(0.1)), layers.Rescaling(1 / 127.5, offset=-1)],
        PIXELS,
    ),
}


@pytest.mark.parametrize("make", [functional, sequential])
@pytest.mark.parametrize("name", FRONTS)
def test_a_layer_that_scales_says_what_the_model_takes(make, name):
    front, expected = FRONTS[name]
    assert detected(make(*front()), SHAPE) == expected


@pytest.mark.parametrize(
    "preprocess",
    [
        keras.applications.mobilenet.preprocess_input,  # to [-1, 1]
        keras.applications.densenet.preprocess_input,  # mean and deviation of each channel
        keras.applications.resnet.preprocess_input,  # Caffe's: BGR less a mean, which stay large
        lambda image: image / 255.0,
        lambda image: (image - 127.5) * (1 / 127.5),
    ],
    ids=["mobilenet", "densenet", "resnet", "a quotient", "a difference times a number"],
)
def test_arithmetic_on_the_input_says_so_too(preprocess):
    assert detected(functional(preprocess), SHAPE) == PIXELS
    assert detected(functional(layers.RandomFlip(), preprocess), SHAPE) == PIXELS


@pytest.mark.parametrize("make", [functional, sequential])
@pytest.mark.parametrize(
    "front",
    [
        lambda: [],
        lambda: [layers.RandomFlip()],
        lambda: [nested(layers.RandomFlip(), layers.RandomRotation(0.1))],
        lambda: [layers.Conv2D(3, 3), layers.Rescaling(1 / 255)],
    ],
    ids=["nothing", "augmentation", "nested augmentation", "scales behind a convolution"],
)
def test_a_model_that_does_not_begin_with_a_scale_says_nothing(make, front):
    assert detected(make(*front()), SHAPE) is None


@pytest.mark.slow  # seconds
def test_a_network_of_keras_applications_that_scales_by_itself():
    model = keras.applications.MobileNetV3Small((32, 32, 3), alpha=0.75, weights=None, classes=5, minimalistic=True)
    assert detected(model, SHAPE) == PIXELS


@pytest.mark.slow
@pytest.mark.parametrize("make", [functional, sequential])
def test_a_network_that_scales_by_itself_inside_another_model(make):
    # Transfer learning: a ready network, and a new head on it.
    base = keras.applications.MobileNetV3Small(
        (32, 32, 3), alpha=0.75, weights=None, include_top=False, minimalistic=True
    )
    if make is functional:
        image = keras.Input(SHAPE)
        model = keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(base(image))))
    else:
        model = keras.Sequential([keras.Input(SHAPE), base, layers.GlobalAveragePooling2D(), layers.Dense(5)])
    assert detected(model, SHAPE) == PIXELS


@pytest.mark.slow
def test_a_network_without_scale_behind_one():
    base = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, include_top=False)
    image = keras.Input(SHAPE)
    scaled = layers.Rescaling(1 / 127.5, offset=-1)(image)
    model = keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(base(scaled))))
    assert detected(model, SHAPE) == PIXELS


def test_layers_that_were_used_elsewhere_since():
    # The same layers in a second model, as for showing what augmentation does.
    image = keras.Input(SHAPE)
    scale = layers.Rescaling(1 / 127.5, offset=-1)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(scale(image)))
    model = keras.Model(image, layers.Dense(5)(x))
    other = keras.Input(SHAPE)
    keras.Model(other, scale(other))
    assert detected(model, SHAPE) == PIXELS


@pytest.mark.parametrize("shape", [(32, 32, 1), (32, 48, 3)], ids=str)
def test_grey_and_oblong_inputs(shape):
    assert detected(functional(layers.Rescaling(1 / 255), shape=shape), shape) == PIXELS


def test_a_free_size_is_tried_with_the_one_that_is_said():
    model = functional(layers.Rescaling(2.0, offset=-1), shape=(None, None, 3))
    assert detected(model, SHAPE) == UNIT


def test_a_scale_is_found_in_files_too(tmp_path):
    for name, make in (("functional", functional), ("sequential", sequential)):
        for ending in ("keras", "h5"):
            path = tmp_path / f"{name}.{ending}"
            make(nested(layers.RandomFlip(), layers.Rescaling(1 / 127.5, offset=-1))).save(path)
            assert keras_model.load(path).recipe.range == (0, 255)
