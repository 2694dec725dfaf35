"""Training, validation and test photos: by class, by group, by content."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.training.duplicates import Groups
from edgenet.training.fingerprint import Fingerprint
from edgenet.training.photos import Photos
from edgenet.training.split import split

EMPTY = np.zeros(0, np.uint8)


def made(*labels: int, names: str = "{}.jpg") -> tuple[Photos, list[Fingerprint]]:
    """Photos of these classes; their contents are their numbers."""
    folder, classes = Path("photos"), tuple(f"class {number}" for number in range(max(labels) + 1))
    paths = tuple(folder / names.format(number) for number in range(len(labels)))
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(len(labels))]
    return Photos(folder, classes, paths, labels), [Fingerprint(one, one, 1, 1, EMPTY, EMPTY) for one in digests]


def alone(count: int) -> Groups:
    return Groups(tuple(range(count)), ())


def counts(found, labels) -> list[list[int]]:
    """For each part, the photos of each class."""
    return [[sum(labels[image] == label for image in part) for label in range(max(labels) + 1)] for part in found.parts]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((3, 3), [[1, 1], [1, 1], [1, 1]]),
        ((4, 7), [[2, 5], [1, 1], [1, 1]]),
        ((100, 20), [[70, 14], [15, 3], [15, 3]]),
        ((1_000, 3), [[700, 1], [150, 1], [150, 1]]),
    ],
)
def test_each_class_is_split_by_the_fractions(sizes, expected):
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    photos, prints = made(*labels)
    found = split(photos, prints, alone(len(labels)), seed=0)
    assert counts(found, labels) == expected
    assert sorted(image for part in found.parts for image in part) == list(range(len(labels)))


def test_other_fractions():
    labels = [0] * 100 + [1] * 100
    photos, prints = made(*labels)
    found = split(photos, prints, alone(200), seed=0, fractions=(0.5, 0.2, 0.3))
    assert counts(found, labels) == [[50, 50], [20, 20], [30, 30]]


def test_names_and_order_do_not_matter():
    labels = [0, 1] * 30
    photos, prints = made(*labels)
    found = split(photos, prints, alone(60), seed=3)
    order = [int(number) for number in np.random.default_rng(0).permutation(60)]
    other, _ = made(*(labels[number] for number in order), names="other-{}.png")
    mixed = split(other, [prints[number] for number in order], alone(60), seed=3)
    assert [{order[image] for image in part} for part in mixed.parts] == [set(part) for part in found.parts]


def test_the_seed_matters():
    photos, prints = made(*[0, 1] * 30)
    assert split(photos, prints, alone(60), seed=0) == split(photos, prints, alone(60), seed=0)
    assert split(photos, prints, alone(60), seed=0) != split(photos, prints, alone(60), seed=1)


@pytest.mark.parametrize("sizes", [(30, 1, 1), (10, 10, 10), (50, 20, 10, 5, 5, 5, 5), (2,) * 50, (7,) * 14])
def test_groups_are_on_one_side(sizes):
    of = [group for group, size in enumerate(sizes) for _ in range(size)]
    of += [max(of) + 1 + number for number in range(40)]  # another class, of single photos
    labels = [0] * sum(sizes) + [1] * 40
    photos, prints = made(*labels)
    found = split(photos, prints, Groups(tuple(of), ()), seed=1)
    sides = [{of[image] for image in part} for part in found.parts]
    assert sum(map(len, sides)) == len(set(of))
    assert all(count for part in counts(found, labels) for count in part)
    if len(sizes) > 3:  # the others allow nothing better
        wanted = [fraction * sum(sizes) for fraction in (0.7, 0.15, 0.15)]
        nearest = max(sizes) / 2
        assert all(abs(part[0] - want) <= nearest for part, want in zip(counts(found, labels), wanted, strict=True))


def test_groups_of_several_classes_are_on_one_side_too():
    """40 % of the photos of each class are also in the other."""
    labels, of = [0] * 50 + [1] * 50, [*range(50), *range(20), *range(50, 80)]
    photos, prints = made(*labels)
    found = split(photos, prints, Groups(tuple(of), ()), seed=0)
    sides = [{of[image] for image in part} for part in found.parts]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    for part, wanted in zip(counts(found, labels), (35, 7.5, 7.5), strict=True):
        assert all(abs(count - wanted) <= 1 for count in part)


def test_random_groups_leave_no_class_out():
    random = np.random.default_rng(0)
    for seed in range(50):
        labels = sorted(int(label) for label in random.integers(0, 4, 60))
        names = random.integers(0, 40, 60)
        numbers: dict[int, int] = {}
        of = tuple(numbers.setdefault(int(name), len(numbers)) for name in names)
        photos, prints = made(*labels)
        found = split(photos, prints, Groups(of, ()), seed=seed)
        assert all(count for part in counts(found, labels) for count in part)


def test_a_class_of_one_film_cannot_be_split():
    labels = [0] * 10 + [1] * 10
    photos, prints = made(*labels)
    groups = Groups((*[0] * 10, *range(1, 11)), ())
    with pytest.raises(EdgenetError) as error:
        split(photos, prints, groups, seed=0)
    assert str(error.value) == (
        "photos: the 10 images of 'class 0' show only 1 different thing (the others are copies or frames of one film), "
        "and 3 are needed, one each for training, validation and test; add images of other objects or scenes"
    )


def test_groups_that_hold_classes_together():
    """Every photo of the second class is in a group of the first; the third takes the parts apart again."""
    labels = [0] * 3 + [1] * 3
    photos, prints = made(*labels)
    found = split(photos, prints, Groups((0, 1, 2, 0, 1, 2), ()), seed=0)
    assert counts(found, labels) == [[1, 1], [1, 1], [1, 1]]
