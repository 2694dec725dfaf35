"""Class folders: which images are in which class, and what makes training impossible."""

import os
import shutil
import sys

import pytest
from photo_folders import class_folders

from edgenet.errors import EdgenetError
from edgenet.training import photos


def fill(folder, names):
    """Write files that have the names of images: nobody looks into them yet."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def three_of(*names: str) -> list[str]:
    return [f"{name}/{number}.jpg" for name in names for number in range(3)]


def test_direct_subfolders_are_the_classes(tmp_path):
    fill(tmp_path, [*three_of("bee", "Ant"), "bee/deep/er/9.png", ".cache/1.jpg", "bee/.hidden/1.jpg"])
    read = photos.read(tmp_path)
    assert read.classes == ("Ant", "bee")  # as Keras sorts: by code point
    assert read.counts == (3, 4)
    assert [read.file(number) for number in range(4)] == ["Ant/0.jpg", "Ant/1.jpg", "Ant/2.jpg", "bee/0.jpg"]
    assert read.labels == (0, 0, 0, 1, 1, 1, 1)
    assert read.notes == (f"{tmp_path}: skipped 2 hidden files",)


@pytest.mark.slow  # loads TensorFlow
def test_a_folder_of_keras_has_the_same_classes(tmp_path):
    keras = pytest.importorskip("keras")
    class_folders(tmp_path, {"b_2": 3, "B 1": 3, "ä": 3, "10": 3, "9": 3}, side=8)
    assert list(photos.read(tmp_path).classes) == keras.utils.image_dataset_from_directory(tmp_path).class_names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1.jpg", "2.jpg"], "all 2 images are in this folder itself, so their classes are not known; make a folder"),
        ([*three_of("a", "b"), "x.jpg"], "1 image is in no class folder ('x.jpg'); move each into the folder of its"),
        (three_of("a"), "only one class, 'a'; a classifier needs at least two"),
        ([*three_of("a", "b"), "empty/notes.txt"], "the class folder 'empty' has no readable images; add some, or"),
        (
            [*three_of("a", "b"), "c/1.jpg", "d/1.jpg", "d/2.jpg"],
            "a class needs at least 3 images, one each for training, validation and test, but 'c' has 1, 'd' has 2;",
        ),
        (
            three_of("train/a", "train/b", "val/a", "val/b"),
            "'train', 'val' are parts of a data set, not classes; give one folder with the class folders, for instance",
        ),
    ],
)
def test_what_makes_training_impossible(tmp_path, names, message):
    with pytest.raises(EdgenetError) as error:
        photos.read(fill(tmp_path, names))
    assert str(error.value).startswith(f"{tmp_path}: {message}")


def test_all_problems_are_found_at_once(tmp_path):
    fill(tmp_path, ["x.jpg", "c/1.jpg", "empty/notes.txt"])
    assert len(list(photos.problems(photos.find(tmp_path)))) == 3


def test_no_folder(tmp_path):
    with pytest.raises(EdgenetError, match="no such folder; give a folder of images"):
        photos.read(tmp_path / "missing")


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
@pytest.mark.parametrize("name", [b"caf\xe9/1.jpg", b"b/caf\xe9.jpg"])
def test_names_that_are_not_utf_8(tmp_path, name):
    fill(tmp_path, three_of("a", "b"))
    path = os.path.join(os.fsencode(tmp_path), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(tmp_path / "a/1.jpg", path)
    with pytest.raises(EdgenetError, match="is not UTF-8; rename"):
        photos.read(tmp_path)


def test_a_class_name_with_a_line_break(tmp_path):
    try:
        fill(tmp_path, three_of("a", "b", "c\nd"))
    except OSError:
        pytest.skip("this system allows no such name")
    with pytest.raises(EdgenetError, match="has a line break; rename it"):
        photos.read(tmp_path)
