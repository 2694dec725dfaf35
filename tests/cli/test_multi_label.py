"""A multi-label model from export to report: what the command line says, against sums over the stored scores."""

import re
from pathlib import Path

import numpy as np
import pytest
from drawn_images import draw
from multi_label import TAGS, expected_labels

import edgenet
from edgenet import records
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.litert.runner import Runner
from edgenet.quiet import quiet
from edgenet.records import Results, ScoreKind
from edgenet.statistics import wilson

IMAGES = {"calibration": 24, "evaluation": 60}
FAST = ("--threads", "1", "--rounds", "2", "--seconds", "0.001")
NONSENSE = re.compile(r"top-1|top-5|top class|accuracy:|McNemar", re.IGNORECASE)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory) -> Path:
    """A folder with calibration/ and evaluation/ without classes, labels.txt and tags.keras: five sigmoids."""
    folder, random = tmp_path_factory.mktemp("tagged"), np.random.default_rng(5)
    pixels = []
    for split, count in IMAGES.items():
        (folder / split).mkdir()
        for number in range(count):
            image = draw(random, 32, 32)
            image.save(folder / split / f"{number:02d}.png")
            pixels.append(np.asarray(image))
    (folder / "labels.txt").write_text("\n".join(TAGS) + "\n", encoding="utf-8")
    with quiet():
        import keras

        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
                keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(len(TAGS)),
                keras.layers.Activation("sigmoid"),
            ]
        )
        # Half of the calibration images have each label, and few scores are near 0 or 1.
        dense, images = model.layers[-2], np.stack(pixels[: IMAGES["calibration"]]) / np.float32(127.5) - 1
        before = keras.Sequential(model.layers[:-1])
        dense.kernel.assign(dense.kernel / before(images).numpy().std(axis=0) * 2)
        dense.bias.assign(-np.median(before(images).numpy(), axis=0))
        model.save(folder / "tags.keras")
    return folder


@pytest.fixture(scope="module")
def tag_bundle(tagged, tmp_path_factory) -> bundles.Bundle:
    with quiet():
        return edgenet.export(
            tagged / "tags.keras",
            labels=tagged / "labels.txt",
            calibration=tagged / "calibration",
            evaluation=tagged / "evaluation",
            out=tmp_path_factory.mktemp("bundle") / "tags",
        )


def stored_scores(bundle: bundles.Bundle) -> np.ndarray:
    shape = (len(bundle.manifest.evaluation), bundle.manifest.classes)
    return np.concatenate(list(evaluation.read_scores(bundle.file(bundles.REFERENCE), shape)))


def test_the_manifest_has_the_label_agreement_of_the_stored_scores(tag_bundle):
    manifest, reference = tag_bundle.manifest, stored_scores(tag_bundle)
    assert (manifest.scores, manifest.multi_label) == (ScoreKind.SIGMOID, True)
    for variant in manifest.variants:
        runner = Runner(tag_bundle.file(variant.file), manifest.preprocessing)
        scores = np.concatenate([runner.scores(chunk.pixels) for chunk in evaluation.chunks(tag_bundle)])
        differs = (scores >= 0.5) != (reference >= 0.5)
        drift, found = variant.drift, variant.drift.label_agreement
        assert (drift.images, drift.agreement, drift.accuracy) == (60, None, None)
        assert list(found.labels) == expected_labels(reference, scores)
        assert found.decisions.value == pytest.approx(1 - differs.mean(), abs=1e-12)
        assert found.images == wilson(int((~differs.any(axis=1)).sum()), 60)
        assert {flip.file for flip in drift.flips} == {
            manifest.evaluation[index].file for index in np.flatnonzero(differs.any(axis=1))
        }
    float32 = manifest.variants[0].drift.label_agreement
    assert (float32.decisions.value, float32.images.value) == (1.0, 1.0)
    # All labels are decided both ways, or the test would test little.
    assert all(0 < label.reference_images < 60 for label in float32.labels)


@pytest.mark.slow
def test_benchmark_check_and_report_speak_of_labels(tag_bundle, run_here, tmp_path):
    done = run_here("benchmark", tag_bundle.folder, *FAST, "--details", "--json", "r.json")
    assert done.returncode == 0, done.stderr
    assert "label agreement" in done.stdout and "The scores are independent of each other (sigmoid)" in done.stdout
    assert not NONSENSE.search(done.stdout)
    path = tmp_path / "r.json"
    results = records.from_json(Results, path.read_bytes(), str(path))
    drifts = {measured.name: measured.drift for measured in results.measurements}
    for variant in tag_bundle.manifest.variants:
        assert drifts[variant.name] == variant.drift

    flips = len(drifts["int8"].flips)
    done = run_here("check", path, "--variants", "int8", "--max-drift", "50%")
    assert done.returncode == 0
    agreement = drifts["int8"].label_agreement.decisions.value
    assert f"drift {flips / 60:.2%} of 60 images (any label; label agreement {agreement:.4f})" in done.stdout
    done = run_here("check", path, "--max-accuracy-drop", "1%")
    assert done.returncode == 1 and "multi-label model" in done.stderr and "--max-drift" in done.stderr

    for name in ("r.md", "r.html"):
        assert run_here("report", path, "--out", name).returncode == 0
        text = re.sub(r"base64,[^\"]*", "", (tmp_path / name).read_text(encoding="utf-8"))
        assert "label agreement" in text and not NONSENSE.search(text)


def test_the_export_says_what_is_compared(tagged, run_here, tmp_path):
    options = ("--labels", tagged / "labels.txt", "--calibration", tagged / "calibration", "--variants", "float32")
    done = run_here(
        *("export", "--model", tagged / "tags.keras", *options, "--evaluation", tagged / "evaluation", "--out", "b")
    )
    assert done.returncode == 0, done.stderr
    assert "each label is compared by itself: present at a score of 0.5 or more. There is no accuracy." in done.stderr
    assert "label agreement" in done.stdout and "top-1" not in done.stdout


@pytest.mark.slow
def test_with_one_class_for_each_image_the_top_class_is_compared_and_a_note_says_so(tagged, run_here, tmp_path):
    for number, path in enumerate(sorted((tagged / "evaluation").iterdir())):
        place = tmp_path / "classes" / TAGS[number % 5]
        place.mkdir(parents=True, exist_ok=True)
        (place / path.name).write_bytes(path.read_bytes())
    options = ("--labels", tagged / "labels.txt", "--calibration", tagged / "calibration", "--variants", "float32")
    done = run_here("export", "--model", tagged / "tags.keras", *options, "--evaluation", "classes", "--out", "b")
    assert done.returncode == 0, done.stderr
    assert "the evaluation images have one class each, so the top class is compared" in done.stderr
    bundle = bundles.load(tmp_path / "b")
    assert (bundle.manifest.scores, bundle.manifest.multi_label) == (ScoreKind.SIGMOID, False)
    (variant,) = bundle.manifest.variants
    reference = stored_scores(bundle)
    truth = np.array([image.label for image in bundle.manifest.evaluation])
    assert variant.drift.label_agreement is None and variant.drift.agreement.top1 == 1.0
    assert variant.drift.accuracy.top1 == (reference.argmax(axis=1) == truth).mean()
    assert "top-1" in done.stdout and "label agreement" not in done.stdout
    done = run_here("benchmark", "b", *FAST)
    assert "the evaluation images have one class each, so the top class is compared" in " ".join(done.stdout.split())


@pytest.mark.slow  # seconds
def test_a_single_file_of_tags_without_classes_is_compared_by_label(tag_bundle, tagged, run_here, tmp_path):
    files = [tag_bundle.file(f"{name}.tflite") for name in ("int8", "float32")]
    done = run_here(
        *("benchmark", files[0], "--reference", files[1], "--images", tagged / "evaluation", *FAST, "--json", "r.json")
    )
    assert done.returncode == 0, done.stderr
    results = records.from_json(Results, (tmp_path / "r.json").read_bytes(), "r.json")
    found = next(measured.drift for measured in results.measurements if measured.name == "int8.tflite")
    # The float32 file is Keras' model but for rounding, and no score is that near to 0.5.
    (int8,) = (variant.drift for variant in tag_bundle.manifest.variants if variant.name == "int8")
    assert found.label_agreement.labels == int8.label_agreement.labels


@pytest.mark.slow
def test_the_diagnosis_counts_images_that_keep_all_labels(tag_bundle, run_here):
    done = run_here("diagnose", tag_bundle.folder, "--images", "60")
    assert done.returncode == 0, done.stderr
    (int8,) = (variant.drift for variant in tag_bundle.manifest.variants if variant.name == "int8")
    assert f"{60 - len(int8.flips)} of 60 images keep all their labels" in " ".join(done.stdout.split())
