"""Export: what it writes, what it refuses, and that it leaves things as they were when it does not end well."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from example_records import MANIFEST
from PIL import Image

import edgenet
from edgenet import records
from edgenet.app_code import writer as app_code
from edgenet.apps import conformance
from edgenet.apps.libraries import TASK_LIBRARY
from edgenet.bundle import bundle as bundles
from edgenet.convert import metadata
from edgenet.convert.options import Options
from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images import listing, preprocess
from edgenet.quiet import quiet
from edgenet.records import LibraryOutcome, Variant
from edgenet.reporting.bundle_table import bundle_table
from edgenet.tflite.graph import Graph
from edgenet.tflite.layer_names import LayerNames
from edgenet.tflite.metadata import read_metadata, read_provenance

TFLITE = {"float32.tflite", "float16.tflite", "dynamic.tflite", "int8.tflite"}


@pytest.fixture
def export(tiny_model, labels, progress, tmp_path):
    """Export `tiny_model`, with what a test gives in place of the usual: another Keras model or classifier, too."""
    from edgenet.exporter import Inputs
    from edgenet.exporter import export as run
    from edgenet.images import splits
    from edgenet.model import keras_model

    def export(
        calibration,
        evaluation,
        *,
        model=tiny_model,
        classifier=None,
        name="tiny",
        out=tmp_path / "out",
        labels=labels,
        progress=progress,
        force=False,
        **options,
    ):
        with quiet():
            classifier = classifier or keras_model.from_keras(model, name)
            inputs = Inputs(classifier, name, labels, splits.from_folders(calibration, evaluation, labels))
            return run(inputs, out, Options(**options), force=force, progress=progress)

    return export


@pytest.fixture
def few(pictures, tmp_path) -> Path:
    """A copy of some of the pictures, to be spoilt: two of each class for calibration and evaluation."""
    folder = tmp_path / "few"
    for path in listing.find_images(pictures).paths:
        if path.stem in ("00", "01"):
            copy = folder / path.relative_to(pictures)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return folder


@pytest.fixture
def earlier(tiny_bundle, tmp_path) -> Path:
    """A copy of a bundle, with results in it."""
    folder = tmp_path / "out"
    shutil.copytree(tiny_bundle.folder, folder)
    (folder / "results").mkdir()
    (folder / "results" / "monday.json").write_text("of monday")
    return folder


def test_a_bundle_holds_what_it_should(tiny_bundle, pictures, labels):
    files = {path.relative_to(tiny_bundle.folder).as_posix() for path in tiny_bundle.folder.rglob("*")}
    evaluation = {p.relative_to(pictures).as_posix() for p in (pictures / "evaluation").rglob("*")}
    assert files == TFLITE | evaluation | set(app_code.PATHS) | {
        "app",
        "evaluation",
        "labels.txt",
        "manifest.json",
        "model.keras",
        "reference.npz",
    }
    assert bundles.verify(tiny_bundle) == len(tiny_bundle.manifest.files)
    assert class_names.read(tiny_bundle.file("labels.txt")) == labels
    assert bundles.load(tiny_bundle.folder) == tiny_bundle


def test_the_pictures_in_a_bundle_are_the_files_that_were_given(tiny_bundle, pictures, labels):
    for picture in tiny_bundle.manifest.evaluation:
        assert tiny_bundle.file(picture.file).read_bytes() == (pictures / picture.file).read_bytes()
        assert labels[picture.label] == Path(picture.file).parent.name.replace("_", " ")


def test_the_reference_is_keras_on_the_pictures(tiny_bundle, tiny_model):
    with quiet():
        import tensorflow as tf

    def stretched(file: str) -> np.ndarray:
        """As Keras' loaders do it: TensorFlow alone decodes and resizes."""
        image = tf.io.decode_image(tf.io.read_file(str(tiny_bundle.file(file))), channels=3, expand_animations=False)
        return tf.image.resize(image, (32, 32)).numpy()

    pixels = np.stack([stretched(image.file) for image in tiny_bundle.manifest.evaluation])
    expected = tiny_model.predict(pixels / np.float32(127.5) - np.float32(1), verbose=0)
    with np.load(tiny_bundle.file("reference.npz")) as stored:
        # float32 rounding in batches of another length
        np.testing.assert_allclose(stored["scores"], expected, rtol=0, atol=1e-5)


def test_the_model_in_a_bundle_is_the_one_that_was_given(tiny_bundle, tiny_model):
    with quiet():
        import keras

        stored = keras.models.load_model(tiny_bundle.file(tiny_bundle.manifest.model))
    for found, expected in zip(stored.weights, tiny_model.weights, strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.slow  # seconds
def test_the_same_input_gives_the_same_bytes(export, tiny_model, pictures, tmp_path):
    from edgenet.model import keras_model

    splits = {split: pictures / split for split in ("calibration", "evaluation")}
    path = tmp_path / "tiny.keras"
    tiny_model.save(path)
    export(**splits, classifier=keras_model.load(path), out=tmp_path / "here")
    # A fresh process, so that neither hashes of strings nor addresses nor counters of names are the same.
    options = {"--model": path, "--labels": pictures / "labels.txt", "--out": tmp_path / "there"}
    options |= {f"--{split}": folder for split, folder in splits.items()}
    words = [str(part) for option in options.items() for part in option]
    command = [sys.executable, "-m", "edgenet", "export", "--no-apps", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert _contents(tmp_path / "there") == _contents(tmp_path / "here")


@pytest.mark.slow  # seconds
def test_only_the_variants_asked_for(export, few):
    bundle = export(few / "calibration", few / "evaluation", variants=("float16",))
    assert [variant.name for variant in bundle.manifest.variants] == ["float16"]
    assert {path.name for path in bundle.folder.glob("*.tflite")} == {"float16.tflite"}


@pytest.mark.slow  # seconds
def test_evaluation_pictures_change_nothing_in_the_files(export, tiny_bundle, pictures, few):
    other = few / "evaluation" / "ant"
    for number, path in enumerate(listing.find_images(few / "evaluation").paths):
        with Image.open(path) as image:  # none of the pictures that tiny_bundle was evaluated on
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other / f"{number:02d}.png")
    bundle = export(pictures / "calibration", other, variants=("float16", "dynamic", "int8"))
    assert bundle.manifest.evaluation != tiny_bundle.manifest.evaluation
    for variant in bundle.manifest.variants:
        assert bundle.file(variant.file).read_bytes() == tiny_bundle.file(variant.file).read_bytes()


@pytest.mark.slow  # seconds
def test_the_stock_quantizer_is_the_converter_alone(export, tiny_model, converter, few, labels):
    bundle = export(few / "calibration", few / "evaluation", variants=("dynamic", "int8"), quantizer="stock")
    paths, stock = listing.find_images(few / "calibration").paths, converter(tiny_model)
    manifest = bundle.manifest
    with quiet():
        int8 = stock.stock_int8(lambda: preprocess.load_all(paths, manifest.preprocessing))
        dynamic = stock.stock_dynamic()
    for name, made in (("int8", int8), ("dynamic", dynamic)):
        path = bundle.file(f"{name}.tflite")
        told = (manifest.preprocessing, labels, manifest.scores, read_provenance(path))
        assert path.read_bytes() == metadata.write(made, metadata.About("tiny"), *told)


@pytest.mark.slow  # 10 seconds
def test_layers_in_float32_are_in_the_manifest_and_in_the_file(export, few):
    keep = ["until:block01_pointwise", "logits"]
    bundle = export(few / "calibration", few / "evaluation", variants=("int8",), keep_float=keep)
    int8, mixed = bundle.manifest.variants
    layers = ("stem_bn", "block01_depthwise_bn", "block01_pointwise_bn", "logits")
    assert (int8.name, int8.float_layers, mixed.name, mixed.file) == ("int8", (), "mixed", "mixed.tflite")
    assert mixed.float_layers == layers
    assert mixed.drift.images == 8
    assert read_provenance(bundle.file("mixed.tflite"))["float_layers"] == ",".join(layers)
    assert f"mixed: int8, but float32 in {', '.join(layers)}" in bundle_table(bundle.manifest)
    assert bundles.load(bundle.folder) == bundle
    for library in conformance.check(bundle):
        assert library.problems == {}


@pytest.mark.slow  # 20 seconds
def test_the_file_that_keeps_a_budget_is_written_as_it_was_judged(export, pictures, monkeypatch):
    """A search that finds a file at once, so that this does not hang on the machine's latencies."""
    from edgenet.budget import search as searching
    from edgenet.budget.search import Found

    layers, judged = ("until:block01_pointwise", "logits"), {}

    def search(budget, images, classes, conversions, *_, **__):
        judged["budget"], judged["classes"], graph = budget, classes, Graph(conversions.float32())
        fitted = list(images())[:12]
        judged["data"] = conversions.mixed_dynamic(lambda: fitted, LayerNames(graph).select(layers))
        record = replace(MANIFEST.budget, text="mixed: found")
        return Found(record, layers, judged["data"], tuple(range(12)), Variant.DYNAMIC)

    monkeypatch.setattr(searching, "search", search)
    folders = pictures / "calibration", pictures / "evaluation"
    bundle = export(*folders, variants=("int8",), max_drift=0.01, max_accuracy_drop=0.02)
    int8, mixed = bundle.manifest.variants
    assert (judged["budget"].max_drift, judged["budget"].max_accuracy_drop) == (0.01, 0.02)
    assert sorted(judged["classes"]) == [0] * 6 + [1] * 6 + [2] * 6 + [3] * 6
    kept = ("stem_bn", "block01_depthwise_bn", "block01_pointwise_bn", "logits")
    assert (int8.name, mixed.name, mixed.float_layers, mixed.input_dtype) == ("int8", "mixed", kept, "float32")
    assert "mixed: dynamic, but float32 in stem_bn, " in bundle_table(bundle.manifest)
    path = bundle.file("mixed.tflite")
    operators = [[Graph(data).kind(op) for op in Graph(data).operators] for data in (path.read_bytes(), judged["data"])]
    assert operators[0] == operators[1]
    images = listing.find_images(pictures / "calibration").paths
    assert read_provenance(path)["calibration_sha256"] == _digest(images[:12], bundle)
    assert read_provenance(bundle.file("int8.tflite"))["calibration_sha256"] == _digest(images, bundle)
    assert bundles.load(bundle.folder).manifest.budget.text == "mixed: found"
    for library in conformance.check(bundle, [mixed], images=4):
        assert library.problems == {}


def _digest(paths, bundle) -> str:
    """The digest of the digests of images."""
    pixels = preprocess.load_all(paths, bundle.manifest.preprocessing)
    return sha256("".join(preprocess.digest(one) for one in pixels).encode()).hexdigest()


@pytest.mark.slow  # 15 seconds
def test_no_mixed_file_is_written_where_int8_keeps_the_budget(export, pictures, tmp_path):
    folders = pictures / "calibration", pictures / "evaluation"
    bundle = export(*folders, variants=("float32", "int8"), max_drift=0.9)
    assert [variant.name for variant in bundle.manifest.variants] == ["float32", "int8"]
    budget = bundle.manifest.budget
    assert (budget.max_drift, budget.images, budget.views) == (0.9, 10, 250)
    assert "int8 keeps" in budget.text and f"budget: {budget.text}"[:60] in bundle_table(bundle.manifest)
    assert not (bundle.folder / "mixed.tflite").exists()
    with pytest.raises(EdgenetError, match=r"^variants: mixed is not written.*; add other variants$"):
        export(*folders, variants=("mixed",), max_drift=0.9, out=tmp_path / "other")


@pytest.mark.slow  # 10 seconds
@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ("blok01_pointwise", "keep_float: the model has no layer 'blok01_pointwise'; similar names: block"),
        ("until:logits", "keep_float: no layer with weights is left to quantize; use float32"),
    ],
)
def test_layers_that_cannot_be_kept_are_refused(export, few, tmp_path, layer, text):
    with pytest.raises(EdgenetError, match=f"^{re.escape(text)}"):
        export(few / "calibration", few / "evaluation", keep_float=[layer])
    assert _names(tmp_path) == {"few"}


@pytest.mark.slow
def test_interface_and_batch_reach_the_manifest(export, few):
    bundle = export(few / "calibration", few / "evaluation", variants=("int8",), interface="int8", batch=4)
    (variant,) = bundle.manifest.variants
    assert (variant.input_dtype, variant.output_dtype, bundle.manifest.batch) == ("int8", "int8", 4)


@pytest.mark.slow
def test_without_class_folders_there_is_drift_but_no_accuracy(export, few):
    flat = few / "flat"
    flat.mkdir()
    for number, path in enumerate(listing.find_images(few / "evaluation").paths):
        shutil.copyfile(path, flat / f"{number}.png")
    bundle = export(few / "calibration", flat, variants=("float32",))
    drift = bundle.manifest.variants[0].drift
    assert (drift.images, drift.agreement.top1, drift.accuracy) == (8, 1.0, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["copy.png", "copy.bmp", "copy.webp"])
def test_a_picture_in_both_splits_is_refused(export, few, tmp_path, name):
    twin = listing.find_images(few / "calibration").paths[3]
    copy = few / "evaluation" / "ant" / name
    with Image.open(twin) as image:
        image.save(copy, lossless=True)
    with pytest.raises(
        EdgenetError, match=f"^{re.escape(str(copy))}: this image is also in .* \\({re.escape(str(twin))}\\); "
    ):
        export(few / "calibration", few / "evaluation")
    assert _names(tmp_path) == {"few"}


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize("split", ["calibration", "evaluation"])
@pytest.mark.parametrize("spoil", ["garbled", "truncated", "empty", "a text"])
def test_a_broken_image_among_good_ones_is_named(export, few, tmp_path, split, spoil):
    bad = listing.find_images(few / split).paths[3]
    whole = bad.read_bytes()
    damaged = whole[:60] + bytes(60) + whole[120:]  # the IDAT's checksum no longer fits
    bad.write_bytes({"garbled": damaged, "truncated": whole[: len(whole) // 2], "empty": b"", "a text": b"text"}[spoil])
    reason = "the file is empty" if spoil == "empty" else ""
    with pytest.raises(EdgenetError, match=f"^{re.escape(str(bad))}: not a readable image \\({reason}"):
        export(few / "calibration", few / "evaluation")
    assert _names(tmp_path) == {"few"}


@pytest.mark.parametrize("split", ["calibration", "evaluation"])
def test_a_missing_or_empty_folder_is_refused(export, few, tmp_path, split):
    shutil.rmtree(few / split)
    with pytest.raises(EdgenetError, match=f"{split}: no such folder; give a folder of images"):
        export(few / "calibration", few / "evaluation")
    (few / split).mkdir()
    with pytest.raises(EdgenetError, match=f"{split}: no images .* in this folder"):
        export(few / "calibration", few / "evaluation")
    assert _names(tmp_path) == {"few"}


def test_a_wrong_number_of_labels_is_refused(export, labels, few, tmp_path):
    with pytest.raises(EdgenetError, match=r"^tiny: expected a label for each of 4 classes, got 5$"):
        export(few / "calibration", few / "evaluation", labels=[*labels, "dog"])
    assert _names(tmp_path) == {"few"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"variants": ("float32", "int4")}, "^variants: expected one of float32, float16, dynamic, int8, got 'int4'$"),
        ({"variants": ()}, "^variants: expected at least one of float32, float16, dynamic, int8$"),
        ({"interface": "float16"}, "^io: expected one of uint8, int8, float32, got 'float16'$"),
        ({"quantizer": "best"}, "^quantizer: expected one of edgenet, stock, got 'best'$"),
        ({"batch": 0}, "^batch: expected a number from 1 to 1024, got 0$"),
    ],
)
def test_options_out_of_range_are_refused(options, text):
    with pytest.raises(EdgenetError, match=text):
        Options(**options)


@pytest.mark.parametrize("half", [True, False])
def test_only_float16_lets_runtimes_compute_in_half_precision(export, few, half):
    bundle = export(few / "calibration", few / "evaluation", variants=("float32", "float16"), half_arithmetic=half)
    for name in ("float32", "float16"):
        found = b"fp16accfp16" in bundle.file(f"{name}.tflite").read_bytes()
        assert found == (half and name == "float16")


def test_a_model_of_another_kind_is_refused(export, labels, pictures, tmp_path):
    with quiet():
        import keras

        image = keras.Input((32, 48, 4))
        model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    text = r"^own: expected an input of images, \(batch, height, width, 3\), or 1 for grey .+, got \(None, 32, 48, 4\)$"
    with pytest.raises(EdgenetError, match=text):
        export(pictures / "calibration", pictures / "evaluation", model=model, name="own", labels=labels)
    assert _names(tmp_path) == set()


def test_a_folder_with_other_files_is_refused_and_untouched(export, few, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(EdgenetError, match=r"out: the folder has other files and no bundle; give a new folder"):
        export(few / "calibration", few / "evaluation")
    assert _contents(out) == {"thesis.txt": b"years of work"}
    assert _names(tmp_path) == {"few", "out"}


def test_a_file_in_the_place_of_the_folder_is_refused_and_untouched(export, few, tmp_path):
    (tmp_path / "out").write_text("years of work")
    with pytest.raises(EdgenetError, match="out: expected a folder, got a file"):
        export(few / "calibration", few / "evaluation")
    assert (tmp_path / "out").read_text() == "years of work"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_nobody_else_may_read_what_the_umask_keeps_from_them(export, few):
    before = os.umask(0o077)
    try:
        bundle = export(few / "calibration", few / "evaluation", variants=("int8",))
    finally:
        os.umask(before)
    paths = [bundle.folder, *bundle.folder.rglob("*")]
    assert len(paths) > 10
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


@pytest.mark.slow  # seconds
def test_files_that_the_earlier_manifest_does_not_name_stay(export, earlier, few):
    """Whatever a user keeps beside a bundle: no export may take it along."""
    (earlier / "notes.txt").write_text("mine")
    (earlier / "evaluation" / "cat" / "later.png").write_text("mine, too")
    export(few / "calibration", few / "evaluation", out=earlier, variants=("int8",))
    assert (earlier / "notes.txt").read_text() == "mine"
    assert (earlier / "evaluation" / "cat" / "later.png").read_text() == "mine, too"
    assert not (earlier / "float32.tflite").exists()  # which the earlier manifest names
    bundle = bundles.load(earlier)
    assert not {"notes.txt", "evaluation/cat/later.png"} & set(bundle.manifest.files)
    bundles.verify(bundle)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["saved_model/mine.txt", "evaluation/bee/01.png"])
def test_a_file_that_would_be_lost_stops_an_export_unless_it_is_forced(export, tiny_bundle, few, tmp_path, name):
    folder = tmp_path / "out"
    shutil.copytree(tiny_bundle.folder, folder)
    manifest = tiny_bundle.manifest
    (folder / "manifest.json").write_bytes(
        records.to_json(replace(manifest, files={n: f for n, f in manifest.files.items() if n != name}, evaluation=()))
    )
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    before = _names(folder)
    with pytest.raises(EdgenetError, match=rf"{name}: not part of the earlier bundle, but .* with force=True$"):
        export(few / "calibration", few / "evaluation", out=folder, variants=("int8",))
    assert _names(folder) == before
    assert (folder / name).read_text() == "mine"
    export(few / "calibration", few / "evaluation", out=folder, variants=("int8",), force=True)
    assert not (folder / name).is_file() or (folder / name).read_bytes() == (few / name).read_bytes()
    bundles.verify(bundles.load(folder))


@pytest.mark.slow
def test_an_earlier_bundle_is_replaced_and_its_results_kept(export, earlier, few, tmp_path):
    bundle = export(few / "calibration", few / "evaluation", variants=("float32",))
    assert bundle.folder == earlier
    assert {path.name for path in earlier.glob("*.tflite")} == {"float32.tflite"}
    assert len(listing.find_images(earlier / "evaluation").paths) == 8
    assert (earlier / "results" / "monday.json").read_text() == "of monday"
    assert bundles.verify(bundles.load(earlier)) == len(bundle.manifest.files)
    assert _names(tmp_path) == {"few", "out"}


class Stopping:
    """A Progress that raises at a step of the work."""

    def __init__(self, exception: BaseException, at: str):
        self.exception, self.at = exception, at

    def step(self, text: str) -> None:
        if text.startswith(self.at):
            raise self.exception

    def count(self, done: int, total: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@pytest.mark.slow  # seconds each
@pytest.mark.parametrize(
    ("exception", "step"),
    [
        (KeyboardInterrupt(), "reading"),
        (KeyboardInterrupt(), "checking the calibration images"),
        (KeyboardInterrupt(), "Keras on"),
        (KeyboardInterrupt(), "converting to float32"),
        (KeyboardInterrupt(), "hashing"),
        (RuntimeError("out of luck"), "measuring drift"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_broken_off_leaves_the_earlier_bundle(export, earlier, few, tmp_path, exception, step):
    before = _contents(earlier)
    with pytest.raises(type(exception)):
        export(
            few / "calibration",
            few / "evaluation",
            variants=("float32",),
            progress=Stopping(exception, step),
        )
    assert _contents(earlier) == before
    assert _names(tmp_path) == {"few", "out"}


@pytest.mark.slow  # seconds
def test_an_error_late_in_the_work_leaves_nothing_behind(export, tiny_model, few, tmp_path):
    with quiet():
        import keras

        broken = keras.models.clone_model(tiny_model)
    broken.set_weights(tiny_model.get_weights())
    # Finite, as export wants them, but every logit is beyond float32: infinity less infinity in the softmax.
    broken.get_layer("logits").kernel.assign(np.full(broken.get_layer("logits").kernel.shape, 3e38))
    with pytest.raises(EdgenetError, match=r"^broken: the score of class 0.* is NaN for \S+/calibration/\S+\.png; "):
        export(few / "calibration", few / "evaluation", model=broken, name="broken", variants=("float32",))
    assert _names(tmp_path) == {"few"}


class Listening(Stopping):
    """A Progress that keeps its notes."""

    def __init__(self):
        super().__init__(RuntimeError(), "never")
        self.notes = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.slow
def test_what_is_wrong_with_the_calibration_pictures_is_told_and_kept(export, tiny_model, pictures):
    from edgenet.images.input_range import InputRange
    from edgenet.model import keras_model

    declared = keras_model.from_keras(tiny_model, "tiny", input_range=InputRange.between(0, 255))
    progress = Listening()
    bundle = export(
        pictures / "calibration",
        pictures / "evaluation",
        classifier=declared,
        progress=progress,
        variants=("float32",),
    )
    findings = bundle.manifest.calibration.findings
    few, wrong = (next(f for f in findings if f.level == level) for level in ("warning", "wrong"))
    assert few.text == "only 24 different images; use 50 or more, of all kinds"
    assert re.search(r"do not fit the model with input_range=0,255: .*; use input_range=-1,1, with ", wrong.text)
    of_keras = [finding.text for finding in bundle.manifest.findings]  # the model is random
    how = "images: stretch, bilinear, not antialiased (like keras-dataset); like= or resize= sets another"
    told = [f"calibration: {f.text}" for f in findings if f.level in ("warning", "wrong")]
    assert progress.notes == [how, *told, *of_keras]
    assert bundle.manifest.calibration.distances["-1,1"] < 1


@pytest.mark.slow
def test_the_manifest_tells_calibration_apart(export, few, tiny_bundle):
    bundle = export(few / "calibration", few / "evaluation", variants=("float32",))
    assert (tiny_bundle.manifest.calibration.images, bundle.manifest.calibration.images) == (24, 8)
    assert tiny_bundle.manifest.calibration.sha256 != bundle.manifest.calibration.sha256


def _contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _names(folder: Path) -> set[str]:
    """What is in a folder, hidden temporary ones too."""
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def given(few, labels, tmp_path) -> dict:
    """The arguments of `edgenet.export` for a quick export."""
    folders = {split: few / split for split in ("calibration", "evaluation")}
    return {"out": tmp_path / "out", "labels": labels, "variants": ["float32"], **folders}


@pytest.mark.slow
@pytest.mark.parametrize("apps", [True, False])
def test_the_manifest_has_what_the_task_library_found(tiny_model, given, apps):
    bundle = edgenet.export(tiny_model, apps=apps, **given)
    found = [(one.library, one.outcome) for one in bundle.manifest.apps if one.library == "task library"]
    assert apps or not bundle.manifest.apps
    outcome = "not available on this platform" if TASK_LIBRARY.missing() else "passed"
    assert found == ([("task library", outcome)] if apps else [])
    assert bundles.load(bundle.folder) == bundle


@pytest.mark.slow
def test_a_file_that_the_task_library_reads_otherwise_is_a_finding(tiny_model, given, monkeypatch):
    if TASK_LIBRARY.missing():
        pytest.skip(TASK_LIBRARY.missing())
    write, progress = metadata.write, Listening()

    def shifted(data, about, recipe, names, *rest, **options):
        return write(data, about, recipe, [*names[1:], names[0]], *rest, **options)

    monkeypatch.setattr(metadata, "write", shifted)
    bundle = edgenet.export(tiny_model, progress=progress, **given)
    library = next(one for one in bundle.manifest.apps if one.library == "task library")
    assert library.outcome == LibraryOutcome.FAILED
    assert re.search("expected the label '.*', got '", library.problems["float32"])
    assert f"task library: float32 failed: {library.problems['float32']}" in progress.notes
    assert edgenet.load_bundle(given["out"]).manifest == bundle.manifest


@pytest.mark.slow
@pytest.mark.parametrize("form", ["folder", "paths"])
def test_calibration_images_are_decoded_once_for_all_variants(tiny_model, given, monkeypatch, form):
    load, loaded, folder = preprocess.load, Counter(), given["calibration"]
    paths = listing.find_images(folder).paths

    def counting(path, *rest):
        loaded[path] += 1
        return load(path, *rest)

    monkeypatch.setattr(preprocess, "load", counting)
    source = folder if form == "folder" else list(paths)
    edgenet.export(tiny_model, apps=False, **{**given, "calibration": source, "variants": None})
    assert {path: loaded[path] for path in paths} == dict.fromkeys(paths, 1)


@pytest.mark.slow
def test_labels_that_come_twice_are_kept_and_said(export, few):
    notes = Listening()
    names = ["crane", "wasp", "crane", "lynx"]
    bundle = export(few / "calibration", few / "evaluation", labels=names, variants=("float32",), progress=notes)
    assert notes.notes[0].startswith("labels: several classes have the same name (crane); an app cannot tell")
    assert read_metadata(bundle.file("float32.tflite"))[1] == names
