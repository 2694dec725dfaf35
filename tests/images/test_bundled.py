"""What the bundled model must hold on its 1,000 evaluation images, measured with the bare interpreter."""

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from recipes import square

from edgenet.images import bundled, class_folders, listing, preprocess
from edgenet.images import labels as class_names
from edgenet.quiet import quiet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pixels(bundled_bundle) -> np.ndarray:
    """The evaluation images, uint8 (1000, 96, 96, 3)."""
    paths = [bundled_bundle.file(image.file) for image in bundled_bundle.manifest.evaluation]
    return np.stack(list(preprocess.load_all(paths, square(96))))


@pytest.fixture(scope="module")
def labels(bundled_bundle) -> np.ndarray:
    return np.array([image.label for image in bundled_bundle.manifest.evaluation])


@pytest.fixture(scope="module")
def reference(pixels) -> np.ndarray:
    """Keras' scores, by its own `predict`."""
    with quiet():
        from edgenet.model import weights

        return weights.bundled().predict(pixels / np.float32(127.5) - np.float32(1), batch_size=50, verbose=0)


@pytest.fixture(scope="module")
def top(bundled_bundle, pixels) -> dict[str, np.ndarray]:
    """The top class of each image by each variant, one at a time."""
    found = {}
    for variant in bundled_bundle.manifest.variants:
        with quiet():
            interpreter = Interpreter(model_path=str(bundled_bundle.file(variant.file)))
            interpreter.allocate_tensors()
        taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
        classes = []
        for image in pixels:
            raw = image if variant.name == "int8" else image / np.float32(127.5) - np.float32(1)
            interpreter.set_tensor(taken, raw[None])
            interpreter.invoke()
            classes.append(interpreter.get_tensor(given)[0].argmax())
        found[variant.name] = np.array(classes)
    return found


def test_there_are_1000_images_100_of_each_class(labels):
    assert np.bincount(labels).tolist() == [100] * 10


def test_calibration_images_are_others(bundled_bundle):
    calibration = listing.find_images(bundled.CALIBRATION).paths
    assert len(calibration) == bundled_bundle.manifest.calibration.images == 200
    found = class_folders.find(calibration, bundled.CALIBRATION, class_names.read(bundled.LABELS))
    counts = np.bincount(found.classes)
    assert counts.tolist() == [20] * 10
    digests = {preprocess.digest(image) for image in preprocess.load_all(calibration, square(28))}
    evaluation = listing.find_images(bundled.EVALUATION).paths
    assert not digests & {preprocess.digest(image) for image in preprocess.load_all(evaluation, square(28))}


def test_keras_is_right_on_at_least_90_percent(reference, labels):
    assert (reference.argmax(axis=1) == labels).mean() >= 0.90


@pytest.mark.parametrize(
    ("variant", "least"), [("float32", 1.0), ("float16", 0.998), ("dynamic", 0.990), ("int8", 0.990)]
)
def test_agreement_with_keras(top, reference, variant, least):
    assert (top[variant] == reference.argmax(axis=1)).mean() >= least


def test_int8_is_at_most_0_32_of_the_size_of_float32(bundled_bundle):
    sizes = {name: bundled_bundle.file(f"{name}.tflite").stat().st_size for name in ("float32", "int8")}
    assert sizes["int8"] <= 0.32 * sizes["float32"]


def test_the_manifest_says_what_is_measured_here(bundled_bundle, top, reference, labels):
    for variant in bundled_bundle.manifest.variants:
        drift = variant.drift
        # Two scores that are equal but for float32 rounding, in batches of another length, may change places.
        assert drift.agreement.top1 == pytest.approx((top[variant.name] == reference.argmax(axis=1)).mean(), abs=0.0011)
        assert drift.accuracy.top1 == pytest.approx((top[variant.name] == labels).mean(), abs=0.0011)


# TensorFlow and tflite-support cannot live in one process, and its wheel does not find libusb by itself.
TASK_LIBRARY = """
import ctypes, json, sys
sys.modules["tensorflow"] = None
import libusb_package
ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
import numpy as np
from tflite_support.task import vision
classifier = vision.ImageClassifier.create_from_file(sys.argv[1])
for image in np.load(sys.argv[2]):
    found = classifier.classify(vision.TensorImage.create_from_array(image)).classifications[0].categories
    print(json.dumps([[category.index, category.score] for category in found]))
"""


@pytest.mark.skipif(not find_spec("tflite_support"), reason="tflite-support has no wheel for this machine")
def test_the_task_library_of_mobile_apps_gives_the_same_scores_of_int8(bundled_bundle, pixels, tmp_path):
    from edgenet.litert.runner import Runner

    some = pixels[::25]
    np.save(tmp_path / "images.npy", some)
    command = [sys.executable, "-c", TASK_LIBRARY, bundled_bundle.file("int8.tflite"), tmp_path / "images.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [sorted(json.loads(line)) for line in done.stdout.splitlines()]
    scores = Runner(bundled_bundle.file("int8.tflite")).scores(some)
    assert found == [[[number, score] for number, score in enumerate(row)] for row in scores.tolist()]
