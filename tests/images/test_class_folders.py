"""The class of each image by its folder, and the classes of folders."""

from pathlib import Path

import pytest

from edgenet.errors import EdgenetError
from edgenet.images import class_folders

NAMES = ["ant", "sea urchin", "T-shirt"]
FOLDER = Path("x")


def thousand(changes: dict[int, str] | None = None) -> list[str]:
    """As many names as ImageNet has, none of them in ImageNet."""
    return [(changes or {}).get(number, f"thing {number}") for number in range(1000)]


def classes(*folders: str, names=NAMES, notes: tuple[str, ...] = ()) -> list[int | None]:
    """The classes of an image in each folder, with these notes and no others."""
    found = class_folders.find(
        [FOLDER / folder / f"{number}.png" for number, folder in enumerate(folders)], FOLDER, names
    )
    assert found.notes == notes
    return list(found.classes)


# Names


def test_folders_named_after_classes():
    assert classes("ant", "sea_urchin", "sea urchin", "T-shirt") == [0, 1, 1, 2]


def test_underscores_in_the_names_of_classes_are_spaces_too():
    assert classes("sea urchin", "sea_urchin", "hot dog_stand", names=["sea_urchin", "hot_dog stand"]) == [0, 0, 1]


@pytest.mark.parametrize("folder", ["Sea Urchin", "SEA_URCHIN", "sea-urchin", "SeaUrchin", "seaurchin", "sea  urchin "])
def test_case_spaces_underscores_and_hyphens_do_not_count(folder):
    assert classes("ANT", folder, "t_shirt") == [0, 1, 2]


def test_accents_may_be_taken_apart():
    # "Käfer" as some file systems write it: an a and a combining diaeresis.
    assert classes("Ka\u0308fer", "ant", names=["ant", "Käfer"]) == [1, 0]


def test_characters_that_a_folder_cannot_have():
    assert classes("T-shirt_top", "cup mug", names=["T-shirt/top", "cup: mug"]) == [0, 1]


def test_an_exact_name_comes_before_another_spelling():
    assert classes("ant", "Ant", names=["Ant", "ant"]) == [1, 0]
    assert classes("hot_dog", "hot dog", names=["hot dog", "hot_dog"]) == [1, 0]


def test_two_spellings_that_one_folder_may_be():
    text = (
        r"^x: several classes have the name of the folder 'tshirt'; use the number of the class as the folder's name: "
        r"0 \('T-shirt'\) or 2 \('T shirt'\)$"
    )
    with pytest.raises(EdgenetError, match=text):
        classes("ant", "tshirt", names=["T-shirt", "ant", "T shirt"])


@pytest.mark.parametrize("folder", ["001.Sea_urchin", "1 sea urchin", "01-sea-urchin", "n02085620-sea_urchin"])
def test_a_number_or_identifier_before_the_name(folder):
    assert classes("ant", folder) == [0, 1]
    assert classes("ant", "sea_urchin", names=["ant", folder]) == [0, 1]


def test_another_number_before_the_same_name_is_another_name():
    note = "x: the folder '5 euro' (1 image) matches none of the labels; accuracy is measured on the other image"
    assert classes("1 euro", "5 euro", names=["1 euro", "ant"], notes=(note,)) == [0, None]
    assert classes("ant", "euro", names=["1 euro", "2 euro", "ant"], notes=(note.replace("5 euro", "euro"),)) == [
        2,
        None,
    ]


def test_a_label_that_teachable_machine_cut_off():
    assert classes("tall building with windows", "tree", names=["tall building wi...", "tree"]) == [0, 1]


# Numbers and identifiers

# Three of ImageNet's folders, and their places in the order of its published weights.
IDENTIFIERS = {"n01440764": 0, "n02012849": 134, "n15075141": 999}


@pytest.mark.parametrize("background", [0, 1])
def test_folders_named_by_wordnet(background):
    # Of 1,001 classes, the first is the background.
    names = ["background"] * background + thousand()
    assert classes(*IDENTIFIERS, names=names) == [number + background for number in IDENTIFIERS.values()]


def test_wordnet_identifiers_of_a_part_of_imagenet_are_found_by_name():
    assert classes("n01443537", "n01440764", names=["goldfish", "tench", "ant"]) == [0, 1]


def test_folders_named_by_number():
    assert classes("2", "0", "01", "2") == [2, 0, 1, 2]


def test_numbers_that_are_names_are_names():
    assert classes("7", "0", names=["0", "1", "7"]) == [2, 0]


def test_folders_numbered_from_1():
    note = "x: the folders are numbered from 1 to 3; 1 is taken for the first label"
    assert classes("1", "2", "3", "01", notes=(note,)) == [0, 1, 2, 0]
    assert classes("3", "1", notes=(note,)) == [2, 0]


def test_years_are_no_numbers_of_classes():
    (note,) = class_folders.find([FOLDER / year / "1.png" for year in ("2", "2023", "2024")], FOLDER, NAMES).notes
    assert note.startswith("x: accuracy is not measured, because the folders '2' (1 image), '2023' (1 image)")


CRANES = thousand({5: "crane", 134: "crane", 7: "sea urchin"})


def test_a_folder_that_may_be_either_of_two_classes():
    assert classes("sea urchin", names=CRANES) == [7]
    text = (
        r"^x: several classes have the name of the folder 'crane'; use the number of the class as the folder's name: "
        "5 or 134$"
    )
    with pytest.raises(EdgenetError, match=text):
        classes("sea urchin", "crane", names=CRANES)


def test_it_can_be_named_by_number_as_that_error_says():
    assert classes("sea urchin", "134", names=CRANES) == [7, 134]


# Levels


@pytest.mark.parametrize(
    "layout",
    [
        "{}",
        "{}/images",  # Tiny ImageNet
        "train/{}",
        "train/{}/images",
        "2024/day 1/{}",
        "{}/2024/day 1",
        ".cache/{}",
        "{}/.thumbnails",
    ],
)
def test_the_level_that_names_the_classes(layout):
    assert classes(*(layout.format(name) for name in ("ant", "sea_urchin", "T-shirt"))) == [0, 1, 2]


def test_a_name_comes_before_a_number():
    # Numbers below the class are those of a series, not of classes.
    assert classes("ant/0", "ant/1", "T-shirt/0", "T-shirt/2") == [0, 0, 2, 2]


def test_layouts_may_be_mixed():
    assert classes("ant", "train/ant", "val/T-shirt") == [0, 0, 2]


def test_images_that_are_all_of_one_class():
    paths = [Path("photos/ant/1.png"), Path("photos/ant/2.png")]
    assert class_folders.find(paths, Path("photos/ant"), NAMES) == class_folders.ImageClasses((0, 0))


def test_images_without_folders_have_no_class():
    assert class_folders.find([FOLDER / "1.png", FOLDER / "2.png"], FOLDER, NAMES).classes == (None, None)
    assert class_folders.find([], FOLDER, NAMES).classes == ()
    assert classes("photos", "photos") == [None, None]


# Folders that match no label


@pytest.mark.parametrize(
    ("known", "other"), [("ant", "bee"), ("ant", "n01440764"), ("ant", "images"), ("2", "3000"), ("ant", "-1")]
)
def test_a_folder_that_matches_no_label_is_named(known, other):
    note = f"x: the folder '{other}' (2 images) matches none of the labels; accuracy is measured on the other image"
    expected = [NAMES.index(known) if known in NAMES else 2, None, None]
    assert classes(known, other, other, notes=(note,)) == expected
    assert classes(other, other, known, notes=(note,)) == expected[::-1]


def test_images_beside_the_class_folders_are_named():
    note = "x: 1 image in no folder matches none of the labels; accuracy is measured on the other 2 images"
    assert classes("ant", ".", "T-shirt", notes=(note,)) == [0, None, 2]
    note = note.replace("1 image in", "the folder 'bee' (1 image) and 2 images in").replace("matches", "match")
    assert classes("ant", ".", ".", "T-shirt", "bee", notes=(note,)) == [0, None, None, 2, None]


def test_the_folders_with_most_images_are_named():
    others = [f"b{number}" for number in range(7) for _ in range(number + 1)]
    folders = ", ".join(f"'b{number}' ({number + 1} images)" for number in (6, 5, 4, 3, 2))
    note = f"x: the folders {folders} and 2 more match none of the labels; accuracy is measured on the other image"
    assert classes("ant", *others, notes=(note,)) == [0, *[None] * len(others)]


def test_folders_none_of_which_matches_are_told_with_the_labels():
    note = (
        "x: accuracy is not measured, because the folders 'cat' (2 images), 'dog' (1 image) match none of the labels "
        "'ant', 'sea urchin', 'T-shirt'; give folders the names of classes, or the classes of the images with truth="
    )
    assert classes("cat", "cat", "dog", notes=(note,)) == [None] * 3
    (shortened,) = class_folders.find([FOLDER / "a/1.png", FOLDER / "b/1.png"], FOLDER, list("cdefghijk")).notes
    assert "none of the labels 'c', 'd', 'e', 'f', 'g', ...;" in shortened


# The classes of a model without labels


def test_the_names_of_the_folders_as_keras_sorts_them(tmp_path):
    for name in ("dog", "Cat", "10", "2", ".hidden", "empty"):
        (tmp_path / name).mkdir()
    paths = [tmp_path / name / "1.png" for name in ("dog", "Cat", "10", "2")]
    assert class_folders.class_names(paths, tmp_path, 5) == ["10", "2", "Cat", "dog", "empty"]
    assert class_folders.class_names(paths, tmp_path, 4) == ["10", "2", "Cat", "dog"]
    assert class_folders.class_names(paths, tmp_path, 3) is None


@pytest.mark.parametrize("layout", ["train/{}", "{}/images", "data/train/{}"])
def test_the_level_with_as_many_folders_as_classes(tmp_path, layout):
    paths = [tmp_path / layout.format(name) / "1.png" for name in ("dog", "cat", "bee")]
    for path in paths:
        path.parent.mkdir(parents=True)
    assert class_folders.class_names(paths, tmp_path, 3) == ["bee", "cat", "dog"]


def test_parts_of_a_data_set_are_no_classes(tmp_path):
    paths = [tmp_path / part / name / "1.png" for part in ("train", "Val") for name in ("dog", "cat")]
    for path in paths:
        path.parent.mkdir(parents=True)
    assert class_folders.class_names(paths, tmp_path, 2) == ["cat", "dog"]
