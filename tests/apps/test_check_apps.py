"""`edgenet check --apps`."""

import shutil
from dataclasses import replace

import pytest
from app_bundles import without_metadata
from commands import error_of
from measured import drift_of, measured, results_of, timed

from edgenet import records
from edgenet.apps.conformance import Examination
from edgenet.apps.judge import Asked
from edgenet.apps.libraries import LIBRARIES, TASK_LIBRARY
from edgenet.bundle import archive
from edgenet.bundle import bundle as bundles
from edgenet.machine import host
from edgenet.reporting.apps_table import apps_table

INSTALLED = [library for library in LIBRARIES if not library.missing()]
needs_one = pytest.mark.skipif(not INSTALLED, reason="neither tflite-support nor mediapipe is installed")
RESULTS = results_of(
    measured("float32", (timed(0.004),), drift_of(0, 1_000, (810, 0, 0, 190)), 4_000_000),
    measured("int8", (timed(0.002, base=0.004),), drift_of(15, 1_000, (800, 10, 20, 170)), 1_200_000),
)


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
    assert "43 evaluation pictures at the model's size; photos: the same as they are, scaled by the library" in lines


@needs_one
def test_every_variant_that_fails_is_shown(tiny_bundle, run_here, tmp_path):
    bare = without_metadata(tiny_bundle, tmp_path / "bare")
    done = run_here("check", "--apps", bare.folder)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "fail"
    for library in INSTALLED:
        for variant in ("float32", "float16", "dynamic"):
            assert f"\n{variant}, {library.name}: fail: expected that it loads the file, found: " in done.stdout
        assert f"\nint8, {library.name}: fail: evaluation/ant/" in done.stdout
    assert not any(line for line in done.stderr.splitlines() if not line.endswith(" ..."))


def test_a_library_that_is_not_there_is_said(tiny_bundle, run_here, monkeypatch):
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
@pytest.mark.parametrize(("limit", "code", "said"), [("0.05", 0, "pass"), ("0.001", 1, "fail")])
def test_limits_and_apps_are_both_judged(tiny_bundle, run_here, tmp_path, monkeypatch, limit, code, said):
    shutil.copytree(tiny_bundle.folder, tmp_path / "mine")
    monkeypatch.setattr(host, "identity", lambda: (RESULTS.machine.cpu, RESULTS.machine.architecture))
    files = {name: file.sha256 for name, file in tiny_bundle.manifest.files.items()}
    bundles.write_result(tmp_path / "mine", records.to_json(replace(RESULTS, files=files)))
    done = run_here("check", "mine", "--apps", "--max-drift", limit, "--variants", "int8")
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[2], lines[-1]) == (code, said, "pass")


def test_no_library_at_all(tiny_bundle, run_here, monkeypatch):
    monkeypatch.setattr("edgenet.apps.libraries.find_spec", lambda name: None)
    assert error_of(run_here("check", "--apps", tiny_bundle.folder)) == (
        "check: expected a library of apps for --apps, found none: task library: tflite-support is not installed; "
        "pip install 'edgenet[export]', on Linux, x86-64, with Python 3.10 or 3.11; "
        "mediapipe tasks: mediapipe is not installed; pip install --no-deps mediapipe==1.2.2"
    )


@needs_one
def test_results_are_no_bundle(run_here, tmp_path):
    (tmp_path / "mine.json").write_bytes(records.to_json(RESULTS))
    text = "mine.json: expected a bundle, found a file; make one with `edgenet export`"
    assert error_of(run_here("check", "--apps", "mine.json")) == text


@needs_one
def test_a_bundle_that_was_changed(tiny_bundle, run_here, tmp_path):
    shutil.copytree(tiny_bundle.folder, tmp_path / "mine")
    (tmp_path / "mine" / "labels.txt").write_text("ant\nbee\ncat\nsea otter\n")
    assert error_of(run_here("check", "--apps", "mine")).startswith("mine/labels.txt: expected ")


@needs_one
def test_nothing_that_can_be_asked(tiny_bundle, run_here, monkeypatch):
    monkeypatch.setattr("edgenet.apps.conformance._impossible", lambda runner, library: "it takes grey pictures")
    text = r"found none: it takes grey pictures"
    assert text in error_of(run_here("check", "--apps", tiny_bundle.folder))


def test_what_is_not_plainly_equal_is_explained():
    asked = [Asked("dynamic", loaded=True, equal=197, ties=1, unsettled=2, behind=0.0038, labelled=200, agreeing=165)]
    text = apps_table([Examination(TASK_LIBRARY, None, "0.4.4", 200, tuple(asked))])
    assert "\ntask library    0.4.4  dynamic     yes    197     1          2    200   0.825\n" in text
    assert "\ntied: another class, of the very score of the runner's top class\n" in text
    assert text.endswith("do not tell them apart for sure: at most 0.004 behind")
