"""The command line with .tflite files that came from elsewhere: what is measured of them, what is said about them, and
the one line that says what is wrong with them.

Commands run in this process; the files themselves run in processes of their own anyway.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from bare import bare
from commands import error_of, output_of, rows, run, tree
from runner_fixtures import WRITE

from edgenet.bundle import evaluation
from edgenet.images.input_range import InputRange
from edgenet.quiet import quiet
from edgenet.records import KERAS, Measurement, Results, from_json

pytestmark = pytest.mark.slow  # every test measures files that are made for it

FAST = ("--threads", "1", "--rounds", "2", "--seconds", "0.001")
VARIANTS = ("float32", "float16", "dynamic", "int8")


@pytest.fixture(scope="module")
def made(tiny_model, tiny_bundle, pictures, tmp_path_factory) -> Path:
    """A folder with .tflite files of `tiny_model` and others. Not to be changed.

    float32, float16, dynamic, int8: of the bundle, without metadata. int8_io, float_io: full integers behind another
    interface. unit: of [0, 1]. free_batch: as the stock converter leaves it. padded: with a class for the background
    first. larger, more: another input, and other classes. detector: two outputs. Those with a .keras beside them are
    made of it.
    """
    folder = tmp_path_factory.mktemp("files")
    with quiet():
        import keras
        import tensorflow as tf

        from edgenet.convert.converter import Converter
        from edgenet.images import listing, preprocess
        from edgenet.model import keras_model

        for variant in VARIANTS:
            (folder / f"{variant}.tflite").write_bytes(bare(tiny_bundle.file(f"{variant}.tflite").read_bytes()))
        shutil.copy(tiny_bundle.file("model.keras"), folder / "tiny.keras")

        recipe = tiny_bundle.manifest.preprocessing
        seen = list(preprocess.load_all(listing.find_images(pictures / "calibration").paths, recipe))
        converter = Converter(keras_model.from_keras(tiny_model, "tiny"))
        for name, interface in (("int8_io", "int8"), ("float_io", "float32")):
            (folder / f"{name}.tflite").write_bytes(converter.int8(lambda: seen, interface))
        stock = tf.lite.TFLiteConverter.from_keras_model(tiny_model)
        (folder / "free_batch.tflite").write_bytes(stock.convert())

        image = keras.Input((32, 32, 3))
        larger = keras.Input((64, 64, 3))
        models = {
            "unit": keras.Model(image, tiny_model(keras.layers.Rescaling(2.0, -1.0)(image))),
            "padded": keras.Model(image, keras.ops.pad(tiny_model(image), [[0, 0], [1, 0]])),
            "larger": keras.Model(larger, tiny_model(keras.layers.AveragePooling2D(2)(larger))),
            "more": keras.Model(image, keras.ops.pad(tiny_model(image), [[0, 0], [0, 3]])),
        }
        for name, model in models.items():
            model.save(folder / f"{name}.keras")
            (folder / f"{name}.tflite").write_bytes(
                Converter(keras_model.from_keras(model, name, input_range=InputRange())).float32()
            )
        two = keras.Model(image, [keras.layers.Flatten()(image), keras.layers.AveragePooling2D(8)(image)])
        (folder / "detector.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(two).convert())
    return folder


@pytest.fixture(scope="module")
def top(tiny_bundle) -> dict[str, int]:
    """Keras' top class of each evaluation image, by its path there."""
    manifest = tiny_bundle.manifest
    batches = evaluation.read_scores(tiny_bundle.file("reference.npz"), (len(manifest.evaluation), manifest.classes))
    classes = np.concatenate(list(batches)).argmax(axis=1).tolist()
    names = [image.file.removeprefix("evaluation/") for image in manifest.evaluation]
    return dict(zip(names, classes, strict=True))


@pytest.fixture(scope="module")
def by_number(pictures, top, tmp_path_factory) -> Path:
    """The evaluation images in folders named after the index of Keras' top class. Not to be changed."""
    folder = tmp_path_factory.mktemp("by_number")
    for name, number in top.items():
        (folder / str(number)).mkdir(exist_ok=True)
        shutil.copy(pictures / "evaluation" / name, folder / str(number) / name.replace("/", "_"))
    return folder


@pytest.fixture(scope="module")
def flat(pictures, top, tmp_path_factory) -> Path:
    """The evaluation images in one folder. Not to be changed."""
    folder = tmp_path_factory.mktemp("flat")
    for name in top:
        shutil.copy(pictures / "evaluation" / name, folder / name.replace("/", "_"))
    return folder


@pytest.fixture
def measure(tmp_path, run_here, cache_of_tests):
    """Benchmark a file, on images as `tiny_bundle` resizes them: files without metadata do not say it.

    Returns the lines on stdout, and the results as they were written.
    """

    def measure_one(path: Path, *options) -> tuple[list[str], Results]:
        before = tree(tmp_path)
        resize = ("--like", "keras-dataset") if "--images" in options else ()
        lines = output_of(run_here("benchmark", path, *options, *resize, *FAST))
        assert tree(tmp_path) == before  # nothing is left in the working directory
        written = Path(next(line for line in lines if line.startswith("Results: ")).removeprefix("Results: "))
        assert written.is_relative_to(cache_of_tests)
        results = from_json(Results, written.read_bytes(), written.name)
        assert results.model.name == path.name
        written.unlink()
        return lines, results

    return measure_one


def first(results: Results) -> Measurement:
    """What was measured of the file itself."""
    return next(measured for measured in results.measurements if measured.name == results.model.name)


def joined(lines: list[str]) -> str:
    """Lines as one text: long ones are wrapped."""
    return " ".join(" ".join(lines).split())


def drift_of(tiny_bundle, variant: str):
    return next(made.drift for made in tiny_bundle.manifest.variants if made.name == variant)


# What is measured


def test_latency_alone(made, measure):
    lines, results = measure(made / "int8.tflite")
    assert rows(lines) == ["int8.tflite"]
    (measured,) = results.measurements
    assert (measured.name, measured.bytes) == ("int8.tflite", (made / "int8.tflite").stat().st_size)
    assert measured.drift is None
    assert results.reference is None
    assert [latency.threads for latency in measured.latency] == [1]
    assert len(measured.latency[0].rounds) == 2
    assert list(results.model.files) == ["int8.tflite"]
    assert "agreement:" not in joined(lines)
    assert "accuracy:" not in joined(lines)


@pytest.mark.parametrize("variant", VARIANTS)
def test_accuracy_by_folders_named_after_numbers(made, by_number, measure, tiny_bundle, variant):
    lines, results = measure(made / f"{variant}.tflite", "--images", by_number)
    found = first(results).drift
    # The true classes are Keras' top classes: a float32 file is always correct, and others as often as they agree.
    assert (found.images, found.accuracy.top1) == (43, drift_of(tiny_bundle, variant).agreement.top1)
    assert (found.agreement, found.accuracy.change, found.flips) == (None, None, ())
    assert results.reference is None
    assert "accuracy: fraction of 43 labelled images" in joined(lines)


def test_a_file_of_edgenet_says_how_images_are_resized(tiny_bundle, by_number, run_here, cache_of_tests):
    path = tiny_bundle.file("float32.tflite")
    for options, correct in (((), True), (("--like", "imagenet"), False)):
        lines = output_of(run_here("benchmark", path, "--images", by_number, *options, *FAST))
        written = Path(next(line for line in lines if line.startswith("Results: ")).removeprefix("Results: "))
        results = from_json(Results, written.read_bytes(), written.name)
        assert (first(results).drift.accuracy.top1 == 1.0) == correct


def test_accuracy_by_folders_named_after_classes(made, pictures, measure, tiny_bundle):
    options = ("--images", pictures / "evaluation", "--labels", pictures / "labels.txt")
    _, results = measure(made / "int8.tflite", *options)
    assert first(results).drift.accuracy.top1 == drift_of(tiny_bundle, "int8").accuracy.top1


def test_accuracy_by_a_truth_file(tmp_path, made, flat, top, measure):
    lines = [f"{name.replace('/', '_')},{number}" for name, number in top.items()]
    (tmp_path / "truth.csv").write_text("\n".join(lines))
    _, results = measure(made / "float32.tflite", "--images", flat, "--truth", "truth.csv")
    assert first(results).drift.accuracy.top1 == 1.0


def test_images_without_classes_measure_nothing(made, flat, measure):
    lines, results = measure(made / "int8.tflite", "--images", flat)
    assert first(results).drift is None
    note = "No reference and no labels, so drift and accuracy are not reported."
    assert note in results.run.notes
    assert note in joined(lines)


def test_skipped_files_are_reported(tmp_path, made, flat, measure):
    folder = shutil.copytree(flat, tmp_path / "photos")
    (folder / ".DS_Store").touch()
    lines, _ = measure(made / "int8.tflite", "--images", "photos", "--reference", made / "float32.tflite")
    assert any(line.startswith("photos: skipped 1 hidden file") for line in lines)


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize("variant", ["float16", "dynamic", "int8"])
def test_drift_against_another_file(made, flat, measure, tiny_bundle, variant):
    path, reference = made / f"{variant}.tflite", made / "float32.tflite"
    lines, results = measure(path, "--images", flat, "--reference", reference)
    assert sorted(rows(lines)) == sorted([path.name, "float32.tflite"])
    expected, found = drift_of(tiny_bundle, variant), first(results).drift
    assert found.images == 43
    # Probabilities of Keras and of the float32 file differ by rounding.
    assert replace(found.agreement, probabilities=None) == replace(expected.agreement, probabilities=None)
    assert found.accuracy is None
    assert len(found.flips) == len(expected.flips)
    assert results.reference == "float32.tflite"
    assert [measured.drift for measured in results.measurements if measured.name == "float32.tflite"] == [None]
    models, photos = {path.name, "float32.tflite"}, set(results.model.files) - {path.name, "float32.tflite"}
    assert models <= set(results.model.files)
    assert len(photos) == 43  # by which results of other folders are compared, image by image
    assert "agreement: fraction of 43 images with the same top class as float32.tflite" in joined(lines)


def test_drift_and_accuracy_against_another_file(made, by_number, measure, tiny_bundle):
    _, results = measure(made / "int8.tflite", "--images", by_number, "--reference", made / "float32.tflite")
    found = first(results).drift
    assert found.agreement.top1 == found.accuracy.top1 == drift_of(tiny_bundle, "int8").agreement.top1
    assert found.accuracy.change.reference_top1 == 1.0


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize("where", ["the working folder", "another folder"])
def test_a_reference_of_the_same_name(tmp_path, made, flat, measure, where):
    reference = Path("int8.tflite") if where == "the working folder" else tmp_path / "there" / "int8.tflite"
    (tmp_path / "there").mkdir()
    shutil.copy(made / "float32.tflite", tmp_path / reference)
    lines, results = measure(made / "int8.tflite", "--images", flat, "--reference", reference)
    assert len(rows(lines)) == len(results.measurements) == 2
    # Neither is taken for the other.
    assert first(results).bytes == (made / "int8.tflite").stat().st_size
    assert first(results).drift is not None


def test_drift_against_a_keras_model(made, flat, measure, tiny_bundle):
    options = ("--images", flat, "--model", made / "tiny.keras", "--no-keras")
    lines, results = measure(made / "int8.tflite", *options)
    assert first(results).drift.agreement.top1 == drift_of(tiny_bundle, "int8").agreement.top1
    assert results.reference == KERAS
    assert "agreement: fraction of 43 images with the same top class as Keras" in joined(lines)
    # --no-keras leaves out the latency of Keras.
    assert rows(lines) == ["int8.tflite"]


@pytest.mark.slow  # starts TensorFlow
def test_the_keras_model_is_timed_too(made, flat, measure):
    lines, results = measure(made / "int8.tflite", "--images", flat, "--model", made / "tiny.keras")
    assert sorted(rows(lines)) == ["int8.tflite", "keras"]
    (keras,) = (measured for measured in results.measurements if measured.name == KERAS)
    assert keras.drift is None
    assert keras.latency[0].median > 0


def test_results_in_a_given_file(tmp_path, made, run_here):
    lines = output_of(run_here("benchmark", made / "int8.tflite", "--json", "mine.json", *FAST))
    assert "Results: mine.json" in lines
    assert list(tree(tmp_path)) == ["mine.json"]
    assert from_json(Results, (tmp_path / "mine.json").read_bytes(), "mine.json").model.name == "int8.tflite"


def test_as_a_process_without_tensorflow(tmp_path, made, by_number):
    (tmp_path / "hook").mkdir()
    hook = 'import sys\nsys.modules["tensorflow"] = sys.modules["keras"] = None\n'
    (tmp_path / "hook" / "sitecustomize.py").write_text(hook)
    arguments = ("benchmark", made / "unit.tflite", "--images", by_number, "--reference", made / "int8.tflite", *FAST)
    lines = output_of(run(tmp_path, *arguments, environment={"PYTHONPATH": str(tmp_path / "hook")}))
    assert sorted(rows(lines)) == ["int8.tflite", "unit.tflite"]


# Whatever the file takes and gives


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize(
    ("name", "dtypes"),
    [("int8", ("uint8", "uint8")), ("int8_io", ("int8", "int8")), ("float_io", ("float32", "float32"))],
)
def test_integers_behind_each_interface(made, by_number, measure, tiny_bundle, name, dtypes):
    interpreter = Interpreter(str(made / f"{name}.tflite"))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert tuple(np.dtype(part["dtype"]).name for part in (taken, given)) == dtypes
    _, results = measure(made / f"{name}.tflite", "--images", by_number)
    expected, found = drift_of(tiny_bundle, "int8"), first(results).drift
    # Pixels as floats are half way between two integers of this input, and may be rounded up or down: a few images,
    # whose best two scores are close, get another class.
    tolerance = 4.5 / 43 if name == "float_io" else 1e-9
    assert found.accuracy.top1 == pytest.approx(expected.agreement.top1, abs=tolerance)
    assert any("does not state its input range" in note for note in results.run.notes) == (name == "float_io")


def test_a_batch_that_was_left_free(made, by_number, measure):
    (taken,) = Interpreter(str(made / "free_batch.tflite")).get_input_details()
    assert taken["shape_signature"].tolist() == [-1, 32, 32, 3]
    _, results = measure(made / "free_batch.tflite", "--images", by_number, "--reference", made / "int8.tflite")
    assert first(results).drift.accuracy.top1 == 1.0
    assert results.model.batch == 1


def range_note(results: Results) -> str:
    """The note about the input range of the file."""
    (note,) = (note for note in results.run.notes if note.startswith(results.model.name) and " input " in note)
    return note


def test_the_common_range_is_assumed_for_a_float_input(made, by_number, measure):
    _, results = measure(made / "float32.tflite", "--images", by_number)
    assert range_note(results).startswith("float32.tflite does not state its input range; -1,1 is assumed")


@pytest.mark.parametrize("by", ["folders", "reference"])
def test_an_unknown_range_is_inferred(made, by_number, flat, measure, tiny_bundle, by):
    options = ("--images", by_number)
    if by == "reference":
        options = ("--images", flat, "--reference", made / "int8.tflite")
    lines, results = measure(made / "unit.tflite", *options)
    note = range_note(results)
    assert "; 0,1 is inferred: with it, " in note
    assert note in joined(lines)
    found = first(results).drift
    if by == "folders":
        assert found.accuracy.top1 == 1.0
        assert "with it, 43 of 43 images get their class" in note
    else:
        assert found.agreement.top1 == pytest.approx(drift_of(tiny_bundle, "int8").agreement.top1, abs=1.5 / 43)


def test_a_given_range_is_not_inferred(made, by_number, measure):
    _, results = measure(made / "unit.tflite", "--images", by_number, "--input-range", "0,1")
    assert first(results).drift.accuracy.top1 == 1.0
    assert not any("input" in note for note in results.run.notes)
    _, results = measure(made / "unit.tflite", "--images", by_number, "--input-range=-1,1")
    assert first(results).drift.accuracy.top1 < 1.0  # it is used


def test_the_range_of_the_keras_model_is_that_of_the_file(made, flat, measure):
    options = ("--images", flat, "--model", made / "unit.keras", "--no-keras")
    _, results = measure(made / "unit.tflite", *options)
    assert first(results).drift.agreement.top1 == 1.0
    assert range_note(results).endswith("its input range is that of unit.keras, 0,1")


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize("folder", ["by_number", "flat"])
def test_an_unknown_range_of_the_reference_is_reported_too(made, measure, request, folder):
    options = ("--images", request.getfixturevalue(folder), "--reference", made / "unit.tflite")
    _, results = measure(made / "int8.tflite", *options)
    assert any(note.startswith("unit.tflite does not state its input range") for note in results.run.notes)


# A class for the background


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize(
    ("name", "option", "against", "padded"),
    [
        ("padded.tflite", "--model", "tiny.keras", "padded.tflite"),
        ("padded.tflite", "--reference", "float32.tflite", "padded.tflite"),
        ("float32.tflite", "--reference", "padded.tflite", "padded.tflite"),
        ("float32.tflite", "--model", "padded.keras", "padded.keras"),
    ],
)
def test_a_background_class_is_left_out(made, by_number, measure, name, option, against, padded):
    lines, results = measure(made / name, "--images", by_number, option, made / against, "--no-keras")
    found = first(results).drift
    assert (found.agreement.top1, found.agreement.top5, found.flips) == (1.0, 1.0, ())
    assert (found.accuracy.top1, found.accuracy.change.reference_top1) == (1.0, 1.0)
    note = f"{padded}: the first of its 5 classes, the background, is left out"
    assert note in results.run.notes
    assert note in joined(lines)


def test_the_labels_reveal_a_background_class(made, pictures, by_number, measure):
    # Four names for five classes.
    options = ("--images", by_number, "--labels", pictures / "labels.txt")
    _, results = measure(made / "padded.tflite", *options)
    assert first(results).drift.accuracy.top1 == 1.0
    assert "padded.tflite: the first of its 5 classes, the background, is left out" in results.run.notes


# Metadata


@pytest.fixture(scope="module")
def with_metadata(made, pictures, tmp_path_factory) -> Path:
    """unit.tflite with the normalization of its input and its class names, as tflite-support writes them."""
    if not (find_spec("tflite_support") and find_spec("libusb_package")):
        pytest.skip("tflite-support, which writes metadata, is not installed")
    path = tmp_path_factory.mktemp("metadata") / "told.tflite"
    arguments = json.dumps([str(made / "unit.tflite"), [0.0], [255.0], [str(pictures / "labels.txt")], str(path)])
    subprocess.run([sys.executable, "-c", WRITE, arguments], check=True, capture_output=True)
    return path


def test_metadata_have_the_range_and_the_classes(with_metadata, pictures, measure, tiny_bundle):
    # Folders named after classes, whose names the file knows.
    _, results = measure(with_metadata, "--images", pictures / "evaluation")
    assert first(results).drift.accuracy.top1 == drift_of(tiny_bundle, "float32").accuracy.top1
    assert not any("does not state" in note for note in results.run.notes)


@pytest.mark.slow
def test_options_go_before_metadata(with_metadata, by_number, measure):
    _, results = measure(with_metadata, "--images", by_number)
    assert first(results).drift.accuracy.top1 == 1.0
    _, results = measure(with_metadata, "--images", by_number, "--input-range=-1,1")
    assert first(results).drift.accuracy.top1 < 1.0


@pytest.mark.slow
def test_the_order_of_the_channels_leaves_the_range_as_it_is(with_metadata, by_number, measure):
    order = ("--images", by_number, "--channel-order", "BGR")
    _, alone = measure(with_metadata, *order)
    _, both = measure(with_metadata, *order, "--input-range", "0,1")
    assert first(alone).drift == first(both).drift


# What cannot be measured


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{made}/int8.tflite", "--variants", "int8"], "--variants: {made}/int8.tflite is a single file; leave it out"),
        (["{bundle}", "--images", "{flat}"], "--images: {bundle} is a bundle, which has its own images"),
        (
            ["{bundle}", "--reference", "a.tflite"],
            "--reference: {bundle} is a bundle, which has its own images",
        ),
        (["{bundle}", "--model", "a.keras"], "--model: {bundle} is a bundle, which has its own images"),
        (["{bundle}", "--input-range", "0,1"], "--input-range: {bundle} is a bundle, which has its own images"),
        (["{bundle}", "--channel-order", "BGR"], "--channel-order: {bundle} is a bundle, which has its own images"),
        (
            [
                *("{made}/int8.tflite", "--images", "{flat}"),
                *("--reference", "{made}/float32.tflite", "--model", "{made}/tiny.keras"),
            ],
            "give --reference or --model, not both",
        ),
        (
            ["{made}/int8.tflite", "--reference", "{made}/float32.tflite"],
            "--images: give a folder of images to compare with the reference on",
        ),
        (
            ["{made}/int8.tflite", "--model", "{made}/tiny.keras"],
            "--images: give a folder of images to compare with the reference on",
        ),
        (["{made}/int8.tflite", "--truth", "a_text"], "--images: give a folder of images to use --truth with"),
        (["{made}/int8.tflite", "--images", "nowhere"], "nowhere: no such folder; give a folder of images"),
        (["{made}/int8.tflite", "--images", "empty"], "empty: no images (.png, "),
        (["{made}/int8.tflite", "--images", "{flat}", "--labels", "nowhere"], "nowhere: no such file; "),
        (["{made}/int8.tflite", "--images", "{flat}", "--truth", "nowhere"], "nowhere: no such file; "),
        (["{made}/int8.tflite", "--images", "{flat}", "--truth", "a_text"], "a_text: 1 lines for the 43 images in "),
        (["{made}/int8.tflite", "--input-range", "1,0"], "--input-range: must be two numbers"),
        (["{made}/int8.tflite", "--channel-order", "RBG"], "--channel-order: must be RGB or BGR, got 'RBG'"),
        (["{made}/int8.tflite", "--crop", "2"], "--crop: must be a fraction from 0.1 to 1, got 2"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, run_here, made, flat, tiny_bundle, arguments, expected):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a_text").write_text("0\n")
    places = {"made": made, "flat": flat, "bundle": tiny_bundle.folder}
    before = tree(tmp_path)
    error = error_of(run_here("benchmark", *[word.format(**places) for word in arguments], *FAST))
    assert error.startswith(expected.format(**places))
    assert tree(tmp_path) == before
    assert not (tiny_bundle.folder / "results").exists()


@pytest.mark.parametrize(
    ("name", "option", "against", "expected"),
    [
        (
            "larger.tflite",
            "--reference",
            "float32.tflite",
            "{against}: its input has the shape (32, 32, 3), but that of {path} has (64, 64, 3); give a reference",
        ),
        (
            "float32.tflite",
            "--model",
            "larger.keras",
            "{against}: its input has the shape (64, 64, 3), but that of {path} has (32, 32, 3); give a reference",
        ),
        (
            "float32.tflite",
            "--reference",
            "more.tflite",
            "{path}: the numbers of classes do not match (4 in float32.tflite, 7 in more.tflite, 4 in labels); ",
        ),
        (
            "more.tflite",
            "--model",
            "tiny.keras",
            "{path}: the numbers of classes do not match (7 in more.tflite, 4 in tiny.keras, 4 in labels); ",
        ),
        (
            "more.tflite",
            "--labels",
            "labels.txt",
            "{path}: the numbers of classes do not match (7 in more.tflite, 4 in labels); they may differ by one",
        ),
    ],
)
def test_what_does_not_fit_the_file(tmp_path, run_here, made, flat, pictures, name, option, against, expected):
    place = (pictures if against == "labels.txt" else made) / against
    done = run_here("benchmark", made / name, "--images", flat, option, place, *FAST)
    assert error_of(done).startswith(expected.format(path=made / name, against=place))
    assert not tree(tmp_path)


def spoil(folder: Path, made: Path, how: str) -> Path:
    """A file, or nothing, that is no model."""
    path = folder / "bad.tflite"
    data = (made / "int8.tflite").read_bytes()
    if how == "a folder":
        path.mkdir()
    elif how == "a detector":
        path.write_bytes((made / "detector.tflite").read_bytes())
    elif how != "nothing":
        bytes_of = {"empty": b"", "text": b"no model at all\n", "cut": data[: len(data) // 2], "head alone": data[:100]}
        path.write_bytes(bytes_of[how])
    return path


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("nothing", "no such file"),
        ("a folder", "a folder, not a .tflite file"),
        ("empty", "not a .tflite file, or only a part of one"),
        ("text", "not a .tflite file, or only a part of one"),
        ("cut", "LiteRT cannot "),
        ("head alone", "LiteRT cannot "),
        (
            "a detector",
            "not an image classifier: expected one image input and one output of scores, got 1 inputs and 2 outp",
        ),
    ],
)
@pytest.mark.parametrize("role", ["file", "reference"])
def test_a_file_that_is_no_classifier(tmp_path, run_here, made, flat, how, expected, role):
    bad = spoil(tmp_path, made, how)
    before = tree(tmp_path)
    arguments = (bad,) if role == "file" else (made / "int8.tflite", "--images", flat, "--reference", bad)
    assert error_of(run_here("benchmark", *arguments, *FAST)).startswith(f"{bad}: {expected}")
    assert tree(tmp_path) == before


def test_an_unreadable_image_is_named(tmp_path, run_here, made, flat):
    shutil.copytree(flat, tmp_path / "photos")
    (tmp_path / "photos/bad.jpg").write_bytes(b"no picture")
    before = tree(tmp_path)
    options = ("--images", "photos", "--reference", made / "float32.tflite")
    error = error_of(run_here("benchmark", made / "int8.tflite", *options, *FAST))
    assert error.startswith("photos/bad.jpg: not a readable image (")
    assert tree(tmp_path) == before


def test_an_earlier_result_stays_when_a_later_run_fails(tmp_path, run_here, made):
    shutil.copy(made / "int8.tflite", tmp_path / "mine.tflite")
    assert output_of(run_here("benchmark", "mine.tflite", "--json", "found.json", *FAST))
    (tmp_path / "mine.tflite").write_bytes(b"no model")
    before = tree(tmp_path)
    error_of(run_here("benchmark", "mine.tflite", "--json", "found.json", *FAST))
    assert tree(tmp_path) == before
