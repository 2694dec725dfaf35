"""What a model gets right: accuracies, confusions, and the comparison with simpler classifiers."""

from collections.abc import Sequence

import numpy as np

from edgenet.records.drift import Interval
from edgenet.records.training import Baseline, Confusion, PhotoClass, TrainedClass
from edgenet.statistics import mcnemar, paired_difference, wilson

MAJORITY, LINEAR_HEAD = "majority class", "linear head"


def top_class(scores: np.ndarray) -> np.ndarray:
    """The class with the best score, the first among equals: int64 (n,) of float (n, classes)."""
    return scores.argmax(axis=1)


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> Interval:
    """The fraction that is classified correctly, with Wilson's interval.

    Args:
        labels, predicted: Classes, int64 (n,), n above 0.
    """
    return wilson(int((labels == predicted).sum()), len(labels))


def classes(counted: Sequence[PhotoClass], labels: np.ndarray, predicted: np.ndarray) -> tuple[TrainedClass, ...]:
    """Each class, and the accuracy of its test images.

    Args:
        counted: The images of each class.
        labels, predicted: Of the test images, int64 (n,); each class has some.
    """
    count = len(counted)
    images = np.bincount(labels, minlength=count)
    correct = np.bincount(labels[labels == predicted], minlength=count)
    put = np.bincount(predicted, minlength=count)
    numbers = zip(counted, images.tolist(), correct.tolist(), put.tolist(), strict=True)
    return tuple(
        TrainedClass(one.name, one.train, one.validation, total, right, found, wilson(right, total))
        for one, total, right, found in numbers
    )


def confusion(labels: np.ndarray, predicted: np.ndarray) -> tuple[Confusion, ...]:
    """How many images of each class are put into each class, without zeros.

    Args:
        labels, predicted: Classes, int64 (n,).
    """
    pairs, counts = np.unique(np.stack([labels, predicted], axis=1), axis=0, return_counts=True)
    return tuple(
        Confusion(label, other, count) for (label, other), count in zip(pairs.tolist(), counts.tolist(), strict=True)
    )


def majority(counted: Sequence[PhotoClass]) -> int:
    """The class with most training images, the first among equals."""
    return max(range(len(counted)), key=lambda label: counted[label].train)


def baseline(name: str, labels: np.ndarray, predicted: np.ndarray, simpler: np.ndarray) -> Baseline:
    """A simpler classifier on the same images, and what the model is better by.

    The difference has Newcombe's interval for paired fractions, and the p-value is that of McNemar's exact test
    (`edgenet.statistics`).

    Args:
        name: Of the simpler classifier.
        labels: Classes, int64 (n,).
        predicted: By the model.
        simpler: By the simpler classifier.
    """
    model, other = labels == predicted, labels == simpler
    both, neither = int((model & other).sum()), int((~model & ~other).sum())
    only_model, only_other = int((model & ~other).sum()), int((other & ~model).sum())
    return Baseline(
        name,
        accuracy(labels, simpler),
        only_model,
        only_other,
        paired_difference(both, only_model, only_other, neither),
        mcnemar(only_model, only_other),
    )
