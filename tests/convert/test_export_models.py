"""Export of models with other input ranges, scores, shapes and file formats: each gets the inputs that it expects."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.convert.options import Options
from edgenet.images import listing, preprocess
from edgenet.images.input_range import COMMON, InputRange, describe
from edgenet.litert.runner import Runner
from edgenet.quiet import quiet
from edgenet.records import Resize

pytestmark = pytest.mark.slow  # an export each

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
TORCH = COMMON["0.485,0.456,0.406,0.229,0.224,0.225"]
CAFFE = COMMON["123.68,116.779,103.939,1,1,1 BGR"]


@dataclass(frozen=True)
class Case:
    """A model whose input is `inputs(pixels)`, from `low` to `high`; `declared` is the input range that export gets."""

    inputs: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float
    declared: InputRange | None = None
    shape: tuple[int, int, int] = (32, 32, 3)
    scales: tuple[float, float] | None = None  # of a Rescaling layer in the model: factor and offset
    scores: str = "softmax"
    saved_model: bool = False
    options: dict = field(default_factory=dict)


CASES = {
    "[-1, 1]": Case(lambda p: p / 127.5 - 1, -1, 1),
    "[0, 1]": Case(lambda p: p / 255, 0, 1, InputRange.between(0, 1)),
    "[0, 255], scaled inside": Case(lambda p: p, 0, 255, scales=(1 / 127.5, -1)),
    "[0, 1], scaled inside": Case(lambda p: p / 255, 0, 1, scales=(2, -1)),
    "mean and deviation": Case(lambda p: (p / 255 - MEAN) / STD, -0.485 / 0.229, 0.594 / 0.225, TORCH),
    "BGR": Case(lambda p: (p / 127.5 - 1)[..., ::-1], -1, 1, InputRange(order="BGR")),
    "Caffe's": Case(lambda p: p[..., ::-1] - [103.939, 116.779, 123.68], -123.68, 151.061, CAFFE),
    "above zero": Case(
        lambda p: p / 255 + 1, 0, 2, InputRange.between(1, 2)
    ),  # the quantized range always includes zero
    "grey": Case(lambda p: p / 127.5 - 1, -1, 1, shape=(32, 32, 1)),
    "oblong": Case(lambda p: p / 127.5 - 1, -1, 1, shape=(24, 40, 3)),
    "logits": Case(lambda p: p / 127.5 - 1, -1, 1, scores="logits"),
    "sigmoid": Case(lambda p: p / 127.5 - 1, -1, 1, scores="sigmoid"),
    "a SavedModel": Case(lambda p: p / 127.5 - 1, -1, 1, saved_model=True),
    "a SavedModel of [0, 255]": Case(
        lambda p: p, 0, 255, InputRange.between(0, 255), scales=(1 / 127.5, -1), saved_model=True
    ),
    "int8, of [0, 1]": Case(lambda p: p / 255, 0, 1, InputRange.between(0, 1), options={"interface": "int8"}),
    "float32, of BGR": Case(
        lambda p: (p / 127.5 - 1)[..., ::-1], -1, 1, InputRange(order="BGR"), options={"interface": "float32"}
    ),
    "batch 4, of mean and deviation": Case(
        lambda p: (p / 255 - MEAN) / STD, -0.485 / 0.229, 0.594 / 0.225, TORCH, options={"batch": 4}
    ),
}


@dataclass(frozen=True)
class Exported:
    """The bundle of a case. expected: Keras' scores of the evaluation images."""

    case: Case
    bundle: Bundle
    pixels: np.ndarray
    expected: np.ndarray


def _net(case: Case, set_statistics, calibration_images: np.ndarray):
    import keras
    from keras import layers

    keras.utils.set_random_seed(9)
    image = keras.Input(case.shape)
    x = layers.Rescaling(case.scales[0], offset=case.scales[1])(image) if case.scales else image
    x = layers.Conv2D(8, 3, strides=4, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(16, 3, activation="relu")(x)
    x = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x))
    inputs = case.inputs(calibration_images.astype(np.float64)).astype(np.float32)
    set_statistics(keras.Model(image, layers.Softmax()(x)), inputs)
    # The mean of the logits is removed, too: softmax ignores it, sigmoid does not.
    logits = keras.Model(image, x)
    logits.layers[-1].bias.assign(logits.layers[-1].bias - logits.predict(inputs, verbose=0).mean())
    ends = {"softmax": layers.Softmax(), "sigmoid": layers.Activation("sigmoid"), "logits": layers.Identity()}
    return keras.Model(image, ends[case.scores](x))


def _load(folder, shape: tuple[int, int, int]) -> np.ndarray:
    return np.stack(list(preprocess.load_all(listing.find_images(folder).paths, InputRange().recipe(*shape))))


@pytest.fixture(scope="module", params=CASES)
def exported(request, set_statistics, pictures, labels, tmp_path_factory) -> Exported:
    with quiet():
        from edgenet.exporter import Inputs, export
        from edgenet.images import splits
        from edgenet.model import keras_model

        case, folder = CASES[request.param], tmp_path_factory.mktemp("exported")
        pixels = _load(pictures / "evaluation", case.shape)
        model = _net(case, set_statistics, _load(pictures / "calibration", case.shape))
        expected = model.predict(case.inputs(pixels.astype(np.float64)).astype(np.float32), verbose=0)
        if case.saved_model:
            model.export(folder / "exported", verbose=False)
            classifier = keras_model.load(folder / "exported", input_range=case.declared, default_resize=Resize())
        else:
            classifier = keras_model.from_keras(model, "own", input_range=case.declared, default_resize=Resize())
        chosen = splits.from_folders(pictures / "calibration", pictures / "evaluation", labels)
        options = Options(variants=("float32", "dynamic", "int8"), **case.options)
        bundle = export(Inputs(classifier, "own", labels, chosen), folder / "own", options)
    return Exported(case, bundle, pixels, expected)


# Float32 sums of 72 products; the differences between images are 10,000 times as large.
SAME = {"rtol": 0, "atol": 2e-5}
# As in test_quantizer: rounding errors of 1.1% a layer, three layers, of logits within 4, times a slope of 1/4.
MAX_MEAN_ERROR = 0.02


def probabilities(exported: Exported, scores: np.ndarray) -> np.ndarray:
    """Scores from 0 to 1. For logits: softmax ignores those far below the top, which calibration may clip."""
    if exported.case.scores != "logits":
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_reference_is_keras_on_the_declared_inputs(exported):
    with np.load(exported.bundle.file("reference.npz")) as stored:
        np.testing.assert_allclose(stored["scores"], exported.expected, **SAME)
    assert np.ptp(exported.expected, axis=0).min() > 0.1


def test_float32_gives_the_scores_of_keras(exported):
    runner = Runner(exported.bundle.file("float32.tflite"), exported.bundle.manifest.preprocessing)
    np.testing.assert_allclose(runner.scores(exported.pixels), exported.expected, **SAME)
    assert exported.bundle.manifest.variants[0].drift.agreement.top1 == 1.0


@pytest.mark.parametrize("variant", ["dynamic", "int8"])
def test_int8_weights_give_nearly_the_scores_of_keras(exported, variant):
    runner = Runner(exported.bundle.file(f"{variant}.tflite"), exported.bundle.manifest.preprocessing)
    scores, expected = (
        probabilities(exported, runner.scores(exported.pixels)),
        probabilities(exported, exported.expected),
    )
    assert np.abs(scores - expected).mean() < MAX_MEAN_ERROR
    # Differences between images are larger than the tolerance.
    assert np.abs(np.roll(scores, 1, axis=0) - expected).mean() > 2 * MAX_MEAN_ERROR


def _input(exported: Exported) -> tuple[np.dtype, float, int]:
    with quiet():
        details = Interpreter(model_path=str(exported.bundle.file("int8.tflite"))).get_input_details()[0]
    return np.dtype(details["dtype"]), *details["quantization"]


def test_scale_and_zero_point_of_the_input_are_those_of_pixels(exported):
    dtype, scale, zero_point = _input(exported)
    assert dtype == exported.case.options.get("interface", "uint8")
    if dtype == np.float32:
        assert scale == 0  # none
        return
    # The range of pixel values divided by 255, as float32.
    assert scale == pytest.approx((exported.case.high - exported.case.low) / 255, rel=1e-6)
    # The zero point is rounded to an integer.
    lowest = -128 if dtype == np.int8 else 0
    assert abs(-exported.case.low / scale - (zero_point - lowest)) <= 0.5001


def test_raw_pixels_give_the_scores_of_the_runner(exported):
    dtype, scale, _ = _input(exported)
    recipe = exported.bundle.manifest.preprocessing
    same_for_all = len(set(recipe.mean)) == len(set(recipe.std)) == 1
    if dtype == np.float32 or not same_for_all or (exported.case.low, exported.case.high) == (0, 2):
        pytest.skip("this input is not raw pixels")
    raw = exported.pixels[..., ::-1] if recipe.order == "BGR" else exported.pixels
    raw = raw if dtype == np.uint8 else (raw.astype(np.int16) - 128).astype(np.int8)
    with quiet():
        interpreter = Interpreter(model_path=str(exported.bundle.file("int8.tflite")))
        classify = interpreter.get_signature_runner()
        scores = np.concatenate([classify(image=np.ascontiguousarray(image[None]))["scores"] for image in raw])
    scale, zero_point = interpreter.get_output_details()[0]["quantization"]
    expected = Runner(exported.bundle.file("int8.tflite"), recipe).scores(exported.pixels)
    np.testing.assert_allclose((scores.astype(np.float32) - zero_point) * np.float32(scale), expected, rtol=1e-6)


def test_the_manifest_describes_the_model(exported):
    manifest, case = exported.bundle.manifest, exported.case
    assert (manifest.scores, manifest.classes) == (case.scores, 4)
    assert manifest.preprocessing.shape == case.shape
    assert manifest.preprocessing.range == pytest.approx((1 if case.high == 2 else case.low, case.high), abs=1e-9)
    assert manifest.preprocessing.order == (case.declared.order if case.declared else "RGB")
    assert manifest.model == ("saved_model" if case.saved_model else "model.keras")
    assert exported.bundle.file(manifest.model).is_dir() == case.saved_model
    assert bundles.verify(bundles.load(exported.bundle.folder)) == len(manifest.files)
    assert bundles.load(exported.bundle.folder).manifest == manifest


def test_the_model_in_the_bundle_gives_the_reference_again(exported):
    from edgenet.model import keras_model

    manifest = exported.bundle.manifest
    with quiet():
        classifier = keras_model.reload(exported.bundle.file(manifest.model), manifest.preprocessing)
        scores = np.concatenate(list(classifier.scores(preprocess.batches(exported.pixels, 32))))
    assert classifier.recipe == manifest.preprocessing
    with np.load(exported.bundle.file("reference.npz")) as stored:
        np.testing.assert_allclose(scores, stored["scores"], **SAME)


def test_the_manifest_has_the_findings_about_the_calibration_images(exported):
    calibration = exported.bundle.manifest.calibration
    assert calibration.images == 24
    texts = [finding.text for finding in calibration.findings]
    assert "only 24 different images; use 50 or more, of all kinds" in texts
    # These models have the statistics of these images: the declared input range is the closest.
    assert not [finding for finding in calibration.findings if finding.level == "wrong"]
    declared = describe(exported.bundle.manifest.preprocessing)
    assert min(calibration.distances, key=calibration.distances.get) == declared
    assert calibration.distances[declared] < 0.1
