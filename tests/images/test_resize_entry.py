"""The resize in a .tflite file's provenance: round trips, old files, and entries of any kind."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from edgenet.images import resize_entry
from edgenet.images.resize_options import IMAGENET, KERAS_DATASET, PRESETS
from edgenet.records import Interpolation, Resize, ResizeMode

ALL_CHANGED = Resize(
    ResizeMode.PAD, 1 / 3, (114, 0, 255), Interpolation.AREA, False, False, False, False, (1, 2, 3), True
)


def test_the_example_has_no_default():
    assert all(getattr(ALL_CHANGED, field.name) != field.default for field in fields(Resize))


@pytest.mark.parametrize("resize", [*PRESETS.values(), ALL_CHANGED, Resize(crop=0.1), Resize(crop=0.7 + 0.1)])
def test_what_is_written_is_what_is_read(resize):
    written = resize_entry.write(resize)
    assert all(isinstance(value, str) and len(value) < 1_000 for value in written.values())
    assert resize_entry.read({"edgenet": "0.1", **written, "note": "x"}) == resize


def test_every_field_survives_by_itself():
    for field in fields(Resize):
        changed = replace(Resize(), **{field.name: getattr(ALL_CHANGED, field.name)})
        assert resize_entry.read(resize_entry.write(changed)) == changed != Resize()


def test_the_defaults_take_no_entry():
    assert resize_entry.write(Resize()) == {}
    assert resize_entry.read({}) == resize_entry.read(None) == Resize()


def test_files_of_earlier_versions_have_a_crop_alone():
    assert resize_entry.read({"crop": "0.875"}) == IMAGENET
    # They read nothing else, so a crop is written as they wrote it.
    assert resize_entry.write(IMAGENET) == {"crop": "0.875"}


HOSTILE = [
    "", "null", "7", '"text"', "[]", "[[1]]", "no JSON", "{", "\0", "[" * 100_000, '{"a":' * 100_000,
    '{"mode":"zoom"}', '{"mode":null}', '{"mode":[]}', '{"mode":{}}', '{"mode":1}', '{"interpolation":"lanczos"}',
    '{"antialias":"no"}', '{"antialias":0}', '{"exif":null}', '{"rounded":1}', '{"pad":[0,0]}', '{"pad":[0,0,256]}',
    '{"pad":[0,0,-1]}', '{"pad":[0,0,0.5]}', '{"pad":[true,true,true]}', '{"pad":null}', '{"pad":"red"}',
    '{"pad":[0,0,NaN]}', '{"background":[0]}', '{"background":false}', '{"background":[0,0,1e999]}', '{"crop":1}',
    '{"crop":0.5,"sharpen":true}', '{"sharpen":true}', '{"__class__":"x"}', '{"mode":"pad","crop":9.0}',
    '{"antialias":' + "9" * 10_000 + "}",
]  # fmt: skip


@pytest.mark.parametrize("entry", HOSTILE, ids=lambda entry: entry[:25])
def test_an_entry_that_cannot_be_read_counts_as_none(entry):
    assert resize_entry.read({"resize": entry}) == Resize()


@pytest.mark.parametrize("crop", ["", "x", "nan", "inf", "-1", "0", "0.05", "1.5", "1e999", "0,5", "9" * 10_000])
def test_a_crop_that_cannot_be_read_counts_as_none(crop):
    assert resize_entry.read({"crop": crop}) == Resize()
    assert resize_entry.read({"crop": crop, **resize_entry.write(KERAS_DATASET)}) == Resize()


def test_random_changes_of_an_entry_give_a_valid_resize_or_the_default():
    random, entry = np.random.default_rng(0), resize_entry.write(ALL_CHANGED)["resize"]
    for _ in range(2_000):
        data = bytearray(entry.encode())
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.integers(32, 127)
        found = resize_entry.read({"resize": data.decode()})
        assert isinstance(found.mode, ResizeMode) and isinstance(found.interpolation, Interpolation)
        assert 0.1 <= found.crop <= 1
        assert all(0 <= value <= 255 for value in (*found.pad, *(found.background or ())))
        json.dumps(resize_entry.write(found))
