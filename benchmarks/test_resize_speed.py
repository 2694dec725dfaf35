"""Images a second from file to pixels, by preset, against the steps that edgenet took before it had presets.

All take turns in one process, so that what else the machine does meets all of them alike. The ratio of the default to
the steps before, and that of `keras-dataset` to them, decide; times of another run do not.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import intervals
import numpy as np
import pytest
from PIL import Image, ImageOps

from edgenet.images import bundled, preprocess
from edgenet.images.input_range import InputRange
from edgenet.images.resize_options import PRESETS
from edgenet.records import Resize

# Rounds of all ways, and images of each kind.
ROUNDS, IMAGES = 15, 100
PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "imagenet" / "images"


def before(path: Path, size: int) -> np.ndarray:
    """Open, turn upright, convert, resize with antialiasing and cut out the centre: the least that Pillow must do."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image) if image.getexif().get(0x0112, 1) != 1 else image
        upright.load()
        colours = upright if upright.mode == "RGB" else upright.convert("RGB")
        width, height = colours.size
        across = max(size, round(width * max(size / height, size / width)))
        down = max(size, round(height * max(size / height, size / width)))
        left, top = (across - size) // 2 * width / across, (down - size) // 2 * height / down
        box = (left, top, min(left + size * width / across, width), min(top + size * height / down, height))
        return np.asarray(colours.resize((size, size), Image.Resampling.BILINEAR, box))


def seconds(load: Callable[[Path], np.ndarray], paths: Sequence[Path]) -> float:
    """The processor's time for all images; none is kept."""
    start = time.thread_time()
    for path in paths:
        load(path)
    return time.thread_time() - start


def compare(name: str, paths: Sequence[Path], size: int) -> dict[str, intervals.Interval]:
    """Print images a second, and the ratio of each way's speed to that of `before`. Returns the ratios."""
    ways: dict[str, Callable[[Path], np.ndarray]] = {"before": lambda path: before(path, size)}
    for way, resize in {"default": Resize(), **PRESETS}.items():
        recipe = InputRange().recipe(size, size, 3, resize)
        ways[way] = lambda path, recipe=recipe: preprocess.load(path, recipe)  # type: ignore[misc]
    times: dict[str, list[float]] = {way: [] for way in ways}
    for way in ways.values():
        seconds(way, paths[:10])
    for _ in range(ROUNDS):
        for way, load in ways.items():
            times[way].append(seconds(load, paths))
    ratios = {}
    print(f"\n{name}, to {size} x {size}:")
    for way, each in times.items():
        ratios[way] = intervals.of_median([old / new for old, new in zip(times["before"], each, strict=True)])
        print(f"  {way:18} {len(paths) / np.median(each):6.0f} images/s, {ratios[way]} times before")
    return ratios


def test_photos():
    if not PHOTOS.is_dir():
        pytest.skip("needs ImageNet photos in ../shared/imagenet")
    ratios = compare("photos", sorted(PHOTOS.iterdir())[:IMAGES], 224)
    # `before` does less: it checks no file, and nothing limits its memory.
    intervals.check("the default against Pillow alone", ratios["default"], least=0.9)
    intervals.check("keras-dataset against Pillow alone", ratios["keras-dataset"], least=1.0)


@pytest.mark.parametrize("size", [96, 224])
def test_thumbnails(size):
    paths = sorted(path for path in bundled.EVALUATION.rglob("*.png"))[:IMAGES]
    ratios = compare("28-pixel thumbnails", paths, size)
    # Of a file of 28 x 28 pixels, checks are a larger part.
    intervals.check("the default against Pillow alone", ratios["default"], least=0.6)
    intervals.check("keras-dataset against the default", ratios["keras-dataset"], least=0.6 * ratios["default"].value)
