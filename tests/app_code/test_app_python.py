"""The Python code of a bundle, run with numpy, Pillow and LiteRT alone, gives the scores that edgenet gives."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from app_code_cases import CASES, Case, check_steps, draw_images, manifest, model, write
from PIL import Image
from places import IMAGENET

from edgenet.app_code import writer
from edgenet.images import labels as class_names
from edgenet.images import preprocess
from edgenet.litert.classifier import Classifier
from edgenet.litert.runner import Runner
from edgenet.records import Preprocessing, Resize, ResizeMode, ScoreKind

# Runs classifiers without edgenet, and saves their scores: the scores of all images of each folder.
RUN = """
import importlib.util, json, sys
for name in ("edgenet", "simplejpeg", "tensorflow", "keras"):
    sys.modules[name] = None
import numpy as np
folders, images, out = json.loads(sys.stdin.read())
found = []
for folder in folders:
    spec = importlib.util.spec_from_file_location("classifier", folder + "/app/classifier.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    classifier = module.Classifier()
    found.append([classifier.scores(image) for image in images])
np.savez(out, *map(np.stack, found))
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return draw_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def scores(tmp_path_factory, images):
    """The folder of each case, and the scores of its Python code on the images."""
    place = tmp_path_factory.mktemp("apps")
    folders = [write(place / str(number), case) for number, case in enumerate(CASES.values())]
    request = json.dumps([[str(folder) for folder in folders], [str(path) for path in images], str(place / "out.npz")])
    done = subprocess.run([sys.executable, "-c", RUN], input=request, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(place / "out.npz") as found:
        each = [found[f"arr_{number}"] for number in range(len(folders))]
    return dict(zip(CASES, zip(folders, each, strict=True), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_edgenet(name, scores, images):
    case, (folder, found) = CASES[name], scores[name]
    pixels = np.stack([preprocess.load(path, case.recipe) for path in images])
    expected = Runner(folder / "int8.tflite", case.recipe).scores(pixels)
    check_steps(found, expected, case)
    if case.is_antialiased:
        np.testing.assert_array_equal(found, expected)  # the same code of Pillow


def test_a_wrong_recipe_is_found(scores, images):
    """The test above can fail: half a pixel is seen."""
    case, (_, found) = CASES["task-library uint8"], scores["mediapipe uint8"]
    with pytest.raises(AssertionError):
        check_steps(found, scores["task-library uint8"][1], case)


def classify(folder, *arguments):
    """Run the file as a program, which prints path, score and label."""
    done = subprocess.run(
        [sys.executable, folder / "app" / "classifier.py", *arguments], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return [line.split("  ") for line in done.stdout.splitlines()]


def test_the_top_classes_are_those_of_the_classifier(tiny_bundle, tmp_path):
    labels = class_names.read_lines(tiny_bundle.file("labels.txt"))
    (tmp_path / "labels.txt").write_bytes(tiny_bundle.file("labels.txt").read_bytes())
    shutil.copy(tiny_bundle.file("int8.tflite"), tmp_path)
    for variant in tiny_bundle.manifest.variants:
        shutil.copy(tiny_bundle.file(variant.file), tmp_path)
    writer.write(tmp_path, tiny_bundle.manifest, labels)
    photos = [str(tiny_bundle.file(image.file)) for image in tiny_bundle.manifest.evaluation[:8]]
    lines = classify(tmp_path, *photos)
    with Classifier(tiny_bundle.file("int8.tflite")) as classifier:
        expected = [(path, one.label, one.score) for path in photos for one in classifier.classify(path)]
    assert [(path, label) for path, _, label in lines] == [(path, label) for path, label, _ in expected]
    # Printed with three digits.
    assert [float(score) for _, score, _ in lines] == pytest.approx([score for *_, score in expected], abs=0.00051)


SMALL = Preprocessing(1, 2, 3, (0.0,) * 3, (255.0,) * 3, resize=Resize(ResizeMode.STRETCH))
NAMES = ["ant", "bee", "cat", "dog", "élan", "fox"]


@pytest.fixture
def six_scores(tmp_path):
    """Writes a bundle whose six scores are the values of two pixels, and classifies them."""

    def run(values, kind, labelled=True):
        case = Case(SMALL)
        (tmp_path / "int8.tflite").write_bytes(model(case))
        (tmp_path / "labels.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
        writer.write(tmp_path, manifest(case, scores=kind, labelled=labelled), NAMES)
        Image.fromarray(np.array(values, np.uint8).reshape(1, 2, 3)).save(tmp_path / "six.png")
        return [(label, float(score)) for _, score, label in classify(tmp_path, tmp_path / "six.png")]

    return run


def test_the_best_five_of_probabilities(six_scores):
    found = six_scores([0, 51, 255, 51, 0, 102], ScoreKind.SOFTMAX)
    # Among equal scores, the first label.
    assert found == [("cat", 1.0), ("fox", 0.4), ("bee", 0.2), ("dog", 0.2), ("ant", 0.0)]


def test_logits_become_probabilities(six_scores):
    found = six_scores([0, 51, 255, 51, 0, 102], ScoreKind.LOGITS)
    powers = np.exp([1.0, 0.4, 0.2, 0.2, 0.0, 0.0])
    assert [score for _, score in found] == pytest.approx((powers / powers.sum())[:5], abs=0.00051)


def test_each_label_of_a_multi_label_model_by_itself(six_scores):
    assert six_scores([0, 204, 255, 51, 128, 127], ScoreKind.SIGMOID, labelled=False) == [
        ("cat", 1.0),
        ("bee", 0.8),
        ("élan", 0.502),
    ]
    assert six_scores([0] * 6, ScoreKind.SIGMOID, labelled=False) == []


def test_photos_from_jpeg_files(tmp_path):
    """TensorFlow's fast decoder is not Pillow's, so pixels are not the same; that is in the README."""
    photos = sorted((IMAGENET / "images").rglob("*.JPEG"))[:20] or sorted((IMAGENET / "images").rglob("*.jpg"))[:20]
    if not photos:
        pytest.skip("needs ImageNet photos in ../shared/imagenet")
    case = CASES["keras-dataset float32"]
    folder = write(tmp_path / "a", case)
    request = json.dumps([[str(folder)], [str(path) for path in photos], str(tmp_path / "out.npz")])
    done = subprocess.run([sys.executable, "-c", RUN], input=request, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")["arr_0"]
    runner = Runner(folder / "int8.tflite", case.recipe)
    expected = runner.scores(np.stack([preprocess.load(path, case.recipe) for path in photos]))
    steps = np.abs(found - expected) / case.step
    # Measured: 0.95 on average, 0.90 within 2, 5.2 at most.
    assert steps.mean() < 1.5
    assert (steps < 2).mean() > 0.85
    assert steps.max() < 10
