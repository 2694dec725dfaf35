"""The last layer: its minimum, its weights of classes, and its choice of a penalty."""

import numpy as np
import pytest

from edgenet.training import head, lbfgs


def blobs(seed, counts, features=6, spread=1.0):
    """Points around the centre of each class."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(0, 1.5, (len(counts), features))
    labels = np.repeat(np.arange(len(counts)), counts)
    return (centres[labels] + random.normal(0, spread, (len(labels), features))).astype(np.float32), labels


def test_lbfgs_finds_the_minimum_of_a_quadratic():
    random = np.random.default_rng(0)
    root = random.normal(size=(30, 30))
    matrix, target = root @ root.T + np.eye(30), random.normal(size=30)

    def quadratic(point):
        gap = point - target
        return float(gap @ matrix @ gap) / 2, matrix @ gap

    # A gradient of 1e-7, and no eigenvalue below 1: no further away than that times the root of 30.
    found = lbfgs.minimize(quadratic, np.zeros(30), tolerance=1e-7)
    np.testing.assert_allclose(found, target, atol=1e-6)


def test_the_gradient_is_that_of_the_loss():
    features, labels = blobs(1, (5, 9, 4))
    problem = head._Problem(features, labels, 3)
    point = np.random.default_rng(2).normal(0, 0.3, 21)
    _, gradient = problem.loss(point, 0.1)
    # Float32 sums, rounded to 1e-7 of about 1, divided by a step of 1e-2; the third derivative adds less.
    for place in range(21):
        step = np.zeros(21)
        step[place] = 1e-2
        slope = (problem.loss(point + step, 0.1)[0] - problem.loss(point - step, 0.1)[0]) / 2e-2
        assert slope == pytest.approx(gradient[place], abs=1e-3)


def test_classes_that_can_be_told_apart_are():
    (features, labels), (others, truth) = blobs(1, (40, 40, 40), spread=0.5), blobs(2, (40, 40, 40), spread=0.5)
    found = head.fit(features, labels, others, truth, 3)
    scores = found.scores(others)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (scores.argmax(axis=1) == truth).mean() > 0.95


def test_noise_gets_a_strong_penalty_and_a_signal_a_weak_one():
    random = np.random.default_rng(5)
    noise, labels = random.normal(size=(60, 40)).astype(np.float32), random.integers(0, 3, 60)
    other, truth = random.normal(size=(60, 40)).astype(np.float32), random.integers(0, 3, 60)
    signal, signal_labels = blobs(1, (200, 200, 200), spread=0.5)
    assert head.fit(noise, labels, other, truth, 3).penalty == max(head.PENALTIES)
    assert head.fit(signal, signal_labels, *blobs(2, (200, 200, 200), spread=0.5), 3).penalty <= 0.03


def test_many_rows_are_fitted_as_few_are(monkeypatch):
    features, labels = blobs(1, (60, 90, 50))
    validation = blobs(2, (30, 30, 30))
    whole = head.fit(features, labels, *validation, 3, [0.1])
    monkeypatch.setattr(head, "MAX_ROWS", 50)
    monkeypatch.setattr(head, "CHUNK", 64)
    thinned = head.fit(features, labels, *validation, 3, [0.1])
    # Both end where no part of the gradient is above 1e-4; the curvature is that of the penalty, 0.1, at least.
    np.testing.assert_allclose(thinned.scores(features), whole.scores(features), atol=5e-3)


def test_class_weights():
    weights = head.class_weights(np.repeat([0, 1], [90, 10]), 2)
    assert weights[1] / weights[0] == pytest.approx(3)  # the root of 9
    assert (90 * weights[0] + 10 * weights[1]) / 100 == pytest.approx(1)


def test_scores_out_of_fold_do_not_know_their_own_label():
    """Of pairs of equal images, one has a wrong label: a head that saw either would say so."""
    features, labels = blobs(1, (40, 40, 40), spread=0.3)
    wrong = labels.copy()
    wrong[::10] = (wrong[::10] + 1) % 3
    scores = head.out_of_fold(features, wrong, np.arange(120), 3, 0.01)
    assert (scores.argmax(axis=1) == labels)[::10].mean() > 0.8


def test_groups_are_held_out_together():
    random = np.random.default_rng(3)
    # Random labels, and each image four times: only a head that saw a copy can know them.
    features = np.repeat(random.normal(size=(50, 60)), 4, axis=0).astype(np.float32)
    labels, groups = np.repeat(random.integers(0, 2, 50), 4), np.repeat(np.arange(50), 4)
    together = head.out_of_fold(features, labels, groups, 2, 1e-3)
    apart = head.out_of_fold(features, labels, np.arange(200), 2, 1e-3)
    assert (apart.argmax(axis=1) == labels).mean() > 0.95
    assert (together.argmax(axis=1) == labels).mean() < 0.75
