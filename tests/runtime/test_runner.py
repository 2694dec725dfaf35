"""Runners: pictures in, scores out."""

import numpy as np
import pytest

from edgenet import images
from edgenet.errors import EdgenetError
from edgenet.runtime.runner import Runner, as_input, dequantize

VARIANTS = ("float32", "float16", "dynamic", "int8")


@pytest.fixture(scope="module")
def pixels(tiny_bundle) -> np.ndarray:
    """The bundle's evaluation pictures, uint8 (43, 32, 32, 3)."""
    paths = [tiny_bundle.file(picture.file) for picture in tiny_bundle.manifest.evaluation]
    return np.stack(list(images.load_all(paths, 32)))


def test_every_byte_becomes_the_input_that_it_stands_for():
    pixels = np.arange(256, dtype=np.uint8)
    numbers = range(256)
    assert as_input(pixels, np.dtype(np.uint8)).tolist() == list(numbers)
    shifted = as_input(pixels, np.dtype(np.int8))
    assert (shifted.dtype, shifted.tolist()) == (np.int8, [number - 128 for number in numbers])
    normalized = as_input(pixels, np.dtype(np.float32))
    assert normalized.dtype == np.float32
    # one rounding in the division, one in the subtraction, of numbers up to 2
    np.testing.assert_allclose(normalized, [number / 127.5 - 1 for number in numbers], rtol=0, atol=2**-23)


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
    with pytest.raises(EdgenetError, match=r"model\.tflite: expected a model for LiteRT, found: .*; export it again"):
        Runner(path)


@pytest.mark.parametrize("kept", [0.2, 0.9])
def test_a_model_that_was_cut_off_is_refused(tiny_bundle, tmp_path, kept):
    data = tiny_bundle.file("float32.tflite").read_bytes()
    path = tmp_path / "model.tflite"
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(EdgenetError, match=r"model\.tflite: expected a model for LiteRT, found: "):
        Runner(path)


@pytest.mark.parametrize(
    ("shapes", "many"), [([(1, 8), (1, 8)], False), ([(1, 8)], False), ([(1, 8, 8, 3)], True), ([(1, 8, 8, 3)], False)]
)
def test_a_model_of_another_kind_is_refused(tmp_path, shapes, many):
    import tensorflow as tf

    from edgenet.terminal import quiet

    def function(*tensors):
        total = tf.add_n([2 * tensor for tensor in tensors])
        return (total, 3 * total) if many else total

    with quiet():
        graph = tf.function(function).get_concrete_function(*(tf.TensorSpec(shape, tf.float32) for shape in shapes))
        data = tf.lite.TFLiteConverter.from_concrete_functions([graph]).convert()
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    with pytest.raises(EdgenetError, match="expected one image input and one output of scores, found another kind"):
        Runner(path)


def test_nothing_of_the_runtime_reaches_the_terminal(tiny_bundle, capfd):
    Runner(tiny_bundle.file("float32.tflite")).invoke()
    assert capfd.readouterr() == ("", "")
