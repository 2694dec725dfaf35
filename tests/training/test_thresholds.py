"""Thresholds for a wanted precision, against brute force."""

import numpy as np
import pytest
from made_trainings import part

from edgenet.statistics import wilson
from edgenet.training.thresholds import MIN_ACCEPTED, accepted, smallest, thresholds


def brute_force(precision: float, confidence: np.ndarray, correct: np.ndarray) -> int:
    """The most images that a threshold with the precision can accept; 0 without one."""
    counts = [0]
    for score in np.unique(confidence):
        found = confidence >= score
        if found.sum() >= MIN_ACCEPTED and correct[found].mean() >= precision - 1e-9:
            counts.append(int(found.sum()))
    return max(counts)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("precision", [0.5, 0.9, 0.95, 0.99, 1.0])
def test_no_other_threshold_accepts_more(seed, precision):
    random = np.random.default_rng(seed)
    confidence = random.choice(np.linspace(0.3, 1, 40), 70)  # with ties
    correct = random.random(70) < confidence
    score = smallest(precision, confidence, correct)
    most = brute_force(precision, confidence, correct)
    if score is None:
        assert most == 0
        return
    found = accepted(score, confidence, correct)
    assert found.images == most
    assert found.precision == wilson(int(correct[confidence >= score].sum()), most)
    assert found.coverage == wilson(most, 70)


def test_by_hand():
    confidence = np.array([*[0.9] * 19, 0.8, 0.7, 0.6])
    correct = np.array([*[True] * 19, False, False, True])
    assert smallest(0.95, confidence, correct) == pytest.approx(0.75)  # 19 of 20
    assert smallest(1.0, confidence, correct) == pytest.approx(0.85)
    assert smallest(0.9, confidence, correct) == 0.0  # 20 of 22: all are accepted
    assert smallest(0.9, confidence[:9], correct[:9]) is None  # too few


def test_equal_scores_are_accepted_together():
    confidence, correct = np.array([0.9] * 10 + [0.5] * 10), np.array([True] * 19 + [False])
    assert smallest(1.0, confidence, correct) == pytest.approx(0.7)
    assert smallest(1.0, confidence[:11], np.array([True] * 11)) == 0.0


def test_validation_images_choose_and_test_images_judge():
    validation, test = part(400, 4, 3.0, 0), part(400, 4, 3.0, 1)
    found = thresholds((validation.labels, validation.scores), (test.labels, test.scores))
    assert [one.precision for one in found] == [0.9, 0.95, 0.99]
    for one in found:
        assert one.validation.precision.value >= one.precision
        expected = accepted(one.score, test.scores.max(axis=1).astype(float), test.scores.argmax(axis=1) == test.labels)
        assert one.test == expected
    assert [one.score for one in found] == sorted(one.score for one in found)


def test_a_precision_that_is_not_reached():
    labels, scores = np.arange(100) % 2, np.tile([0.8, 0.2], (100, 1))
    for one in thresholds((labels, scores), (labels, scores)):
        assert (one.score, one.validation, one.test) == (None, None, None)


def test_a_threshold_that_no_test_image_reaches():
    sure, unsure = np.tile([0.9, 0.1], (20, 1)), np.tile([0.6, 0.4], (20, 1))
    validation = np.concatenate([sure, unsure])
    found, *_ = thresholds((np.repeat([0, 1], 20), validation), (np.zeros(20, np.int64), unsure))
    assert found.score == pytest.approx(0.75)
    assert (found.test.images, found.test.precision) == (0, None)
