"""Random changes of images."""

import numpy as np
import pytest

from edgenet.training.augmentation import augment


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
