"""What is measured of a file against the float32 file, and how sure that makes a budget."""

import math

import numpy as np
import pytest
from recipes import RECIPE

from edgenet.budget.judge import Budget, Judge, Judged, Scorer


def judged(changed: int, views: int = 1_000, **flips: int) -> Judged:
    return Judged(0.1, views, views - changed, **flips)


@pytest.mark.parametrize("changed", [0, 3, 9, 12])
def test_the_confidence_in_a_drift_is_a_binomial_sum(changed):
    at_most = sum(math.comb(1_000, k) * 0.01**k * 0.99 ** (1_000 - k) for k in range(changed + 1))
    assert judged(changed).confidence(Budget(max_drift=0.01)) == pytest.approx(1 - at_most, rel=1e-9)


@pytest.mark.parametrize(("views", "limit", "most"), [(1_000, 0.01, 10), (100, 0.29, 29), (999, 0.01, 9), (50, 0.0, 0)])
def test_a_drift_is_kept_if_no_more_views_have_other_answers(views, limit, most):
    budget = Budget(max_drift=limit)
    assert judged(most, views).keeps(budget) and not judged(most + 1, views).keeps(budget)


def test_a_drop_of_accuracy_is_kept_if_no_more_views_are_lost_than_won():
    budget = Budget(max_accuracy_drop=0.01)
    assert judged(30, labelled=1_000, positive=5, negative=15).keeps(budget)
    assert not judged(30, labelled=1_000, positive=5, negative=16).keeps(budget)
    assert judged(3, labelled=1_000, negative=3, positive=3).keeps(Budget(max_accuracy_drop=0.0))


def test_both_parts_of_a_budget_must_be_kept():
    both = Budget(0.05, 0.01)
    one = judged(20, labelled=1_000, positive=0, negative=20)
    assert one.keeps(Budget(max_drift=0.05)) and not one.keeps(both)
    assert one.confidence(both) == one.confidence(Budget(max_accuracy_drop=0.01))
    assert judged(20, labelled=1_000, positive=10, negative=10).keeps(both)


def test_a_file_has_no_error_against_itself(tiny, evaluation_images):
    found = Judge(tiny, evaluation_images, [None] * 43, RECIPE).measure(tiny)
    assert found == Judged(0.0, 43, 43)


@pytest.fixture(scope="module")
def files(tiny_bundle) -> dict[str, bytes]:
    return {name: tiny_bundle.file(f"{name}.tflite").read_bytes() for name in ("float32", "int8")}


def test_answers_are_those_that_the_runner_gives(tiny_bundle, files, evaluation_images):
    from edgenet.litert.runner import Runner

    scores = [Runner(tiny_bundle.file(f"{name}.tflite"), RECIPE).scores(evaluation_images) for name in files]
    expected, actual = (part.argmax(axis=1) for part in scores)
    # Every third image is of the class that float32 gives, every third one of the class that int8 gives.
    labels = [(int(e), int(a), None)[n % 3] for n, (e, a) in enumerate(zip(expected, actual, strict=True))]
    found = Judge(files["float32"], evaluation_images, labels, RECIPE).measure(files["int8"])
    differs = expected != actual
    assert (found.views, found.agreeing) == (43, 43 - differs.sum())
    assert found.labelled == 29  # 43 without every third
    assert (found.negative, found.positive) == (differs[0::3].sum(), differs[1::3].sum())


def test_the_logit_error_is_that_of_log_probabilities_without_their_mean(files, evaluation_images):
    """A softmax takes away what all logits have in common: log p - mean(log p) is logit - mean(logit)."""
    found = Judge(files["float32"], evaluation_images, [None] * 43, RECIPE).measure(files["int8"])
    # All of the four classes are among the best five.
    log_p = np.log(Scorer(files["float32"], RECIPE)(evaluation_images)[1].astype(np.float64))
    expected = log_p - log_p.mean(axis=1, keepdims=True)
    actual, _ = Scorer(files["int8"], RECIPE)(evaluation_images)
    difference = actual - actual.mean(axis=1, keepdims=True) - expected
    # float32 probabilities have seven digits. The int8 range is not clipped: the logits differ by less than 10.
    assert found.logit_error == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-3)
