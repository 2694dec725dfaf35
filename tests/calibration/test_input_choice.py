"""The input range of a model that does not tell it: chosen on calibration images, with the numbers."""

from pathlib import Path

import numpy as np
import pytest
from colour_models import SIDE, labelled, nearest_colour

from edgenet.images.input_range import COMMON, InputRange
from edgenet.progress import SILENT
from edgenet.quiet import quiet
from edgenet.records import Resize

RAW, UNIT, TF, TORCH = COMMON["0,255"], COMMON["0,1"], COMMON["-1,1"], COMMON["0.485,0.456,0.406,0.229,0.224,0.225"]


def classifier(model, declared: InputRange | None = None, *, order: str | None = None):
    """The model; without `declared`, nothing tells its input range."""
    from edgenet.model import keras_model

    return keras_model.from_keras(model, "colours", input_range=declared, channel_order=order, default_resize=Resize())


def examine(model, images, classes=None, declared: InputRange | None = None, *, order: str | None = None):
    with quiet():
        from edgenet.calibration import fit

        paths = [Path(f"{number}.png") for number in range(len(images))]
        return fit.examine(classifier(model, declared, order=order), paths, SILENT, images, classes)


def texts(findings, *levels: str) -> list[str]:
    return [finding.text for finding in findings if finding.level in levels]


# By accuracy


@pytest.mark.parametrize(
    ("expected", "name", "with_default"),
    # In [-1, 1], every image is darker than the darkest colour in [0, 255], night. In [0, 1], where [-1, 1] is darker.
    [(RAW, "0,255", 10), (UNIT, "0,1", None), (COMMON["123.68,116.779,103.939,1,1,1 BGR"], None, None)],
)
def test_the_range_that_classifies_best_is_chosen(expected, name, with_default):
    images, classes = labelled(40)
    examination = examine(nearest_colour(expected), images, classes)
    name = name or next(name for name, common in COMMON.items() if common == expected)
    assert examination.recipe == expected.recipe(SIDE, SIDE, 3)
    (text,) = texts(examination.choice, "note")
    assert text.startswith(f"input range {name} chosen: 40 of 40 calibration images right, ")
    if with_default is not None:
        assert f"right, {with_default} with -1,1 (p < 0.001); input_range= sets another" in text


@pytest.mark.parametrize("expected", [UNIT, RAW])
def test_the_channel_order_is_chosen_too(expected):
    images, classes = labelled(40)
    # Half of the images are bricks and seas, which the swapped order takes for each other.
    wanted = InputRange(expected.mean, expected.std, "BGR")
    examination = examine(nearest_colour(wanted), images, classes)
    assert examination.recipe == wanted.recipe(SIDE, SIDE, 3)
    assert texts(examination.choice, "note")[0].startswith("input range ")
    assert " BGR chosen: 40 of 40 calibration images right, " in texts(examination.choice, "note")[0]


def test_the_default_stays_where_it_is_right():
    images, classes = labelled(40)
    examination = examine(nearest_colour(TF), images, classes)
    assert examination.recipe == TF.recipe(SIDE, SIDE, 3)
    (text,) = texts(examination.choice, "ok")
    assert text.startswith("input_range=-1,1: ")
    assert " calibration images right, " in text


@pytest.mark.parametrize("declared", [TF, RAW])
def test_a_given_range_is_left_alone(declared):
    images, classes = labelled(40)
    examination = examine(nearest_colour(UNIT), images, classes, declared)
    assert examination.recipe == declared.recipe(SIDE, SIDE, 3)
    assert examination.choice == ()


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_a_given_channel_order_is_left_alone(order):
    images, classes = labelled(40)
    model = nearest_colour(InputRange(RAW.mean, RAW.std, "BGR" if order == "RGB" else "RGB"))
    assert examine(model, images, classes, order=order).recipe.order == order


def test_a_range_that_is_in_the_model_is_left_alone():
    import keras

    inner = nearest_colour(TF)
    image = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(image, inner(keras.layers.Rescaling(1 / 127.5, -1)(image)))
    images, classes = labelled(40)
    examination = examine(model, images, classes)
    assert examination.recipe == RAW.recipe(SIDE, SIDE, 3)
    assert examination.choice == ()


def test_few_labelled_images_choose_nothing():
    # Three images differ: McNemar's exact p-value is 2 / 2**3.
    images, classes = labelled(5)
    examination = examine(nearest_colour(RAW), images, classes)
    assert examination.recipe == TF.recipe(SIDE, SIDE, 3)
    (text,) = texts(examination.choice, "note")
    assert text.startswith("input range -1,1 is the default: ")
    assert "5 with 0,255, which is not significantly different (p = 0.250); give more labelled images" in text
    assert text.endswith("or input_range=0,255")


def test_classes_that_do_not_belong_to_the_images_choose_nothing():
    images, _ = labelled(60)
    classes = np.random.default_rng(3).integers(0, 4, 60).tolist()
    examination = examine(nearest_colour(RAW), images, classes)
    assert examination.recipe == TF.recipe(SIDE, SIDE, 3)
    (text,) = texts(examination.choice, "warning")
    assert text.startswith("input range -1,1 is a guess: with no common input range, significantly more calibration")
    assert text.endswith("check the labels, or give more labelled images")


def test_images_without_a_class_are_left_out():
    images, classes = labelled(60)
    known = [label if number < 40 else None for number, label in enumerate(classes)]
    examination = examine(nearest_colour(RAW), images, known)
    assert "chosen: 40 of 40 calibration images" in texts(examination.choice, "note")[0]


def test_grey_images_do_not_choose_a_channel_order():
    images, classes = labelled(40)
    grey = [np.repeat(pixels.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1) for pixels in images]
    examination = examine(nearest_colour(RAW), grey, classes)
    assert examination.recipe.order == "RGB"


def test_the_choice_does_not_depend_on_chance():
    images, classes = labelled(70)
    first, second = (examine(nearest_colour(RAW), images, classes) for _ in range(2))
    assert first == second


# By batch normalization


def test_without_classes_batch_normalization_decides():
    images, _ = labelled(40)
    examination = examine(nearest_colour(RAW, backbone=RAW), images)
    assert examination.recipe == RAW.recipe(SIDE, SIDE, 3)
    (text,) = texts(examination.choice, "note")
    assert text.startswith(
        "input range 0,255 chosen, by the model's batch normalizations: the images are at a distance"
    )
    assert texts(examination.findings, "wrong") == []


def test_without_classes_and_with_statistics_of_the_default_it_stays():
    images, _ = labelled(40)
    examination = examine(nearest_colour(TF, backbone=TF), images)
    assert examination.recipe == TF.recipe(SIDE, SIDE, 3)
    assert examination.choice == ()


def test_with_too_few_classes_batch_normalization_decides():
    images, classes = labelled(40)
    known = [label if number < 4 else None for number, label in enumerate(classes)]
    examination = examine(nearest_colour(RAW, backbone=RAW), images, known)
    assert examination.recipe == RAW.recipe(SIDE, SIDE, 3)
    assert "by the model's batch normalizations" in texts(examination.choice, "note")[0]


# By nothing


def test_without_classes_and_batch_normalization_the_top_scores_are_told():
    images, _ = labelled(40)
    examination = examine(nearest_colour(UNIT), images)
    assert examination.recipe == TF.recipe(SIDE, SIDE, 3)
    (text,) = texts(examination.choice, "note")
    assert text.startswith("input range -1,1 is a guess: the model has no batch normalization and the calibration")
    for name in COMMON:
        assert f" with {name}" in text
    assert text.endswith("Put the images into folders named after their classes, or give input_range=")


# Frozen backbones: statistics of one input range under layers that were trained with another one


def frozen():
    return nearest_colour(RAW, backbone=TF)


def test_accuracy_decides_against_batch_normalization():
    images, classes = labelled(40)
    examination = examine(frozen(), images, classes)
    assert examination.recipe == RAW.recipe(SIDE, SIDE, 3)
    assert "input range 0,255 chosen: 40 of 40 calibration images right, " in texts(examination.choice, "note")[0]
    assert texts(examination.findings, "wrong", "warning") == ["only 40 different images; use 50 or more, of all kinds"]
    both = texts(examination.findings, "note")[1]
    assert both.startswith("40 of 40 images are right with input_range=0,255, 10 with input_range=-1,1, so ")
    assert "although the model's batch normalizations were trained with input_range=-1,1" in both


def test_a_declared_range_that_classifies_better_is_no_mistake():
    images, classes = labelled(40)
    examination = examine(frozen(), images, classes, RAW)
    assert texts(examination.findings, "wrong") == []
    (both,) = texts(examination.findings, "note")
    assert both.startswith("40 of 40 images are right with input_range=0,255, 10 with input_range=-1,1, so ")


def test_without_classes_the_same_range_is_reported():
    images, _ = labelled(40)
    (text,) = texts(examine(frozen(), images, None, RAW).findings, "wrong")
    assert text.startswith("the images do not fit the model with input_range=0,255: ")
    assert "images are right" not in text


def test_a_range_that_classifies_worse_is_reported_with_both_numbers():
    images, classes = labelled(40)
    examination = examine(nearest_colour(TF, backbone=TF), images, classes, RAW)
    (text,) = texts(examination.findings, "wrong")
    assert text.startswith("the images do not fit the model with input_range=0,255: ")
    assert "images are right with input_range=0,255, 40 with input_range=-1,1" in text
