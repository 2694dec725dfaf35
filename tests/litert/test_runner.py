"""Runners: images in, scores out."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from recipes import RECIPE, square

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.images.input_range import COMMON, InputRange
from edgenet.litert.runner import Runner, as_input, dequantize
from edgenet.quiet import quiet
from edgenet.records import Preprocessing

VARIANTS = ("float32", "float16", "dynamic", "int8")


@pytest.fixture
def make(tmp_path):
    """Makes a .tflite file of a TensorFlow function of tensors with these shapes."""
    import tensorflow as tf

    def make(function, *shapes, dtype="float32", shown=None, integers="uint8") -> Path:
        """shown: inputs that the range of a model of integers is taken from."""
        with quiet():
            graph = tf.function(function).get_concrete_function(*(tf.TensorSpec(shape, dtype) for shape in shapes))
            converter = tf.lite.TFLiteConverter.from_concrete_functions([graph], tf.Module())
            if shown is not None:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ([value[None]] for value in shown)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.as_dtype(integers)
            data = converter.convert()
        (tmp_path / "model.tflite").write_bytes(data)
        return tmp_path / "model.tflite"

    return make


# What the models here make of an input, whatever its size: the mean of each channel, weighted for each of five classes.
MIX = np.random.default_rng(5).normal(0, 1, (4, 5)).astype(np.float32)


def weigh(image):
    import tensorflow as tf

    return tf.reduce_mean(image, axis=(1, 2)) @ MIX[: image.shape[-1]]


def weighed(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=(1, 2), dtype=np.float64) @ np.float64(MIX[: values.shape[-1]])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, shape, dtype=np.uint8)


# Pixels to an input tensor


# All levels in each channel, as two pictures of 16 x 8; the channels differ.
LEVELS = np.stack([np.roll(np.arange(256), 50 * channel) for channel in range(3)], axis=-1).astype(np.uint8)
LEVELS = LEVELS.reshape(2, 16, 8, 3)


def test_every_byte_becomes_the_input_that_it_stands_for():
    numbers = LEVELS.astype(int)
    unchanged = as_input(LEVELS, RECIPE, np.dtype(np.uint8))
    assert (unchanged.dtype, unchanged.tolist()) == (np.uint8, numbers.tolist())
    shifted = as_input(LEVELS, RECIPE, np.dtype(np.int8))
    assert (shifted.dtype, shifted.tolist()) == (np.int8, (numbers - 128).tolist())
    normalized = as_input(LEVELS, RECIPE, np.dtype(np.float32))
    assert normalized.dtype == np.float32
    # The quotient, of at most 1, rounds by at most 2**-25, and its half levels are exact.
    np.testing.assert_allclose(normalized, numbers / 127.5 - 1, rtol=0, atol=2**-24)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [(-1, 1, 1 / 127.5, 127), (-1, 1, 1 / 127.5, 128), (0, 1, 1 / 255, 0), (0, 255, 1.0, 0), (-128, 127, 1.0, 128)],
)
@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_integers_that_stand_for_the_pixels_are_the_pixels(low, high, scale, zero_point, order, dtype):
    recipe = replace(InputRange.between(low, high).recipe(16, 8, 3), order=order)
    shift = 128 if dtype == np.int8 else 0
    # The scale as a file holds it, in 32 bits.
    found = as_input(LEVELS, recipe, np.dtype(dtype), float(np.float32(scale)), zero_point - shift)
    assert found.dtype == dtype
    expected = LEVELS.astype(int) - shift
    np.testing.assert_array_equal(found, expected if order == "RGB" else expected[..., ::-1])


def quantized(pixels: np.ndarray, recipe: Preprocessing, dtype: type, scale: float, zero_point: int) -> np.ndarray:
    """round(value / scale) + zero_point in float64, as far as the integers reach."""
    values = (pixels.astype(np.float64) - np.float64(recipe.mean)) / np.float64(recipe.std)
    if recipe.order == "BGR":
        values = values[..., ::-1]
    return np.clip(np.round(values / scale) + zero_point, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(int)


TORCH = COMMON["0.485,0.456,0.406,0.229,0.224,0.225"].recipe(16, 8, 3)
OTHERS = {
    "a mean for each channel": (TORCH, 4.8 / 255, 114),
    "means for blue first": (replace(TORCH, order="BGR"), 4.8 / 255, 114),
    "means alone": (Preprocessing(16, 8, 3, (123.68, 116.779, 103.939), (1.0,) * 3, "BGR"), 1.0, 124),
    "half the range": (RECIPE, 0.5 / 127.5, 127),  # black and white are beyond it
    "twice the range": (RECIPE, 2 / 127.5, 127),
    "a hundredth more": (RECIPE, 1.012 / 127.5, 127),  # at the ends more than a step from the pixel
    "two steps aside": (InputRange.between(0, 255).recipe(16, 8, 3), 1.0, 2),
    "another range": (InputRange.between(0, 1).recipe(16, 8, 3), 1 / 120, 127),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_integers_that_stand_for_something_else_are_rounded_values(kind, dtype):
    recipe, scale, zero_point = OTHERS[kind]
    zero_point -= 128 if dtype == np.int8 else 0
    found = as_input(LEVELS, recipe, np.dtype(dtype), scale, zero_point)
    assert found.dtype == dtype
    off = found.astype(int) - quantized(LEVELS, recipe, dtype, scale, zero_point)
    # Only what lies half between two integers may be rounded to the other one.
    assert np.abs(off).max() <= 1
    assert np.mean(off != 0) <= 0.01


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_grey_integers(dtype):
    grey = LEVELS[..., :1]
    recipe = InputRange().recipe(16, 8, 1)
    shift = 128 if dtype == np.int8 else 0
    same = as_input(grey, recipe, np.dtype(dtype), 1 / 127.5, 128 - shift)
    np.testing.assert_array_equal(same, grey.astype(int) - shift)
    other = as_input(grey, recipe, np.dtype(dtype), 2 / 127.5, 128 - shift)
    np.testing.assert_array_equal(other, quantized(grey, recipe, dtype, 2 / 127.5, 128 - shift))


@pytest.mark.parametrize(("dtype", "zero_point"), [(np.uint8, 0), (np.uint8, 7), (np.int8, -128)])
def test_every_integer_is_dequantized_as_the_specification_says(dtype, zero_point):
    output = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1).astype(dtype)[None]
    scores = dequantize(output, 1 / 256, zero_point)
    assert scores.dtype == np.float32
    assert scores[0].tolist() == [(int(q) - zero_point) / 256 for q in output[0]]  # a power of two: nothing is rounded


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_picture_gets_the_scores_that_it_gets_alone(tiny_bundle, pixels, variant):
    runner = Runner(tiny_bundle.file(f"{variant}.tflite"))
    together = runner.scores(pixels)
    assert (together.dtype, together.shape) == (np.float32, (43, 4))
    np.testing.assert_array_equal(together, np.concatenate([runner.scores(picture[None]) for picture in pixels]))
    assert len(np.unique(together, axis=0)) > 40  # the pictures are told apart
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=4 / 256)  # softmax, each of four scores rounded to 1/256


@pytest.mark.parametrize(
    ("variant", "tolerance"),
    [
        ("int8", 0),  # integers do not depend on the order of sums
        ("float32", 4e-4),  # 28 layers of sums of 256 terms, each rounded to 6e-8
    ],
)
def test_threads_do_not_change_the_scores(tiny_bundle, pixels, variant, tolerance):
    path = tiny_bundle.file(f"{variant}.tflite")
    one, two = Runner(path, threads=1).scores(pixels), Runner(path, threads=2).scores(pixels)
    np.testing.assert_allclose(one, two, rtol=0, atol=tolerance)


@pytest.mark.parametrize("content", [b"", b"no model", None], ids=["empty", "text", "missing"])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EdgenetError, match=r"model\.tflite: LiteRT cannot load this file: .*; export it again"):
        Runner(path)


@pytest.mark.parametrize("kept", [0.2, 0.9])
def test_a_model_that_was_cut_off_is_refused(tiny_bundle, tmp_path, kept):
    data = tiny_bundle.file("float32.tflite").read_bytes()
    path = tmp_path / "model.tflite"
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(EdgenetError, match=r"model\.tflite: LiteRT cannot load this file: "):
        Runner(path)


NOT_A_CLASSIFIER = r"model\.tflite: not an image classifier: expected one image input and one output of scores, got "


@pytest.mark.parametrize(
    ("shapes", "function", "got"),
    [
        ([(1, 8), (1, 8)], lambda a, b: 2 * a + b, r"2 inputs and 1 outputs \(a detector\?\)"),
        ([(1, 8)], lambda a: 2 * a, r"an input of shape \(1, 8\)"),
        ([(1, 8, 8, 3, 1)], lambda a: 2 * a[:, 0, 0, :, 0], r"an input of shape \(1, 8, 8, 3, 1\)"),
        ([(1, 8, 8, 2)], weigh, r"an input of shape \(1, 8, 8, 2\)"),
        ([(1, 8, 8, 4)], weigh, r"an input of shape \(1, 8, 8, 4\)"),
        ([(1, 3, 8, 8)], lambda a: 2 * a[:, :, 0, 0], r"an input of shape \(1, 3, 8, 8\)"),
        ([(1, 8, 8, 3)], lambda a: (2 * a[:, 0, 0], 3 * a[:, 0, 0]), r"1 inputs and 2 outputs \(a detector\?\)"),
        ([(1, 8, 8, 3)], lambda a: 2 * a, r"an output of shape \(1, 8, 8, 3\)"),
        ([(1, 8, 8, 3)], lambda a: 2 * a[:, 0], r"an output of shape \(1, 8, 3\)"),
        ([(1, 8, 8, 3)], lambda a: 2 * a[:, 0, 0, :1], r"an output of shape \(1, 1\)"),
        ([(1, 8, 8, 3)], lambda a: 2 * a[0, 0, 0], r"an output of shape \(3,\)"),
        ([(4, 8, 8, 3)], lambda a: 2 * a[:2, 0, 0], r"an output of shape \(2, 3\)"),
    ],
)
def test_a_model_of_another_kind_is_refused(make, shapes, function, got):
    with pytest.raises(EdgenetError, match=rf"{NOT_A_CLASSIFIER}{got}$"):
        Runner(make(function, *shapes))


def test_a_detector_is_refused(make):
    def boxes_classes_scores_and_count(image):
        several = [image[:, :4, 0, :1] * factor for factor in (2.0, 3.0, 4.0)]
        return (*several, image[:, 0, 0, 0] * 5.0)

    with pytest.raises(EdgenetError, match=rf"{NOT_A_CLASSIFIER}1 inputs and 4 outputs \(a detector\?\)$"):
        Runner(make(boxes_classes_scores_and_count, (1, 8, 8, 3)))


def test_other_integers_are_refused(make):
    import tensorflow as tf

    with pytest.raises(EdgenetError, match=rf"{NOT_A_CLASSIFIER}int32 at .+$"):
        Runner(make(lambda a: 2 * a[:, 0, 0], (1, 8, 8, 3), dtype="int32"))
    with pytest.raises(EdgenetError, match=rf"{NOT_A_CLASSIFIER}int64 at .+$"):
        Runner(make(lambda a: tf.cast(a[:, 0, 0], tf.int64), (1, 8, 8, 3)))


# Models that other people made


# A mean of some hundred float32 values, of up to 3 and then weighted, in any order.
SUMS = 1e-4


@pytest.mark.parametrize("channels", [1, 3])
def test_a_float_model_gets_values_from_minus_one_to_one_unless_told_otherwise(make, channels):
    path, pixels = make(weigh, (1, 16, 8, channels)), noise(5, 16, 8, channels)
    runner = Runner(path)
    assert (runner.batch, runner.shape, runner.classes) == (1, (16, 8, channels), 5)
    assert (runner.input_dtype, runner.output_dtype) == (np.float32, np.float32)
    assert runner.recipe == InputRange().recipe(16, 8, channels)
    np.testing.assert_allclose(runner.scores(pixels), weighed(pixels / 127.5 - 1), rtol=0, atol=SUMS)
    told = Runner(path, InputRange.between(0, 1).recipe(16, 8, channels))
    np.testing.assert_allclose(told.scores(pixels), weighed(pixels / 255), rtol=0, atol=SUMS)


def test_a_float_model_gets_each_channel_as_the_recipe_says_blue_first(make):
    recipe, pixels = replace(TORCH, order="BGR"), noise(5, 16, 8, 3)
    values = (pixels - np.float64(recipe.mean)) / np.float64(recipe.std)
    found = Runner(make(weigh, (1, 16, 8, 3)), recipe).scores(pixels)
    np.testing.assert_allclose(found, weighed(values[..., ::-1]), rtol=0, atol=SUMS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_channels_may_be_swapped(tiny_bundle, pixels, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    plain, swapped = Runner(path, square(32)), Runner(path, replace(square(32), order="BGR"))
    np.testing.assert_array_equal(swapped.scores(pixels), plain.scores(np.ascontiguousarray(pixels[..., ::-1])))
    assert (swapped.scores(pixels) != plain.scores(pixels)).any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_file_takes_of_itself_is_what_the_bundle_says(tiny_bundle, pixels, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    own, told = Runner(path), Runner(path, tiny_bundle.manifest.preprocessing)
    np.testing.assert_array_equal(own.scores(pixels), told.scores(pixels))
    # Half a step, which a zero point has to be rounded by.
    assert own.recipe.range == pytest.approx((-1, 1), abs=0.51 / 127.5 if variant == "int8" else 0)


def test_a_recipe_of_another_size_is_refused(tiny_bundle):
    for shape in ((24, 32, 3), (32, 32, 1)):
        text = rf"int8\.tflite: expected an input of shape {re.escape(str(shape))}, got \(32, 32, 3\)$"
        with pytest.raises(EdgenetError, match=text):
            Runner(tiny_bundle.file("int8.tflite"), InputRange().recipe(*shape))


def test_the_size_is_taken_from_the_recipe_where_the_file_leaves_it_free(make):
    path = make(weigh, (1, None, None, 3))
    runner = Runner(path, InputRange().recipe(24, 40, 3))
    assert (runner.batch, runner.shape) == (1, (24, 40, 3))
    pixels = noise(3, 24, 40, 3)
    np.testing.assert_allclose(runner.scores(pixels), weighed(pixels / 127.5 - 1), rtol=0, atol=SUMS)
    with pytest.raises(EdgenetError, match=r"this model accepts any image size, \(1, -1, -1, 3\); set one with size=$"):
        Runner(path)


def test_a_free_size_may_be_named_without_a_recipe(make):
    path = make(weigh, (1, None, None, 3))
    runner = Runner(path, size=(24, 40))
    assert (runner.batch, runner.recipe) == (1, InputRange().recipe(24, 40, 3))
    assert Runner(path, InputRange().recipe(30, 20, 3), size=(24, 40)).shape == (30, 20, 3)


def test_half_a_free_size(make):
    path = make(weigh, (1, 24, None, 3))
    assert Runner(path, InputRange().recipe(24, 40, 3)).shape == (24, 40, 3)
    assert Runner(path, size=(30, 40)).shape == (24, 40, 3)
    with pytest.raises(EdgenetError, match=r"expected an input of shape \(30, 40, 3\), got \(24, 40, 3\)$"):
        Runner(path, InputRange().recipe(30, 40, 3))


def test_a_size_that_the_file_has_stays(tiny_bundle):
    assert Runner(tiny_bundle.file("int8.tflite"), size=(64, 64)).shape == (32, 32, 3)


def test_a_free_batch_is_one(make):
    runner = Runner(make(weigh, (None, 16, 8, 3)))
    assert (runner.batch, runner.shape) == (1, (16, 8, 3))
    pixels = noise(3, 16, 8, 3)
    np.testing.assert_allclose(runner.scores(pixels), weighed(pixels / 127.5 - 1), rtol=0, atol=SUMS)


@pytest.mark.parametrize("batch", [1, 2])
def test_scores_may_lie_in_a_picture_of_one_pixel(make, batch):
    runner = Runner(make(lambda image: weigh(image)[:, None, None], (batch, 16, 8, 3)))
    assert (runner.batch, runner.classes) == (batch, 5)
    pixels = noise(5, 16, 8, 3)
    np.testing.assert_allclose(runner.scores(pixels), weighed(pixels / 127.5 - 1), rtol=0, atol=SUMS)


def test_bytes_without_a_scale_are_pixels(make):
    import tensorflow as tf

    runner = Runner(make(lambda image: weigh(tf.cast(image, tf.float32)), (1, 16, 8, 3), dtype="uint8"))
    assert (runner.input_dtype, runner.recipe.range) == (np.uint8, (0, 255))
    pixels = noise(5, 16, 8, 3)
    np.testing.assert_allclose(runner.scores(pixels), weighed(pixels), rtol=0, atol=255 * SUMS)


@pytest.mark.parametrize("integers", ["uint8", "int8"])
@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1), (0, 255), (-3, 0.5)])
def test_an_integer_model_tells_its_range(make, low, high, integers):
    recipe, pixels = InputRange.between(low, high).recipe(16, 8, 3), noise(16, 16, 8, 3)
    path = make(weigh, (1, 16, 8, 3), shown=preprocess.normalize(pixels, recipe), integers=integers)
    runner = Runner(path)
    assert runner.input_dtype == integers
    # A zero point is a whole number: half a step.
    assert runner.recipe.range == pytest.approx((low, high), abs=0.51 * (high - low) / 255)
    np.testing.assert_array_equal(runner.scores(pixels), Runner(path, recipe).scores(pixels))


@pytest.mark.parametrize("integers", ["uint8", "int8"])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_an_integer_model_of_other_values_gets_them_rounded(make, order, integers):
    recipe, pixels = replace(TORCH, order=order), noise(16, 16, 8, 3)
    path = make(weigh, (1, 16, 8, 3), shown=preprocess.normalize(pixels, recipe), integers=integers)
    runner = Runner(path, recipe)
    # By hand, with the scale that the file has.
    with quiet():
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    (scale, zero_point), (step, zero) = taken["quantization"], given["quantization"]
    assert scale == pytest.approx((recipe.range[1] - recipe.range[0]) / 255, rel=0.01)
    for picture, found in zip(pixels, runner.scores(pixels), strict=True):
        values = quantized(picture[None], recipe, np.dtype(integers), scale, zero_point)
        interpreter.set_tensor(taken["index"], values.astype(integers))
        interpreter.invoke()
        expected = (interpreter.get_tensor(given["index"])[0].astype(float) - zero) * step
        # A value in the middle of two integers may be rounded to either, and move a score by a step.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1.01 * step)
    assert len(np.unique(runner.scores(pixels), axis=0)) > 8  # the pictures are told apart


def test_nothing_of_the_runtime_reaches_the_terminal(tiny_bundle, capfd):
    Runner(tiny_bundle.file("float32.tflite")).invoke()
    assert capfd.readouterr() == ("", "")
