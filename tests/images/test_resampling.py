"""Resampling against its definition in float64, and what TensorFlow has no test for: windows, corners, extremes."""

import subprocess
import sys

import numpy as np
import pytest

from edgenet.images.resampling import resample
from edgenet.records import Interpolation

NEAREST, BILINEAR, BICUBIC, AREA = (Interpolation(name) for name in ("nearest", "bilinear", "bicubic", "area"))
# A position is float32, up to 300 pixels; a value changes by at most 255 from pixel to pixel. Bicubic interpolation
# rounds positions to 1/1024, and its kernel is at most 1.25 * 2 steeper; both directions count.
TOLERANCE = {
    BILINEAR: 2 * 255 * 300 * 2**-23,
    BICUBIC: 2 * 2.5 * 255 * (1 / 2048),
    AREA: 2 * 255 * 300 * 2**-23,
}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def keys(distance: float) -> float:
    """Keys' kernel with a = -1/2, as its paper has it (equation 15)."""
    s = abs(distance)
    if s < 1:
        return 1.5 * s**3 - 2.5 * s**2 + 1
    return -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2 if s < 2 else 0.0


def matrix(size: int, covered: int, interpolation: Interpolation, half: float = 0.5) -> np.ndarray:
    """The weights (covered, size) of each input pixel for each output pixel, by the definition, in float64."""
    weights, scale = np.zeros((covered, size)), size / covered
    for i in range(covered):
        position = (i + half) * scale - half
        for j in range(size):
            if interpolation == AREA:
                weights[i, j] = max(0.0, min((i + 1) * scale, j + 1) - max(i * scale, j))
            elif interpolation == BICUBIC:
                weights[i, j] = keys(position - j)
            else:  # beyond the edge, its pixel goes on
                weights[i, j] = max(0.0, 1 - abs(min(max(position, 0), size - 1) - j))
    return weights / weights.sum(axis=1, keepdims=True)


def expected(image: np.ndarray, covered: tuple[int, int], interpolation: Interpolation, half: float = 0.5):
    rows, columns = (matrix(n, m, interpolation, half) for n, m in zip(image.shape, covered, strict=False))
    return np.einsum("ij,kl,jlc->ikc", rows, columns, image, optimize=True)


SHAPES = [(37, 53), (16, 16), (1, 1), (1, 90), (90, 2), (200, 9)]


@pytest.mark.parametrize("interpolation", TOLERANCE)
@pytest.mark.parametrize("covered", [(24, 40), (16, 16), (60, 7), (1, 1)])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_pixel_is_the_weighted_mean_of_its_definition(shape, covered, interpolation, channels):
    image = noise(*shape, channels)
    found = resample(image, covered, (0, 0, *covered), interpolation)
    assert (found.dtype, found.shape) == (np.float32, (*covered, min(channels, 3)))
    of_definition = expected(image[..., :3], covered, interpolation)
    np.testing.assert_allclose(found, of_definition, rtol=0, atol=TOLERANCE[interpolation])


@pytest.mark.parametrize("covered", [(24, 40), (16, 16), (60, 7)])
@pytest.mark.parametrize("shape", SHAPES)
def test_without_half_pixel_centres_positions_begin_at_the_first_pixel(shape, covered):
    image = noise(*shape, 3)
    found = resample(image, covered, (0, 0, *covered), BILINEAR, half_pixel_centers=False)
    np.testing.assert_allclose(found, expected(image, covered, BILINEAR, 0.0), rtol=0, atol=TOLERANCE[BILINEAR])
    nearest = resample(image, covered, (0, 0, *covered), NEAREST, half_pixel_centers=False)
    # Where a position is an integer, float32 decides, as in TensorFlow.
    rows, columns = (np.arange(m) * n // m for n, m in zip(shape, covered, strict=True))
    clear = np.ix_(*(np.arange(m) * n % m > 0 for n, m in zip(shape, covered, strict=True)))
    np.testing.assert_array_equal(nearest[clear], image[rows][:, columns][clear])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_nearest_pixel(shape):
    image, covered = noise(*shape, 3), (24, 40)
    rows, columns = ((2 * np.arange(m) + 1) * n // (2 * m) for n, m in zip(shape, covered, strict=True))
    found = resample(image, covered, (0, 0, *covered), NEAREST)
    np.testing.assert_array_equal(found, image[rows][:, columns])


@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("window", [(3, 5, 20, 30), (0, 0, 1, 1), (29, 59, 1, 1), (10, 0, 5, 60)])
@pytest.mark.parametrize("shape", [(70, 101), (12, 9), (300, 40)])
def test_a_window_is_that_part_of_the_whole_to_the_bit(shape, window, interpolation):
    image, covered = noise(*shape, 4), (30, 60)
    top, left, height, width = window
    whole = resample(image, covered, (0, 0, *covered), interpolation)
    part = resample(image, covered, window, interpolation)
    np.testing.assert_array_equal(part, whole[top : top + height, left : left + width])


@pytest.mark.parametrize("interpolation", Interpolation)
def test_the_fourth_channel_and_the_layout_in_memory_do_not_count(interpolation):
    image, covered = noise(70, 101, 4), (130, 40)
    found = resample(image, covered, (0, 0, *covered), interpolation)
    for same in (image[..., :3], np.asfortranarray(image), np.concatenate([image[..., :3], noise(70, 101, 1)], 2)):
        np.testing.assert_array_equal(resample(same, covered, (0, 0, *covered), interpolation), found)


@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("value", [0, 1, 255])
def test_an_even_image_stays_even(interpolation, value):
    image = np.full((57, 91, 3), value, np.uint8)
    for covered in ((24, 40), (97, 224)):
        found = resample(image, covered, (0, 0, *covered), interpolation)
        # Weights are differences of positions up to 91 in float32, of which each is off by 2**-18 at most;
        # 4 positions at most make the sum, in both directions, of a scale of about 1 or more.
        np.testing.assert_allclose(found, value, rtol=2 * 4 * 2**-18)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the peak of a process")
@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("shape", [(1, 2_000_000), (2_000_000, 1)])
def test_a_long_thin_image_takes_little_memory(shape, interpolation):
    code = f"""
import numpy as np
from edgenet.benchmarking.worker import peak_bytes
from edgenet.images.resampling import resample
image = np.zeros(({shape[0]}, {shape[1]}, 4), np.uint8)
image[:] = 7
before = peak_bytes()
assert resample(image, (224, 224), (0, 0, 224, 224), {str(interpolation)!r}).min() >= 6.99
print(peak_bytes() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    # The image itself has 8 MB. Resized in the wrong direction first, it would have 224 times as much.
    assert int(done.stdout) < 80_000_000


@pytest.mark.parametrize("interpolation", Interpolation)
def test_rounding_is_to_the_nearest_integer_of_a_byte(interpolation):
    image, covered = noise(37, 53, 3), (96, 70)
    values = resample(image, covered, (0, 0, *covered), interpolation)
    found = resample(image, covered, (0, 0, *covered), interpolation, rounded=True)
    assert (values.dtype, found.dtype) == (np.float32, np.uint8)
    np.testing.assert_array_equal(found, np.clip(np.rint(values), 0, 255))
    if interpolation == BICUBIC:  # it overshoots
        assert values.min() < 0 and values.max() > 255
