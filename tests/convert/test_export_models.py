"""Export of models that take other pixels, give other scores or come from other files: each sees what it should."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.convert.options import Options
from edgenet.images import preprocess
from edgenet.images.input_range import COMMON, InputRange, option
from edgenet.litert.runner import Runner
from edgenet.progress import SILENT
from edgenet.quiet import quiet

pytestmark = pytest.mark.slow  # an export each

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
TORCH = COMMON["--input-range 0.485,0.456,0.406,0.229,0.224,0.225"]
CAFFE = COMMON["--input-range 123.68,116.779,103.939,1,1,1 --channel-order BGR"]


@dataclass(frozen=True)
class Case:
    """A model that takes `inputs` of pixels, between `low` and `high`, as it is declared (or finds out itself)."""

    inputs: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float
    declared: InputRange | None = None
    shape: tuple[int, int, int] = (32, 32, 3)
    scales: tuple[float, float] | None = None  # a Rescaling in the model itself: factor and offset
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
    "above zero": Case(lambda p: p / 255 + 1, 0, 2, InputRange.between(1, 2)),  # zero is always in a grid
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
class Made:
    """What became of a case. expected: Keras' own scores of the evaluation pictures' pixels."""

    case: Case
    bundle: Bundle
    pixels: np.ndarray
    expected: np.ndarray


def _net(case: Case, settle, seen: np.ndarray):
    import keras
    from keras import layers

    keras.utils.set_random_seed(9)
    image = keras.Input(case.shape)
    x = layers.Rescaling(case.scales[0], offset=case.scales[1])(image) if case.scales else image
    x = layers.Conv2D(8, 3, strides=4, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(16, 3, activation="relu")(x)
    x = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x))
    inputs = case.inputs(seen.astype(np.float64)).astype(np.float32)
    settle(keras.Model(image, layers.Softmax()(x)), inputs)
    # What is common to all logits goes too: softmax does not see it, sigmoid does.
    logits = keras.Model(image, x)
    logits.layers[-1].bias.assign(logits.layers[-1].bias - logits.predict(inputs, verbose=0).mean())
    ends = {"softmax": layers.Softmax(), "sigmoid": layers.Activation("sigmoid"), "logits": layers.Identity()}
    return keras.Model(image, ends[case.scores](x))


def _load(folder, shape: tuple[int, int, int]) -> np.ndarray:
    return np.stack(list(preprocess.load_all(preprocess.find(folder).paths, InputRange().recipe(*shape))))


@pytest.fixture(scope="module", params=CASES)
def made(request, settle, pictures, labels, tmp_path_factory) -> Made:
    with quiet():
        from edgenet.exporter import export
        from edgenet.images import splits
        from edgenet.model import keras_model

        case, folder = CASES[request.param], tmp_path_factory.mktemp("made")
        pixels = _load(pictures / "evaluation", case.shape)
        model = _net(case, settle, _load(pictures / "calibration", case.shape))
        expected = model.predict(case.inputs(pixels.astype(np.float64)).astype(np.float32), verbose=0)
        if case.saved_model:
            model.export(folder / "exported", verbose=False)
            classifier = keras_model.load(folder / "exported", declared=case.declared)
        else:
            classifier = keras_model.of_keras(model, "own", declared=case.declared)
        chosen = splits.choose(pictures / "calibration", pictures / "evaluation", labels)
        options = Options(variants=("float32", "dynamic", "int8"), **case.options)
        progress = SILENT
        bundle = export(classifier, folder / "own", progress, name="own", labels=labels, sets=chosen, options=options)
    return Made(case, bundle, pixels, expected)


# Scores of 4 classes tell pictures apart: float32 sums of 72 products are 100,000 times as near.
SAME = {"rtol": 0, "atol": 2e-5}
# As in test_quantizer: rounding errors of 1.1 % a layer, three layers, of logits within 4, times a slope of 1/4.
SANE = 0.02


def shares(made: Made, scores: np.ndarray) -> np.ndarray:
    """Scores from 0 to 1. Of logits, softmax forgets those far below the best, which calibration may cut off."""
    if made.case.scores != "logits":
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_reference_is_keras_on_the_inputs_that_were_declared(made):
    with np.load(made.bundle.file("reference.npz")) as stored:
        np.testing.assert_allclose(stored["scores"], made.expected, **SAME)
    assert np.ptp(made.expected, axis=0).min() > 0.1


def test_float32_gives_the_scores_of_keras(made):
    runner = Runner(made.bundle.file("float32.tflite"), made.bundle.manifest.preprocessing)
    np.testing.assert_allclose(runner.scores(made.pixels), made.expected, **SAME)
    assert made.bundle.manifest.variants[0].drift.agreement == 1.0


@pytest.mark.parametrize("variant", ["dynamic", "int8"])
def test_integers_give_nearly_the_scores_of_keras(made, variant):
    runner = Runner(made.bundle.file(f"{variant}.tflite"), made.bundle.manifest.preprocessing)
    found, expected = shares(made, runner.scores(made.pixels)), shares(made, made.expected)
    assert np.abs(found - expected).mean() < SANE
    # The tolerance tells pictures apart: with each other's scores it would not hold.
    assert np.abs(np.roll(found, 1, axis=0) - expected).mean() > 2 * SANE


def _input(made: Made) -> tuple[np.dtype, float, int]:
    with quiet():
        details = Interpreter(model_path=str(made.bundle.file("int8.tflite"))).get_input_details()[0]
    return np.dtype(details["dtype"]), *details["quantization"]


def test_the_grid_of_the_input_is_that_of_pixels(made):
    dtype, scale, zero_point = _input(made)
    assert dtype == made.case.options.get("interface", "uint8")
    if dtype == np.float32:
        assert scale == 0  # none
        return
    # From the lowest to the highest value that a pixel can become, in 255 steps; a float32 holds it.
    assert scale == pytest.approx((made.case.high - made.case.low) / 255, rel=1e-6)
    # Zero is a point of the grid: half a step from where it should be, at most.
    lowest = -128 if dtype == np.int8 else 0
    assert abs(-made.case.low / scale - (zero_point - lowest)) <= 0.5001


def test_an_app_that_hands_over_raw_pixels_gets_the_scores_of_the_benchmark(made):
    dtype, scale, _ = _input(made)
    recipe = made.bundle.manifest.preprocessing
    same_for_all = len(set(recipe.mean)) == len(set(recipe.std)) == 1
    if dtype == np.float32 or not same_for_all or (made.case.low, made.case.high) == (0, 2):
        pytest.skip("this input is no pixel")
    raw = made.pixels[..., ::-1] if recipe.order == "BGR" else made.pixels
    raw = raw if dtype == np.uint8 else (raw.astype(np.int16) - 128).astype(np.int8)
    with quiet():
        interpreter = Interpreter(model_path=str(made.bundle.file("int8.tflite")))
        classify = interpreter.get_signature_runner()
        found = np.concatenate([classify(image=np.ascontiguousarray(picture[None]))["scores"] for picture in raw])
    scale, zero_point = interpreter.get_output_details()[0]["quantization"]
    expected = Runner(made.bundle.file("int8.tflite"), recipe).scores(made.pixels)
    np.testing.assert_allclose((found.astype(np.float32) - zero_point) * np.float32(scale), expected, rtol=1e-6)


def test_the_manifest_says_what_was_made(made):
    manifest, case = made.bundle.manifest, made.case
    assert (manifest.scores, manifest.classes) == (case.scores, 4)
    assert manifest.preprocessing.shape == case.shape
    assert manifest.preprocessing.range == pytest.approx((1 if case.high == 2 else case.low, case.high), abs=1e-9)
    assert manifest.preprocessing.order == (case.declared.order if case.declared else "RGB")
    assert manifest.model == ("saved_model" if case.saved_model else "model.keras")
    assert made.bundle.file(manifest.model).is_dir() == case.saved_model
    assert bundles.verify(bundles.load(made.bundle.folder)) == len(manifest.files)
    assert bundles.load(made.bundle.folder).manifest == manifest


def test_the_model_in_the_bundle_gives_the_reference_again(made):
    from edgenet.model import keras_model

    manifest = made.bundle.manifest
    with quiet():
        classifier = keras_model.reload(made.bundle.file(manifest.model), manifest.preprocessing)
        found = np.concatenate(list(classifier.scores(preprocess.batches(made.pixels, 32))))
    assert classifier.recipe == manifest.preprocessing
    with np.load(made.bundle.file("reference.npz")) as stored:
        np.testing.assert_allclose(found, stored["scores"], **SAME)


def test_the_manifest_says_what_was_found_of_the_calibration_pictures(made):
    found = made.bundle.manifest.calibration
    assert found.images == 24
    assert found.findings[0].text == "24 different images are few; take 50 or more, of all kinds"
    # The statistics of these models are those of these pictures: what was declared is the nearest.
    assert not [finding for finding in found.findings if finding.level == "wrong"]
    declared = option(made.bundle.manifest.preprocessing)
    assert min(found.distances, key=found.distances.get) == declared
    assert found.distances[declared] < 0.1
