"""Many photos, and huge ones: in bounded memory, and in a time that does not grow with the square of their number."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from drawn_images import scene
from photo_folders import class_folders, fingerprint
from PIL import Image

from edgenet.training import duplicates

CODE = """
import json, sys, time
from pathlib import Path
from edgenet.benchmarking.worker import peak_bytes
from edgenet.training import check
started = time.monotonic()
checked = check.check(Path(sys.argv[1]))
record = checked.check
print(json.dumps([time.monotonic() - started, peak_bytes(), record.parts, record.groups, record.sizes.largest]))
"""

TRAINING = """
import sys
from pathlib import Path
from edgenet.benchmarking.worker import peak_bytes
from edgenet.training import train
from edgenet.training.options import TrainOptions
options = TrainOptions("bundled", size=64, epochs=1, minutes=1)
train.train(Path(sys.argv[1]), options, Path(sys.argv[2]), "many")
print(peak_bytes())
"""


def result(code: str, *arguments: object) -> str:
    """What code prints in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def checked(folder) -> list:
    """In a process: seconds, peak of memory in bytes, photos of each part, sets of near-duplicates, largest size."""
    return json.loads(result(CODE, folder))


def peak_of_training(folder, out) -> int:
    """In bytes; in a process of its own."""
    return int(result(TRAINING, folder, out))


@pytest.mark.slow
def test_ten_thousand_thumbnails(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    random = np.random.default_rng(0)
    for number in range(10_000):
        place = folder / f"class {number % 10}" / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        scene(random, 64, 64).save(place, quality=90)
    seconds, memory, parts, groups, _ = checked(folder)
    assert parts == [7_000, 1_500, 1_500] and groups == 0
    assert memory < 1e9
    again, _, same, _, _ = checked(folder)
    assert same == parts
    trained = peak_of_training(folder, tmp_path / "out")
    assert trained < 3e9
    print(f"{seconds:.0f} s, then {again:.0f} s; {memory / 1e6:.0f} MB, in a training {trained / 1e6:.0f} MB")


@pytest.mark.slow
def test_two_photos_of_100_megapixels(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = class_folders(tmp_path / "photos", {"ant": 3, "bee": 3})
    small = scene(np.random.default_rng(1), 100, 100)
    small.resize((11_600, 8_700), Image.Resampling.BILINEAR).save(folder / "ant" / "huge.jpg")
    small.transpose(Image.Transpose.ROTATE_90).resize((11_600, 8_700)).save(
        folder / "bee" / "huge.png", compress_level=1
    )
    _, memory, parts, _, largest = checked(folder)
    assert sum(parts) == 8 and largest == [8_700, 11_600]
    assert memory < 1.6e9  # two copies of four bytes a pixel at a time (edgenet.images.decode), and Python
    trained = peak_of_training(folder, tmp_path / "out")
    assert trained < 3e9
    print(f"{memory / 1e6:.0f} MB, in a training {trained / 1e6:.0f} MB")


@pytest.mark.slow
def test_a_thousand_frames_of_a_film(tmp_path):
    """All pairs are near-duplicates of some other: neighbours alone are compared."""
    film = np.asarray(scene(np.random.default_rng(2), 120, 1_200))
    frames = [Image.fromarray(film[:, start : start + 120]) for start in range(1_000)]
    prints = [fingerprint(image, f"{number:04d}") for number, image in enumerate(frames)]
    started = time.process_time()
    assert len(duplicates.find(prints, [0] * 1_000).members()) == 1
    assert time.process_time() - started < 100  # 5 s where this was written; every pair in every part: 8 million
