"""The class of each image from a file."""

import re
from pathlib import Path

import pytest

from edgenet.errors import EdgenetError
from edgenet.images import class_truth

NAMES = ["ant", "sea urchin", "T-shirt"]


def thousand(changes: dict[int, str] | None = None) -> list[str]:
    """As many names as ImageNet has, none of them in ImageNet."""
    return [(changes or {}).get(number, f"thing {number}") for number in range(1000)]


# Three of ImageNet's folders, and their places in the order of its published weights.
IDENTIFIERS = {"n01440764": 0, "n02012849": 134, "n15075141": 999}
CRANES = thousand({5: "crane", 134: "crane", 7: "sea urchin"})


def lines(path: Path, *text: str) -> Path:
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


FOLDER = Path("photos")
IMAGES = [FOLDER / name for name in ("a.png", "b c.png", "sub/a.png", "sub/d, e.png")]


def of_file(file: Path, names=NAMES) -> list[int]:
    return class_truth.from_file(file, IMAGES, FOLDER, names)


@pytest.mark.parametrize("separator", [",", ", ", "\t", " ", " \t", ",,"])
def test_a_file_of_images_and_classes(tmp_path, separator):
    # In any order, of names, spaces or underscores, and of numbers.
    given = {"sub/d, e.png": "sea urchin", "a.png": "T-shirt", "sub/a.png": "sea_urchin", "b c.png": "0"}
    file = lines(tmp_path / "truth.txt", *(f"{image}{separator}{name}" for image, name in given.items()))
    assert of_file(file) == [2, 0, 1, 1]


def test_a_file_of_classes_in_the_order_of_the_images(tmp_path):
    assert of_file(lines(tmp_path / "truth.txt", "T-shirt", "sea urchin", "0", "sea_urchin")) == [2, 1, 0, 1]


def test_a_file_from_another_system(tmp_path):
    (tmp_path / "truth.csv").write_bytes("\ufeffant\r\nant\r\n1\r\nT-shirt \r\n\r\n".encode())
    assert of_file(tmp_path / "truth.csv") == [0, 0, 1, 2]


@pytest.mark.parametrize("with_images", [True, False])
@pytest.mark.parametrize("background", [0, 1])
def test_a_file_of_wordnet_identifiers(tmp_path, background, with_images):
    classes = [*IDENTIFIERS, "thing_3"]
    images = [path.relative_to(FOLDER).as_posix() for path in IMAGES]
    text = [f"{image} {name}" for image, name in zip(images, classes, strict=True)] if with_images else classes
    found = of_file(lines(tmp_path / "truth.txt", *text), ["background"] * background + thousand())
    assert found == [number + background for number in (*IDENTIFIERS.values(), 3)]


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_a_file_with_too_few_or_many_classes(tmp_path, count):
    file = tmp_path / "truth.txt"
    file.write_text("ant\n" * count)
    text = rf"^{re.escape(str(file))}: {count} lines for the 4 images in photos; write one for each image$"
    with pytest.raises(EdgenetError, match=text):
        of_file(file)


WHOLE = ["a.png ant", "b c.png ant", "sub/a.png ant", "sub/d, e.png ant"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({2: "sub/a.png bee"}, r", line 3: 'bee' is not one of the 3 classes"),
        ({2: "sub/a.png 3"}, r", line 3: '3' is not one of the 3 classes"),
        ({2: "sub/a.png n01440764"}, r", line 3: 'n01440764' is not one of the 3 classes"),
        ({0: "a.png,"}, r", line 1: '' is not one of the 3 classes"),
        ({1: "c.png ant"}, r", line 2: expected an image in photos and its class, got 'c\.png ant'"),
        ({1: "photos/b c.png ant"}, r", line 2: expected an image in photos and its class, got 'photos/b c.+'"),
        ({1: ""}, r", line 2: expected an image in photos and its class, got ''"),
        ({0: "file,class"}, r", line 1: expected an image in photos and its class, got 'file,class'"),
        ({3: "\n"}, r": no line for sub/d, e\.png; add its class"),
        ({4: "gone.png ant"}, r", line 5: expected an image in photos and its class, got 'gone\.png ant'"),
    ],
)
def test_a_file_that_does_not_fit_is_told_with_its_line(tmp_path, changes, text):
    given = [changes.get(number, line) for number, line in enumerate([*WHOLE, ""])]
    file = lines(tmp_path / "truth.txt", *given)
    with pytest.raises(EdgenetError, match=rf"^{re.escape(str(file))}{text}$"):
        of_file(file)


def test_a_class_in_a_row_that_is_not_known(tmp_path):
    file = lines(tmp_path / "truth.txt", "ant", "T-shirt", "tee shirt", "ant")
    text = rf"^{re.escape(str(file))}, line 3: 'tee shirt' is not one of the 3 classes$"
    with pytest.raises(EdgenetError, match=text):
        of_file(file)


def test_a_class_in_a_file_that_may_be_either_of_two(tmp_path):
    file = lines(tmp_path / "truth.txt", "5", "crane", "134", "7")
    text = r", line 2: several classes have the name 'crane'; write the number of the class: 5 or 134$"
    with pytest.raises(EdgenetError, match=text):
        of_file(file, CRANES)
    assert of_file(lines(file, "5", "134", "134", "sea urchin"), CRANES) == [5, 134, 134, 7]


def test_an_image_with_two_classes_is_refused(tmp_path):
    file = lines(tmp_path / "truth.txt", *WHOLE, "a.png T-shirt")
    with pytest.raises(EdgenetError, match=rf"^{re.escape(str(file))}, line 5: .*a\.png"):
        of_file(file)


def test_a_file_that_is_missing(tmp_path):
    text = r"truth\.txt: no such file; give a text file$"
    with pytest.raises(EdgenetError, match=text):
        of_file(tmp_path / "truth.txt")
