"""The expected calibration error, by hand and by simulation."""

import numpy as np
import pytest
from made_trainings import part

from edgenet.statistics import wilson
from edgenet.training.reliability import MAX_BINS, reliability


def test_by_hand():
    # 20 images, two bins of 10: scores 0.6, of which 5 are right, and 0.9, all right.
    scores = np.array([[0.6, 0.4]] * 10 + [[0.9, 0.1]] * 10)
    labels = np.array([0, 1] * 5 + [0] * 10)
    found = reliability(labels, scores)
    assert [(one.images, round(one.confidence, 9), one.accuracy) for one in found.bins] == [
        (10, 0.6, wilson(5, 10)),
        (10, 0.9, wilson(10, 10)),
    ]
    assert found.error == pytest.approx(0.5 * 0.1 + 0.5 * 0.1)
    # sqrt(2 / pi) times the standard deviation of the number of right images in each bin, of 20.
    assert found.expected == pytest.approx(0.7978845608 * (np.sqrt(10 * 0.24) + np.sqrt(10 * 0.09)) / 20)


def test_a_calibrated_model_has_the_expected_error():
    errors, expected = [], []
    for seed in range(200):
        made = part(300, 5, 3.0, seed)
        found = reliability(made.labels, made.scores)
        errors.append(found.error)
        expected.append(found.expected)
        assert len(found.bins) == MAX_BINS
    # 200 means of 15 bins each: a standard error of about 1.5%; the normal distribution is a little off near 1.
    assert np.mean(errors) == pytest.approx(np.mean(expected), rel=0.08)


def test_a_model_that_is_too_sure():
    made = part(1_000, 4, 2.0, 0)
    powers = made.scores.astype(np.float64) ** 4
    sharper = powers / powers.sum(axis=1, keepdims=True)
    calibrated, sure = reliability(made.labels, made.scores), reliability(made.labels, sharper)
    assert sure.error > 5 * sure.expected > 0
    assert calibrated.error < 2 * calibrated.expected
    assert [one.images for one in calibrated.bins] == [67] * 10 + [66] * 5


def test_few_images_are_one_bin():
    found = reliability(np.array([0, 1, 1]), np.array([[0.8, 0.2], [0.3, 0.7], [1.0 + 1e-7, 0.0]], np.float32))
    (one,) = found.bins
    assert (one.images, one.accuracy.value) == (3, pytest.approx(2 / 3))
    assert one.confidence <= 1
    assert found.error == pytest.approx(abs(2 / 3 - (0.8 + 0.7 + 1) / 3), abs=1e-6)  # float32
