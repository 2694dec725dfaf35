"""Class names of ImageNet, and those that edgenet wrote."""

from collections import Counter

import pytest
from places import IMAGENET

from edgenet.errors import EdgenetError
from edgenet.images import labels


def test_what_edgenet_wrote_is_read_as_it_is(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("1 euro\n0 cat\n[a]\n", encoding="utf-8")
    assert labels.read_lines(path) == ["1 euro", "0 cat", "[a]"]
    path.write_text("0 cat\n1 dog\n", encoding="utf-8")
    assert labels.read_lines(path) == ["0 cat", "1 dog"]
    assert labels.read(path) == ["cat", "dog"]


@pytest.mark.parametrize(("data", "found"), [(b"", "the file"), (b"ant\n\nbee\n", "line 2")])
def test_a_missing_name_in_what_edgenet_wrote(tmp_path, data, found):
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(EdgenetError, match=rf"labels\.txt: {found} is empty; write a class name on each line$"):
        labels.read_lines(path)


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
