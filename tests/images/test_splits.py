"""Which images calibrate and which are evaluated: one folder is split by what is in its files and nothing else."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.images import listing, splits

LABELS = ["ant", "bee", "sea urchin"]
CLASSES = ("ant", "bee", "sea_urchin")


def noise(number: int) -> bytes:
    """The contents of a file: nobody looks into an image to choose it."""
    return np.random.default_rng(number).bytes(40)


def fill(folder: Path, count: int, name: Callable[[int], str] = "{:04d}.png".format) -> Path:
    for number in range(count):
        path = folder / name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(number))
    return folder


def in_classes(number: int) -> str:
    return f"{CLASSES[number % 3]}/{number:04d}.png"


def contents(paths) -> set[bytes]:
    return {path.read_bytes() for path in paths}


# One folder


@pytest.mark.parametrize(
    ("count", "calibrating"),
    [
        (2, 1),
        (3, 1),
        (60, 30),  # fewer than 50 for each: half
        (99, 49),
        (100, 50),  # 50 at least, where as many are left
        (150, 50),
        (400, 100),  # a quarter
        (800, 200),
        (2000, 200),  # 200 at most
    ],
)
def test_how_many_calibrate(tmp_path, count, calibrating):
    found = splits.from_folders(fill(tmp_path, count), None, LABELS)
    assert (len(found.calibration), len(found.evaluation), len(found.truth)) == (
        calibrating,
        count - calibrating,
        count - calibrating,
    )
    assert {*found.calibration, *found.evaluation} == set(tmp_path.iterdir())
    assert contents(found.calibration).isdisjoint(contents(found.evaluation))
    assert list(found.calibration) == sorted(found.calibration)
    assert list(found.evaluation) == sorted(found.evaluation)
    assert found.folder == tmp_path


def test_the_choice_does_not_depend_on_names_and_places(tmp_path):
    here = splits.from_folders(fill(tmp_path / "here", 300), None, LABELS)
    again = splits.from_folders(tmp_path / "here", None, LABELS)
    there = splits.from_folders(fill(tmp_path / "there", 300, lambda n: f"part {n % 7}/{1000 - n}.jpg"), None, LABELS)
    assert here == again
    assert contents(here.calibration) == contents(there.calibration)
    assert contents(here.evaluation) == contents(there.evaluation)


def test_the_choice_is_spread_over_all_classes(tmp_path):
    found = splits.from_folders(fill(tmp_path, 600, in_classes), None, LABELS)
    counts = [sum(path.parent.name == name for path in found.calibration) for name in CLASSES]
    # 150 of 600 without replacement, 200 of each class: 50 of each, with a deviation of 5.
    assert sum(counts) == 150
    assert all(abs(count - 50) < 20 for count in counts)


def test_copies_stay_together(tmp_path):
    fill(tmp_path, 40)
    fill(tmp_path / "copies", 40, "of_{}.jpg".format)
    found = splits.from_folders(tmp_path, None, LABELS)
    # Half of the 40 different ones, each with its copy.
    assert (len(found.calibration), len(found.evaluation)) == (40, 40)
    assert len(contents(found.calibration)) == len(contents(found.evaluation)) == 20
    assert contents(found.calibration).isdisjoint(contents(found.evaluation))


def test_the_choice_is_told(tmp_path):
    (note,) = splits.from_folders(fill(tmp_path, 1200), None, LABELS).notes
    assert note == (
        f"{tmp_path}: 200 of 1,200 images are used for calibration, the rest for evaluation; you can also give "
        "other images for evaluation"
    )


@pytest.mark.parametrize("names", [["a.png"], ["a.png", "b.png", "copy/c.jpg"]])
def test_one_image_is_too_few_for_both(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(noise(1))
    text = (
        f"{tmp_path}: all images are the same, or there is only one; calibration and evaluation need at least 2 "
        "different images. Add some, or give evaluation images with evaluation="
    )
    with pytest.raises(EdgenetError, match=f"^{re.escape(text)}$"):
        splits.from_folders(tmp_path, None, LABELS)


# Two folders


@pytest.fixture
def two(tmp_path) -> tuple[Path, Path]:
    """A folder to calibrate with, and one to evaluate, in folders named after classes."""
    return fill(tmp_path / "calibration", 5), fill(tmp_path / "evaluation", 7, in_classes)


def test_two_folders_are_taken_whole(two):
    calibration, evaluation = two
    found = splits.from_folders(calibration, evaluation, LABELS)
    assert found.calibration == tuple(sorted(calibration.iterdir()))
    assert found.evaluation == tuple(sorted(evaluation.glob("*/*.png")))
    assert (found.folder, found.notes) == (evaluation, ())


@pytest.mark.parametrize("missing", ["calibration", "evaluation"])
def test_a_folder_without_images_is_refused(two, missing):
    folder = two[missing == "evaluation"]
    shutil.rmtree(folder)
    with pytest.raises(EdgenetError, match=f"^{re.escape(str(folder))}: no such folder; give a folder of images$"):
        splits.from_folders(*two, LABELS)
    folder.mkdir()
    (folder / "notes.txt").write_text("no image")
    rest = r"\(.+\) in this folder; skipped .+"
    with pytest.raises(EdgenetError, match=f"^{re.escape(str(folder))}: no images {rest}$"):
        splits.from_folders(*two, LABELS)


def test_what_is_passed_over_is_told_for_each_folder(two):
    calibration, evaluation = two
    assert listing.find_images(calibration).note() is None
    (calibration / ".DS_Store").write_bytes(b"")
    (calibration / "notes.txt").write_text("no image")
    (evaluation / "Thumbs.db").write_bytes(b"")
    notes = listing.find_images(calibration).note(), listing.find_images(evaluation).note()
    assert notes == ("skipped 1 hidden file, 1 .txt", "skipped 1 .db")
    assert splits.from_folders(*two, LABELS).notes == (f"{calibration}: {notes[0]}", f"{evaluation}: {notes[1]}")
    # Of one folder, beside what is said of the split.
    assert splits.from_folders(calibration, None, LABELS).notes[0] == f"{calibration}: {notes[0]}"


# Classes


def test_folders_named_after_classes_tell_the_truth(two, tmp_path):
    found = splits.from_folders(*two, LABELS)
    expected = {"ant": 0, "bee": 1, "sea_urchin": 2}
    assert [expected[path.parent.name] for path in found.evaluation] == list(found.truth)
    one = splits.from_folders(fill(tmp_path / "one", 90, in_classes), None, LABELS)
    assert [expected[path.parent.name] for path in one.evaluation] == list(one.truth)
    assert set(one.truth) == {0, 1, 2}


def test_without_such_folders_nobody_knows(two):
    calibration, _ = two
    assert splits.from_folders(calibration, calibration, LABELS).truth == (None,) * 5


def test_a_file_tells_the_truth_of_the_evaluation_images(two, tmp_path):
    calibration, evaluation = two
    paths = sorted(evaluation.glob("*/*.png"))
    truth = tmp_path / "truth.csv"
    # Other classes than the folders say: the file is what was asked for.
    lines = [f"{path.relative_to(evaluation).as_posix()},{LABELS[number % 3]}" for number, path in enumerate(paths)]
    truth.write_text("\n".join(lines[::-1]))
    found = splits.from_folders(calibration, evaluation, LABELS, truth)
    assert list(found.truth) == [number % 3 for number in range(7)]


def test_a_file_for_one_folder_has_a_line_for_every_image(tmp_path):
    folder, truth = fill(tmp_path / "one", 60), tmp_path / "truth.txt"
    truth.write_text("\n".join(LABELS[number % 3] for number in range(60)))  # in the order of their names
    found = splits.from_folders(folder, None, LABELS, truth)
    assert [int(path.stem) % 3 for path in found.evaluation] == list(found.truth)
    truth.write_text("\n".join(["ant"] * 59))
    text = f"{truth}: 59 lines for the 60 images in {folder}; write one for each image"
    with pytest.raises(EdgenetError, match=f"^{re.escape(text)}$"):
        splits.from_folders(folder, None, LABELS, truth)
