"""The predictions of mobile libraries beside those of edgenet's own runner."""

import dataclasses
import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from app_bundles import with_metadata, without_metadata

from edgenet.apps import conformance
from edgenet.apps.conformance import check, examine
from edgenet.apps.libraries import LIBRARIES, MEDIAPIPE_TASKS
from edgenet.apps.library_process import LibraryProcess
from edgenet.bundle import bundle as bundles
from edgenet.images.input_range import InputRange
from edgenet.litert.delegate import load_interpreter
from edgenet.litert.runner import Runner, as_input
from edgenet.records import LibraryOutcome
from edgenet.records.apps import Conformance
from edgenet.records.serialization import _build

ALL = ("float32", "float16", "dynamic", "int8")


def only(bundle, *names):
    return bundle.variants(names)


def test_every_variant_passes(tiny_bundle, library):
    (record,) = check(tiny_bundle, libraries=[library])
    assert (record.library, record.outcome, record.passed) == (library.name, "passed", ALL)
    assert (record.images, record.photos, record.unsupported) == (43, 43, {})
    assert set(record.agreement) == set(ALL)
    # Photos of 28 x 28 fill the input as edgenet has it; those of 40 x 28 are pressed into it, and may change.
    assert all(0.5 < share <= 1 for share in record.agreement.values())
    assert _build(Conformance, json.loads(json.dumps(dataclasses.asdict(record)))) == record


def test_what_is_compared_is_what_the_runner_sees(tiny_bundle, library, pixels_of, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels_of(tiny_bundle))
    models = {variant.name: tiny_bundle.file(variant.file) for variant in tiny_bundle.manifest.variants}
    process = LibraryProcess(library, models, tmp_path / "pixels.npy", ())
    response = process.response()
    process.close()
    for name, tolerance in {"float32": 1e-4, "float16": 1e-4, "int8": 0}.items():
        scores = Runner(models[name], tiny_bundle.manifest.preprocessing).scores(pixels_of(tiny_bundle))
        found = [top.score for top in response.outputs[name].images]
        # Floats are summed in another order; integers are the same, whatever the release of TFLite.
        assert np.abs(scores.max(axis=1) - found).max() <= tolerance


def test_labels_in_another_order_are_a_failure(tiny_bundle, labels, library, tmp_path):
    mixed = with_metadata(tiny_bundle, tmp_path / "mixed", [*labels[1:], labels[0]])
    (record,) = check(mixed, only(mixed, "int8"), [library], images=3)
    assert (record.outcome, record.passed, list(record.problems)) == (LibraryOutcome.FAILED, (), ["int8"])
    text = r"evaluation/\S+: expected the label '[\w ]+', got '[\w ]+'"
    assert re.fullmatch(text, record.problems["int8"])


def test_labels_in_20_scripts_arrive_in_apps(tiny_bundle, library, tmp_path):
    names = [
        "Seeigel, groß / морской ёж / αχινός / ծովոզնի / קיפוד ים",
        "قنفذ البحر / समुद्री साही / সজারু / கடல் முள்ளெலி / ముళ్ళపంది",
        "เม่นทะเล / ပင်လယ်ဖြုတ် / ზღარბი / የባሕር / 海胆",
        "うに / ウニ / 성게 / ᏣᎳᎩ / སེམས / 🦔\u2028🌊 '\"\\",
    ]
    bundle = with_metadata(tiny_bundle, tmp_path / "scripts", names)
    bundle.file(bundles.LABELS).write_text("\n".join(names) + "\n", encoding="utf-8")
    (report,) = examine(bundle, libraries=[library])
    assert [(checked.problem, checked.labelled) for checked in report.variants] == [(None, 43)] * 4


def test_a_wrong_normalization_is_a_failure(tiny_bundle, library, tmp_path):
    # Almost black for a model that takes -1 to 1.
    wrong = with_metadata(tiny_bundle, tmp_path / "wrong", recipe=InputRange.between(-1.0, -0.9).recipe(32, 32, 3))
    (record,) = check(wrong, only(wrong, "float32"), [library])
    text = r"evaluation/\S+: expected class \d \('[\w ]+'\), got class \d \('[\w ]+'\); \d+ more images differ"
    assert record.outcome == LibraryOutcome.FAILED
    assert re.fullmatch(text, record.problems["float32"])


def test_files_without_metadata(tiny_bundle, library, tmp_path):
    bare = without_metadata(tiny_bundle, tmp_path / "bare")
    (report,) = examine(bare, only(bare, "float32", "int8"), [library], images=3)
    assert [(checked.loaded, checked.equal, checked.labelled) for checked in report.variants] == [
        (False, 0, 0),
        (True, 3, 0),
    ]
    reason = "it requires specifying NormalizationOptions metadata to preprocess input images"
    assert report.problems["float32"].startswith("the library cannot load the file: Input tensor has type ")
    assert report.problems["float32"].endswith(reason)
    assert report.problems["int8"].endswith(", got no label")
    (record,) = check(bare, libraries=[library])
    assert (record.outcome, set(record.problems)) == (LibraryOutcome.FAILED, set(ALL))
    assert not any("\n" in problem for problem in record.problems.values())


def test_a_file_that_is_damaged(tiny_bundle, library, tmp_path):
    np.save(tmp_path / "pixels.npy", np.zeros((1, 32, 32, 3), np.uint8))
    (tmp_path / "cut.tflite").write_bytes(tiny_bundle.file("int8.tflite").read_bytes()[:9_000])
    models = {"cut": tmp_path / "cut.tflite", "int8": tiny_bundle.file("int8.tflite")}
    process = LibraryProcess(library, models, tmp_path / "pixels.npy", ())
    response = process.response()
    process.close()
    assert response.outputs["cut"].problem == "The model is not a valid Flatbuffer buffer"
    assert response.outputs["int8"].problem is None


@pytest.mark.parametrize(
    ("recipe", "libraries", "reason"),
    [
        ({"order": "BGR"}, LIBRARIES, "its input is BGR, and apps pass RGB"),
        (
            {"mean": (120.0, 110.0, 100.0), "std": (50.0, 60.0, 70.0)},
            [MEDIAPIPE_TASKS],
            "its normalization has a different mean and standard deviation for each channel",
        ),
    ],
)
def test_models_that_libraries_cannot_run(tiny_bundle, monkeypatch, recipe, libraries, reason):
    monkeypatch.setattr("edgenet.apps.libraries.find_spec", lambda name: True)
    preprocessing = replace(tiny_bundle.manifest.preprocessing, **recipe)
    bundle = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, preprocessing=preprocessing))
    for record in check(bundle, only(bundle, "float32"), libraries, images=3):
        assert (record.outcome, record.unsupported) == ("not possible", {"float32": reason})
        assert (record.version, record.passed, record.images, record.agreement) == (None, (), 0, {})


def test_a_uint8_input_that_is_not_the_pixels(tiny_bundle, fake_predictions):
    # As of a model with an input range for each channel: the file's scale is not that of pixels.
    recipe = replace(tiny_bundle.manifest.preprocessing, std=(100.0, 110.0, 127.5))
    bundle = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, preprocessing=recipe))
    (record,) = check(bundle, only(bundle, "int8"), [fake_predictions()], images=3)
    reason = "its uint8 input is not the pixel values, which apps pass; export it with float32 input and output"
    assert (record.outcome, record.unsupported) == ("not possible", {"int8": reason})


# How predictions are compared, with fake libraries


@pytest.fixture
def scores(tiny_bundle, pixels_of, monkeypatch) -> np.ndarray:
    """Of the first three evaluation images, by LiteRT's kernels without XNNPACK, (3, 4). The runner returns this array,
    too, with the changes that a test makes to it."""
    recipe, variant = tiny_bundle.manifest.preprocessing, tiny_bundle.file("float32.tflite")
    interpreter, scores = load_interpreter(variant, recipe.shape, delegate=False), []
    (input_details,), (output_details,) = interpreter.get_input_details(), interpreter.get_output_details()
    monkeypatch.setattr(conformance, "_spread", lambda total, count: list(range(count)))
    for image in pixels_of(tiny_bundle)[:3]:
        interpreter.set_tensor(input_details["index"], as_input(image[None], recipe, np.dtype(np.float32)))
        interpreter.invoke()
        scores.append(interpreter.get_tensor(output_details["index"])[0])
    scores = np.array(scores)
    monkeypatch.setattr(Runner, "scores", lambda self, pixels: scores)
    return scores


def two_best(scores: np.ndarray) -> tuple[int, int]:
    second, best = np.argsort(scores)[-2:]
    return int(best), int(second)


def squeeze(scores: np.ndarray, part: float) -> None:
    """Move the two best scores towards each other, until they are as far from each other as `part` of before."""
    best, second = two_best(scores)
    moved = (scores[best] - scores[second]) * (1 - part) / 2
    scores[best] -= moved
    scores[second] += moved


def predicted(scores: np.ndarray, labels, other: int | None = None) -> list:
    """The best class of each image; the second best one of image `other`."""
    ranks = [two_best(row)[number == other] for number, row in enumerate(scores)]
    return [(rank, labels[rank], 0.5) for rank in ranks]


def compared(bundle, library, variant="float32"):
    (report,) = examine(bundle, only(bundle, variant), [library], images=3)
    (checked,) = report.variants
    return checked


def test_the_second_class_is_not_the_first(tiny_bundle, labels, scores, fake_predictions):
    checked = compared(tiny_bundle, fake_predictions(float32=predicted(scores, labels, other=1)))
    assert (checked.equal, checked.ties, checked.within_tolerance, checked.photos_agreeing) == (2, 0, 0, 2)
    best, second = two_best(scores[1])
    file = tiny_bundle.manifest.evaluation[1].file
    assert (
        checked.problem == f"{file}: expected class {best} ({labels[best]!r}), got class {second} ({labels[second]!r})"
    )


def test_no_class_at_all(tiny_bundle, labels, scores, fake_predictions):
    checked = compared(tiny_bundle, fake_predictions(float32=[*predicted(scores, labels)[:2], None]))
    assert (checked.equal, checked.labelled) == (2, 2)
    assert checked.problem.endswith(", got none")


def test_equal_scores_are_ties(tiny_bundle, labels, scores, fake_predictions):
    best, second = two_best(scores[1])
    scores[1][second] = scores[1][best]
    chosen = [int(row.argmax()) for row in scores]
    chosen[1] = best + second - chosen[1]  # the class that the runner does not choose
    checked = compared(tiny_bundle, fake_predictions(float32=[(rank, labels[rank], 0.5) for rank in chosen]))
    assert (checked.equal, checked.ties, checked.within_tolerance, checked.problem) == (2, 1, 0, None)


# With part p of the gap g left, each of two scores moved by d = (1 - p) g / 2, and no other moved; within_tolerance is
# p g <= 2 d, so p <= 1/2.
@pytest.mark.parametrize(("part", "within_tolerance"), [(0.4, 1), (0.6, 0)])
def test_scores_closer_than_kernels_differ(tiny_bundle, labels, scores, fake_predictions, part, within_tolerance):
    squeeze(scores[1], part)
    checked = compared(tiny_bundle, fake_predictions(float32=predicted(scores, labels, other=1)))
    best, second = two_best(scores[1])
    assert (checked.equal, checked.ties, checked.within_tolerance) == (2, 0, within_tolerance)
    assert checked.score_gap == (scores[1][best] - scores[1][second] if within_tolerance else 0)
    assert (checked.problem is None) == bool(within_tolerance)


def test_int8_has_no_tolerance(tiny_bundle, labels, scores, fake_predictions):
    squeeze(scores[1], 0.4)
    checked = compared(tiny_bundle, fake_predictions(int8=predicted(scores, labels, other=1)), "int8")
    assert (checked.equal, checked.within_tolerance) == (2, 0)
    assert ": expected class " in checked.problem


# Processes that do not answer


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("import os; os.kill(os.getpid(), 11)", r"fake library: its process crashed \(SIGSEGV\)"),
        ("raise SystemExit('bad luck')", "fake library: its process ended with exit code 1: bad luck"),
    ],
)
def test_a_library_that_crashes(tiny_bundle, fake, body, found):
    (record,) = check(tiny_bundle, libraries=[fake(body)], images=3)
    assert (record.outcome, list(record.problems)) == (LibraryOutcome.FAILED, list(ALL))
    assert re.match(rf"the library cannot load the file: {found}", record.problems["float32"])


def test_a_library_that_never_answers(tiny_bundle, fake, monkeypatch):
    monkeypatch.setattr("edgenet.apps.library_process.TIMEOUT_SECONDS", 0.2)
    (record,) = check(tiny_bundle, libraries=[fake("import time; time.sleep(60)")], images=3)
    assert "no answer within 0.2 s;" in record.problems["float32"]


def test_no_process_is_left(tiny_bundle, fake, monkeypatch, tmp_path):
    def interrupt(self, pixels):
        while not (tmp_path / "pid").is_file():  # the library has begun
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(Runner, "scores", interrupt)
    path = tmp_path / "pid"
    sleeper = f"import os, time; open('{path}.new', 'w').write(str(os.getpid())); os.rename('{path}.new', '{path}')"
    with pytest.raises(KeyboardInterrupt):
        examine(tiny_bundle, libraries=[fake(f"{sleeper}; time.sleep(60)")], images=3)
    with pytest.raises(ProcessLookupError):
        os.kill(int(path.read_text()), 0)


def test_a_library_that_is_not_installed(tiny_bundle, fake):
    (record,) = check(tiny_bundle, libraries=[replace(fake(""), package="no_such_package")])
    assert record.outcome == "not available on this platform"
    assert (record.version, record.passed, record.images, record.agreement) == (None, (), 0, {})


# As `sitecustomize`: a system without the library that MediaPipe's own needs.
WITHOUT_EGL = """
import ctypes
class Library(ctypes.CDLL):
    def __init__(self, name, *arguments, **options):
        if name and "libmediapipe" in str(name):
            raise OSError("libEGL.so.1: cannot open shared object file")
        super().__init__(name, *arguments, **options)
ctypes.CDLL = Library
"""


def test_a_missing_system_library(tiny_bundle, tmp_path, monkeypatch):
    if MEDIAPIPE_TASKS.missing():
        pytest.skip(MEDIAPIPE_TASKS.missing())
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_EGL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (report,) = examine(tiny_bundle, only(tiny_bundle, "int8"), [MEDIAPIPE_TASKS], images=3)
    assert report.unavailable == (
        "libEGL.so.1: cannot open shared object file; on Debian: apt install libegl1 libgles2"
    )
    assert report.conformance().outcome == "not available on this platform"
