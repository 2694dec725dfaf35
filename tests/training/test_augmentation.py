"""Random changes of images."""

from dataclasses import replace

import numpy as np
import pytest

from edgenet.training.augmentation import PRODUCTS, Augmentation, augment


@pytest.fixture
def image():
    random = np.random.default_rng(0)
    return np.repeat(np.repeat(random.integers(0, 256, (8, 8, 3), np.uint8), 8, axis=0), 8, axis=1)


def test_the_same_numbers_give_the_same_image(image):
    one, again, other = (augment(image, 32, np.random.default_rng(seed), True) for seed in (1, 1, 2))
    assert one.shape == (32, 32, 3)
    assert one.dtype == np.uint8
    assert (one == again).all()
    assert (one != other).any()


@pytest.mark.parametrize(("mirror", "expected"), [(True, {True, False}), (False, {False})])
def test_mirrors_only_where_that_is_allowed(mirror, expected):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 255  # light on the right
    found = [augment(image, 32, np.random.default_rng(seed), mirror) for seed in range(40)]
    assert {bool(one[:, :8].mean() > one[:, -8:].mean()) for one in found} == expected


def test_colours_stay_near(image):
    changed = [augment(image, 32, np.random.default_rng(seed), True).mean() for seed in range(100)]
    # A quarter brighter or darker, other parts, and some patches.
    assert 0.6 * image.mean() < min(changed)
    assert max(changed) < 1.5 * image.mean()
    assert np.mean(changed) == pytest.approx(image.mean(), rel=0.1)


def test_how_much_is_changed_can_be_chosen(image):
    nothing = Augmentation(min_side=1.0, max_stretch=1.0, jitter=0.0, erased=0.0)
    same = [augment(image, 64, np.random.default_rng(seed), False, nothing) for seed in range(5)]
    assert all((one == image).all() for one in same)
    erased = [
        augment(image, 64, np.random.default_rng(seed), False, replace(nothing, erased=0.5)) for seed in range(400)
    ]
    changed = [np.count_nonzero((one != image).any(axis=-1)) for one in erased]
    # Half of 400, with a deviation of 10; a side is at most 0.4 of the image's.
    assert 150 < np.count_nonzero(changed) < 250
    assert max(changed) <= round(0.4 * 64) ** 2


def test_products_stay_where_they_are():
    image = np.zeros((64, 64, 3), np.uint8)
    image[16:48, 16:48] = 200
    for seed in range(100):
        changed = augment(image, 64, np.random.default_rng(seed), True, replace(PRODUCTS, erased=0.0))
        # Nothing of it is cut off: 0.15 of 64 pixels are 10, and 16 are around it. Contrast may lighten black.
        assert max(changed[:2].max(), changed[-2:].max(), changed[:, :2].max(), changed[:, -2:].max()) < 30
