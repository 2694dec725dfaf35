"""Calibration images that are held back, and views of them."""

import numpy as np
import pytest

from edgenet.budget import views


@pytest.mark.parametrize("count", [20, 21, 99, 100, 200, 5_000])
def test_two_fifths_of_the_images_are_held_back_from_everywhere(count):
    held = views.hold_back(count)
    assert len(held) == min(round(0.4 * count), views.MAX_HELD_BACK)
    assert held == sorted(set(held)) and held[0] >= 0 and held[-1] < count
    # Images are often sorted by class: neighbours differ by the ratio of all to those held back, rounded.
    steps = np.diff(held)
    assert steps.max() - steps.min() <= 1


@pytest.mark.parametrize(("images", "each"), [(8, 25), (40, 25), (400, 2), (2_000, 1)])
def test_many_images_need_fewer_views(images, each):
    assert views.views_of_each(images) == each


def made(images: list[np.ndarray], count: int, mirrored: bool = True) -> np.ndarray:
    out = np.empty((len(images) * count, *images[0].shape), images[0].dtype)
    views.make_views(images, count, mirrored, out)
    return out


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_first_view_is_the_image_and_the_others_are_like_it(dtype, channels):
    ramp = np.linspace(50, 200, 16 * 24 * channels).reshape(16, 24, channels).astype(dtype)
    found = made([ramp, ramp + 1], 10)
    assert np.array_equal(found[0], ramp) and np.array_equal(found[1], ramp + 1)
    assert len(np.unique(found[::2].reshape(10, -1), axis=0)) == 10
    # Brightness changes by a fifth at most; a crop of a ramp keeps within it, but for the overshoot of bicubic filters.
    assert found.min() >= 50 * 0.8 - 10 and found.max() <= 201 * 1.2 + 10
    assert np.array_equal(found, made([ramp, ramp + 1], 10))


def test_mirror_images_are_made_only_where_they_are_wanted():
    """Brightness rises to the right in an image that rises, and so in all of its crops."""
    rising = np.repeat(np.linspace(20, 200, 32).astype(np.uint8)[None, :, None], 32, axis=0).repeat(3, axis=2)
    right = [[int(view[:, 16:].sum() > view[:, :16].sum()) for view in made([rising], 40, m)] for m in (True, False)]
    assert 5 < sum(right[0]) < 39 and sum(right[1]) == 40
