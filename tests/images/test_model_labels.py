"""The class names of a model: given, or found."""

from pathlib import Path

import pytest
from PIL import Image

from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images import model_labels
from edgenet.progress import Silent


class Notes(Silent):
    def __init__(self):
        self.texts = []

    def note(self, text: str) -> None:
        self.texts.append(text)


class Dataset:
    def __init__(self, *names: str):
        self.class_names = list(names)


@pytest.fixture
def photos(tmp_path) -> Path:
    for name in ("dog", "Cat", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name / "1.png")
    return tmp_path / "photos"


def choose(given=None, classes=3, sources=(), beside=None) -> tuple[list[str], list[str]]:
    """The names and the notes."""
    notes = Notes()
    return model_labels.choose(given, classes, "model", sources, beside, notes), notes.texts


NUMBERS = "model has no labels, so its classes are numbered from 0 to 2 (name them with labels=)"


@pytest.mark.parametrize(
    ("given", "notes"),
    [
        (["cat", "dog", "bee"], []),
        (("cat ", "dog", "bee"), []),
        (["0 cat", "1 dog", "2 bee"], ["labels: the numbers before the names are their classes"]),
        ({"dog": 1, "bee": 2, "cat": 0}, []),
        ({0: "cat", 1: "dog", 2: "bee"}, []),
    ],
)
def test_names_from_python(given, notes):
    assert choose(given) == (["cat", "dog", "bee"], notes)


def test_a_file(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("0 cat\n1 dog\n2 bee\n")
    expected = ["cat", "dog", "bee"], ["labels.txt: the numbers before the names are their classes"]
    assert choose(path) == choose(str(path)) == expected


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["cat", "dog"], "^labels: expected 3 names, one for each class of model, got 2$"),
        ({"cat": 0, "dog": 1}, "^labels: expected 3 names, one for each class of model, got 2$"),
        (["cat", "", "bee"], "^labels: the name of class 1 is ''; give text on one line$"),
        (["cat", "dog\nwolf", "bee"], r"^labels: the name of class 1 is 'dog\\nwolf'; give text on one line$"),
        ({"cat": 0, "dog": 2}, "^labels: expected the indices 0 to 1, each once; 1 is missing. Add the class$"),
    ],
)
def test_names_that_do_not_fit(given, text):
    with pytest.raises(EdgenetError, match=text):
        choose(given)


def test_a_file_that_does_not_fit_is_named(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(EdgenetError, match=r"labels\.txt: expected 3 names, one for each class of model, got 2$"):
        choose(tmp_path / "labels.txt")


def test_a_name_in_a_file_that_is_no_line(tmp_path):
    (tmp_path / "labels.json").write_text('["cat", " ", "bee"]')
    with pytest.raises(EdgenetError, match=r"labels\.json: the name of class 1 is ' '; give text on one line$"):
        choose(tmp_path / "labels.json")


def test_a_file_that_came_with_the_model(tmp_path):
    beside = tmp_path / "labels.txt"
    beside.write_text("0 cat\n1 dog\n2 bee\n")
    names, notes = choose(beside=beside, sources=[Dataset("x", "y", "z")])
    assert names == ["cat", "dog", "bee"]
    assert notes == [
        "model comes with labels.txt, which is used for the class names",
        "labels.txt: the numbers before the names are their classes",
    ]
    # It may be that of another model.
    beside.write_text("cat\ndog\n")
    assert choose(beside=beside) == (
        ["0", "1", "2"],
        ["labels.txt: not used, because it has 2 names for 3 classes", NUMBERS],
    )


def test_the_names_of_a_dataset():
    assert choose(sources=(None, Dataset("a", "b", "c"))) == (["a", "b", "c"], [])
    assert choose(sources=(Dataset("a", "b"),)) == (["0", "1", "2"], [NUMBERS])


def test_the_folders_of_the_images_as_keras_sorts_them(photos):
    note = (
        f"model has no labels, so the names of the folders in {photos} are used, sorted as Keras sorts them: "
        "Cat, bee, dog; give others with labels="
    )
    assert choose(sources=(photos, None)) == choose(sources=(str(photos),)) == (["Cat", "bee", "dog"], [note])
    assert choose(sources=(sorted(photos.rglob("*.png")),)) == (["Cat", "bee", "dog"], [note])
    assert choose(sources=(photos / "Cat", photos)) == (["Cat", "bee", "dog"], [note])  # the evaluation images


def test_folders_that_are_not_as_many_as_classes(photos):
    numbers = NUMBERS.replace("0 to 2", "0 to 3")
    assert choose(classes=4, sources=(photos, None)) == (["0", "1", "2", "3"], [numbers])


def test_imagenet():
    names, notes = choose(classes=1000)
    assert names == class_names.imagenet()
    assert notes == ["model has no labels; assuming those of ImageNet (give others with labels=)"]


def test_the_folders_of_all_of_imagenet_have_its_names(tmp_path):
    for identifier in class_names.identifiers():
        (tmp_path / identifier).mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "n01440764" / "1.png")
    assert choose(classes=1000, sources=(tmp_path,))[0] == class_names.imagenet()
