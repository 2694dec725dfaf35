"""Class names, and which class each image is of."""

import re
from collections import Counter
from pathlib import Path

import pytest
from places import IMAGENET

from edgenet.errors import EdgenetError
from edgenet.images import labels

NAMES = ["ant", "sea urchin", "T-shirt"]


def thousand(changes: dict[int, str] | None = None) -> list[str]:
    """As many names as ImageNet has, none of them in ImageNet."""
    return [(changes or {}).get(number, f"thing {number}") for number in range(1000)]


def lines(path: Path, *text: str) -> Path:
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


# Names from a file


@pytest.mark.parametrize(
    "text",
    [
        "ant\nsea urchin\nT-shirt\n",
        "ant\r\nsea urchin \r\n T-shirt\r\n\r\n",
        "ant\nsea urchin\nT-shirt",
        "\ufeffant\nsea urchin\nT-shirt\n",  # as some editors begin a file
    ],
)
def test_read(tmp_path, text):
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    assert labels.read(path) == NAMES


def test_read_other_letters(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes("Käfer\n蟻\n".encode())
    assert labels.read(path) == ["Käfer", "蟻"]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "the file"),
        (b"\n \n", "the file"),
        (b"ant\n\nbee\n", "line 2"),
        (b"\nant\n", "line 1"),
    ],
)
def test_read_where_a_name_is_missing(tmp_path, data, found):
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(EdgenetError, match=rf"labels\.txt: {found} is empty; write a class name on each line$"):
        labels.read(path)


def test_read_what_is_no_text(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes(b"ant\n\xff\xfe\n")
    text = r"labels\.txt: not UTF-8 text \(.*can't decode byte 0xff.*\); save it as UTF-8$"
    with pytest.raises(EdgenetError, match=text):
        labels.read(path)


@pytest.mark.parametrize(("folder", "found"), [(False, "no such file"), (True, r"cannot be read \(Is a directory\)")])
def test_read_what_is_no_file(tmp_path, folder, found):
    path = tmp_path / "labels.txt"
    if folder:
        path.mkdir()
    text = rf"labels\.txt: {found}; give a text file$"
    with pytest.raises(EdgenetError, match=text):
        labels.read(path)


# ImageNet's names


def test_imagenet_has_a_thousand_names_of_which_two_come_twice():
    names = labels.imagenet()
    assert len(names) == 1000
    assert (names[0], names[1], names[463], names[999]) == ("tench", "goldfish", "bucket", "toilet tissue")
    assert {name: count for name, count in Counter(names).items() if count > 1} == {"crane": 2, "maillot": 2}
    assert not any(name != name.strip() or "_" in name or name == "" for name in names)


def test_imagenet_is_that_of_the_shared_folder():
    path = IMAGENET / "labels.txt"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    assert labels.imagenet() == path.read_text(encoding="utf-8").splitlines()


# By the folder


def test_folders_named_after_classes():
    paths = [Path("x/ant/1.png"), Path("x/sea_urchin/1.png"), Path("x/sea urchin/2.png"), Path("ant/T-shirt/1.png")]
    assert labels.classes_from_folders(paths, NAMES) == [0, 1, 1, 2]


def test_underscores_in_the_names_of_classes_are_spaces_too():
    paths = [Path("x/sea urchin/1.png"), Path("x/sea_urchin/2.png"), Path("x/hot dog_stand/3.png")]
    assert labels.classes_from_folders(paths, ["sea_urchin", "hot_dog stand"]) == [0, 0, 1]


def test_folders_that_are_no_classes():
    assert labels.classes_from_folders([Path("x/1.png"), Path("y/2.png")], NAMES) == [None, None]
    assert labels.classes_from_folders([], NAMES) == []


@pytest.mark.parametrize(
    ("known", "other"), [("ant", "Ant"), ("ant", "n01440764"), ("ant", "images"), ("2", "3"), ("0", "-1")]
)
def test_only_some_folders_are_classes(known, other):
    text = (
        rf"^x/{other}/2\.png: its folder '{other}' is not named after a class, but other folders are; "
        r"rename it, or put all images into one folder to measure drift only$"
    )
    for paths in ([f"x/{known}/1.png", f"x/{other}/2.png"], [f"x/{other}/2.png", f"x/{known}/3.png"]):
        with pytest.raises(EdgenetError, match=text):
            labels.classes_from_folders(list(map(Path, paths)), NAMES)


# Three of ImageNet's folders, and their places in the order of its published weights.
IDENTIFIERS = {"n01440764": 0, "n02012849": 134, "n15075141": 999}


@pytest.mark.parametrize("background", [0, 1])
def test_folders_named_by_wordnet(background):
    # Of 1,001 classes, the first is the background.
    names = ["background"] * background + thousand()
    paths = [Path(f"val/{identifier}/1.JPEG") for identifier in IDENTIFIERS]
    assert labels.classes_from_folders(paths, names) == [number + background for number in IDENTIFIERS.values()]


def test_wordnet_says_nothing_of_another_number_of_classes():
    paths = [Path(f"val/{identifier}/1.JPEG") for identifier in IDENTIFIERS]
    assert labels.classes_from_folders(paths, thousand()[:999]) == [None] * 3


def test_folders_named_by_number():
    paths = [Path("x/2/1.png"), Path("x/0/1.png"), Path("x/01/1.png"), Path("x/2/2.png")]
    assert labels.classes_from_folders(paths, NAMES) == [2, 0, 1, 2]


def test_numbers_that_are_names_are_names():
    assert labels.classes_from_folders([Path("x/7/1.png"), Path("x/0/1.png")], ["0", "1", "7"]) == [2, 0]


def test_numbers_beyond_the_classes_are_none():
    assert labels.classes_from_folders([Path("x/3/1.png"), Path("x/2024/1.png")], NAMES) == [None, None]


CRANES = thousand({5: "crane", 134: "crane", 7: "sea urchin"})


def test_a_folder_that_may_be_either_of_two_classes():
    assert labels.classes_from_folders([Path("x/sea urchin/1.png")], CRANES) == [7]
    text = r"^x/crane: several classes have this name; use the number of the class as the folder's name: 5 or 134$"
    with pytest.raises(EdgenetError, match=text):
        labels.classes_from_folders([Path("x/sea urchin/1.png"), Path("x/crane/1.png")], CRANES)


def test_it_can_be_named_by_number_as_that_error_says():
    assert labels.classes_from_folders([Path("x/sea urchin/1.png"), Path("x/134/1.png")], CRANES) == [7, 134]


# By a file

FOLDER = Path("photos")
IMAGES = [FOLDER / name for name in ("a.png", "b c.png", "sub/a.png", "sub/d, e.png")]


def of_file(file: Path, names=NAMES) -> list[int]:
    return labels.classes_from_file(file, IMAGES, FOLDER, names)


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
