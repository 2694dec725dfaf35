"""Accuracies, confusions and baselines, against counts by hand."""

import numpy as np
import pytest
from made_trainings import check

from edgenet.records.training import Confusion
from edgenet.statistics import mcnemar, wilson
from edgenet.training import metrics

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 0, 0])


def test_accuracy_with_its_interval():
    assert metrics.accuracy(LABELS, PREDICTED) == wilson(3, 6)


def test_top_class_is_the_first_among_equals():
    assert metrics.top_class(np.array([[0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])).tolist() == [0, 2]


def test_classes():
    found = metrics.classes(check(("a", "b", "c"), 7, 2, 2).classes, LABELS, PREDICTED)
    assert [(one.name, one.train, one.validation, one.test, one.correct, one.predicted) for one in found] == [
        ("a", 7, 2, 3, 2, 4),
        ("b", 7, 2, 2, 1, 2),
        ("c", 7, 2, 1, 0, 0),
    ]
    assert found[0].accuracy == wilson(2, 3)


def test_confusion_has_every_image_once():
    assert metrics.confusion(LABELS, PREDICTED) == (
        Confusion(0, 0, 2),
        Confusion(0, 1, 1),
        Confusion(1, 0, 1),
        Confusion(1, 1, 1),
        Confusion(2, 0, 1),
    )


def test_the_majority_is_that_of_the_training_images():
    classes = (*check(("a",), 3, 9, 9).classes, *check(("b", "c"), 5, 1, 1).classes)
    assert metrics.majority(classes) == 1


def test_a_baseline_is_compared_image_by_image():
    simpler = np.array([0, 1, 1, 1, 1, 2])  # correct: 0, 3, 4, 5; the model: 0, 1, 3
    found = metrics.baseline("other", LABELS, PREDICTED, simpler)
    assert (found.name, found.only_model, found.only_baseline) == ("other", 1, 2)
    assert found.accuracy == wilson(4, 6)
    assert found.difference.value == pytest.approx(-1 / 6)
    assert found.difference.low < -1 / 6 < found.difference.high
    assert found.p_value == mcnemar(1, 2) == 1.0
