"""Reading TFLite Metadata, as tflite-support writes it: normalization, labels and provenance."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bare import bare

import edgenet
from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.tflite.metadata import read_metadata, read_provenance

LABELS = ["ant", "bee", "cat", "Seeigel, 海胆"]


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ([127.5], [127.5]),
        ([0.0], [1.0]),
        ([0.0], [255.0]),
        ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
        ([-1.5, 0.0, 2.0], [1.0, 1.0, 1.0]),
    ],
)
def test_normalization_and_labels_are_read_back(with_metadata, mean, std):
    normalization, labels = read_metadata(with_metadata(mean, std, LABELS))
    # The file stores them as float32.
    assert normalization == InputRange(tuple(np.float32(mean).tolist()), tuple(np.float32(std).tolist()))
    assert labels == LABELS


def test_labels_of_an_integer_model_are_read(with_metadata):
    assert read_metadata(with_metadata([127.5], [127.5], LABELS, variant="int8"))[1] == LABELS


def test_a_file_without_labels_has_none(with_metadata):
    assert read_metadata(with_metadata([127.5], [127.5], [])) == (InputRange(), None)


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_a_file_without_metadata_has_neither_normalization_nor_labels(tiny_bundle, tmp_path, variant):
    path = tmp_path / "model.tflite"
    path.write_bytes(bare(tiny_bundle.file(f"{variant}.tflite").read_bytes()))
    assert read_metadata(path) == (None, None) and read_provenance(path) is None


def test_the_metadata_of_an_exported_file_match_the_manifest(tiny_bundle, labels):
    for variant in tiny_bundle.manifest.variants:
        path = tiny_bundle.file(variant.file)
        assert read_metadata(path) == (InputRange(), labels)
        provenance = read_provenance(path)
        assert provenance["edgenet"] == edgenet.__version__ and len(provenance["weights_sha256"]) == 64
        calibration = {"calibration_sha256": tiny_bundle.manifest.calibration.sha256}
        assert provenance.items() >= (calibration if variant.name in ("dynamic", "int8") else {}).items()
        assert ("calibration_sha256" in provenance) == (variant.name in ("dynamic", "int8"))


@pytest.mark.parametrize(
    "data", [b"", b"TFL3", b"no model at all", b"\x1c\0\0\0TFL", b"PK\x03\x04" + bytes(60)], ids=repr
)
def test_a_file_of_another_kind_is_refused(tmp_path, data):
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    text = r"model\.tflite: not a \.tflite file, or only a part of one; copy or export it again$"
    with pytest.raises(EdgenetError, match=text):
        read_metadata(path)


@pytest.mark.parametrize("kept", [8, 9, 100, 0.5])
def test_a_truncated_file_has_neither_normalization_nor_labels(tiny_bundle, tmp_path, kept):
    data = tiny_bundle.file("float32.tflite").read_bytes()
    path = tmp_path / "model.tflite"
    path.write_bytes(data[: kept if kept >= 8 else int(kept * len(data))])
    assert read_metadata(path) == (None, None)


def test_labels_are_split_at_line_feeds_only(with_metadata):
    # Python's `splitlines` splits at each of these; the C++ libraries split at the line feed only.
    labels = ["a\u2028b\u2029c", "a\x85b", "a\x0bb\x0cc\x1cd\x1de\x1ef", "sea urchin"]
    assert read_metadata(with_metadata([127.5], [127.5], labels))[1] == labels
    assert read_metadata(with_metadata([127.5], [127.5], [f"{label}\r" for label in labels]))[1] == labels


# Damaged metadata


MEAN, STD = [111.0, 112.0, 113.0], [51.0, 52.0, 53.0]


def change(path: Path, old: bytes, new: bytes) -> Path:
    """Replace some bytes of the file, which must occur exactly once."""
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    return path


def floats(*numbers: float) -> bytes:
    """A FlatBuffers vector: its length, then its values."""
    return struct.pack(f"<I{len(numbers)}f", len(numbers), *numbers)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (STD, (51.0, 0.0, 53.0)),
        (STD, (51.0, 52.0, -53.0)),
        (STD, (float("nan"), 52.0, 53.0)),
        (STD, (51.0, float("nan"), 53.0)),
        (STD, (51.0, 52.0, float("inf"))),
        (MEAN, (111.0, float("nan"), 113.0)),
        (MEAN, (111.0, 112.0, float("-inf"))),
    ],
    ids=str,
)
def test_invalid_numbers_are_not_read_as_a_normalization(with_metadata, old, new):
    path = change(with_metadata(MEAN, STD, LABELS), floats(*old), floats(*new))
    assert read_metadata(path) == (None, LABELS)


@pytest.mark.parametrize("length", [0, 2, 4, 2**31, 2**32 - 1])
def test_an_invalid_vector_length_is_not_read_as_a_normalization(with_metadata, length):
    path = change(with_metadata(MEAN, STD, LABELS), floats(*MEAN), struct.pack("<I", length) + floats(*MEAN)[4:])
    assert read_metadata(path)[0] is None


def test_truncated_labels_are_not_read(with_metadata):
    path = with_metadata(MEAN, STD, LABELS)
    assert zipfile.is_zipfile(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert read_metadata(path)[1] is None


def test_modified_labels_are_not_read(with_metadata):
    path = with_metadata(MEAN, STD, LABELS)
    # Stored uncompressed, with a checksum.
    assert read_metadata(change(path, b"Seeigel", b"Seestern"[:7]))[1] is None


def test_damage_anywhere_in_the_metadata_raises_nothing(with_metadata):
    path = with_metadata(MEAN, STD, LABELS)
    whole = path.read_bytes()
    # The metadata with its length, where the identifier follows the offset of the root; at the end, the zipped labels.
    start = whole.index(b"M001") - 4
    (length,) = struct.unpack_from("<I", whole, start - 4)
    zipped = whole.index(b"PK\x03\x04")
    offsets = [*range(start - 4, start + length), *range(zipped, len(whole))]
    random = np.random.default_rng(0)
    read = {"normalization": 0, "labels": 0}
    for _ in range(500):
        data = bytearray(whole)
        for offset in random.choice(offsets, random.integers(1, 12)):
            data[offset] = random.integers(256)
        path.write_bytes(data)
        normalization, labels = read_metadata(path)
        if normalization:
            assert np.isfinite((*normalization.mean, *normalization.std)).all()
            assert min(normalization.std) > 0
        read["normalization"] += normalization == InputRange(tuple(MEAN), tuple(STD))
        read["labels"] += labels == LABELS
    # Some of the damaged files can still be read, some cannot.
    assert all(0 < count < 500 for count in read.values()), read


def test_a_zip_bomb_of_labels_is_not_read(tiny_bundle, tmp_path):
    path = tmp_path / "model.tflite"
    data = tiny_bundle.file("float32.tflite").read_bytes()
    path.write_bytes(data[: data.rindex(b"PK\x03\x04")])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("labels.txt", "w") as file:
        for _ in range(100):
            file.write(bytes(1_000_000))
    assert path.stat().st_size < 1_000_000
    assert read_metadata(path)[1] is None
