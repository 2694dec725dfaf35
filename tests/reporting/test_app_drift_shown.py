"""App drift in the terminal, in Markdown and on the page."""

from dataclasses import replace

import pytest
from example_records import MANIFEST
from made_results import LABELS, results
from PIL import Image

from edgenet.analysis.loading import LoadedResults
from edgenet.analysis.verdict import Limits
from edgenet.records import Conformance, Flip, LibraryOutcome, Prediction
from edgenet.records.apps import AppDrift, AppWay
from edgenet.reporting.app_gallery import MAX_IMAGES, app_flips
from edgenet.reporting.apps_table import app_drift_table, apps_line
from edgenet.reporting.bundle_table import bundle_table
from edgenet.reporting.markdown import markdown
from edgenet.reporting.page import page
from edgenet.statistics import wilson

CODE = "resize to 224 x 224: crop 0.875, bilinear, antialiased (like imagenet)"


def flip(number: int, top: int = 1, sure: float = 0.6) -> Flip:
    return Flip(f"evaluation/{number}.png", 0, (Prediction(0, sure), Prediction(1, 0.2)), (Prediction(top, 0.5),))


def library(name: str, *drifts: AppDrift, code: str = "") -> Conformance:
    agreement = {drift.variant: 0.5 for drift in drifts}
    outcome = LibraryOutcome.PASSED
    passed = tuple(agreement)
    return Conformance(name, outcome, "1.0", passed, {}, 200, 0, 0, 200, agreement, app_drift=drifts, app_code=code)


def drift(variant: str, way: AppWay, flips: list[Flip] | None = None, agreeing: int = 180) -> AppDrift:
    return AppDrift(variant, way, 200, wilson(agreeing, 200), tuple(flips or ()))


APPS = (
    library("task library", drift("float32", AppWay.WHOLE_PHOTO), drift("int8", AppWay.WHOLE_PHOTO)),
    library(
        "mediapipe tasks",
        drift("int8", AppWay.WHOLE_PHOTO, agreeing=165),
        drift("int8", AppWay.RECOMMENDED_CODE, agreeing=200),
        code=CODE,
    ),
)


def test_a_row_for_each_variant_of_each_library():
    table = app_drift_table(APPS)
    assert table.rows == (
        ("task library", "float32", "0.900", "0.851 to 0.934", "-", "-"),
        ("task library", "int8", "0.900", "0.851 to 0.934", "-", "-"),
        ("mediapipe tasks", "int8", "0.825", "0.766 to 0.871", "1.000", "0.981 to 1.000"),
    )
    assert table.legend[1:] == (
        "recommended code, task library: none; give the library the whole photo.",
        f"recommended code, mediapipe tasks: {CODE}.",
    )
    assert "200 whole evaluation photos" in table.legend[0]


@pytest.mark.parametrize("apps", [(), MANIFEST.apps])
def test_where_it_was_not_measured(apps):
    assert app_drift_table(apps) is None
    assert "App drift" not in bundle_table(replace(MANIFEST, apps=apps))


def test_below_the_table_of_a_bundle():
    text = bundle_table(replace(MANIFEST, apps=APPS))
    assert "\nApp drift\n" in text
    assert all(len(line) <= 100 for line in text.splitlines() if "Modell" not in line)


def test_a_library_that_is_missing_is_one_line():
    missing = replace(MANIFEST.apps[1], unavailable="mediapipe is not installed; pip install mediapipe")
    assert apps_line(missing) == "mediapipe tasks: not available: mediapipe is not installed; pip install mediapipe"
    assert apps_line(MANIFEST.apps[1]) == "mediapipe tasks: not available on this platform"


def test_in_markdown():
    loaded = LoadedResults(None, "mobilenet", results(), apps=APPS)
    text = markdown([loaded], [], Limits())
    assert "## App drift" in text
    assert "| mediapipe tasks | int8 | 0.825 | 0.766 to 0.871 | 1.000 | 0.981 to 1.000 |" in text
    assert "App drift" not in markdown([replace(loaded, apps=())], [], Limits())


# The gallery


def test_the_same_answers_are_one():
    whole, code = AppWay.WHOLE_PHOTO, AppWay.RECOMMENDED_CODE
    apps = (
        library("task library", drift("float32", whole, [flip(1)]), drift("int8", whole, [flip(1), flip(2, sure=0.9)])),
        library("mediapipe tasks", drift("int8", whole, [flip(1, top=2)]), drift("int8", code, [flip(1)])),
    )
    second, first = app_flips(apps)
    assert (first.file, second.file) == ("evaluation/1.png", "evaluation/2.png")  # the surest is in front
    assert [(who, predictions[0].label) for who, predictions in first.answers] == [
        ("whole photo: task library (float32, int8)", 1),
        ("whole photo: mediapipe tasks (int8)", 2),
        ("recommended code: mediapipe tasks (int8)", 1),
    ]


def test_the_gallery_is_bounded():
    flips = [flip(number, sure=number / 100) for number in range(60)]
    apps = (library("task library", drift("int8", AppWay.WHOLE_PHOTO, flips)),)
    found = app_flips(apps)
    assert len(found) == MAX_IMAGES
    assert found[0].file == "evaluation/59.png"


@pytest.fixture
def in_bundle(tmp_path) -> LoadedResults:
    """Results in a bundle that has one of two photos that flip, and a photo of its own beside it."""
    (tmp_path / "mine" / "evaluation").mkdir(parents=True)
    for name in ("1.png", "secret.png"):
        Image.new("RGB", (60, 30), (200, 10, 10)).save(tmp_path / "mine" / "evaluation" / name)
    flips = [flip(1), flip(2), replace(flip(3), file="evaluation/secret.png")]
    apps = (library("task library", drift("int8", AppWay.WHOLE_PHOTO, flips)),)
    files = {f"evaluation/{number}.png": "ab" * 32 for number in (1, 2)}
    found = results(labels=LABELS, files=files)
    return LoadedResults(tmp_path / "mine" / "results" / "one.json", "mobilenet", found, apps=apps)


def test_on_the_page(in_bundle):
    text = page([in_bundle], [], Limits())
    assert "<h3>App drift</h3>" in text
    assert text.count('class="card"') == 3
    # Only files that belong to the bundle are read; what cannot be read has no thumbnail.
    assert (text.count("data:image/jpeg"), text.count('class="nothing"')) == (1, 2)
    assert "<b>whole photo: task library (int8)</b>" in text


def test_thumbnails_are_whole_photos(in_bundle):
    import base64
    import io
    import re

    (data,) = re.findall(r"data:image/jpeg;base64,([^\"]+)", page([in_bundle], [], Limits()))
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (60, 30)


def test_without_apps_the_page_has_no_such_section(in_bundle):
    assert "App drift" not in page([replace(in_bundle, apps=())], [], Limits())
