"""What people say about resizing: presets, changes of them, contradictions, and wrong values."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.images.resize_options import (
    IMAGENET,
    KERAS_DATASET,
    KERAS_GENERATOR,
    MEDIAPIPE,
    PRESETS,
    TASK_LIBRARY,
    TEACHABLE_MACHINE,
    ResizeOptions,
    describe,
)
from edgenet.records import Interpolation, Resize, ResizeMode


def test_the_presets_are_those_of_their_sources():
    # Each field that is not the default, by the code of each library.
    stretch = {"mode": ResizeMode.STRETCH, "antialias": False}
    assert {
        "keras-dataset": Resize(**stretch, rounded=False, exif=False, background=None, fast_dct=True),
        "keras-generator": Resize(**stretch, interpolation=Interpolation.NEAREST, exif=False, background=None),
        "teachable-machine": Resize(),
        "imagenet": Resize(crop=0.875),
        "mediapipe": Resize(**stretch, half_pixel_centers=False),
        "task-library": Resize(**stretch),
    } == PRESETS


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("default", PRESETS.values(), ids=PRESETS)
def test_a_preset_is_what_it_is_whatever_the_default(name, default):
    options = ResizeOptions(like=name)
    assert options.applied_to(default) == PRESETS[name]
    assert options.mode == PRESETS[name].mode and options.is_given


@pytest.mark.parametrize("default", PRESETS.values(), ids=PRESETS)
def test_without_a_word_the_default_stays(default):
    assert ResizeOptions().applied_to(default) == default
    assert not ResizeOptions().is_given
    assert ResizeOptions().mode is None


SAID = {
    "a crop of a stretching default": (ResizeOptions(crop=0.8), KERAS_DATASET, Resize(crop=0.8)),
    "another crop": (ResizeOptions(crop=0.8), IMAGENET, Resize(crop=0.8)),
    "the same mode": (ResizeOptions(resize="crop"), IMAGENET, IMAGENET),
    "stretching": (ResizeOptions(resize="stretch"), IMAGENET, KERAS_DATASET),
    "padding": (ResizeOptions(resize="pad"), TEACHABLE_MACHINE, replace(KERAS_DATASET, mode=ResizeMode.PAD)),
    "its colour": (
        ResizeOptions(resize="pad", pad_color="114,0,255"),
        KERAS_DATASET,
        replace(KERAS_DATASET, mode=ResizeMode.PAD, pad=(114, 0, 255)),
    ),
    "an interpolation": (
        ResizeOptions(interpolation="bicubic"),
        KERAS_DATASET,
        replace(KERAS_DATASET, interpolation=Interpolation.BICUBIC),
    ),
    "antialiasing": (ResizeOptions(antialias=True), KERAS_DATASET, replace(KERAS_DATASET, antialias=True)),
    "no antialiasing": (ResizeOptions(antialias=False), IMAGENET, replace(IMAGENET, antialias=False)),
    "what cannot be antialiased": (
        ResizeOptions(interpolation="area"),
        IMAGENET,
        replace(IMAGENET, interpolation=Interpolation.AREA, antialias=False),
    ),
    "what cannot be antialiased before": (
        ResizeOptions(interpolation="bilinear"),
        KERAS_GENERATOR,
        replace(KERAS_GENERATOR, interpolation=Interpolation.BILINEAR),
    ),
}


@pytest.mark.parametrize("kind", SAID)
def test_what_is_said_changes_the_default(kind):
    options, default, expected = SAID[kind]
    assert options.is_given
    assert options.applied_to(default) == expected


@pytest.mark.parametrize("colour", ["1,2,3", " 1 , 2 , 3 ", (1, 2, 3), [1.0, 2, 3], np.uint8([1, 2, 3]), "1.0,2,3"])
def test_a_colour_is_three_integers(colour):
    found = ResizeOptions(resize="pad", pad_color=colour)
    assert found.pad_color == (1, 2, 3) and {type(value) for value in found.pad_color} == {int}


WRONG_COLOURS = ["", "1,2", "1,2,3,4", "0,0,256", "-1,0,0", "0.5,0,0", "nan,0,0", "inf,0,0", "red", "1;2;3", 7, [1, 2],
                 [0, 0, 1e9], [None, 0, 0], ["a" * 10_000, 0, 0], np.zeros((100, 3)), {}]  # fmt: skip


@pytest.mark.parametrize("colour", WRONG_COLOURS, ids=lambda colour: repr(colour)[:20])
def test_a_colour_that_is_none_is_refused_in_one_line(colour):
    with pytest.raises(
        EdgenetError, match=r"^pad_color: must be red, green and blue from 0 to 255, such as 114,114,114; got "
    ) as caught:
        ResizeOptions(resize="pad", pad_color=colour)
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)


WRONG = {
    "like": ["keras", "", 5, "KERAS-DATASET", ["imagenet"]],
    "resize": ["zoom", "", 5, "CROP", {}],
    "interpolation": ["lanczos", "", 0, "Bilinear"],
    "antialias": ["yes", "", 2, None],
    "crop": [0, -1, 0.05, 1.01, float("nan"), float("inf"), "0.875", True, [0.5]],
}


@pytest.mark.parametrize(
    ("parameter", "value"), [(name, value) for name, values in WRONG.items() for value in values if value is not None]
)
def test_a_wrong_value_is_named_in_one_line(parameter, value):
    with pytest.raises(EdgenetError, match=rf"^{parameter}: must be .*, got ") as caught:
        ResizeOptions(**{parameter: value})
    assert "\n" not in str(caught.value)


def test_values_of_the_records_are_read_like_their_names():
    options = ResizeOptions(resize=ResizeMode.PAD, interpolation=Interpolation.AREA)
    assert options.applied_to(IMAGENET) == ResizeOptions(resize="pad", interpolation="area").applied_to(IMAGENET)


# Contradictions


@pytest.mark.parametrize("mode", ["stretch", "pad"])
def test_only_a_crop_has_a_fraction(mode):
    with pytest.raises(EdgenetError, match=rf"^crop: only crops have a fraction, but resize={mode}; leave one out$"):
        ResizeOptions(resize=mode, crop=0.875)
    assert ResizeOptions(resize="crop", crop=0.875).crop == 0.875


@pytest.mark.parametrize("said", [{}, {"resize": "crop"}, {"resize": "stretch"}, {"crop": 0.9}])
def test_only_padding_has_a_colour(said):
    with pytest.raises(EdgenetError, match=r"^pad_color: only padding has a colour; give resize=pad, too$"):
        ResizeOptions(**said, pad_color="0,0,0")


@pytest.mark.parametrize("interpolation", ["nearest", "area"])
def test_only_bilinear_and_bicubic_interpolation_is_antialiased(interpolation):
    with pytest.raises(
        EdgenetError, match=rf"^antialias: {interpolation} interpolation is never antialiased; leave one of them out$"
    ):
        ResizeOptions(interpolation=interpolation, antialias=True)
    assert ResizeOptions(interpolation=interpolation, antialias=False).antialias is False


FIELDS = {
    "resize": ("mode", list(ResizeMode)),
    "crop": ("crop", [1.0, 0.875, 0.5]),
    "interpolation": ("interpolation", list(Interpolation)),
    "antialias": ("antialias", [True, False]),
}


@pytest.mark.parametrize(("name", "option"), product(PRESETS, FIELDS))
def test_a_preset_takes_no_option_that_contradicts_it(name, option):
    field, values = FIELDS[option]
    own = getattr(PRESETS[name], field)
    for value in values:
        if value == own and (option != "crop" or PRESETS[name].mode == ResizeMode.CROP):
            assert ResizeOptions(like=name, **{option: value}).applied_to(Resize()) == PRESETS[name]
        else:
            with pytest.raises(EdgenetError, match=r"^(like|crop): .*; leave one"):
                ResizeOptions(like=name, **{option: value})


def test_a_contradiction_names_all_that_contradicts():
    with pytest.raises(
        EdgenetError,
        match=r"^like: keras-dataset contradicts resize=pad, interpolation=area; leave one of them out$",
    ):
        ResizeOptions("keras-dataset", resize="pad", interpolation="area")


# In words


@pytest.mark.parametrize(
    ("resize", "words"),
    [
        (KERAS_DATASET, "stretch, bilinear, not antialiased (like keras-dataset)"),
        (KERAS_GENERATOR, "stretch, nearest (like keras-generator)"),
        (TEACHABLE_MACHINE, "crop 1, bilinear, antialiased (like teachable-machine)"),
        (IMAGENET, "crop 0.875, bilinear, antialiased (like imagenet)"),
        (MEDIAPIPE, "stretch, bilinear, not antialiased (like mediapipe)"),
        (TASK_LIBRARY, "stretch, bilinear, not antialiased (like task-library)"),
        (Resize(crop=1 / 3), "crop 0.333333, bilinear, antialiased"),
        (replace(MEDIAPIPE, interpolation=Interpolation.AREA), "stretch, area, from corners"),
        (
            replace(KERAS_DATASET, mode=ResizeMode.PAD, pad=(114, 114, 114), interpolation=Interpolation.BICUBIC),
            "pad 114,114,114, bicubic, not antialiased, EXIF ignored",
        ),
    ],
)
def test_a_resize_in_words(resize, words):
    assert describe(resize) == words
