"""Fashion-MNIST's files, and the bundled images that come out of them."""

import csv
import gzip
import hashlib
from collections import Counter
from pathlib import Path

import fashion_files
import numpy as np
import pytest
from fashion_files import idx
from PIL import Image

from edgenet.errors import EdgenetError
from edgenet.images import bundled, class_folders, listing
from edgenet.images import labels as class_names
from edgenet.training import fashion_mnist as dataset

PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def write(folder: Path, train: int, test: int) -> dict[str, np.ndarray]:
    """The four files, with noise for images and all classes alike."""
    random = np.random.default_rng(2)
    arrays = {}
    for split, count in (("train", train), ("t10k", test)):
        arrays[f"{split}-images-idx3-ubyte"] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{split}-labels-idx1-ubyte"] = random.permutation(np.arange(count) % 10).astype(np.uint8)
    fashion_files.write(folder, arrays)
    return arrays


@pytest.fixture
def small(tmp_path) -> Path:
    write(tmp_path, 30, 20)
    return tmp_path


@pytest.mark.parametrize(("split", "count"), [("train", 30), ("t10k", 20)])
def test_reads_what_the_files_hold(tmp_path, split, count):
    arrays = write(tmp_path, 30, 20)
    images, labels = dataset.load(tmp_path, split)
    assert images.shape == (count, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(images, arrays[f"{split}-images-idx3-ubyte"])
    np.testing.assert_array_equal(labels, arrays[f"{split}-labels-idx1-ubyte"])


@pytest.mark.parametrize("name", PARTS)
def test_missing_file(small, name):
    (small / f"{name}.gz").unlink()
    text = rf"{name}\.gz: no such file of Fashion-MNIST; install Debian's package dataset-fashion-mnist, "
    with pytest.raises(EdgenetError, match=text + "or unpack it and give its folder with data=$"):
        dataset.load(small, "train")


def _changed(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[-8] ^= 0xFF  # the checksum
    return bytes(changed)


BROKEN_GZIP = {
    "text": lambda data: b"no gzip at all\n",
    "cut off": lambda data: data[:-100],
    "header alone": lambda data: data[:5],
    "wrong checksum": _changed,
    # The first byte of the deflate stream: 0xff begins a block of a type that does not exist.
    "no deflate": lambda data: data[:10] + b"\xff" + data[11:],
}


@pytest.mark.parametrize("kind", BROKEN_GZIP)
def test_broken_gzip(small, kind):
    path = small / "train-images-idx3-ubyte.gz"
    path.write_bytes(BROKEN_GZIP[kind](path.read_bytes()))
    text = r"train-images-idx3-ubyte\.gz: not a gzipped IDX file \(.+\); install the dataset again$"
    with pytest.raises(EdgenetError, match=text):
        dataset.load(small, "train")


BROKEN_IDX = {
    "empty": lambda data: b"",
    "magic alone": lambda data: data[:4],
    "in the middle of a dimension": lambda data: data[:6],
    "after two of three dimensions": lambda data: data[:12],
    "a byte missing": lambda data: data[:-1],
    "a byte too many": lambda data: data + b"\0",
    "floats": lambda data: data[:2] + b"\x0d" + data[3:],
    "labels": lambda data: idx(np.zeros(30, np.uint8)),
    "another first byte": lambda data: b"\x01" + data[1:],
}


@pytest.mark.parametrize("kind", BROKEN_IDX)
def test_broken_idx(small, kind):
    path = small / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(BROKEN_IDX[kind](gzip.decompress(path.read_bytes()))))
    text = r"train-images-idx3-ubyte\.gz: not an IDX file of bytes in 3 dimensions; install the dataset again$"
    with pytest.raises(EdgenetError, match=text):
        dataset.load(small, "train")


def test_validation_images_are_a_fixed_part_of_the_training_images():
    training, validation = dataset.validation_split(60_000)
    assert len(validation) == 5_000
    np.testing.assert_array_equal(np.sort(np.concatenate((training, validation))), np.arange(60_000))
    np.testing.assert_array_equal(validation, dataset.validation_split(60_000)[1])
    # From all over the 60,000: 5,000 of them at random have a mean of 30,000 and a deviation of that mean of 245.
    assert abs(validation.mean() - 29_999.5) < 5 * 245


def test_first_of_each_class_takes_the_first_and_only_candidates():
    labels = np.tile(np.arange(10, dtype=np.uint8), 6)  # image n is of class n % 10
    candidates = np.arange(10, 60)
    chosen = dataset.first_of_each_class(labels, candidates, 2)
    np.testing.assert_array_equal(chosen, np.arange(10, 30))


def test_samples_are_images_of_the_files_that_sources_names(tmp_path):
    arrays = write(tmp_path, 5_400, 1_200)
    out = tmp_path / "out"
    dataset.write_samples(tmp_path, out)
    rows = sources(out)
    assert len(rows) == 1_200
    _, validation = dataset.validation_split(5_400)
    for row in rows:
        folder, name, _ = Path(row["file"]).parts
        assert row["split"] == {"calibration": "train", "evaluation": "t10k"}[folder]
        index = int(row["index"])
        label = arrays[f"{row['split']}-labels-idx1-ubyte"][index]
        assert name == dataset.LABELS[label].replace(" ", "_")
        assert folder == "evaluation" or index in validation
        with Image.open(out / row["file"]) as image:
            np.testing.assert_array_equal(np.asarray(image), arrays[f"{row['split']}-images-idx3-ubyte"][index])
    check_samples(out, rows)


def sources(folder: Path) -> list[dict[str, str]]:
    with open(folder / "SOURCES.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def check_samples(folder: Path, rows: list[dict[str, str]]) -> None:
    """What SOURCES.tsv says is what lies there: hashes, 20 and 100 a class, 28 x 28 grey PNG, nothing in both parts."""
    names = [row["file"] for row in rows]
    found = {part: listing.find_images(folder / part).paths for part in ("calibration", "evaluation")}
    assert sorted(names) == sorted(path.relative_to(folder).as_posix() for paths in found.values() for path in paths)
    for row in rows:
        assert hashlib.sha256((folder / row["file"]).read_bytes()).hexdigest() == row["sha256"], row["file"]

    labels = class_names.read(folder / "labels.txt")
    pixels = {}
    for part, each in (("calibration", 20), ("evaluation", 100)):
        assert Counter(class_folders.find(found[part], folder / part, labels).classes) == dict.fromkeys(range(10), each)
        pixels[part] = set()
        for path in found[part]:
            with Image.open(path) as image:
                assert (image.format, image.mode, image.size) == ("PNG", "L", (28, 28)), path
                pixels[part].add(image.tobytes())
    # By content: a copy under another name, or compressed in another way, would be found.
    assert len(pixels["calibration"]) == 200
    assert len(pixels["evaluation"]) == 1_000
    assert not pixels["calibration"] & pixels["evaluation"]


def test_bundled_images_are_what_sources_says():
    check_samples(bundled.DATA, sources(bundled.DATA))


def test_bundled_images_have_their_licence_and_labels():
    assert class_names.read(bundled.LABELS) == list(dataset.LABELS)
    licence = (bundled.DATA / "LICENSE").read_text(encoding="utf-8")
    assert "Zalando" in licence
    assert "Permission is hereby granted, free of charge" in licence


def test_training_saw_no_bundled_image():
    # Calibration images are validation images of the training, evaluation images of the official test split.
    validation = set(dataset.validation_split(60_000)[1].tolist())
    rows = sources(bundled.DATA)
    for part, split, count in (("calibration", "train", 60_000), ("evaluation", "t10k", 10_000)):
        chosen = [row for row in rows if row["file"].startswith(part)]
        assert {row["split"] for row in chosen} == {split}
        indices = [int(row["index"]) for row in chosen]
        assert len(set(indices)) == len(indices)
        assert all(0 <= index < count for index in indices)
        assert part == "evaluation" or validation.issuperset(indices)
