"""Broken images on the command line: all are listed, and `--skip-broken` goes on without them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import error_of, output_of
from PIL import Image

import edgenet
from edgenet.errors import EdgenetError

HTML = "an HTML page, as a failed download leaves it"


@pytest.fixture
def own(tiny_bundle, pictures, tmp_path) -> list[str]:
    """The options that export a model, from files in the working folder that a test may change."""
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    shutil.copy(tiny_bundle.file("model.keras"), tmp_path / "tiny.keras")
    return ["--model", "tiny.keras", "--labels", "labels.txt", "--calibration", "calibration", "--no-apps"]


def spoil(tmp_path: Path) -> None:
    """Add three broken files to the calibration images, and one to the evaluation images."""
    for path in ("calibration/ant/page.jpg", "calibration/bee/page.png", "evaluation/ant/page.jpg"):
        (tmp_path / path).write_text("<!DOCTYPE html><html>404")
    (tmp_path / "calibration/ant/empty.png").write_bytes(b"")


def notes_of(done) -> list[str]:
    return [line.removeprefix("note: ") for line in done.stderr.splitlines() if line.startswith("note: ")]


def test_export_lists_the_broken_images_of_both_folders(tmp_path, run_here, own):
    spoil(tmp_path)
    error = error_of(run_here("export", *own, "--evaluation", "evaluation"))
    count = len([*tmp_path.glob("calibration/*/*"), *tmp_path.glob("evaluation/*/*")])
    assert error == (
        f"4 of {count} images cannot be read: 'calibration/ant/empty.png' (the file is empty), "
        f"'calibration/ant/page.jpg' ({HTML}), 'calibration/bee/page.png' ({HTML}), "
        f"'evaluation/ant/page.jpg' ({HTML}); replace or remove them, or leave them out with --skip-broken"
    )
    assert not (tmp_path / "build").exists()


@pytest.mark.slow  # seconds
def test_export_goes_on_without_broken_images(tmp_path, run_here, own):
    whole = output_of(run_here("export", *own, "--evaluation", "evaluation", "--variants", "int8", "--out", "whole"))
    spoil(tmp_path)
    done = run_here(
        "export", *own, "--evaluation", "evaluation", "--variants", "int8", "--out", "rest", "--skip-broken"
    )
    assert output_of(done)[1:-1] == whole[1:-1]
    notes = notes_of(done)
    assert any(note.startswith("calibration: skipped 3 of ") for note in notes)
    assert any(note.startswith("evaluation: skipped 1 of ") and note.endswith(f"page.jpg' ({HTML})") for note in notes)
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("whole", "rest")]
    for part in ("calibration", "evaluation"):
        assert manifests[0][part] == manifests[1][part]
    assert (tmp_path / "whole/int8.tflite").read_bytes() == (tmp_path / "rest/int8.tflite").read_bytes()


@pytest.mark.slow
def test_calibrate_lists_broken_images_or_goes_on_without_them(tmp_path, run_here, own):
    spoil(tmp_path)
    arguments = ("calibrate", "calibration", "--model", "tiny.keras")
    error = error_of(run_here(*arguments))
    assert error.startswith("calibration: 3 of ")
    assert error.endswith("; replace or remove them, or leave them out with --skip-broken")
    done = run_here(*arguments, "--skip-broken")
    assert output_of(done)[-1] == "Next: edgenet export tiny.keras --calibration calibration --skip-broken"
    assert any(note.startswith("calibration: skipped 3 of ") for note in notes_of(done))


@pytest.mark.slow
def test_benchmark_of_a_file_lists_broken_images_or_goes_on_without_them(tmp_path, run_here, own, tiny_bundle):
    spoil(tmp_path)
    count = len([*tmp_path.glob("calibration/*/*")])
    quick = ("--threads", "1", "--rounds", "2", "--seconds", "0.001", "--no-keras")
    arguments = ("benchmark", tiny_bundle.file("int8.tflite"), "--images", "calibration", *quick, "--json", "r.json")
    error = error_of(run_here(*arguments))
    assert error.startswith(f"calibration: 3 of {count} images cannot be read: 'ant/empty.png' (the file is empty), ")
    done = run_here(*arguments, "--skip-broken")
    text = f"calibration: skipped 3 of {count} images, which cannot be read: 'ant/empty.png' (the file is empty), "
    assert text in " ".join(" ".join(output_of(done)).split())
    assert text in (tmp_path / "r.json").read_text(encoding="utf-8")
    error = error_of(run_here("benchmark", tiny_bundle.folder, "--skip-broken"))
    assert error.startswith("--skip-broken: ")
    error = error_of(run_here("benchmark", tiny_bundle.file("int8.tflite"), "--skip-broken"))
    assert error == "--images: give a folder of images to use --skip-broken with"


@pytest.mark.slow  # seconds
def test_export_from_python(tmp_path, own, tiny_model, labels):
    spoil(tmp_path)
    options = {
        **{"labels": labels, "calibration": tmp_path / "calibration", "variants": ["float32"], "apps": False},
        "out": tmp_path / "out",
    }
    with pytest.raises(EdgenetError, match=r"calibration: 3 of \d+ images cannot be read: .* skip_broken=True$"):
        edgenet.export(tiny_model, **options)
    assert not (tmp_path / "out").exists()
    paths = [path for path in sorted(tmp_path.glob("calibration/*/*")) if path.stem not in ("page", "empty")]
    bundle = edgenet.export(tiny_model, **options, skip_broken=True)
    assert bundle.manifest.calibration.images + len(bundle.manifest.evaluation) == len(paths)


@pytest.mark.slow  # seconds
def test_export_and_calibrate_notice_images_of_12_bits(tmp_path, run_here, own):
    for path in [*tmp_path.glob("calibration/*/*"), *tmp_path.glob("evaluation/*/*")]:
        with Image.open(path) as image:
            levels = np.asarray(image.convert("L")).astype(np.uint16) * 16
        Image.fromarray(levels).save(path)
    text = "have 16 bits per channel, but no value is above 4,095 (12 bits), so they look almost black; multiply "
    done = run_here("calibrate", "calibration", "--model", "tiny.keras")
    assert any(note.startswith("calibration: ") and text in note for note in notes_of(done))
    done = run_here("export", *own, "--evaluation", "evaluation", "--variants", "float32")
    for name in ("calibration", "evaluation"):
        assert any(note.startswith(f"{name}: ") and text in note for note in notes_of(done)), done.stderr
