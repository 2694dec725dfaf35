"""Photos are looked at before training: what is wrong with them is said in a line each."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_images import scene
from photo_folders import class_folders

from edgenet.errors import EdgenetError
from edgenet.progress import Silent
from edgenet.records.enums import Level
from edgenet.training import check as checks


def texts(checked: checks.CheckedPhotos, level: Level) -> list[str]:
    return [finding.text for finding in checked.check.findings if finding.level == level]


def test_sound_photos(tmp_path):
    folder = class_folders(tmp_path, {"ant": 20, "bee": 30})
    (folder / "notes.txt").touch()
    scene(np.random.default_rng(99), 30, 90).save(folder / "ant" / "wide.png")
    checked = checks.check(folder)
    assert [(finding.level, finding.text) for finding in checked.check.findings] == [
        (Level.NOTE, f"{folder}: skipped 1 .txt"),
        (Level.OK, "51 images in 2 classes: 36 for training, 8 for validation, 7 for test"),
    ]
    ant, bee = checked.check.classes
    assert (ant.name, ant.images, ant.train, ant.validation, ant.test) == ("ant", 21, 15, 3, 3)
    assert (bee.images, bee.copies, bee.similar) == (30, 0, 0)
    assert checked.check.sizes.smallest == checked.check.sizes.median == (48, 48)
    assert checked.check.sizes.largest == (30, 90)
    assert checked.check.parts == tuple(map(len, checked.split.parts)) == (36, 8, 7)


def test_three_images_in_a_class_are_enough(tmp_path):
    checked = checks.check(class_folders(tmp_path, {"ant": 3, "bee": 40}))
    ant = checked.check.classes[0]
    assert (ant.train, ant.validation, ant.test) == (1, 1, 1)
    few, uneven = texts(checked, Level.WARNING)
    assert few == (
        f"{tmp_path}: fewer than 20 images of 'ant' (3); their accuracy will be hardly more than a guess: add images"
    )
    assert uneven.startswith(f"{tmp_path}: 'bee' has 40 images, 'ant' only 3; add images to the small classes")


def test_copies_across_classes(tmp_path):
    """40 % of the images of each class are also in the other one."""
    class_folders(tmp_path, {"ant": 25, "bee": 15})
    for number in range(10):
        shutil.copy(tmp_path / "ant" / f"{number:03d}.png", tmp_path / "bee" / f"copy{number}.png")
    checked = checks.check(tmp_path)
    (warning,) = texts(checked, Level.WARNING)
    assert warning == (
        f"{tmp_path}: 20 of 50 images (40.0%) are in several classes, the same photo under several labels: "
        "'ant/000.png' = 'bee/copy0.png', 'ant/001.png' = 'bee/copy1.png', 'ant/002.png' = 'bee/copy2.png' and 7 more; "
        "keep each in one class, otherwise no model can be right about them"
    )
    assert len(checked.check.shared) == 10 and all(one.exact for one in checked.check.shared)
    assert [one.copies for one in checked.check.classes] == [0, 0]
    for part in checked.split.parts:
        files = {checked.photos.file(image) for image in part}
        assert all((f"ant/00{n}.png" in files) == (f"bee/copy{n}.png" in files) for n in range(10))


def test_copies_within_a_class_and_near_duplicates(tmp_path):
    class_folders(tmp_path, {"ant": 22, "bee": 22}, side=64)
    shutil.copy(tmp_path / "ant/000.png", tmp_path / "ant/copy.png")
    from PIL import Image

    with Image.open(tmp_path / "ant/001.png") as image:
        image.save(tmp_path / "ant/again.jpg", quality=60)
        image.resize((50, 50)).save(tmp_path / "bee/smaller.png")
    checked = checks.check(tmp_path)
    assert texts(checked, Level.NOTE) == [
        f"{tmp_path}: 1 image is a copy of another in the same class; copies are kept in the same part, and teach "
        "nothing new",
        f"{tmp_path}: 3 of 47 images are in 1 set that show nearly the same (frames of one film, crops), at most 3 in "
        "one; each set is kept in one part",
    ]
    (warning,) = texts(checked, Level.WARNING)
    assert "3 of 47 images (6.4%) show nearly the same as images of another class: 'ant/001.png' = " in warning
    assert (checked.check.groups, checked.check.largest_group) == (2, 3)


def test_problems_are_findings_and_errors_of_training(tmp_path):
    class_folders(tmp_path, {"ant": 5, "bee": 2})
    (tmp_path / "empty").mkdir()
    checked = checks.check(tmp_path)
    assert checked.split is None and checked.check.parts == (0, 0, 0)
    assert len(checked.check.problems) == 2 and "'empty'" in checked.check.problems[0]
    with pytest.raises(EdgenetError, match="the class folder 'empty' has no readable images"):
        checks.prepare(tmp_path)


def test_broken_images(tmp_path):
    class_folders(tmp_path, {"ant": 20, "bee": 20})
    (tmp_path / "ant" / "page.jpg").write_text("<!DOCTYPE html><html>404")
    (tmp_path / "bee" / "empty.png").touch()
    checked = checks.check(tmp_path)
    (problem,) = checked.check.problems
    assert problem.startswith(f"{tmp_path}: 2 of 42 images cannot be read: 'ant/page.jpg' (an HTML page, as")
    assert problem.endswith("replace or remove them, or leave them out with skip_broken=True")
    assert [file for file, _ in checked.check.broken] == ["ant/page.jpg", "bee/empty.png"]

    skipped = checks.check(tmp_path, skip_broken=True)
    assert skipped.split is not None and skipped.check.images == 40
    assert texts(skipped, Level.NOTE)[0].startswith(f"{tmp_path}: skipped 2 of 42 images, which cannot be read: ")


def test_a_class_of_broken_images_is_empty(tmp_path):
    class_folders(tmp_path, {"ant": 5, "bee": 5})
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "empty.png").touch()
    checked = checks.check(tmp_path, skip_broken=True)
    assert checked.check.problems == (
        f"{tmp_path}: the class folder 'cat' has no readable images; add some, or remove the folder",
    )


def test_nothing_can_be_read(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").touch()
    with pytest.raises(EdgenetError, match="2 of 2 images cannot be read"):
        checks.check(tmp_path, skip_broken=True)


def test_training_gets_notes(tmp_path):
    class Listener(Silent):
        notes: list[str]

        def note(self, text: str) -> None:
            self.notes.append(text)

    listener = Listener()
    listener.notes = []
    folder = class_folders(tmp_path, {"ant": 10, "bee": 20})
    checked, split = checks.prepare(folder, seed=4, progress=listener)
    assert split == checked.split and checked.check.seed == 4
    assert len(listener.notes) == 1 and "fewer than 20 images of 'ant' (10)" in listener.notes[0]


def test_the_folder_may_be_relative(tmp_path, monkeypatch):
    class_folders(tmp_path / "photos", {"ant": 3, "bee": 3})
    monkeypatch.chdir(tmp_path)
    assert checks.check(Path("photos")).check.folder == "photos"
