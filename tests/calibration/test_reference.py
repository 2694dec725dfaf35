"""Keras' own accuracy and scores, and why they may be bad: the usual causes, tried."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colour_models import NAMES, SIDE, labelled, nearest_colour, save
from PIL import Image

from edgenet.images import listing
from edgenet.images.input_range import COMMON
from edgenet.images.resize_options import ResizeOptions
from edgenet.images.splits import DataSplit, from_folders
from edgenet.progress import SILENT
from edgenet.quiet import quiet
from edgenet.records import ScoreKind

RAW, UNIT, TF = COMMON["0,255"], COMMON["0,1"], COMMON["-1,1"]


# Counting


def tally_of(scores, kind=ScoreKind.SOFTMAX):
    from edgenet.calibration.reference import ReferenceTally

    tally = ReferenceTally(np.shape(scores)[1], kind)
    for batch in np.array_split(np.array(scores, np.float32), 2):
        tally.add(batch)
    return tally


def test_accuracy_chance_and_top_score():
    tally = tally_of([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.0, 0.1, 0.9], [0.5, 0.5, 0.0]])
    scores = tally.record([0, 1, None, 1])
    assert tally.predicted == (0, 1, 2, 0)  # the lowest of equals
    assert scores.accuracy.value == 2 / 3
    assert scores.chance == 2 / 3  # of class 1, more than a third
    assert scores.mean_top_score == pytest.approx((0.7 + 0.4 + 0.9 + 0.5) / 4, rel=1e-6)  # of float32 scores


def test_without_labels_there_is_a_top_score_only():
    scores = tally_of([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3]]).record([None, None])
    assert (scores.accuracy, scores.chance) == (None, None)
    assert scores.mean_top_score == pytest.approx(0.55, rel=1e-6)


def test_the_top_score_of_logits_is_that_of_their_softmax():
    scores = tally_of(np.log([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3]]), ScoreKind.LOGITS).record([None, None])
    assert scores.mean_top_score == pytest.approx(0.55, rel=1e-6)


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([0, 1, 2, 3], 4, 0.25),
        ([0, 1, 2, 3], 1000, 0.25),  # one of these four is the best guess
        ([0, 0, 0, 1], 4, 0.75),
        ([2, 2, 2], 4, 0.25),  # of one class alone: not 1, which no model could exceed
    ],
)
def test_chance(labels, classes, expected):
    from edgenet.calibration.trials import chance

    assert chance(labels, classes) == expected


@pytest.mark.parametrize(
    ("top", "classes", "kind", "uniform"),
    [
        (0.04, 46, ScoreKind.SOFTMAX, True),  # uniform: 0.022
        (0.5, 46, ScoreKind.SOFTMAX, False),
        (0.54, 2, ScoreKind.SOFTMAX, True),
        (0.56, 2, ScoreKind.SOFTMAX, False),
        (0.04, 46, ScoreKind.SIGMOID, False),  # no label is present
    ],
)
def test_nearly_uniform_scores(top, classes, kind, uniform):
    from edgenet.calibration.reference import is_nearly_uniform

    assert is_nearly_uniform(top, classes, kind) == uniform


# Causes


def doubts(model, split: DataSplit, declared=TF, *, labels=NAMES, like=None) -> list[str]:
    """What is said about a model whose input range is given."""
    with quiet():
        from edgenet.calibration import fit, reference
        from edgenet.images import preprocess
        from edgenet.model import keras_model

        resize = ResizeOptions(like=like)
        classifier = keras_model.from_keras(model, "colours", input_range=declared, resize=resize)
        examination = fit.examine(classifier, split.calibration, SILENT, classes=split.calibration_truth or None)
        tally = reference.ReferenceTally(classifier.classes, examination.scores)
        for scores in classifier.scores(
            preprocess.batches(preprocess.load_all(split.evaluation, classifier.recipe), 8)
        ):
            tally.add(scores)
        found = reference.doubts(classifier, split, labels, examination, tally, SILENT)
    assert {finding.level for finding in found} <= {"warning"}
    return [finding.text for finding in found]


@pytest.fixture
def colours(tmp_path) -> Path:
    """80 images in folders of their classes."""
    return save(*labelled(80), tmp_path / "colours")


@pytest.fixture
def unlabelled(tmp_path) -> Path:
    """40 others without classes."""
    return save(*labelled(40, seed=2), tmp_path / "unlabelled", folders=False)


def test_a_good_model_is_not_doubted(colours):
    assert doubts(nearest_colour(TF), from_folders(colours, None, NAMES)) == []


def test_a_wrong_input_range_is_named(colours):
    odd, cause = doubts(nearest_colour(RAW), from_folders(colours, None, NAMES))
    assert odd.startswith("Keras' own accuracy on 40 labelled evaluation images, 0.")
    assert " is not significantly above chance, 0." in odd
    assert cause.startswith(
        "another input range fits better: 40 of 40 calibration images are right with input_range=0,"
    )
    assert cause.endswith(" with input_range=-1,1; give input_range=0,255")


def test_a_wrong_channel_order_is_named(tmp_path):
    images, classes = labelled(160)
    used = [number for number, label in enumerate(classes) if label in (0, 2)]  # brick and sea
    folder = save([images[number] for number in used], [classes[number] for number in used], tmp_path / "two")
    wanted = replace(UNIT, order="BGR")
    _, labels, cause = doubts(nearest_colour(wanted), from_folders(folder, None, NAMES), UNIT)
    # Without looking at colours, the two names could also be the wrong way round.
    assert labels.startswith("labels: in another order than the model's: accuracy 0.00 as given, 1.00 under the best ")
    assert cause.startswith("another input range fits better: 40 of 40 calibration images are right with ")
    assert cause.endswith('channel_order="BGR"')


def test_a_wrong_channel_order_is_named_where_half_of_the_images_are_right(colours):
    labels, cause = doubts(nearest_colour(replace(UNIT, order="BGR")), from_folders(colours, None, NAMES), UNIT)
    assert " under the best matching of labels and scores" in labels
    assert cause.endswith('give input_range=0,1 channel_order="BGR"')


def test_labelled_evaluation_images_tell_where_calibration_images_have_no_classes(colours, unlabelled):
    _, cause = doubts(nearest_colour(RAW), from_folders(unlabelled, colours, NAMES))
    assert cause.startswith("another input range fits better: 80 of 80 evaluation images are right with input_range=0,")


def test_labels_in_another_order_are_found(colours):
    # Nothing but the order is wrong, and accuracy is not at chance: two of four labels are right.
    given = ["fog", "brick", "sea", "snow"]
    (text,) = doubts(nearest_colour(TF), from_folders(colours, None, given), labels=given)
    assert " as given, 1.00 sorted alphabetically, as Keras sorts folders" in text


def test_labels_in_another_order_hide_the_input_range(colours):
    given = ["fog", "sea", "snow", "brick"]
    odd, cause = doubts(nearest_colour(RAW), from_folders(colours, None, given), labels=given)
    assert " is not significantly above chance" in odd
    assert cause.startswith("with input_range=0,255, labels: in another order than the model's: accuracy 0.00 as given")


def test_another_way_of_resizing_is_no_other_cause(tmp_path):
    # Wide images: the centre is grey for all classes, and only the ends are in the colour of the class. That is said of
    # the calibration images (`test_resize_fit`), so here it must not be said that no cause fits.
    folder = tmp_path / "wide"
    for number, (pixels, label) in enumerate(zip(*labelled(80), strict=True)):
        grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
        path = folder / NAMES[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate([pixels, pixels, grey, pixels, pixels], axis=1)).save(path)
    split = from_folders(folder, None, NAMES)
    (text,) = doubts(nearest_colour(TF), split, like="imagenet")
    assert " is not significantly above chance, " in text
    assert "cause" not in text
    assert doubts(nearest_colour(TF), split) == []


def test_where_no_cause_fits_that_is_said(tmp_path):
    images, _ = labelled(80)
    folder = save(images, np.random.default_rng(4).integers(0, 4, 80).tolist(), tmp_path / "mixed")
    (text,) = doubts(nearest_colour(TF), from_folders(folder, None, NAMES))
    # Images of the model's own size need no resizing.
    assert "; none of the usual causes fits: input range, channel order and order of the labels were tried on" in text
    assert text.endswith("on 40 calibration images. Check that the labels belong to the images and to the model")


def test_resizing_is_among_the_causes_that_were_tried(tmp_path):
    images = [np.tile(pixels, (1, 2, 1)) for pixels in labelled(80)[0]]
    folder = save(images, np.random.default_rng(4).integers(0, 4, 80).tolist(), tmp_path / "mixed")
    (text,) = doubts(nearest_colour(TF), from_folders(folder, None, NAMES))
    assert " on 40 calibration images, resize mode and interpolation on 40 calibration images. Check that " in text


def test_uniform_scores_without_classes(unlabelled):
    # In [0, 1], the model is sure; in [0, 1 / 255] all distances are the same.
    paths = tuple(listing.find_images(unlabelled).paths)
    split = DataSplit(paths[:20], paths[20:], unlabelled, (None,) * 20)
    tiny = type(TF).between(0, 1 / 255)
    odd, cause = doubts(nearest_colour(tiny, sharpness=1e-6), split, tiny)
    assert odd.startswith("Keras' own scores are nearly uniform: the mean top score of 4 classes is 0.2")
    assert cause.startswith("the mean top score by input range is 0.2")
    for name in COMMON:
        assert f" with {name}" in cause
    assert cause.endswith("If the model was trained with another one than the first, give input_range=")
