"""The score from which on an app may show its class: rare errors for the images that are left out.

A classifier that abstains, and the trade of precision for coverage: C. K. Chow, On Optimum Recognition Error and Reject
Tradeoff (IEEE Transactions on Information Theory 16, 1970, 41-46); Y. Geifman, R. El-Yaniv, Selective Classification
for Deep Neural Networks (NeurIPS 2017, arXiv:1705.08500).
"""

from collections.abc import Sequence

import numpy as np

from edgenet.records.training import Accepted, Threshold
from edgenet.statistics import wilson

PRECISIONS = (0.9, 0.95, 0.99)
# A precision of fewer images is reached by chance.
MIN_ACCEPTED = 10
# 0.95 x 20 may be a little more than 19.
ROUNDING = 1e-9


def thresholds(
    validation: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    precisions: Sequence[float] = PRECISIONS,
) -> tuple[Threshold, ...]:
    """For each wanted precision the smallest threshold that reaches it on the validation images.

    The threshold is the best of many for the validation images, so their precision is a little too high; that of the
    test images, which did not choose it, is not.

    Args:
        validation, test: Classes, int64 (n,), and probabilities, float (n, classes).
        precisions: Fractions of accepted images that are classified correctly.
    """
    return tuple(_threshold(precision, validation, test) for precision in precisions)


def _threshold(
    precision: float, validation: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> Threshold:
    score = smallest(precision, *_outcomes(*validation))
    if score is None:
        return Threshold(precision, None, None, None)
    return Threshold(precision, score, accepted(score, *_outcomes(*validation)), accepted(score, *_outcomes(*test)))


def _outcomes(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best score of each image, float64 (n,), and whether it is right."""
    return np.clip(scores.max(axis=1).astype(np.float64), 0, 1), scores.argmax(axis=1) == labels


def smallest(precision: float, confidence: np.ndarray, correct: np.ndarray) -> float | None:
    """The smallest threshold with a precision, or None where there is none with MIN_ACCEPTED images.

    It lies in the middle between the smallest accepted score and the largest one that is not; 0 accepts all.

    Args:
        precision: The wanted one.
        confidence: The best scores, float64 (n,).
        correct: Whether they are right, bool (n,).
    """
    order = np.argsort(-confidence, kind="stable")
    sure, right = confidence[order], np.cumsum(correct[order])
    numbers = np.arange(1, len(order) + 1)
    # Images with equal scores are accepted together.
    last_of_equals = np.append(sure[1:] < sure[:-1], True)
    reached = np.flatnonzero((right >= precision * numbers - ROUNDING) & (numbers >= MIN_ACCEPTED) & last_of_equals)
    if not len(reached):
        return None
    last = int(reached[-1])
    return 0.0 if last == len(order) - 1 else float((sure[last] + sure[last + 1]) / 2)


def accepted(score: float, confidence: np.ndarray, correct: np.ndarray) -> Accepted:
    """The images with a threshold's score or a better one.

    Args:
        score: The threshold.
        confidence, correct: As in `smallest`.
    """
    found = confidence >= score
    count = int(found.sum())
    precision = wilson(int(correct[found].sum()), count) if count else None
    return Accepted(count, wilson(count, len(confidence)), precision)
