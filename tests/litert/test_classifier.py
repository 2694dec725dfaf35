"""The public classifier, against LiteRT's interpreter used by hand and the Task Library."""

import gc
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from app_bundles import without_metadata
from PIL import Image

from edgenet.apps.libraries import TASK_LIBRARY
from edgenet.apps.library_process import LibraryProcess
from edgenet.bundle.bundle import REFERENCE
from edgenet.bundle.evaluation import read_scores
from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.litert.classifier import Classifier, LocalClassifier, Prediction

VARIANTS = ("float32", "float16", "dynamic", "int8")


def scores_by_hand(path: Path, pixels: np.ndarray) -> np.ndarray:
    """The scores of one image at the model's input size, for an input range of -1 to 1."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (details,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    is_float = details["dtype"] == np.float32
    interpreter.set_tensor(
        details["index"], (np.float32(pixels) / 127.5 - 1 if is_float else np.uint8(np.rint(pixels)))[None]
    )
    interpreter.invoke()
    scores = interpreter.get_tensor(output["index"])[0].astype(np.float32)
    scale, zero_point = output["quantization"]
    return scores if is_float else (scores - zero_point) * np.float32(scale)


@pytest.fixture(scope="module")
def files(tiny_bundle) -> list[Path]:
    return [tiny_bundle.file(image.file) for image in tiny_bundle.manifest.evaluation]


@pytest.fixture(scope="module")
def int8(tiny_bundle):
    with Classifier(tiny_bundle.file("int8.tflite")) as classifier:
        yield classifier


@pytest.fixture(scope="module")
def bare(tiny_bundle, tmp_path_factory):
    """A bundle whose files have no metadata."""
    return without_metadata(tiny_bundle, tmp_path_factory.mktemp("bare") / "bundle")


@pytest.mark.parametrize("variant", VARIANTS)
def test_predictions_are_those_of_the_interpreter(tiny_bundle, files, pixels, labels, variant):
    path = tiny_bundle.file(f"{variant}.tflite")
    with Classifier(str(path)) as classifier:
        assert (classifier.labels, classifier.notes, classifier.recipe.shape) == (labels, (), (32, 32, 3))
        for number in (0, 1, 20, 42):
            scores = scores_by_hand(path, pixels[number])
            order = sorted(range(4), key=lambda index: (-scores[index], index))
            expected = [Prediction(labels[index], float(scores[index]), index) for index in order]
            found = classifier.classify(files[number])
            assert [(p.label, p.index) for p in found] == [(p.label, p.index) for p in expected]
            # The same kernels; (x - 127.5) / 127.5 and x / 127.5 - 1 differ by a few ulp, 2^-23 each, and dynamic
            # rounds activations to 8 bits, where an ulp may move a value by a step.
            tolerance = {"int8": 0, "dynamic": 0.05}.get(variant, 1e-5)
            np.testing.assert_allclose([p.score for p in found], [p.score for p in expected], rtol=0, atol=tolerance)
            assert classifier.classify(files[number], top=2) == found[:2]


def test_ties_go_to_the_lowest_index(int8, monkeypatch):
    monkeypatch.setattr(int8._model, "scores_with", lambda pixels, recipe: np.float32([[0.1, 0.4, 0.1, 0.4]]))
    assert [p.index for p in int8.classify(np.zeros((32, 32, 3), np.uint8))] == [1, 3, 0, 2]


def test_paths_pil_images_and_arrays_are_the_same(int8, files):
    for path in files[:2]:  # a square image and a wide one
        expected = int8.classify(str(path))
        with Image.open(path) as image:
            assert int8.classify(image) == expected
            assert int8.classify(np.asarray(image)) == expected


def test_exif_rotation_and_transparency(tiny_bundle, files, tmp_path):
    int8 = Classifier(tiny_bundle.file("int8.tflite"), like="task-library")
    with Image.open(files[1]) as image:
        turned = image.transpose(Image.Transpose.ROTATE_90)
        exif = turned.getexif()
        exif[0x0112] = 6  # rotate by 270 degrees to display
        turned.save(tmp_path / "turned.png", exif=exif)
        clear = image.convert("RGBA")
    assert int8.classify(tmp_path / "turned.png") == int8.classify(files[1])
    with Image.open(tmp_path / "turned.png") as image:
        assert int8.classify(image) == int8.classify(files[1])
    clear.putalpha(0)
    assert int8.classify(clear) == int8.classify(np.full((32, 32, 3), 255, np.uint8))


def test_grey_arrays(int8, files):
    with Image.open(files[0]) as image:
        grey = image.convert("L")
    expected = int8.classify(grey.convert("RGB"))
    assert int8.classify(np.asarray(grey)) == int8.classify(np.asarray(grey)[..., None]) == expected


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((32, 32, 3)), r"expected a uint8 image \(height, width, 3\), got float64 \(32, 32, 3\)"),
        (np.zeros((1, 32, 32, 3), np.uint8), r"expected a uint8 image .*, got uint8 \(1, 32, 32, 3\)"),
        (7, "expected a path, a PIL image or a uint8 array, got int"),
        ("nothing.png", "nothing.png: "),
    ],
)
def test_images_that_cannot_be_read(int8, image, text):
    with pytest.raises(EdgenetError, match=f"^{text}"):
        int8.classify(image)
    assert int8.classify(np.zeros((32, 32, 3), np.uint8))


def test_many_images_in_order(int8, files):
    found = list(int8.classify_all(iter(files), top=1))
    assert [image for image, _ in found] == files
    assert [predictions for _, predictions in found] == [int8.classify(path, top=1) for path in files]
    with pytest.raises(EdgenetError, match=r"^nothing\.png: "):
        list(int8.classify_all([files[0], "nothing.png"]))


def test_classify_all_reads_only_a_few_images_ahead(int8, files):
    drawn = []

    def images():
        for path in files:
            drawn.append(path)
            yield path

    next(int8.classify_all(images()))
    assert len(drawn) <= 2 * (os.cpu_count() or 1) + 1


def test_without_metadata_everything_can_be_set(bare, tiny_bundle, files, labels, tmp_path):
    path = bare.file("float32.tflite")
    with Classifier(path) as classifier:
        assert classifier.labels == ["0", "1", "2", "3"]
        assert len(classifier.notes) == 2
        assert "has no class names; showing class numbers (set names with labels=)" in classifier.notes[0]
        assert "has no input range; assuming -1,1 (set another with input_range=)" in classifier.notes[1]
    (tmp_path / "names.txt").write_text("\n".join(labels) + "\n")
    with Classifier(tiny_bundle.file("float32.tflite")) as classifier:
        expected = classifier.classify(files[0])
    for names, input_range in ((tmp_path / "names.txt", "-1,1"), (labels, (-1, 1)), (tuple(labels), [127.5] * 6)):
        with Classifier(path, labels=names, input_range=input_range, like="keras-dataset") as classifier:
            assert (classifier.notes, classifier.classify(files[0])) == ((), expected)


def test_options_go_before_metadata(tiny_bundle, files):
    path = tiny_bundle.file("float32.tflite")
    with Classifier(path, labels=list("abcd"), input_range="0,255", channel_order="BGR", crop=0.5) as classifier:
        recipe = classifier.recipe
        assert (recipe.range, recipe.order, recipe.resize.crop) == ((0, 255), "BGR", 0.5)
        with Image.open(files[0]) as image:
            cut = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR, (7, 7, 21, 21)))
        scores = scores_by_hand(path, (np.float32(cut[..., ::-1]) + 1) * 127.5)
        best = classifier.classify(files[0], top=1)[0]
        assert (best.label, best.index) == ("abcd"[scores.argmax()], scores.argmax())
        assert best.score == pytest.approx(scores.max(), abs=1e-4)


def test_one_name_fewer_than_classes(tiny_bundle):
    with Classifier(tiny_bundle.file("int8.tflite"), labels=["a", "b", "c"]) as classifier:
        assert classifier.labels == ["background", "a", "b", "c"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"labels": ["a", "b"]}, r".*int8\.tflite: the model has 4 classes, but labels= has 2 names"),
        ({"labels": "no_such_file.txt"}, "no_such_file.txt"),
        ({"input_range": "a"}, "input_range: "),
        ({"channel_order": "GBR"}, "channel_order: "),
        ({"crop": 2}, "crop: must be a fraction from 0.1 to 1, got 2"),
        ({"size": 0}, "size: must be a number of pixels, not 0"),
        ({"threads": 0}, "threads: must be from 1 to 1,024, not 0"),
    ],
)
def test_wrong_options(tiny_bundle, options, text):
    with pytest.raises(EdgenetError, match=f"^{text}"):
        Classifier(tiny_bundle.file("int8.tflite"), **options)


def test_wrong_number_of_predictions(int8):
    with pytest.raises(EdgenetError, match=r"^top: must be 1 or more, not 0$"):
        int8.classify(np.zeros((32, 32, 3), np.uint8), top=0)


def test_a_free_size(free_size):
    with Classifier(free_size, size=24) as classifier:
        assert classifier.recipe.shape == (24, 24, 3)
    with pytest.raises(EdgenetError, match=r"free\.tflite: this model accepts any image size, .*; set one with size="):
        Classifier(free_size)


@pytest.mark.parametrize("content", [None, b"", b"no model", "folder", "cut"])
def test_files_that_are_no_model(tiny_bundle, tmp_path, content):
    path = tmp_path / "model.tflite"
    if content == "folder":
        path.mkdir()
    elif content == "cut":
        path.write_bytes(tiny_bundle.file("int8.tflite").read_bytes()[:9_000])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(EdgenetError, match=r"model\.tflite: ") as error:
        Classifier(path)
    assert "\n" not in str(error.value)


def test_scores_that_are_not_finite(int8, monkeypatch):
    monkeypatch.setattr(int8._model, "scores_with", lambda pixels, recipe: np.float32([[0, np.nan, 0, 0]]))
    with pytest.raises(EdgenetError, match=r"int8\.tflite: the score of class 1 \(bee\) is NaN for this image"):
        int8.classify(np.zeros((32, 32, 3), np.uint8))


def test_threads_may_share_it(int8, files):
    expected, found = [int8.classify(path) for path in files], {}

    def work(part: int) -> None:
        for number in range(part, len(files), 4):
            found[number] = int8.classify(files[number])

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(files))] == expected


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_its_process_ends_with_it(tiny_bundle):
    classifier = Classifier(tiny_bundle.file("int8.tflite"))
    process = classifier._model._process.pid
    assert is_alive(process)
    del classifier
    gc.collect()
    assert not is_alive(process)
    with Classifier(tiny_bundle.file("int8.tflite")) as classifier:
        process = classifier._model._process.pid
    assert not is_alive(process)
    classifier.close()
    with pytest.raises(EdgenetError, match=r"int8\.tflite: this classifier is closed$"):
        classifier.classify(np.zeros((32, 32, 3), np.uint8))


def test_a_script_without_a_main_guard(tiny_bundle, files, tmp_path):
    (tmp_path / "script.py").write_text(
        "import sys\nfrom edgenet.litert.classifier import Classifier\n"
        "print(Classifier(sys.argv[1]).classify(sys.argv[2], top=1))\n"
    )
    command = [sys.executable, str(tmp_path / "script.py"), str(tiny_bundle.file("int8.tflite")), str(files[0])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith("[Prediction(label='") and not done.stderr


def test_in_the_same_process(tiny_bundle, files, int8):
    with LocalClassifier(tiny_bundle.file("int8.tflite")) as local:
        assert [local.classify(path) for path in files] == [int8.classify(path) for path in files]


def test_repr(int8):
    text = repr(int8)
    assert text.startswith("Classifier('") and text.endswith("int8.tflite': 4 classes, input 32 x 32 x 3)")


@pytest.mark.slow
def test_the_task_library_predicts_the_same(bundled_bundle, tmp_path):
    if TASK_LIBRARY.missing() or not find_spec("libusb_package"):
        pytest.skip("tflite-support is not installed")
    images = [bundled_bundle.file(image.file) for image in bundled_bundle.manifest.evaluation[::10]]
    path = bundled_bundle.file("int8.tflite")
    with Classifier(path) as classifier:
        pixels = [classifier._pixels(image) for image in images]
        np.save(tmp_path / "pixels.npy", np.stack(pixels))
        process = LibraryProcess(TASK_LIBRARY, {"int8": path}, tmp_path / "pixels.npy", ())
        try:
            output = process.response().outputs["int8"]
        finally:
            process.close()
        for image, top in zip(images, output.images, strict=True):
            found = {(p.label, p.index): p.score for p in classifier.classify(image, top=10)}
            assert top.score == max(found.values()) == found[top.label, top.index]


@pytest.mark.slow
def test_imagenet(imagenet_bundle):
    images = imagenet_bundle.manifest.evaluation[:50]
    names = class_names.imagenet()
    with Classifier(imagenet_bundle.file("int8.tflite")) as classifier:
        assert classifier.labels == names
        files = [imagenet_bundle.file(image.file) for image in images]
        found = [predictions[0].index for _, predictions in classifier.classify_all(files, top=1)]
    shape = (len(imagenet_bundle.manifest.evaluation), 1000)
    reference = np.concatenate(list(read_scores(imagenet_bundle.file(REFERENCE), shape)))[:50].argmax(axis=1)
    # The drift of int8 is at most 5% on 300 images; 80% is over five standard deviations (of 3% for 50 images) below.
    assert np.mean(found == reference) > 0.8
