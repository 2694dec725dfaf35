"""What black and white become, as people say it."""

import re

import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.images.input_range import COMMON, InputRange, common_recipes, describe
from edgenet.images.resize_options import KERAS_DATASET
from edgenet.records import Preprocessing, Resize


def values(recipe: Preprocessing) -> np.ndarray:
    """What black and white become: float64 (2, channels), in the order of the input."""
    pixels = np.broadcast_to(np.uint8([0, 255])[:, None], (2, recipe.channels))
    return preprocess.normalize(pixels, recipe).astype(np.float64)


def parsed(options: str) -> InputRange:
    """What options mean, as the command line takes them."""
    found = re.fullmatch(r"(\S+)(?: (BGR))?", options)
    return InputRange.parse(found[1], *filter(None, [found[2]]))


# float32 holds 24 bits: the mean, the difference, the deviation and the quotient each round once.
ROUNDED = 4 * 2.0**-24


# Two numbers


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("-1,1", -1, 1),
        ("0,1", 0, 1),
        ("0,255", 0, 255),
        ("-0.5,0.5", -0.5, 0.5),
        (" -128 , 127 ", -128, 127),
        ("-1e6,1e6", -1e6, 1e6),
        ("-2.1,-0.3", -2.1, -0.3),
        ("3,4", 3, 4),
    ],
)
def test_two_numbers_are_black_and_white(text, low, high):
    found = InputRange.parse(text)
    assert (len(found.mean), len(found.std), found.order) == (1, 1, "RGB")
    assert found == InputRange.between(low, high)
    recipe = found.recipe(8, 8, 3)
    # The error is a share of the largest of the numbers that a difference is made of.
    tolerance = ROUNDED * 2 * max(abs(low), abs(high))
    np.testing.assert_allclose(values(recipe), [[low] * 3, [high] * 3], rtol=0, atol=tolerance)
    assert recipe.range == pytest.approx((low, high), rel=1e-12)


def test_black_and_white_become_what_was_said():
    random = np.random.default_rng(0)
    for _ in range(500):
        # Ranges that a model may have: as wide as they are far from zero, or nearly.
        low, high = np.sort(random.normal(0, 1, 2) * 10 ** random.uniform(-3, 3)).tolist()
        if high - low < 0.1 * max(abs(low), abs(high)):
            continue
        recipe = InputRange.parse(f"{low},{high}").recipe(4, 4, 1)
        # Mean, difference and quotient each are up to eleven times 255, or the range, and round by a share of that.
        np.testing.assert_allclose(values(recipe)[:, 0], [low, high], rtol=0, atol=20 * ROUNDED * (high - low))
        assert recipe.range == pytest.approx((low, high), rel=1e-12, abs=1e-12 * (high - low))


def test_without_a_word_pixels_become_minus_one_to_one():
    assert InputRange() == InputRange.between(-1, 1)
    np.testing.assert_array_equal(values(InputRange().recipe(8, 8, 3)), [[-1] * 3, [1] * 3])


# Six numbers


def test_six_numbers_are_means_and_deviations_of_pixels():
    found = InputRange.parse("123.68,116.779,103.939,58.4,57.1,57.4")
    assert found == InputRange((123.68, 116.779, 103.939), (58.4, 57.1, 57.4))
    expected = [(level - np.float64(found.mean)) / np.float64(found.std) for level in (0, 255)]
    # Values of up to 2.7.
    np.testing.assert_allclose(values(found.recipe(8, 8, 3)), expected, rtol=0, atol=2.7 * ROUNDED)


def test_six_small_numbers_are_of_pixels_from_0_to_1():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    found = InputRange.parse("0.485,0.456,0.406,0.229,0.224,0.225")
    assert found.mean == pytest.approx([255 * value for value in mean], rel=1e-15)
    assert found.std == pytest.approx([255 * value for value in std], rel=1e-15)
    expected = [(level - np.float64(mean)) / np.float64(std) for level in (0, 1)]
    np.testing.assert_allclose(values(found.recipe(8, 8, 3)), expected, rtol=0, atol=2.7 * ROUNDED)


def test_one_large_number_says_that_all_are_of_pixels():
    assert InputRange.parse("0,0,0,1,1,2") == InputRange((0, 0, 0), (1, 1, 2))
    assert InputRange.parse("0,0,-1.5,1,1,1") == InputRange((0, 0, -1.5), (1, 1, 1))
    assert InputRange.parse("0.5,0.5,0.5,1,1,1") == InputRange((127.5,) * 3, (255,) * 3)


# The order of the channels


def test_channels_may_be_blue_green_and_red():
    assert InputRange.parse("0,1", "BGR").order == "BGR"
    found = InputRange.parse("123.68,116.779,103.939,1,1,1", "BGR")
    # Means are said in RGB; what the model gets begins with blue.
    assert found.mean == (123.68, 116.779, 103.939)
    expected = np.float64([[0, 0, 0], [255, 255, 255]]) - (103.939, 116.779, 123.68)
    np.testing.assert_allclose(values(found.recipe(8, 8, 3)), expected, rtol=0, atol=255 * ROUNDED)


@pytest.mark.parametrize("order", ["rgb", "GBR", "", "RGBA"])
def test_another_order_of_channels_is_refused(order):
    with pytest.raises(EdgenetError, match=rf"^channel_order: must be RGB or BGR, got '{order}'$"):
        InputRange.parse("0,1", order)


# What is neither


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1",
        "1,2,3",
        "1,2,3,4,5",
        "1,2,3,4,5,6,7",
        "1,1",
        "1,-1",
        "low,high",
        "0;1",
        "0 1",
        "0,1,",
        "nan,1",
        "0,nan",
        "-inf,inf",
        "0,1e7",
        "-1e7,0",
        "1,2,3,1,1,0",
        "1,2,3,1,1,-1",
        "1,2,nan,1,1,1",
        "1,2,3,nan,1,1",
        "1,2,3,1,1,nan",
        "1,2,inf,1,1,1",
        "1,2,3,1,1,inf",
        "1,2,1e7,1,1,1",
    ],
)
def test_other_numbers_are_refused(text):
    expected = (
        "input_range: must be two numbers, the values of black and white, such as -1,1 or 0,255; or six: the means, "
        f"then the standard deviations, of red, green and blue. Got {text!r}"
    )
    with pytest.raises(EdgenetError, match=rf"^{re.escape(expected)}$"):
        InputRange.parse(text)


# The whole recipe


@pytest.mark.parametrize("channels", [1, 3])
def test_a_range_is_that_of_each_channel(channels):
    recipe = InputRange((10.0,), (2.0,)).recipe(20, 30, channels, KERAS_DATASET)
    assert recipe == Preprocessing(20, 30, channels, (10.0,) * channels, (2.0,) * channels, "RGB", KERAS_DATASET)
    assert recipe.shape == (20, 30, channels)


def test_a_recipe_of_three_channels():
    recipe = InputRange((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "BGR").recipe(20, 30, 3)
    assert recipe == Preprocessing(20, 30, 3, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "BGR", Resize())
    assert recipe.range == ((0 - 3) / 6, (255 - 1) / 4)


def test_three_means_do_not_fit_a_grey_input():
    text = r"^input_range: has 3 means, but the model's input has 1 channel; give two numbers, "
    with pytest.raises(EdgenetError, match=text):
        InputRange((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)).recipe(20, 30, 1)


# Back to options


@pytest.mark.parametrize("text", COMMON)
def test_the_common_ones_are_what_their_options_say(text):
    assert parsed(text) == COMMON[text]
    assert describe(COMMON[text].recipe(8, 8, 3, Resize(crop=0.875))) == text


def test_the_common_ones_for_grey():
    for text in ("-1,1", "0,1", "0,255"):
        assert describe(COMMON[text].recipe(8, 8, 1)) == text


@pytest.mark.parametrize(("channels", "count"), [(3, 5), (1, 3)])
def test_a_recipe_with_the_common_ranges_is_otherwise_the_same(channels, count):
    recipe = InputRange.between(-7, 9).recipe(20, 30, channels, Resize(crop=0.8))
    found = list(common_recipes(recipe))
    assert len(found) == len(set(found)) == count
    assert found[0] == InputRange().recipe(20, 30, channels, Resize(crop=0.8))
    assert {(one.shape, one.resize) for one in found} == {((20, 30, channels), Resize(crop=0.8))}
    assert {describe(one) for one in found} == set(list(COMMON)[:count])


def test_the_common_ones_are_those_of_keras():
    """Keras' own code for its modes, on pixels that tell the channels apart."""
    from keras.applications.imagenet_utils import preprocess_input

    pixels = np.float32([[[10, 100, 250], [255, 0, 3]]])
    modes = {
        "tf": "-1,1",
        "torch": "0.485,0.456,0.406,0.229,0.224,0.225",
        "caffe": "123.68,116.779,103.939,1,1,1 BGR",
    }
    for mode, text in modes.items():
        expected = preprocess_input(pixels.copy(), data_format="channels_last", mode=mode)
        found = preprocess.normalize(pixels.astype(np.uint8), COMMON[text].recipe(1, 2, 3))
        # Both in float32, with the operations in another order.
        np.testing.assert_allclose(found, expected, rtol=2 * ROUNDED, atol=2.7 * 2 * ROUNDED)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (InputRange.between(-0.5, 0.5), "-0.5,0.5"),
        (InputRange.between(-128, 127), "-128,127"),
        (InputRange(order="BGR"), "-1,1 BGR"),
        (InputRange((120.0, 110.0, 100.0), (60.0, 61.0, 62.0)), "120,110,100,60,61,62"),
        (
            InputRange((120.0, 110.0, 100.0), (1.0, 1.0, 1.0), "BGR"),
            "120,110,100,1,1,1 BGR",
        ),
        (InputRange((127.5,) * 3, (127.5,) * 3), "-1,1"),
        (InputRange((0.0,) * 3, (1.0,) * 3), "0,255"),
    ],
)
def test_options_say_other_ranges(given, text):
    assert describe(given.recipe(8, 8, 3)) == text


def test_options_mean_the_recipe_that_they_were_made_of():
    random = np.random.default_rng(1)
    for number in range(300):
        order = ("RGB", "BGR")[number % 2]
        if number % 3:
            low, high = np.sort(random.uniform(-300, 300, 2)).tolist()
            given = InputRange(InputRange.between(low, high).mean, InputRange.between(low, high).std, order)
        else:
            mean, std = random.uniform(2, 200, 3), random.uniform(1, 100, 3)
            given = InputRange(tuple(mean.tolist()), tuple(std.tolist()), order)
        recipe = given.recipe(8, 8, 3)
        again = parsed(describe(recipe)).recipe(8, 8, 3)
        assert again.order == order
        # Numbers are written with six digits: of means up to 200, of ranges up to 300, divided by a deviation.
        largest = max(300, *(200 / std for std in recipe.std))
        np.testing.assert_allclose(values(again), values(recipe), rtol=1e-5, atol=1e-5 * largest)


def test_options_of_means_below_one():
    # Deviations and means that are small, but of pixels from 0 to 255 all the same.
    recipe = InputRange((0.5, 0.25, 0.0), (1.0, 1.0, 1.0)).recipe(8, 8, 3)
    np.testing.assert_allclose(values(parsed(describe(recipe)).recipe(8, 8, 3)), values(recipe), rtol=1e-5)
