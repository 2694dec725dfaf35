"""App drift: photos as an app gives them to a library, against Keras."""

import dataclasses
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from example_records import MANIFEST

from edgenet import statistics
from edgenet.apps import app_drift, app_image
from edgenet.apps.conformance import check
from edgenet.bundle.bundle import REFERENCE
from edgenet.bundle.evaluation import read_scores, write_scores
from edgenet.images.resize_options import IMAGENET, KERAS_DATASET
from edgenet.litert.classifier import Prediction
from edgenet.litert.runner import Runner
from edgenet.records import EvaluationImage, LibraryOutcome, ScoreKind
from edgenet.records.apps import AppWay, Conformance
from edgenet.records.serialization import _build
from edgenet.records.values import problems

IMAGES = [EvaluationImage(f"evaluation/{number}.png", number % 2) for number in range(40)]


def scores_of(classes: list[int], sure: list[float]) -> np.ndarray:
    """A row for each class, with this top score, and the rest of 1 evenly on three others."""
    rows = np.repeat((1 - np.array(sure, np.float32))[:, None] / 3, 4, axis=1)
    rows[np.arange(len(classes)), classes] = sure
    return rows


def answers(classes: list[int]) -> list[tuple[Prediction, ...]]:
    return [(Prediction("", 0.6, index), Prediction("", 0.2, (index + 1) % 4)) for index in classes]


def measured(classes: list[int], **changes) -> app_drift.AppDrift:
    reference = scores_of([0] * 40, list(np.linspace(0.4, 0.9, 40)))
    given = answers(classes)
    for number, answer in changes.items():
        given[int(number[1:])] = answer
    return app_drift.measure("int8", AppWay.WHOLE_PHOTO, given, reference, IMAGES)


def test_agreement_is_a_fraction_with_wilsons_interval():
    drift = measured([1] * 3 + [0] * 37)
    assert (drift.variant, drift.way, drift.images) == ("int8", "whole photo", 40)
    assert drift.agreement == statistics.wilson(37, 40)
    # By its definition: the fractions x from which 37/40 is 1.96 standard deviations away, (37/40 - x)^2 =
    # 1.96^2 x (1 - x) / 40. 1e-4: of 1.96 for the quantile 1.95996.
    factor = 1.96**2 / 40
    ends = np.sort(np.roots([1 + factor, -2 * 37 / 40 - factor, (37 / 40) ** 2]))
    assert np.abs(ends - (drift.agreement.low, drift.agreement.high)).max() < 1e-4


def test_flips_have_both_sides_the_surest_first():
    drift = measured([1] * 3 + [0] * 37)
    assert [flip.file for flip in drift.flips] == [f"evaluation/{number}.png" for number in (2, 1, 0)]
    assert [flip.label for flip in drift.flips] == [0, 1, 0]
    first = drift.flips[0]
    assert [prediction.label for prediction in first.reference] == [0, 1, 2]
    assert [(prediction.label, prediction.score) for prediction in first.variant] == [(1, 0.6), (2, 0.2)]


def test_a_photo_without_an_answer_is_another_answer():
    drift = measured([0] * 40, _5=())
    assert drift.agreement.value == 39 / 40
    assert drift.flips == ()


def test_flips_are_bounded():
    drift = measured([1] * 40)
    assert drift.agreement.value == 0
    assert len(drift.flips) == app_drift.MAX_FLIPS


def test_equal_top_scores_of_keras_go_to_the_lowest_index():
    reference = np.array([[0.4, 0.4, 0.2, 0.0]], np.float32)
    drift = app_drift.measure("int8", AppWay.WHOLE_PHOTO, answers([0]), reference, IMAGES[:1])
    assert drift.agreement.value == 1


# In a bundle


def with_resize(bundle, folder, resize, classes=None):
    """A copy of a bundle whose photos are resized in another way, and of whose photos Keras predicts these classes."""
    shutil.copytree(bundle.folder, folder)
    manifest = bundle.manifest
    recipe = replace(manifest.preprocessing, resize=resize)
    if classes is not None:
        scores = scores_of(list(classes), [0.7] * len(classes))
        write_scores(folder / REFERENCE, [scores], scores.shape)
    return replace(bundle, folder=folder, manifest=replace(manifest, preprocessing=recipe))


@pytest.fixture
def answered(fake):
    """Makes a library whose answers on photos are these classes, and on resized photos those."""

    def make(photos: list[int], resized: list[int] | None) -> object:
        images = [[[label, "", 0.6]] for label in resized or [0] * len(photos)]
        outputs = {"images": images, "photos": [[[label, "", 0.6]] for label in photos]}
        models = {"version": "1.0", "models": {"float32": outputs}}
        return fake(f"print({json.dumps({'message': models})!r})")

    return make


def test_both_ways_are_recorded(tiny_bundle, answered, tmp_path):
    bundle = with_resize(tiny_bundle, tmp_path / "crop", IMAGENET, [2] * 43)
    library = answered([2] * 30 + [1] * 13, [2] * 42 + [1])
    (record,) = check(bundle, bundle.variants(["float32"]), [library])
    assert [(drift.way, drift.agreement) for drift in record.app_drift] == [
        (AppWay.WHOLE_PHOTO, statistics.wilson(30, 43)),
        (AppWay.RECOMMENDED_CODE, statistics.wilson(42, 43)),
    ]
    assert record.app_code == "resize to 32 x 32: crop 0.875, bilinear, antialiased (like imagenet)"
    (flip,) = record.app_drift[1].flips
    assert (flip.file, flip.label) == (bundle.manifest.evaluation[42].file, bundle.manifest.evaluation[42].label)
    assert _build(Conformance, json.loads(json.dumps(dataclasses.asdict(record)))) == record


def test_where_no_code_is_needed(tiny_bundle, answered, tmp_path):
    bundle = with_resize(tiny_bundle, tmp_path / "stretch", KERAS_DATASET, [2] * 43)
    (record,) = check(bundle, bundle.variants(["float32"]), [answered([2] * 43, None)])
    assert [drift.way for drift in record.app_drift] == [AppWay.WHOLE_PHOTO]
    assert record.app_code == ""


def test_the_scores_are_those_of_the_photos(tiny_bundle, answered, tmp_path):
    """Of every fourth image or so, each with its own row of reference.npz."""
    chosen = [number * 43 // 10 for number in range(10)]
    classes = np.arange(43) % 4
    bundle = with_resize(tiny_bundle, tmp_path / "some", IMAGENET, classes)
    expected = classes[chosen].tolist()
    (record,) = check(bundle, bundle.variants(["float32"]), [answered(expected, expected)], images=10)
    assert [(drift.images, drift.agreement.value) for drift in record.app_drift] == [(10, 1.0)] * 2


def test_a_multi_label_model_has_none(tiny_bundle, answered, tmp_path):
    bundle = with_resize(tiny_bundle, tmp_path / "labels", IMAGENET)
    evaluation = tuple(EvaluationImage(image.file, None) for image in bundle.manifest.evaluation)
    manifest = replace(bundle.manifest, scores=ScoreKind.SIGMOID, evaluation=evaluation)
    bundle = replace(bundle, manifest=manifest)
    assert bundle.manifest.multi_label
    (record,) = check(bundle, bundle.variants(["float32"]), [answered([0] * 43, [0] * 43)])
    assert record.app_drift == ()


def test_real_libraries(tiny_bundle, library, tmp_path):
    """By the recommended code, a library's top class is that of edgenet's runner on the same pixels."""
    bundle = with_resize(tiny_bundle, tmp_path / "crop", IMAGENET)
    images = bundle.manifest.evaluation
    app_image.write_all(
        [bundle.file(image.file) for image in images], bundle.manifest.preprocessing, tmp_path / "code.npy"
    )
    pixels = np.load(tmp_path / "code.npy")
    reference = np.concatenate(list(read_scores(bundle.file(REFERENCE), (43, bundle.manifest.classes))))
    (record,) = check(bundle, bundle.variants(["float32", "int8"]), [library])
    found = {(drift.variant, drift.way): drift for drift in record.app_drift}
    assert set(found) == {(name, way) for name in ("float32", "int8") for way in AppWay}
    for name in ("float32", "int8"):
        scores = Runner(bundle.file(f"{name}.tflite"), bundle.manifest.preprocessing).scores(pixels)
        flipped = scores.argmax(axis=1) != reference.argmax(axis=1)
        drift = found[name, AppWay.RECOMMENDED_CODE]
        assert drift.agreement == statistics.wilson(int((~flipped).sum()), 43)
        assert len(drift.flips) == min(flipped.sum(), app_drift.MAX_FLIPS)
        assert {flip.file for flip in drift.flips} <= {images[number].file for number in np.flatnonzero(flipped)}


# Records that cannot be


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"images": 0, "flips": ()}, "images is 0, but must be from 1 to 10,000,000"),
        ({"agreement": statistics.Interval(1.5, 0.0, 1.0)}, "agreement must be from 0 to 1"),
        ({"agreement": statistics.wilson(40, 40)}, "more images flip than the agreement allows"),
    ],
)
def test_impossible_values(changes, text):
    assert list(problems(measured([1] * 3 + [0] * 37))) == []
    assert list(problems(replace(measured([1] * 3 + [0] * 37), **changes))) == [text]


def test_two_of_the_same_variant_and_way():
    drift = measured([0] * 40)
    record = replace(MANIFEST.apps[0], outcome=LibraryOutcome.PASSED, app_drift=(drift, drift))
    assert list(problems(record)) == ["two app_drift have the same variant and way"]
