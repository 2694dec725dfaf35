"""The check with a mobile library at the end of an export."""

import json
from dataclasses import replace
from functools import partial

import pytest
from commands import error_of, output_of, rows

from edgenet.apps import conformance
from edgenet.bundle import bundle as bundles


@pytest.fixture
def export_with(tiny_bundle, pictures, run_here, monkeypatch):
    """Run `edgenet export` of a small model, float32 only, with a library in the place of the installed ones."""

    def export(library, *options):
        monkeypatch.setattr(conformance, "check", partial(conformance.check, libraries=(library,)))
        images = [f"--{split}={pictures / split}" for split in ("calibration", "evaluation")]
        model = tiny_bundle.file("model.keras")
        labels = tiny_bundle.file("labels.txt")
        return run_here(
            "export", model, "--labels", labels, *images, "--variants", "float32", "--out", "mine", *options
        )

    return export


def apps_of(folder) -> list[dict]:
    return json.loads((folder / "mine" / "manifest.json").read_bytes())["apps"]


@pytest.mark.slow  # seconds
def test_a_failed_check_leaves_the_bundle_and_exits_1(export_with, fake_predictions, run_here, tmp_path):
    done = export_with(fake_predictions(float32=[(0, "another label", 1.0)] * 43))
    assert done.returncode == 1
    error, *before = reversed(done.stderr.splitlines())
    assert error.startswith("Error: fake library: float32: ")
    assert error.endswith(". The bundle is in mine; skip this check with --no-apps")
    assert all(line.endswith(" ...") or line.startswith("note: ") for line in before)
    assert "fake library: FAILED" in done.stdout
    assert "Next: " not in done.stdout
    (library,) = apps_of(tmp_path)
    assert (library["library"], library["outcome"], library["passed"]) == ("fake library", "failed", [])
    assert output_of(run_here("verify", "mine"))


@pytest.mark.slow
def test_a_check_that_is_skipped(export_with, fake_predictions, tmp_path):
    lines = output_of(export_with(fake_predictions(float32=[]), "--no-apps"))
    assert apps_of(tmp_path) == []
    assert lines[-1] == "Next: edgenet benchmark mine"


@pytest.mark.slow
def test_a_library_that_is_not_installed_changes_nothing_else(export_with, fake, tmp_path):
    lines = output_of(export_with(replace(fake(""), package="no_such_package")))
    (library,) = apps_of(tmp_path)
    assert library["outcome"] == "not available on this platform"
    assert lines[-1] == "Next: edgenet benchmark mine"
    assert rows(lines) == ["float32.tflite"]
    with_it = bundles.load(tmp_path / "mine").manifest
    output_of(export_with(fake(""), "--no-apps"))
    assert replace(bundles.load(tmp_path / "mine").manifest, apps=with_it.apps) == with_it


def test_a_failed_export_is_not_checked(export_with, fake_predictions, tmp_path):
    error_of(export_with(fake_predictions(float32=[]), "--batch", "0"))
    assert not (tmp_path / "mine").exists()
