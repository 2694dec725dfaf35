"""`edgenet benchmark --drift-only`: drift and accuracy without latency."""

import json
from pathlib import Path

import pytest
from commands import error_of, output_of, run

import edgenet
from edgenet import records
from edgenet.records import Results


def read(path: Path) -> Results:
    return records.from_json(Results, path.read_bytes(), str(path))


def test_of_a_bundle(run_here, tmp_path, tiny_bundle):
    lines = output_of(run_here("benchmark", tiny_bundle.folder, "--drift-only", "--json", "drift.json"))
    assert not any(" ms" in line or "timing quality" in line for line in lines)
    found = read(tmp_path / "drift.json")
    drifts = {variant.name: variant.drift for variant in tiny_bundle.manifest.variants}
    assert {one.name: one.drift for one in found.measurements} == drifts
    assert all(not one.latency and not one.starts for one in found.measurements)
    # What the other verbs make of it.
    assert run_here("check", "drift.json", "--max-drift", "90%").returncode == 0
    assert "have drift alone; give results with latency" in error_of(run_here("report", "drift.json"))
    # A bundle's newest results are those with latency: nothing is written there.
    assert not (tiny_bundle.folder / "results").exists()


def test_from_python(tiny_bundle):
    found = edgenet.benchmark(tiny_bundle, drift_only=True, variants=["int8"])
    assert [one.name for one in found.measurements] == ["int8"]
    assert "agreement" in str(found)


def test_of_a_single_file(run_here, tmp_path, tiny_bundle, pictures):
    images = ("--images", pictures / "evaluation", "--labels", pictures / "labels.txt")
    output_of(run_here("benchmark", tiny_bundle.file("int8.tflite"), "--drift-only", *images, "--json", "a.json"))
    (one,) = read(tmp_path / "a.json").measurements
    (variant,) = [v for v in tiny_bundle.manifest.variants if v.name == "int8"]
    assert one.drift.accuracy.top1 == variant.drift.accuracy.top1
    alone = error_of(run_here("benchmark", tiny_bundle.file("int8.tflite"), "--drift-only"))
    assert alone == "--images: give a folder of images with classes, or a reference"


def test_what_is_wrong(run_here, tiny_bundle, pictures):
    workers = error_of(run_here("benchmark", tiny_bundle.folder, "--workers", "2"))
    assert workers == "--workers: give a bundle with --drift-only and --images as well, or leave it out"
    many = ("benchmark", tiny_bundle.folder, "--drift-only", "--images", pictures / "evaluation")
    assert error_of(run_here(*many, "--workers", "0")) == "--workers: must be 1 or more, got 0"
    assert "has its own preprocessing; leave it out" in error_of(run_here(*many, "--crop", "0.5"))
    assert "no such folder" in error_of(run_here(*many[:-1], "nowhere"))
    assert "has its own images" in error_of(run_here("benchmark", tiny_bundle.folder, "--images", "x"))


@pytest.mark.slow
def test_on_many_images_the_numbers_do_not_depend_on_the_workers(tmp_path, tiny_bundle, pictures):
    """1,290 images, 30 copies of each: two chunks. Copies change no fraction."""
    pytest.importorskip("distributed")
    images = tmp_path / "images"
    for path in (pictures / "evaluation").rglob("*.png"):
        for number in range(30):
            copy = images / path.parent.name / f"{path.stem}-{number:02d}.png"
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    found = []
    for workers in (1, 2, 3):
        name = f"{workers}.json"
        typed = ("--drift-only", "--images", images, "--workers", workers, "--json", name)
        done = run(tmp_path, "benchmark", tiny_bundle.folder, *typed)
        assert done.returncode == 0, done.stderr
        body = json.loads((tmp_path / name).read_text(encoding="utf-8"))
        found.append({key: body[key] for key in ("measurements", "evaluation")})
    assert found[0] == found[1] == found[2]
    for variant, one in zip(tiny_bundle.manifest.variants, read(tmp_path / "1.json").measurements, strict=True):
        assert one.drift.images == 1_290
        assert one.drift.agreement.top1 == pytest.approx(variant.drift.agreement.top1, abs=1e-12)
        assert one.drift.accuracy.top1 == pytest.approx(variant.drift.accuracy.top1, abs=1e-12)
