"""`edgenet check --apps`."""

import shutil

import pytest
from app_bundles import without_metadata
from commands import error_of
from measured import changed, drift_of, measured, results_of, timed

from edgenet import records
from edgenet.apps.libraries import LIBRARIES, TASK_LIBRARY
from edgenet.bundle import archive, results_files
from edgenet.machine import host
from edgenet.records.apps import LibraryReport, VariantConformance
from edgenet.reporting.apps_table import apps_table

INSTALLED = [library for library in LIBRARIES if not library.missing()]
needs_one = pytest.mark.skipif(not INSTALLED, reason="neither tflite-support nor mediapipe is installed")
RESULTS = results_of(
    measured("float32", (timed(0.004),), drift_of(0, 1_000, (810, 0, 0, 190)), 4_000_000),
    measured("int8", (timed(0.002, base=0.004),), drift_of(15, 1_000, (800, 10, 20, 170)), 1_200_000),
)


def outcomes(text: str) -> list[str]:
    """The lines that are an outcome."""
    return [line for line in text.splitlines() if line in ("pass", "fail")]


@needs_one
def test_a_packed_bundle_that_passes(tiny_bundle, run_here, tmp_path):
    packed = tmp_path / f"tiny{archive.SUFFIX}"
    archive.pack(tiny_bundle, packed)
    done = run_here("check", "--apps", packed, "--variants", "int8,float32")
    assert done.returncode == 0
    where, *lines = done.stdout.splitlines()
    assert (where, lines[-1]) == (str(packed), "pass")
    rows = [line.split() for line in lines if line.startswith(tuple(library.name for library in INSTALLED))]
    assert [row[3:8] for row in rows if len(row) == 10] == [
        [variant, "yes", "43", "0", "0"] for library in INSTALLED for variant in ("int8", "float32")
    ]
    assert "43 evaluation images at the model's input size" in lines
    assert all(len(line) <= 100 for line in lines)


@needs_one
def test_every_variant_that_fails_is_shown(tiny_bundle, run_here, tmp_path):
    bare = without_metadata(tiny_bundle, tmp_path / "bare")
    done = run_here("check", "--apps", bare.folder)
    assert done.returncode == 1
    assert outcomes(done.stdout) == ["fail"]
    for library in INSTALLED:
        for variant in ("float32", "float16", "dynamic"):
            assert f"\n{variant}, {library.name}: failed: the library cannot load the file: " in done.stdout
        assert f"\nint8, {library.name}: failed: evaluation/ant/" in done.stdout
    assert not any(line for line in done.stderr.splitlines() if not line.endswith(" ..."))


def test_a_library_that_is_not_installed_is_listed(tiny_bundle, run_here, monkeypatch):
    if len(INSTALLED) < 2:
        pytest.skip("tflite-support and mediapipe are not both installed")
    there, missing = INSTALLED
    monkeypatch.setattr("edgenet.apps.libraries.find_spec", lambda name: name == there.package)
    done = run_here("check", "--apps", tiny_bundle.folder, "--variants", "int8")
    assert done.returncode == 0
    assert (
        f"\n{missing.name}: not available: mediapipe is not installed; pip install --no-deps mediapipe==1.2.2\n"
        in done.stdout
    )


@needs_one
@pytest.mark.parametrize(("limit", "code", "outcome"), [("0.05", 0, "pass"), ("0.001", 1, "fail")])
def test_limits_and_apps_are_both_judged(tiny_bundle, run_here, tmp_path, monkeypatch, limit, code, outcome):
    shutil.copytree(tiny_bundle.folder, tmp_path / "mine")
    monkeypatch.setattr(host, "identity", lambda: (RESULTS.machine.cpu, RESULTS.machine.architecture))
    files = {name: file.sha256 for name, file in tiny_bundle.manifest.files.items()}
    results_files.write(tmp_path / "mine", records.to_json(changed(RESULTS, files=files)))
    done = run_here("check", "mine", "--apps", "--max-drift", limit, "--variants", "int8")
    assert (done.returncode, outcomes(done.stdout)) == (code, [outcome, "pass"])


def test_no_library_at_all(tiny_bundle, run_here, monkeypatch):
    monkeypatch.setattr("edgenet.apps.libraries.find_spec", lambda name: None)
    assert error_of(run_here("check", "--apps", tiny_bundle.folder)) == (
        "--apps: no mobile library is installed. task library: tflite-support is not installed; "
        "pip install 'edgenet[export]', on Linux, x86-64, with Python 3.10 or 3.11; "
        "mediapipe tasks: mediapipe is not installed; pip install --no-deps mediapipe==1.2.2"
    )


@needs_one
def test_results_are_no_bundle(run_here, tmp_path):
    (tmp_path / "mine.json").write_bytes(records.to_json(RESULTS))
    text = "mine.json: not a bundle (it is a file); create one with `edgenet export`"
    assert error_of(run_here("check", "--apps", "mine.json")) == text


@needs_one
def test_a_bundle_that_was_changed(tiny_bundle, run_here, tmp_path):
    shutil.copytree(tiny_bundle.folder, tmp_path / "mine")
    (tmp_path / "mine" / "labels.txt").write_text("ant\nbee\ncat\nsea otter\n")
    assert error_of(run_here("check", "--apps", "mine")).startswith("mine/labels.txt: expected ")


@needs_one
def test_no_supported_variant(tiny_bundle, run_here, monkeypatch):
    monkeypatch.setattr("edgenet.apps.conformance._unsupported", lambda runner, library: "its input is greyscale")
    text = "no mobile library can run any of the variants: its input is greyscale"
    assert text in error_of(run_here("check", "--apps", tiny_bundle.folder))


def test_ties_and_close_scores_are_explained():
    checked = VariantConformance(
        "dynamic",
        loaded=True,
        equal=197,
        ties=1,
        within_tolerance=2,
        score_gap=0.0038,
        labelled=200,
        photos_agreeing=165,
    )
    text = apps_table([LibraryReport(TASK_LIBRARY.name, None, "0.4.4", 200, (checked,))])
    assert "\ntask library    0.4.4  dynamic     yes    197     1      2    200   0.825\n" in text
    assert "\ntied: another class with exactly the same score\n" in text
    assert text.endswith("(lower by at most 0.004)")
