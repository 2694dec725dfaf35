"""What must hold whatever else changes: scores that a plain script confirms, memory that does not grow with the number
of pictures, and one line of error for every damaged file."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from commands import error_of, is_progress, output_of, run, tree
from PIL import Image
from places import IMAGENET

from edgenet.quiet import quiet

WEIGHTS = IMAGENET / "mobilenet_7_5_224_tf.h5"
FAST = ("--threads", "1", "--rounds", "1", "--seconds", "0.001")


# ImageNet's photos and weights


def plain_accuracy(photos: list[Path]) -> float:
    """Keras Applications' own model on photos whose names begin with their class, with nothing of edgenet."""
    with quiet():
        import keras

        model = keras.applications.MobileNet((224, 224, 3), alpha=0.75, weights=str(WEIGHTS))
        right = 0
        for photo in photos:
            picture = Image.open(photo).convert("RGB")
            shorter = min(picture.size)
            width, height = (round(side * 256 / shorter) for side in picture.size)
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            left, upper = (width - 224) // 2, (height - 224) // 2
            pixels = np.asarray(picture.crop((left, upper, left + 224, upper + 224)), np.float32)
            scores = model(pixels[None] / 127.5 - 1, training=False).numpy()
            right += int(scores.argmax()) == int(photo.name.split("_")[0])
    return right / len(photos)


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet")
def test_imagenet_weights_are_as_right_as_a_plain_script_says(tmp_path):
    photos = sorted((IMAGENET / "images").glob("*.jpg"))
    assert len(photos) == 400
    evaluated = [photo for number, photo in enumerate(photos) if number % 4]
    for photo in photos:
        split = "evaluation" if photo in evaluated else "calibration"
        folder = tmp_path / split / photo.name.split("_")[1]  # its WordNet identifier
        folder.mkdir(parents=True, exist_ok=True)
        (folder / photo.name).symlink_to(photo.resolve())
    options = ("--weights", "imagenet", "--alpha", "0.75", "--variants", "float32", "--out", "bundle")
    folders = ("--calibration", "calibration", "--evaluation", "evaluation")
    output_of(run(tmp_path, "export", *options, *folders, environment={"KERAS_HOME": str(IMAGENET)}))
    (variant,) = json.loads((tmp_path / "bundle" / "manifest.json").read_bytes())["variants"]
    drift = variant["drift"]
    expected = plain_accuracy(evaluated)
    found = drift["accuracy"]["change"]["reference_top1"]
    print(f"edgenet {found:.4f}, plain script {expected:.4f}")
    assert drift["images"] == drift["accuracy"]["images"] == len(evaluated) == 300
    assert abs(found - expected) <= 0.005
    assert drift["agreement"]["top1"] == 1.0


# Memory


# Not ru_maxrss: on Linux it begins with what the process that starts this one holds.
PEAK = """
import sys
from edgenet.cli.main import main
code = main(sys.argv[1:])
for line in open("/proc/self/status"):
    if line.startswith("VmHWM:"):
        print("peak", int(line.split()[1]) * 1024)
sys.exit(code)
"""


def peak_of_export(folder: Path, model: Path, count: int) -> int:
    """Peak memory, in bytes, of a process that exports a model with so many pictures of each kind."""
    random = np.random.default_rng(count)
    for split in ("calibration", "evaluation"):
        (folder / split).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (36, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{number:05}.png", compress_level=1)
    (folder / "labels.txt").write_text("ant\nbee\ncat\nsea urchin\n")
    options = [f"--{name}={name}" for name in ("calibration", "evaluation")]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "export", f"--model={model}", "--labels=labels.txt", "--out=bundle", *options],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    *_, peak = output_of(done)
    manifest = json.loads((folder / "bundle" / "manifest.json").read_bytes())
    assert manifest["calibration"]["images"] == len(manifest["evaluation"]) == count
    return int(peak.removeprefix("peak "))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    # The smallest network there is. Its pictures alone, 5,000 times 96 x 96 x 3, would be 138 MB, or 553 as floats.
    with quiet():
        from edgenet.model import mobilenet
        from edgenet.records import ModelSpec

        mobilenet.build(ModelSpec(size=96, alpha=0.05, classes=4)).save(tmp_path / "small.keras")
    few, many = (peak_of_export(tmp_path / f"{count}", tmp_path / "small.keras", count) for count in (200, 5_000))
    print(f"peak with 200: {few / 1e6:.0f} MB, with 5,000: {many / 1e6:.0f} MB")
    assert many <= 1.1 * few + 30e6


# Damaged files


def damaged(data: bytes, seed: int) -> bytes:
    """Cut off, or up to 8 bytes changed: anywhere, or near the beginning or the end, where the tables lie."""
    random = np.random.default_rng(seed)
    if seed % 4 == 0:
        return data[: random.integers(len(data))]
    changed = bytearray(data)
    reach = len(data) if seed % 4 == 1 else 8_000
    places = random.integers(reach, size=random.integers(1, 9))
    for place in places if seed % 4 < 3 else len(data) - 1 - places:
        changed[place] = random.integers(256)
    return bytes(changed)


@pytest.fixture
def benchmark_damaged(tmp_path, run_here, tiny_bundle, monkeypatch):
    """Benchmark so many damaged files, and look at how each one ends. Returns how often each exit code came."""
    # One process for the scores is enough.
    monkeypatch.setattr("edgenet.machine.host.cores", lambda: 1)
    data = tiny_bundle.file("int8.tflite").read_bytes()
    path = tmp_path / "damaged.tflite"

    def benchmark_each(seeds) -> Counter:
        codes = Counter()
        for seed in seeds:
            path.write_bytes(damaged(data, seed))
            before = tree(tmp_path)
            begun = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 60)  # what hangs is interrupted, and its error says so
            try:
                done = run_here("benchmark", path, *FAST)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            codes[done.returncode] += 1
            assert time.monotonic() - begun < 60, seed
            if done.returncode:
                error = error_of(done)
                assert error.startswith(f"{path}: "), seed
                assert "--debug" not in error, (seed, error)  # that would be an error that edgenet did not expect
                assert tree(tmp_path) == before, seed
            else:
                assert all(is_progress(line) for line in done.stderr.splitlines()), (seed, done.stderr)
        return codes

    return benchmark_each


@pytest.mark.slow
def test_damaged_files_give_a_result_or_one_line(benchmark_damaged):
    # tests/abuse has more of them.
    codes = benchmark_damaged(range(1_000, 1_040))
    print(dict(codes))
    assert set(codes) == {0, 1}
    assert min(codes.values()) > 4
