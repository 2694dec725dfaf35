"""The last layer: multinomial logistic regression on features of the frozen network, its penalty chosen on validation.

Where a few photos of each class are all there is, this alone is hard to beat (Kornblith et al., Do Better ImageNet
Models Transfer Better?, arXiv:1805.08974), and it takes seconds. On 400 photos of ImageNet in five classes, features of
augmented views and label smoothing brought nothing (77 % of the held-out photos with and without, eight splits), so it
has neither.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgenet import scores as probability
from edgenet.records import ScoreKind
from edgenet.records.training import Epoch
from edgenet.training import lbfgs

# L2 penalties on standardized features, relative to the mean loss of an image; the strongest first: each fit begins
# where the last one ended.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
# The penalty is chosen on at most so many rows.
MAX_ROWS = 20_000
# Rows that are computed at a time: features of many images need not be in memory.
CHUNK = 8_192
FOLDS = 5


@dataclass(frozen=True)
class LinearHead:
    """A fitted last layer.

    Attributes:
        kernel: float32 (features, classes).
        bias: float32 (classes,).
        penalty: The L2 penalty.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Probabilities, float32 (n, classes), of features (n, features)."""
        logits = features @ self.kernel + self.bias
        return probability.probabilities(logits, ScoreKind.LOGITS).astype(np.float32)


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """The weight of an image of each class, float32 (classes,): 1 on average over all images.

    A small class weighs more, by the square root of its rarity (as Mahajan et al., arXiv:1805.00932, repeat images): by
    all of it, ten photos would be as important as ten thousand.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    return (weights * len(labels) / float((weights * counts).sum())).astype(np.float32)


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    validation_features: np.ndarray,
    validation_labels: np.ndarray,
    classes: int,
    penalties: Sequence[float] = PENALTIES,
) -> LinearHead:
    """Fit heads with several penalties, and keep the one with the smallest loss on validation.

    Args:
        features: Of training images, float32 (n, features).
        labels: int64 (n,).
        validation_features: float32 (m, features).
        validation_labels: int64 (m,).
        classes: The number of classes.
        penalties: To choose from, the strongest first.
    """
    problem = _Problem(features, labels, classes)
    some = problem if len(features) <= MAX_ROWS else problem.thinned(MAX_ROWS)
    point, best, least = some.start(), None, np.inf
    for penalty in penalties:
        point = lbfgs.minimize(lambda at, penalty=penalty: some.loss(at, penalty), point)  # type: ignore[misc]
        head = some.head(point, penalty)
        loss = cross_entropy(head.scores(validation_features), validation_labels)
        if loss < least:
            best, least, chosen = head, loss, point
    assert best is not None
    if some is problem:
        return best
    point = lbfgs.minimize(lambda at: problem.loss(at, best.penalty), chosen, max_steps=50)
    return problem.head(point, best.penalty)


def out_of_fold(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, classes: int, penalty: float
) -> np.ndarray:
    """Scores of each image by a head that was fitted without its group: cross-validation.

    Args:
        features: float32 (n, features).
        labels: int64 (n,).
        groups: The number of each image's group, int64 (n,): images of a group show nearly the same.
        classes: The number of classes.
        penalty: The L2 penalty.

    Returns:
        float32 (n, classes).
    """
    # A group's number does not depend on the class; images come sorted by class, so that each fold has all classes.
    order = {group: number for number, group in enumerate(dict.fromkeys(groups.tolist()))}
    folds = np.array([order[group] % FOLDS for group in groups.tolist()])
    scores = np.full((len(labels), classes), 1 / classes, np.float32)
    for fold in range(FOLDS):
        held = folds == fold
        if held.any() and not held.all():
            problem = _Problem(features[~held], labels[~held], classes)
            point = lbfgs.minimize(lambda at: problem.loss(at, penalty), problem.start(), max_steps=50)  # noqa: B023
            scores[held] = problem.head(point, penalty).scores(features[held])
    return scores


def cross_entropy(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean negative logarithm of the probability of the right class, in nats."""
    right = scores[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(right, 1e-12)).mean())


def as_epoch(
    phase: str,
    head: LinearHead,
    features: np.ndarray,
    labels: np.ndarray,
    validation_features: np.ndarray,
    validation_labels: np.ndarray,
) -> Epoch:
    """Loss and accuracy of a head on training and validation images, as a row of a training's history; 0 seconds."""

    def found(rows: np.ndarray, right: np.ndarray) -> tuple[float, float]:
        scores = head.scores(rows)
        return cross_entropy(scores, right), float((scores.argmax(axis=1) == right).mean())

    return Epoch(phase, 1, *found(features, labels), *found(validation_features, validation_labels), 0.0)


class _Problem:
    """The loss of a linear head on training images."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, classes: int):
        self._features, self._labels, self._classes = features, labels, classes
        self._weights = class_weights(labels, classes)
        count = max(1, len(features))
        self._mean = sum(part.sum(axis=0, dtype=np.float64) for _, part in self._parts()) / count
        squares = sum(((part - self._mean) ** 2).sum(axis=0) for _, part in self._parts()) / count
        # Features that are nearly constant must not become large.
        deviation = np.sqrt(squares)
        self._mean = self._mean.astype(np.float32)
        self._std = np.maximum(deviation, 0.05 * max(float(deviation.mean()), 1e-6)).astype(np.float32)

    def _parts(self) -> Iterator[tuple[slice, np.ndarray]]:
        for start in range(0, len(self._features), CHUNK):
            rows = slice(start, start + CHUNK)
            yield rows, np.asarray(self._features[rows])

    def thinned(self, count: int) -> "_Problem":
        """The same with fewer rows, at equal distances."""
        rows = np.linspace(0, len(self._features) - 1, count).astype(int)
        return _Problem(np.asarray(self._features[rows]), self._labels[rows], self._classes)

    def start(self) -> np.ndarray:
        return np.zeros((self._features.shape[1] + 1) * self._classes)

    def loss(self, point: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
        """The loss at a point, kernel and bias of standardized features, and its gradient."""
        matrix = point.reshape(-1, self._classes).astype(np.float32)
        kernel, bias = matrix[:-1], matrix[-1]
        total, gradient = 0.0, np.zeros(matrix.shape, np.float64)
        for rows, part in self._parts():
            standard = (part - self._mean) / self._std
            labels = self._labels[rows]
            weights = self._weights[labels]
            logits = standard @ kernel + bias
            logits -= logits.max(axis=1, keepdims=True)
            exponents = np.exp(logits)
            sums = exponents.sum(axis=1, keepdims=True)
            right = np.arange(len(labels)), labels
            total += float((weights * (np.log(sums[:, 0]) - logits[right])).sum(dtype=np.float64))
            errors = exponents / sums
            errors[right] -= 1
            errors *= weights[:, None]
            gradient[:-1] += standard.T @ errors
            gradient[-1] += errors.sum(axis=0)
        count = len(self._features)
        gradient /= count
        exact = point.reshape(-1, self._classes)[:-1]
        gradient[:-1] += penalty * exact
        return total / count + penalty / 2 * float((exact**2).sum()), gradient.ravel()

    def head(self, point: np.ndarray, penalty: float) -> LinearHead:
        """The head at a point, for features as they are."""
        matrix = point.reshape(-1, self._classes)
        kernel = matrix[:-1] / self._std[:, None]
        bias = matrix[-1] - self._mean @ kernel
        return LinearHead(kernel.astype(np.float32), bias.astype(np.float32), penalty)
