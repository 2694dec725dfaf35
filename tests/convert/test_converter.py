"""Conversion: each variant against Keras, the full-integer one against TensorFlow's own converter too."""

import warnings

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from recipes import RECIPE, square

from edgenet.images import preprocess
from edgenet.litert.runner import Runner
from edgenet.quiet import quiet

VARIANTS = ("float32", "float16", "dynamic", "int8")
PIXEL = np.float32(1 / 127.5)


@pytest.fixture(scope="module")
def reference(tiny_model, unseen) -> np.ndarray:
    """Keras' scores on the evaluation pictures, by its own `predict`."""
    return tiny_model.predict(unseen / np.float32(127.5) - np.float32(1), verbose=0)


@pytest.fixture(scope="module")
def integers(tiny_model, converter, seen) -> dict[str, bytes]:
    """The int8 variant for each interface, batch 1."""
    from edgenet.convert.options import INTERFACES

    made = converter(tiny_model)
    with quiet():
        return {interface: made.int8(lambda: seen, interface) for interface in INTERFACES}


@pytest.fixture(scope="module")
def stocks(tiny_model, converter, seen) -> dict[str, bytes]:
    """Converter's own call of the stock quantization, int8 and dynamic."""
    made = converter(tiny_model)
    with quiet():
        return {"int8": made.stock_int8(lambda: seen), "dynamic": made.stock_dynamic()}


@pytest.fixture(scope="module")
def fours(tiny_model, converter, seen) -> dict[str, bytes]:
    """float32 and int8 for a batch of four."""
    made = converter(tiny_model, batch=4)
    with quiet():
        return {"float32": made.float32(), "int8": made.int8(lambda: seen)}


@pytest.fixture(scope="module")
def stock(tiny_model, seen) -> bytes:
    """The full-integer file of TensorFlow's own converter, from the same pictures."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(tiny_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    converter.representative_dataset = lambda: ([preprocess.normalize(picture[None], RECIPE)] for picture in seen)
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses statistics that only quantization-aware training has
        return converter.convert()


# What the largest difference to Keras' scores may be. A score's slope over a logit is at most 1/4, the logits of this
# model are within 4 of each other, and there are 28 layers.
TOLERANCES = {
    "float32": 4e-4,  # 28 layers of sums of 256 terms, each rounded to 6e-8
    "float16": 0.02,  # 28 layers of weights rounded to 2**-11 of themselves: 1.4 % of logits within 4, times 1/4
}
# And the mean difference, where steps of 1/127 of the largest weight and activation are a relative error of about
# 1.1 % a layer, which add in squares: 1.1 % * sqrt(28) of logits within 4, times 1/4.
MEAN_TOLERANCES = {"dynamic": 0.06, "int8": 0.06}


@pytest.mark.parametrize("variant", TOLERANCES)
def test_float_scores_are_near_keras(tiny_bundle, unseen, reference, variant):
    scores = Runner(tiny_bundle.file(f"{variant}.tflite")).scores(unseen)
    np.testing.assert_allclose(scores, reference, rtol=0, atol=TOLERANCES[variant])


@pytest.mark.parametrize("variant", MEAN_TOLERANCES)
def test_quantized_scores_are_near_keras(tiny_bundle, unseen, reference, variant):
    scores = Runner(tiny_bundle.file(f"{variant}.tflite")).scores(unseen)
    assert np.abs(scores - reference).mean() < MEAN_TOLERANCES[variant]
    # The tolerance tells pictures apart: with each other's scores it would not hold.
    assert np.abs(np.roll(scores, 1, axis=0) - reference).mean() > 2 * MEAN_TOLERANCES[variant]


def test_stock_int8_has_the_weights_and_scales_of_the_stock_converter(stocks, stock):
    ours, theirs = _convolutions(stocks["int8"]), _convolutions(stock)
    assert len(ours) == len(theirs) == 28  # stem, 13 depthwise and 13 pointwise, logits
    for (weights, scales), (stock_weights, stock_scales) in zip(ours, theirs, strict=True):
        assert weights.dtype == np.int8
        np.testing.assert_array_equal(weights, stock_weights)
        # Batch normalization is folded in by another graph: float32 rounding of a few operations.
        np.testing.assert_allclose(scales, stock_scales, rtol=1e-6)


def test_stock_int8_scores_are_those_of_the_stock_converter(stocks, stock, unseen, tmp_path):
    # The calibration pictures have black and white in them, so that both have the same input range.
    ours, theirs = (_runner(tmp_path, data).scores(unseen) for data in (stocks["int8"], stock))
    # Ranges that differ by float32 rounding may move an output by one of its 256 steps.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1.001 / 256)


def test_int8_has_weights_of_its_own_on_the_scales_of_the_stock_converter(integers, stock):
    ours, theirs = _convolutions(integers["uint8"]), _convolutions(stock)
    for (_, scales), (_, stock_scales) in zip(ours, theirs, strict=True):
        # The largest weight of a channel stays where it is, so its scale does: float32 rounding of a few operations.
        np.testing.assert_allclose(scales, stock_scales, rtol=1e-6)
    moved = np.concatenate([np.ravel(o.astype(int) - t) for (o, _), (t, _) in zip(ours, theirs, strict=True)])
    # Compensation moves some weights, most of them to the neighbouring step.
    assert moved.any()
    assert np.median(np.abs(moved[moved != 0])) == 1


@pytest.mark.parametrize(("maker", "dtype"), [("ours", np.float32), ("stock", np.int8)])
def test_depthwise_weights_of_dynamic_are_integers_by_the_stock_converter_alone(tiny_bundle, stocks, maker, dtype):
    data = stocks["dynamic"] if maker == "stock" else tiny_bundle.file("dynamic.tflite").read_bytes()
    # The tiny model's wide layers alone reach the 1024 weights from which integers are stored.
    large = [weights for weights, _ in _convolutions(data, ("DEPTHWISE_CONV_2D",)) if weights.size >= 1024]
    assert {weights.dtype for weights in large} == {np.dtype(dtype)}


@pytest.mark.parametrize(("interface", "zero_points"), [("uint8", (127, 128)), ("int8", (-1, 0)), ("float32", (0,))])
def test_the_interface_of_int8(integers, interface, zero_points):
    with quiet():
        interpreter = Interpreter(model_content=integers[interface])
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert taken["dtype"] == given["dtype"] == np.dtype(interface).type
    scale, zero_point = taken["quantization"]
    # The middle of 0 to 255 lies between two integers: either may stand for zero.
    assert (scale, zero_point in zero_points) == (0 if interface == "float32" else PIXEL, True)


def test_int8_and_uint8_interfaces_give_the_same_scores(integers, unseen, tmp_path):
    scores = {interface: _runner(tmp_path, data).scores(unseen) for interface, data in integers.items()}
    np.testing.assert_array_equal(scores["uint8"], scores["int8"])
    # A float input is rounded half a pixel's step to either side of what the integers are: a mean error of int8 itself.
    assert np.abs(scores["float32"] - scores["uint8"]).mean() < MEAN_TOLERANCES["int8"]


@pytest.mark.slow
@pytest.mark.parametrize("interface", ["uint8", "int8"])
def test_the_input_scale_does_not_depend_on_the_calibration_pictures(tiny_model, converter, seen, interface):
    dim = seen // 4 + 60  # from 60 to 123, neither black nor white
    with quiet():
        data = converter(tiny_model).int8(lambda: dim, interface)
        interpreter = Interpreter(model_content=data)
    assert interpreter.get_input_details()[0]["quantization"][0] == PIXEL


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_a_batch_is_fixed(fours, variant):
    with quiet():
        interpreter = Interpreter(model_content=fours[variant])
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    for details, shape in ((taken, [4, 32, 32, 3]), (given, [4, 4])):
        assert details["shape"].tolist() == details["shape_signature"].tolist() == shape


def test_batch_one_is_the_default(tiny_bundle):
    for variant in VARIANTS:
        assert Runner(tiny_bundle.file(f"{variant}.tflite")).batch == 1


@pytest.mark.parametrize(
    ("variant", "tolerance"),
    [
        ("float32", 4e-4),  # as in TOLERANCES
        ("int8", 1.001 / 256),  # ranges that differ by float32 rounding move an output by one of its steps at most
    ],
)
def test_a_batch_of_four_scores_as_single_pictures_do(fours, tiny_bundle, unseen, variant, tolerance, tmp_path):
    assert len(unseen) % 4  # the last batch is shorter
    scores = _runner(tmp_path, fours[variant]).scores(unseen)
    single = Runner(tiny_bundle.file(f"{variant}.tflite")).scores(unseen)
    np.testing.assert_allclose(scores, single, rtol=0, atol=tolerance)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_app_can_ask_for_image_and_scores_by_name(tiny_bundle, pictures, variant):
    path = preprocess.find(pictures / "evaluation").paths[0]
    pixels = preprocess.load(path, square(32))[None]
    with quiet():
        interpreter = Interpreter(model_path=str(tiny_bundle.file(f"{variant}.tflite")))
        run = interpreter.get_signature_runner()
        scores = run(image=pixels if variant == "int8" else preprocess.normalize(pixels, RECIPE))["scores"]
    assert interpreter.get_input_details()[0]["name"] == "image"
    assert interpreter.get_output_details()[0]["name"] == "scores"
    found = Runner(tiny_bundle.file(f"{variant}.tflite")).scores(pixels)
    expected = scores.astype(np.float32) / 256 if variant == "int8" else scores  # softmax always has the scale 1/256
    np.testing.assert_array_equal(found, expected)


def test_raw_pixels_of_an_app_are_the_input_of_uint8(tiny_bundle, pictures, reference):
    # What an app does: decode, resize to the input, hand over the bytes. Without edgenet's pre-processing.
    path = next(path for path in preprocess.find(pictures / "evaluation").paths if Image.open(path).size == (28, 28))
    pixels = np.asarray(Image.open(path).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))[None]
    with quiet():
        interpreter = Interpreter(model_path=str(tiny_bundle.file("int8.tflite")))
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(
        scores[0] / np.float32(256), Runner(tiny_bundle.file("int8.tflite")).scores(pixels)[0]
    )
    index = preprocess.find(pictures / "evaluation").paths.index(path)
    assert np.abs(scores[0] / 256 - reference[index]).mean() < 2 * MEAN_TOLERANCES["int8"]  # of four scores, not 172


def _runner(folder, data: bytes) -> Runner:
    path = folder / "model.tflite"
    path.write_bytes(data)
    return Runner(path)


def _convolutions(data: bytes, kinds=("CONV_2D", "DEPTHWISE_CONV_2D")) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and their scales of each convolution, in the order of the graph."""
    from edgenet.tflite import flatbuffer

    model = flatbuffer.read(data)
    tensors = model.subgraphs[0].tensors
    kernels = [tensors[op.inputs[1]] for op in model.subgraphs[0].operators if flatbuffer.operator(model, op) in kinds]
    return [(flatbuffer.constant(model, kernel), kernel.quantization.scale) for kernel in kernels]
