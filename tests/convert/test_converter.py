"""Conversion: each variant against Keras, and int8 and dynamic against TensorFlow's own converter."""

import warnings

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from recipes import RECIPE, square

from edgenet.images import listing, preprocess
from edgenet.litert.runner import Runner
from edgenet.quantize.quantizer import Steps
from edgenet.quiet import quiet
from edgenet.records.enums import InterfaceType

VARIANTS = ("float32", "float16", "dynamic", "int8")
PIXEL = np.float32(1 / 127.5)


@pytest.fixture(scope="module")
def reference(tiny_model, evaluation_images) -> np.ndarray:
    """Keras' scores on the evaluation images, from `predict`."""
    return tiny_model.predict(evaluation_images / np.float32(127.5) - np.float32(1), verbose=0)


@pytest.fixture(scope="module")
def int8_files(tiny_model, converter, calibration_images) -> dict[str, bytes]:
    """The int8 variant for each interface, batch 1."""
    tiny = converter(tiny_model)
    with quiet():
        return {interface.value: tiny.int8(lambda: calibration_images, interface) for interface in InterfaceType}


@pytest.fixture(scope="module")
def stock_files(tiny_model, converter, calibration_images) -> dict[str, bytes]:
    """The int8 and dynamic files of `Converter`'s stock methods."""
    tiny = converter(tiny_model)
    with quiet():
        return {"int8": tiny.stock_int8(lambda: calibration_images), "dynamic": tiny.stock_dynamic()}


@pytest.fixture(scope="module")
def batch_of_four(tiny_model, converter, calibration_images) -> dict[str, bytes]:
    """float32 and int8 for a batch of four."""
    tiny = converter(tiny_model, batch=4)
    with quiet():
        return {"float32": tiny.float32(), "int8": tiny.int8(lambda: calibration_images)}


@pytest.fixture(scope="module")
def stock(tiny_model, calibration_images) -> bytes:
    """The full-integer file of TensorFlow's own converter, from the same images."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(tiny_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    converter.representative_dataset = lambda: (
        [preprocess.normalize(image[None], RECIPE)] for image in calibration_images
    )
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about statistics that only quantization-aware training has
        return converter.convert()


# The allowed largest difference from Keras' scores. The slope of a score over a logit is at most 1/4, the logits of
# this model are within 4 of each other, and it has 28 layers.
TOLERANCES = {
    "float32": 4e-4,  # 28 layers of sums of 256 terms, each rounded to 6e-8
    "float16": 0.02,  # 28 layers of weights with a relative error of 2**-11: 1.4% of logits within 4, times 1/4
}
# The allowed mean difference. Scales of 1/127 of the largest weight and activation give a relative error of about 1.1%
# a layer; these add in squares: 1.1% * sqrt(28) of logits within 4, times 1/4.
MEAN_TOLERANCES = {"dynamic": 0.06, "int8": 0.06}


@pytest.mark.parametrize("variant", TOLERANCES)
def test_float_scores_are_close_to_keras(tiny_bundle, evaluation_images, reference, variant):
    scores = Runner(tiny_bundle.file(f"{variant}.tflite")).scores(evaluation_images)
    np.testing.assert_allclose(scores, reference, rtol=0, atol=TOLERANCES[variant])


@pytest.mark.parametrize("variant", MEAN_TOLERANCES)
def test_quantized_scores_are_close_to_keras(tiny_bundle, evaluation_images, reference, variant):
    scores = Runner(tiny_bundle.file(f"{variant}.tflite")).scores(evaluation_images)
    assert np.abs(scores - reference).mean() < MEAN_TOLERANCES[variant]
    # Differences between images are larger than the tolerance.
    assert np.abs(np.roll(scores, 1, axis=0) - reference).mean() > 2 * MEAN_TOLERANCES[variant]


def test_stock_int8_has_the_weights_and_scales_of_the_stock_converter(stock_files, stock):
    ours, theirs = _convolutions(stock_files["int8"]), _convolutions(stock)
    assert len(ours) == len(theirs) == 28  # stem, 13 depthwise and 13 pointwise, logits
    for (weights, scales), (stock_weights, stock_scales) in zip(ours, theirs, strict=True):
        assert weights.dtype == np.int8
        np.testing.assert_array_equal(weights, stock_weights)
        # Batch normalization is folded in a different graph: float32 rounding of a few operations.
        np.testing.assert_allclose(scales, stock_scales, rtol=1e-6)


def test_stock_int8_scores_are_those_of_the_stock_converter(stock_files, stock, evaluation_images, tmp_path):
    # The calibration images contain black and white, so both files have the same input range.
    ours, theirs = (_runner(tmp_path, data).scores(evaluation_images) for data in (stock_files["int8"], stock))
    # Ranges that differ by float32 rounding may change an output by one of its 256 values.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1.001 / 256)


def test_without_equalization_int8_has_other_weights_with_the_scales_of_the_stock_converter(
    tiny_model, converter, calibration_images, stock
):
    tiny = converter(tiny_model)
    with quiet():
        data = tiny.int8(lambda: calibration_images, steps=Steps(equalization=False))
    ours, theirs = _convolutions(data), _convolutions(stock)
    for (_, scales), (_, stock_scales) in zip(ours, theirs, strict=True):
        # The largest weight of a channel is kept, so its scale is, too: float32 rounding of a few operations.
        np.testing.assert_allclose(scales, stock_scales, rtol=1e-6)
    changes = np.concatenate([np.ravel(o.astype(int) - t) for (o, _), (t, _) in zip(ours, theirs, strict=True)])
    # GPTQ changes some weights, most of them to the next integer.
    assert changes.any()
    assert np.median(np.abs(changes[changes != 0])) == 1


@pytest.mark.parametrize(("quantizer", "dtype"), [("edgenet", np.float32), ("stock", np.int8)])
def test_only_the_stock_converter_quantizes_depthwise_weights_of_dynamic(tiny_bundle, stock_files, quantizer, dtype):
    data = stock_files["dynamic"] if quantizer == "stock" else tiny_bundle.file("dynamic.tflite").read_bytes()
    # Only the tiny model's wide layers have the 1024 weights from which int8 is used.
    large = [weights for weights, _ in _convolutions(data, ("DEPTHWISE_CONV_2D",)) if weights.size >= 1024]
    assert {weights.dtype for weights in large} == {np.dtype(dtype)}


@pytest.mark.parametrize(("interface", "zero_points"), [("uint8", (127, 128)), ("int8", (-1, 0)), ("float32", (0,))])
def test_the_dtype_and_parameters_of_the_int8_input(int8_files, interface, zero_points):
    with quiet():
        interpreter = Interpreter(model_content=int8_files[interface])
    image, scores = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert image["dtype"] == scores["dtype"] == np.dtype(interface).type
    scale, zero_point = image["quantization"]
    # Zero is in the middle of 0 to 255, between two integers: either may be the zero point.
    assert (scale, zero_point in zero_points) == (0 if interface == "float32" else PIXEL, True)


def test_int8_and_uint8_interfaces_give_the_same_scores(int8_files, evaluation_images, tmp_path):
    scores = {interface: _runner(tmp_path, data).scores(evaluation_images) for interface, data in int8_files.items()}
    np.testing.assert_array_equal(scores["uint8"], scores["int8"])
    # A float input is rounded to another integer in half of the cases: an error as large as that of int8 itself.
    assert np.abs(scores["float32"] - scores["uint8"]).mean() < MEAN_TOLERANCES["int8"]


@pytest.mark.slow
@pytest.mark.parametrize("interface", ["uint8", "int8"])
def test_the_input_scale_does_not_depend_on_the_calibration_images(
    tiny_model, converter, calibration_images, interface
):
    dim = calibration_images // 4 + 60  # from 60 to 123, neither black nor white
    with quiet():
        data = converter(tiny_model).int8(lambda: dim, interface)
        interpreter = Interpreter(model_content=data)
    assert interpreter.get_input_details()[0]["quantization"][0] == PIXEL


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_a_batch_is_fixed(batch_of_four, variant):
    with quiet():
        interpreter = Interpreter(model_content=batch_of_four[variant])
    image, scores = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    for details, shape in ((image, [4, 32, 32, 3]), (scores, [4, 4])):
        assert details["shape"].tolist() == details["shape_signature"].tolist() == shape


def test_batch_one_is_the_default(tiny_bundle):
    for variant in VARIANTS:
        assert Runner(tiny_bundle.file(f"{variant}.tflite")).batch == 1


@pytest.mark.parametrize(
    ("variant", "tolerance"),
    [
        ("float32", 4e-4),  # as in TOLERANCES
        ("int8", 1.001 / 256),  # ranges that differ by float32 rounding change an output by one of its 256 values
    ],
)
def test_a_batch_of_four_gives_the_scores_of_single_images(
    batch_of_four, int8_files, tiny_bundle, evaluation_images, variant, tolerance, tmp_path
):
    assert len(evaluation_images) % 4  # the last batch is shorter
    scores = _runner(tmp_path, batch_of_four[variant]).scores(evaluation_images)
    data = int8_files["uint8"] if variant == "int8" else tiny_bundle.file(f"{variant}.tflite").read_bytes()
    single = _runner(tmp_path, data).scores(evaluation_images)
    np.testing.assert_allclose(scores, single, rtol=0, atol=tolerance)


@pytest.mark.parametrize("variant", VARIANTS)
def test_image_and_scores_have_names_in_the_signature(tiny_bundle, pictures, variant):
    path = listing.find_images(pictures / "evaluation").paths[0]
    pixels = preprocess.load(path, square(32))[None]
    with quiet():
        interpreter = Interpreter(model_path=str(tiny_bundle.file(f"{variant}.tflite")))
        run = interpreter.get_signature_runner()
        scores = run(image=pixels if variant == "int8" else preprocess.normalize(pixels, RECIPE))["scores"]
    assert interpreter.get_input_details()[0]["name"] == "image"
    assert interpreter.get_output_details()[0]["name"] == "scores"
    own = Runner(tiny_bundle.file(f"{variant}.tflite")).scores(pixels)
    expected = scores.astype(np.float32) / 256 if variant == "int8" else scores  # softmax always has the scale 1/256
    np.testing.assert_array_equal(own, expected)


def test_raw_pixels_of_an_app_are_the_input_of_uint8(tiny_bundle, pictures, reference):
    # As an app does it, without edgenet's preprocessing: decode, resize, pass the bytes.
    path = next(
        path for path in listing.find_images(pictures / "evaluation").paths if Image.open(path).size == (28, 28)
    )
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
    index = listing.find_images(pictures / "evaluation").paths.index(path)
    assert np.abs(scores[0] / 256 - reference[index]).mean() < 2 * MEAN_TOLERANCES["int8"]  # of four scores, not 172


def _runner(folder, data: bytes) -> Runner:
    path = folder / "model.tflite"
    path.write_bytes(data)
    return Runner(path)


def _convolutions(data: bytes, kinds=("CONV_2D", "DEPTHWISE_CONV_2D")) -> list[tuple[np.ndarray, np.ndarray]]:
    """The weights and scales of each convolution, in the order of the graph."""
    from edgenet.tflite import flatbuffer

    model = flatbuffer.read(data)
    tensors = model.subgraphs[0].tensors
    kernels = [
        tensors[op.inputs[1]] for op in model.subgraphs[0].operators if flatbuffer.operator_kind(model, op) in kinds
    ]
    return [(flatbuffer.constant(model, kernel), kernel.quantization.scale) for kernel in kernels]
