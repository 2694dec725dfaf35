"""The image that app code hands over, beside Pillow's, TensorFlow's and edgenet's own resizing."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from edgenet.apps import app_image
from edgenet.apps.libraries import MEDIAPIPE_TASKS, TASK_LIBRARY
from edgenet.images import preprocess
from edgenet.images.resize_options import IMAGENET, KERAS_DATASET, KERAS_GENERATOR, MEDIAPIPE, PRESETS
from edgenet.images.resize_options import TASK_LIBRARY as TASK_LIBRARY_RESIZE
from edgenet.records import Interpolation, Preprocessing, Resize, ResizeMode

# Height and width: reduced, enlarged, as they are, long and thin.
SHAPES = ((100, 70), (48, 200), (20, 20), (32, 40), (31, 500))
INTO = Preprocessing(32, 40)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_code(photo: np.ndarray, resize: Resize) -> np.ndarray:
    return app_image.app_image(photo, replace(INTO, resize=resize)).astype(int)


def by_edgenet(photo: np.ndarray, resize: Resize) -> np.ndarray:
    pixels = preprocess.resize(Image.fromarray(photo), replace(INTO, resize=resize))
    return preprocess.rounded(pixels).astype(int)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "resize",
    [
        *(preset for preset in PRESETS.values() if preset != KERAS_GENERATOR),
        *(
            Resize(mode, 0.875, (9, 100, 200), interpolation, antialias)
            for mode in ResizeMode
            for interpolation, antialias in (
                (Interpolation.BILINEAR, True),
                (Interpolation.BILINEAR, False),
                (Interpolation.BICUBIC, False),
                (Interpolation.AREA, False),
            )
        ),
    ],
    ids=repr,
)
def test_pixels_are_those_of_the_training(shape, resize):
    """In the same order of directions, both sides round twice: after each direction. A value at one half may be rounded
    otherwise each time, and by one more where Pillow 13 takes the other direction first, as it does for tall images."""
    difference = np.abs(by_code(noise(*shape), resize) - by_edgenet(noise(*shape), resize))
    assert difference.max() <= 2
    assert (difference > 1).mean() < 1e-3


def test_bicubic_as_pillow_does_it():
    """Of a reduction by the same factor in both directions, which Pillow does along the rows first in all versions."""
    photo, resize = noise(96, 120), Resize(ResizeMode.STRETCH, interpolation=Interpolation.BICUBIC)
    expected = np.asarray(Image.fromarray(photo).resize((40, 32), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(by_code(photo, resize) - expected).max() <= 1  # a value at one half


# Sizes that are no multiples: where they are, a position on the border of two pixels is rounded in each version's way.
@pytest.mark.parametrize("shape", [(101, 71), (47, 203), (19, 23)])
def test_nearest_as_pillow_does_it(shape):
    expected = np.asarray(Image.fromarray(noise(*shape)).resize((40, 32), Image.Resampling.NEAREST))
    assert (by_code(noise(*shape), KERAS_GENERATOR) == expected).all()


@pytest.mark.parametrize("resize", PRESETS.values(), ids=PRESETS)
def test_an_image_of_the_models_size_stays_as_it_is(resize):
    photo = noise(32, 40)
    whole = replace(resize, crop=1.0)
    assert (by_code(photo, whole) == photo).all()


def test_a_crop_is_the_centre():
    # The shorter side becomes 32 / 0.8 = 40 pixels, so one pixel of the input is 2 x 2 of the photo.
    part = app_image.rectangle(80, 120, replace(INTO, resize=Resize(crop=0.8)))
    assert (part.height, part.width, part.top, part.left) == (64, 80, 8, 20)
    assert (part.into_top, part.into_left, part.into_height, part.into_width) == (0, 0, 32, 40)


def test_padding_is_around_the_whole_photo():
    resize = Resize(ResizeMode.PAD, pad=(1, 2, 3))
    part = app_image.rectangle(80, 200, replace(INTO, resize=resize))
    assert (part.height, part.width, part.top, part.left) == (80, 200, 0, 0)
    assert (part.into_top, part.into_left, part.into_height, part.into_width) == (8, 0, 16, 40)
    image = by_code(np.full((80, 200, 3), 200, np.uint8), resize)
    assert (image[8:24] == 200).all()
    assert (image[:8] == (1, 2, 3)).all()
    assert (image[24:] == (1, 2, 3)).all()


@pytest.mark.parametrize(
    ("library", "resize", "needed"),
    [
        (TASK_LIBRARY, TASK_LIBRARY_RESIZE, False),
        (TASK_LIBRARY, KERAS_DATASET, False),
        (TASK_LIBRARY, MEDIAPIPE, True),
        (TASK_LIBRARY, KERAS_GENERATOR, True),
        (TASK_LIBRARY, IMAGENET, True),
        (MEDIAPIPE_TASKS, MEDIAPIPE, False),
        (MEDIAPIPE_TASKS, KERAS_DATASET, True),
        (MEDIAPIPE_TASKS, Resize(ResizeMode.PAD), True),
    ],
)
def test_code_is_needed_where_the_library_resizes_otherwise(library, resize, needed):
    assert bool(app_image.code_in_words(library, replace(INTO, resize=resize))) == needed


def test_what_the_code_does_in_words():
    recipe = Preprocessing(224, 224, resize=IMAGENET)
    text = "resize to 224 x 224: crop 0.875, bilinear, antialiased (like imagenet)"
    assert app_image.code_in_words(MEDIAPIPE_TASKS, recipe) == text


def test_photos_in_a_file(tmp_path):
    paths, shapes = [], ((50, 60), (33, 90))
    for height, width in shapes:
        paths.append(tmp_path / f"{height}.png")
        Image.fromarray(noise(height, width)).save(paths[-1])
    recipe = replace(INTO, resize=IMAGENET)
    app_image.write_all(paths, recipe, tmp_path / "photos.npy")
    expected = np.stack([app_image.app_image(noise(*shape), recipe) for shape in shapes])
    assert (np.load(tmp_path / "photos.npy") == expected).all()
