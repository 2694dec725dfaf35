"""Files of class names as people have them."""

import codecs
import json

import pytest

from edgenet.errors import EdgenetError
from edgenet.images import label_file
from edgenet.images.label_file import LabelFile


@pytest.fixture
def read(tmp_path):
    """Reads a text, or bytes, as a file; notes are without its name."""

    def read(data: str | bytes, name: str = "labels.txt") -> LabelFile:
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        found = label_file.read(path)
        assert all(note.startswith(f"{path.name}: ") for note in found.notes)
        return LabelFile(found.names, tuple(note.removeprefix(f"{path.name}: ") for note in found.notes))

    return read


ANIMALS = ("Cat", "dog", "sea urchin")
BEFORE = "the numbers before the names are their classes"
AFTER = "the numbers after the names are their classes"


# One name on each line


@pytest.mark.parametrize(
    "text",
    [
        "Cat\ndog\nsea urchin\n",
        "Cat\r\ndog \r\n sea urchin\r\n\r\n",
        "Cat\rdog\rsea urchin",
        "\ufeffCat\ndog\nsea urchin\n\n \n",  # as some editors begin a file
    ],
)
def test_a_name_on_each_line(read, text):
    assert read(text) == LabelFile(ANIMALS)


@pytest.mark.parametrize(
    ("data", "found"),
    [(b"", "the file"), (b"\n \n", "the file"), (b"ant\n\nbee\n", "line 2"), (b"\nant\n", "line 1")],
)
def test_a_missing_name(read, data, found):
    with pytest.raises(EdgenetError, match=rf"labels\.txt: {found} is empty; write a class name on each line$"):
        read(data)


@pytest.mark.parametrize(("folder", "found"), [(False, "no such file"), (True, r"cannot be read \(Is a directory\)")])
def test_what_is_no_file(tmp_path, folder, found):
    path = tmp_path / "labels.txt"
    if folder:
        path.mkdir()
    with pytest.raises(EdgenetError, match=rf"labels\.txt: {found}; give a text file$"):
        label_file.read(path)


def test_names_in_one_line(read):
    for text in ("Cat, dog,sea urchin", "Cat;dog;sea urchin\n", "Cat\tdog\tsea urchin"):
        assert read(text) == LabelFile(ANIMALS, ("the names are in one line",))
    assert read("sea urchin") == LabelFile(("sea urchin",))


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
@pytest.mark.parametrize("names", [("Käfer", "蟻", "ant"), ("cat", "dog"), ("Katze Nr. 1", "Жук")])
def test_unicode(read, encoding, names):
    data = "\r\n".join(names).encode(encoding)
    if encoding == "utf-32-le":
        data = codecs.BOM_UTF32_LE + data
    assert read(data) == LabelFile(names)


def test_utf_16_without_a_mark_whose_names_have_no_zero_bytes(read):
    # Of each line only the line end has one.
    for order in ("utf-16-le", "utf-16-be"):
        assert read("蟻\n蜂\n猫\n".encode(order)) == LabelFile(("蟻", "蜂", "猫"))


def test_windows_1252_is_noted(read):
    names = ("Käfer", "100 €", "ant")
    note = "not UTF-8, so taken for cp1252 ('Käfer'); if this is wrong, save it as UTF-8"
    assert read("\n".join(names).encode("cp1252")) == LabelFile(names, (note,))


def test_bytes_that_windows_1252_does_not_have(read):
    # 0x81 means nothing there.
    assert read(b"\x81\nK\xe4fer\n").names == ("\x81", "Käfer")


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"PK\x03\x04\x14\x00\x00\x00\x08\x00",
        b"\x1c\x00\x00\x00TFL3\x14\x00 \x00\xd8\xd9",
        b"ant\n\x00bee\n",
    ],
)
def test_what_is_no_text(read, data):
    with pytest.raises(EdgenetError, match=r"labels\.txt: not a text file; save it as UTF-8 text$"):
        read(data)


# Indices


@pytest.mark.parametrize(
    "separator", [" ", "\t", ":", ": ", ",", ", ", ". ", " - ", "-", "_", ") ", ";", "|", " = ", "  "]
)
def test_every_line_with_its_own_index(read, separator):
    lines = [f"{number}{separator}{name}" for number, name in enumerate(ANIMALS)]
    assert read("\n".join(lines)) == LabelFile(ANIMALS, (BEFORE,))


@pytest.mark.parametrize("separator", [",", ", ", "\t", ": ", ";", "|", " = "])
def test_every_line_with_its_own_index_behind(read, separator):
    lines = [f"{name}{separator}{number}" for number, name in enumerate(ANIMALS)]
    assert read("\n".join(lines)) == LabelFile(ANIMALS, (AFTER,))


def test_lines_in_another_order_than_their_indices(read):
    assert read("2 sea urchin\n0 Cat\n1 dog\n") == LabelFile(ANIMALS, (BEFORE,))
    assert read("sea urchin,2\nCat,0\ndog,1\n") == LabelFile(ANIMALS, (AFTER,))


def test_indices_from_1(read):
    assert read("1 Cat\n3 sea urchin\n2 dog\n") == LabelFile(ANIMALS, (f"{BEFORE}, counted from 1",))


def test_indices_with_zeros_in_front_sort_as_numbers(read):
    lines = [f"{number:03d}.name {'abcdefghijkl'[number - 1]}" for number in range(1, 13)]
    assert read("\n".join(sorted(lines, reverse=True))).names == tuple(f"name {letter}" for letter in "abcdefghijkl")


def test_empty_lines_between_indices_are_none(read):
    assert read("0 Cat\n\n1 dog\n\n2 sea urchin\n").names == ANIMALS


def test_names_that_begin_with_what_separates(read):
    assert read("0 _background_noise_\n1 - none -\n2 cat\n").names == ("_background_noise_", "- none -", "cat")


def test_names_that_teachable_machine_cut_off(read):
    assert read("0 tall building wi...\n1 Class 2\n").names == ("tall building wi...", "Class 2")


def test_quoted_names_behind_commas(read):
    assert read('0,"sea urchin, purple"\n1,ant\n').names == ("sea urchin, purple", "ant")


def test_a_few_names_may_come_twice(read):
    names = [f"thing {'abcdefghij'[number % 10]}{number // 10}" for number in range(200)]
    names[7] = names[150]
    lines = "\n".join(f"{number} {name}" for number, name in enumerate(names))
    assert read(lines).names == tuple(names)


@pytest.mark.parametrize(
    "names",
    [
        ("7 up", "2 chainz", "cat"),
        ("0 Cat", "1 dog", "urchin"),  # some lines only
        ("0 Cat", "2 dog", "3 urchin"),  # no full count
        ("0 Cat", "1 dog", "1 urchin"),
        ("2 Cat", "3 dog"),
        ("0", "1", "2"),
        ("1", "10", "2"),
        ("1 euro", "2 euro"),
        ("1 cent", "2 cents"),
        ("1 star", "2 stars", "3 stars"),
        ("thing 0", "thing 1"),
        ("0.5", "1.0", "2.5"),
        ("1-2", "2-3", "3-4"),
        ("Boeing 0", "Airbus 1"),
        ("F-0", "A-1"),
        ("0 Cat", "1: dog"),
        ("0 cat",),
        ("3rd", "1st", "2nd"),
    ],
)
def test_numbers_that_belong_to_the_names(read, names):
    assert read("\n".join(names)) == LabelFile(names)


# JSON


@pytest.mark.parametrize(
    "value",
    [
        {"Cat": 0, "dog": 1, "sea urchin": 2},  # Keras' class_indices
        {"sea urchin": 2, "Cat": 0, "dog": 1},
        {"0": "Cat", "1": "dog", "2": "sea urchin"},
        {"2": "sea urchin", "0": "Cat", "1": "dog"},
        {"1": "Cat", "2": "dog", "3": "sea urchin"},
        {"Cat": "0", "dog": "1", "sea urchin": "2"},
        ["Cat", "dog", "sea urchin"],
        ["0 Cat", "1 dog", "2 sea urchin"],
        {"class_indices": {"Cat": 0, "dog": 1, "sea urchin": 2}},
        {"labels": ["Cat", "dog", "sea urchin"], "version": 1},  # metadata.json of Teachable Machine
        {"timeStamp": "2024", "modelName": "tm", "labels": ["Cat", "dog", "sea urchin"], "imageSize": 224},
        {"classes": {"0": "Cat", "1": "dog", "2": "sea urchin"}},
        {"anything": ["Cat", "dog", "sea urchin"]},
        {"model": {"labels": ["Cat", "dog", "sea urchin"]}},
        {"id2label": {"0": "Cat", "1": "dog", "2": "sea urchin"}, "label2id": {"Cat": 0}, "num_labels": 3},
        {"0": ["n1", "Cat"], "1": ["n2", "dog"], "2": ["n3", "sea urchin"]},  # ImageNet's class_index.json
        [{"id": 1, "name": "dog"}, {"id": 0, "name": "Cat"}, {"id": 2, "name": "sea urchin"}],
        {"categories": [{"id": 1, "name": "Cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "sea urchin"}]},
    ],
)
def test_json(read, value):
    assert read(json.dumps(value), "class_indices.json").names == ANIMALS
    assert read(json.dumps(value, indent=2)).names == ANIMALS
    assert read(repr(value)).names == ANIMALS  # what Python prints


def test_json_of_numbered_folders(read):
    # Keras' class_indices of the folders 0, 1, 10 and 2: the text is the name.
    assert read('{"0": 0, "1": 1, "10": 2, "2": 3}').names == ("0", "1", "10", "2")
    assert read('{"0": "7", "1": "5"}').names == ("7", "5")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"Cat": 0, "dog": 2}', r"expected the indices 0 to 1, each once; 1 is missing"),
        ('{"Cat": 0, "dog": 0}', r"expected the indices 0 to 1, each once; 1 is missing"),
        ('{"0": "Cat", "3": "dog"}', r"expected the indices 0 to 1, each once; 1 is missing"),
        ('{"Cat": 0,', "not valid JSON"),
        ("{}", "no class names in this JSON file"),
        ('{"a": 1.5, "b": null}', "no class names in this JSON file"),
        ("[[1, 2], [3, 4]]", "no class names in this JSON file"),
    ],
)
def test_json_without_class_names(read, text, problem):
    with pytest.raises(EdgenetError, match=rf"labels\.txt: {problem}"):
        read(text)


def test_a_name_in_brackets_is_no_json(read):
    assert read("[unknown]\ncat\n") == LabelFile(("[unknown]", "cat"))
    assert read('"quoted"\ncat\n').names == ('"quoted"', "cat")


# Tables


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (("index", "name"), [(0, "Cat"), (1, "dog"), (2, "sea urchin")]),
        (("name", "index"), [("sea urchin", 2), ("Cat", 0), ("dog", 1)]),
        (("id", "label"), [(3, "sea urchin"), (1, "Cat"), (2, "dog")]),
        (("", "class"), [(0, "Cat"), (1, "dog"), (2, "sea urchin")]),  # as pandas writes it
        (("class", "label"), [(0, "Cat"), (1, "dog"), (2, "sea urchin")]),
        (("label", "class_name"), [(0, "Cat"), (1, "dog"), (2, "sea urchin")]),
        (("Class ID", "Class Name"), [(0, "Cat"), (1, "dog"), (2, "sea urchin")]),
        (("index", "mid", "display_name"), [(0, "/m/1", "Cat"), (1, "/m/2", "dog"), (2, "/m/3", "sea urchin")]),
        (("name", "index", "images"), [("dog", 1, 40), ("Cat", 0, 12), ("sea urchin", 2, 7)]),
    ],
)
def test_a_table_with_a_header(read, separator, header, rows):
    text = "\n".join(separator.join(map(str, row)) for row in (header, *rows))
    found = read(text, "classes.csv")
    assert found.names == ANIMALS
    assert len(found.notes) == 1
    assert read(text).names == ANIMALS


def test_the_note_of_a_table_says_which_columns_count(read):
    (note,) = read("id,label\n0,Cat\n1,dog\n").notes
    assert note == "the column label has the names, the column id their classes"


def test_a_table_without_indices_is_in_the_order_of_its_rows(read):
    found = read('name,species\nCat,"Felis, catus"\ndog,Canis\n')
    assert found == LabelFile(("Cat", "dog"), ("the column name has the names",))


def test_quoted_cells(read):
    assert read('index,name\n0,"sea urchin, purple"\n1,"the ""ant"""\n').names == ("sea urchin, purple", 'the "ant"')


def test_a_column_with_a_header(read):
    assert read("label\nCat\ndog\nsea urchin\n", "classes.csv").names == ANIMALS
    assert read("class_name\nCat\ndog\nsea urchin\n").names == ANIMALS
    # In a text file, this may be the name of a class.
    assert read("label\nCat\ndog\n").names == ("label", "Cat", "dog")


def test_names_with_commas_are_no_table(read):
    names = ("tench, Tinca tinca", "goldfish, Carassius auratus")
    assert read("\n".join(names)) == LabelFile(names)


def test_a_table_whose_indices_do_not_count_its_rows(read):
    text = r"labels\.txt: the column id is not 0 to 1 or 1 to 2, each once; give a row for each class"
    with pytest.raises(EdgenetError, match=text):
        read("id,name\n1,Cat\n3,dog\n")


# From Python


def test_names_from_python():
    assert label_file.from_names(["0 Cat", "1 dog"]) == LabelFile(("Cat", "dog"), (BEFORE,))
    assert label_file.from_names(["Cat", "dog"]) == LabelFile(("Cat", "dog"))
    assert label_file.from_names(["0", "1"]) == LabelFile(("0", "1"))
