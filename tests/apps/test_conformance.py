"""What the libraries of apps find in a bundle's files, beside edgenet's own runner."""

import dataclasses
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from app_bundles import with_metadata, without_metadata

from edgenet.apps import conformance
from edgenet.apps.conformance import check, examine
from edgenet.apps.libraries import LIBRARIES, MEDIAPIPE_TASKS
from edgenet.apps.process import Process
from edgenet.bundle import bundle as bundles
from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.litert.delegate import ready
from edgenet.litert.runner import Runner, as_input
from edgenet.records.apps import Conformance
from edgenet.records.serialization import _build

ALL = ("float32", "float16", "dynamic", "int8")


def only(bundle, *names):
    return bundle.variants(names)


def test_every_variant_passes(tiny_bundle, library):
    (record,) = check(tiny_bundle, libraries=[library])
    assert (record.library, record.outcome, record.passed) == (library.name, "passed", ALL)
    assert (record.images, record.photos, record.impossible) == (43, 43, {})
    assert set(record.agreement) == set(ALL)
    # Photos of 28 x 28 fill the input as edgenet has it; those of 40 x 28 are pressed into it, and may change.
    assert all(0.5 < share <= 1 for share in record.agreement.values())
    assert _build(Conformance, json.loads(json.dumps(dataclasses.asdict(record)))) == record


def test_what_is_compared_is_what_the_runner_sees(tiny_bundle, library, pixels_of, tmp_path):
    np.save(tmp_path / "pixels.npy", pixels_of(tiny_bundle))
    models = {variant.name: tiny_bundle.file(variant.file) for variant in tiny_bundle.manifest.variants}
    process = Process(library, models, tmp_path / "pixels.npy", ())
    answer = process.answer()
    process.close()
    for name, tolerance in {"float32": 1e-4, "float16": 1e-4, "int8": 0}.items():
        scores = Runner(models[name], tiny_bundle.manifest.preprocessing).scores(pixels_of(tiny_bundle))
        found = [top.score for top in answer.said[name].pictures]
        # Floats are summed in another order; integers are the same, whatever the release of TFLite.
        assert np.abs(scores.max(axis=1) - found).max() <= tolerance


def test_labels_in_another_order_are_found_out(tiny_bundle, labels, library, tmp_path):
    mixed = with_metadata(tiny_bundle, tmp_path / "mixed", [*labels[1:], labels[0]])
    text = r"^int8, .*: evaluation/\S+: expected the label '[\w ]+' of class \d, found '[\w ]+'; --no-apps .*$"
    with pytest.raises(EdgenetError, match=text):
        check(mixed, only(mixed, "int8"), [library], pictures=3)


def test_labels_in_20_scripts_arrive_in_apps(tiny_bundle, library, tmp_path):
    names = [
        "Seeigel, groß / морской ёж / αχινός / ծովոզնի / קיפוד ים",
        "قنفذ البحر / समुद्री साही / সজারু / கடல் முள்ளெலி / ముళ్ళపంది",
        "เม่นทะเล / ပင်လယ်ဖြုတ် / ზღარბი / የባሕር / 海胆",
        "うに / ウニ / 성게 / ᏣᎳᎩ / སེམས / 🦔\u2028🌊 '\"\\",
    ]
    bundle = with_metadata(tiny_bundle, tmp_path / "scripts", names)
    bundle.file(bundles.LABELS).write_text("\n".join(names) + "\n", encoding="utf-8")
    (found,) = examine(bundle, libraries=[library])
    assert [(asked.problem, asked.labelled) for asked in found.asked] == [(None, 43)] * 4


def test_a_wrong_normalization_is_found_out(tiny_bundle, library, tmp_path):
    # Almost black for a model that takes -1 to 1.
    wrong = with_metadata(tiny_bundle, tmp_path / "wrong", recipe=InputRange.between(-1.0, -0.9).recipe(32, 32, 3))
    text = (
        r"^float32, .*: evaluation/\S+: expected class \d, '[\w ]+', found class \d, '[\w ]+', and another on \d+ more"
    )
    with pytest.raises(EdgenetError, match=text):
        check(wrong, only(wrong, "float32"), [library])


def test_files_that_say_nothing_of_themselves(tiny_bundle, library, tmp_path):
    bare = without_metadata(tiny_bundle, tmp_path / "bare")
    (examined,) = examine(bare, only(bare, "float32", "int8"), [library], pictures=3)
    assert [(asked.loaded, asked.equal, asked.labelled) for asked in examined.asked] == [(False, 0, 0), (True, 3, 0)]
    reason = "it requires specifying NormalizationOptions metadata to preprocess input images"
    assert examined.problems["float32"].startswith("expected that it loads the file, found: Input tensor has type ")
    assert examined.problems["float32"].endswith(reason)
    assert examined.problems["int8"].endswith(", found no label")
    with pytest.raises(EdgenetError, match=rf"^float32, {library.name}: expected .*{reason}; --no-apps .*$") as error:
        check(bare, libraries=[library])
    assert "\n" not in str(error.value)


def test_a_file_that_is_damaged(tiny_bundle, library, tmp_path):
    np.save(tmp_path / "pixels.npy", np.zeros((1, 32, 32, 3), np.uint8))
    (tmp_path / "cut.tflite").write_bytes(tiny_bundle.file("int8.tflite").read_bytes()[:9_000])
    models = {"cut": tmp_path / "cut.tflite", "int8": tiny_bundle.file("int8.tflite")}
    process = Process(library, models, tmp_path / "pixels.npy", ())
    answer = process.answer()
    process.close()
    assert answer.said["cut"].problem == "The model is not a valid Flatbuffer buffer"
    assert answer.said["int8"].problem is None


@pytest.mark.parametrize(
    ("recipe", "libraries", "reason"),
    [
        ({"order": "BGR"}, LIBRARIES, "it takes BGR, and apps give RGB"),
        (
            {"mean": (120.0, 110.0, 100.0), "std": (50.0, 60.0, 70.0)},
            [MEDIAPIPE_TASKS],
            "it takes a mean and deviation of its own for each channel",
        ),
    ],
)
def test_what_libraries_do_not_take_is_said(tiny_bundle, monkeypatch, recipe, libraries, reason):
    monkeypatch.setattr("edgenet.apps.libraries.find_spec", lambda name: True)
    preprocessing = replace(tiny_bundle.manifest.preprocessing, **recipe)
    bundle = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, preprocessing=preprocessing))
    for record in check(bundle, only(bundle, "float32"), libraries, pictures=3):
        assert (record.outcome, record.impossible) == ("not possible", {"float32": reason})
        assert (record.version, record.passed, record.images, record.agreement) == (None, (), 0, {})


def test_integers_that_are_no_pixels_are_said(tiny_bundle, saying):
    # As of a model with an input range of its own for each channel: the file's grid is not that of pixels.
    recipe = replace(tiny_bundle.manifest.preprocessing, std=(100.0, 110.0, 127.5))
    bundle = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, preprocessing=recipe))
    (record,) = check(bundle, only(bundle, "int8"), [saying()], pictures=3)
    reason = "its uint8 input is not the pixels, which apps give; export it with --io float32"
    assert (record.outcome, record.impossible) == ("not possible", {"int8": reason})


# How answers are judged, by libraries that say what a test wants


@pytest.fixture
def scores(tiny_bundle, pixels_of, monkeypatch) -> np.ndarray:
    """Of the first three evaluation pictures, made by LiteRT's kernels without XNNPACK, (3, 4): the runner, too, gives
    what a test makes of them."""
    recipe, variant = tiny_bundle.manifest.preprocessing, tiny_bundle.file("float32.tflite")
    interpreter, scores = ready(variant, recipe.shape, delegate=False), []
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    monkeypatch.setattr(
        conformance, "_spread", lambda pictures, count: [pictures[place].file for place in range(count)]
    )
    for picture in pixels_of(tiny_bundle)[:3]:
        interpreter.set_tensor(taken["index"], as_input(picture[None], recipe, np.dtype(np.float32)))
        interpreter.invoke()
        scores.append(interpreter.get_tensor(given["index"])[0])
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


def said(scores: np.ndarray, labels, other: int | None = None) -> list:
    """The best class of each picture; the second one of picture `other`."""
    ranks = [two_best(some)[place == other] for place, some in enumerate(scores)]
    return [(rank, labels[rank], 0.5) for rank in ranks]


def examined(bundle, library, variant="float32"):
    (found,) = examine(bundle, only(bundle, variant), [library], pictures=3)
    (asked,) = found.asked
    return asked


def test_the_second_class_is_not_the_first(tiny_bundle, labels, scores, saying):
    asked = examined(tiny_bundle, saying(float32=said(scores, labels, other=1)))
    assert (asked.equal, asked.ties, asked.unsettled, asked.agreeing) == (2, 0, 0, 2)
    best, second = two_best(scores[1])
    file = tiny_bundle.manifest.evaluation[1].file
    assert asked.problem == f"{file}: expected class {best}, {labels[best]!r}, found class {second}, {labels[second]!r}"


def test_no_class_at_all(tiny_bundle, labels, scores, saying):
    asked = examined(tiny_bundle, saying(float32=[*said(scores, labels)[:2], None]))
    assert (asked.equal, asked.labelled) == (2, 2)
    assert asked.problem.endswith(", found none")


def test_equal_scores_are_ties(tiny_bundle, labels, scores, saying):
    best, second = two_best(scores[1])
    scores[1][second] = scores[1][best]
    chosen = [int(some.argmax()) for some in scores]
    chosen[1] = best + second - chosen[1]  # the one that the runner does not name
    asked = examined(tiny_bundle, saying(float32=[(rank, labels[rank], 0.5) for rank in chosen]))
    assert (asked.equal, asked.ties, asked.unsettled, asked.problem) == (2, 1, 0, None)


# With part p of the gap g left, each of two scores moved by d = (1 - p) g / 2, and no other moved; unsettled is
# p g <= 2 d, so p <= 1/2.
@pytest.mark.parametrize(("part", "unsettled"), [(0.4, 1), (0.6, 0)])
def test_what_kernels_leave_open_is_unsettled(tiny_bundle, labels, scores, saying, part, unsettled):
    squeeze(scores[1], part)
    asked = examined(tiny_bundle, saying(float32=said(scores, labels, other=1)))
    best, second = two_best(scores[1])
    assert (asked.equal, asked.ties, asked.unsettled) == (2, 0, unsettled)
    assert asked.behind == (scores[1][best] - scores[1][second] if unsettled else 0)
    assert (asked.problem is None) == bool(unsettled)


def test_integers_leave_nothing_open(tiny_bundle, labels, scores, saying):
    squeeze(scores[1], 0.4)
    asked = examined(tiny_bundle, saying(int8=said(scores, labels, other=1)), "int8")
    assert (asked.equal, asked.unsettled) == (2, 0)
    assert ": expected class " in asked.problem


# Processes that do not answer


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("import os; os.kill(os.getpid(), 11)", r"fake library: its process crashed \(SIGSEGV\)"),
        ("raise SystemExit('bad luck')", "fake library: its process ended with exit code 1: bad luck"),
    ],
)
def test_a_library_that_crashes(tiny_bundle, fake, body, found):
    with pytest.raises(
        EdgenetError, match=rf"^float32, fake library: expected that it loads the file, found: {found};"
    ):
        check(tiny_bundle, libraries=[fake(body)], pictures=3)


def test_a_library_that_never_answers(tiny_bundle, fake, monkeypatch):
    monkeypatch.setattr("edgenet.apps.process.TIMEOUT_SECONDS", 0.2)
    with pytest.raises(EdgenetError, match=r"no answer within 0\.2 s;"):
        check(tiny_bundle, libraries=[fake("import time; time.sleep(60)")], pictures=3)


def test_no_process_is_left(tiny_bundle, fake, monkeypatch, tmp_path):
    def interrupt(self, pixels):
        while not (tmp_path / "pid").is_file():  # the library has begun
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(Runner, "scores", interrupt)
    path = tmp_path / "pid"
    sleeper = f"import os, time; open('{path}.new', 'w').write(str(os.getpid())); os.rename('{path}.new', '{path}')"
    with pytest.raises(KeyboardInterrupt):
        examine(tiny_bundle, libraries=[fake(f"{sleeper}; time.sleep(60)")], pictures=3)
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


def test_a_library_that_lacks_one_of_the_system(tiny_bundle, tmp_path, monkeypatch):
    if MEDIAPIPE_TASKS.missing():
        pytest.skip(MEDIAPIPE_TASKS.missing())
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_EGL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (found,) = examine(tiny_bundle, only(tiny_bundle, "int8"), [MEDIAPIPE_TASKS], pictures=3)
    assert found.unavailable == ("libEGL.so.1: cannot open shared object file; on Debian: apt install libegl1 libgles2")
    assert found.record().outcome == "not available on this platform"
