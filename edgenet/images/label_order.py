"""Are the labels in the order of the model's scores? Tried with images whose classes are known."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenet import statistics

# How often an order may be found that is no better: half of it for the order in which Keras' loaders sort folders,
# which is by far the likeliest, and half for all others together.
SIGNIFICANCE = 0.05
# Accuracy that another order gains at least. Similar classes that are interchanged gain less.
MIN_GAIN = 0.02
# Labels in a message: of a sorted order, and of one that follows no rule.
MAX_SHOWN, MAX_LISTED = 3, 10


@dataclass(frozen=True)
class OtherOrder:
    """An order of the labels under which the model classifies significantly better.

    Attributes:
        text: What was found, in one or two sentences, with both accuracies and what to do.
        given: Top-1 accuracy with the labels as they are, a fraction of the images.
        other: Top-1 accuracy with the labels in the other order.
        order: For each score, the index of its label among the labels as they are; -1 where the images do not show it.
        name: What the order is; None for the best matching, which follows no rule.
        p_value: Of McNemar's exact test of both accuracies.
    """

    text: str
    given: float
    other: float
    order: tuple[int, ...]
    name: str | None
    p_value: float


def find(
    predicted: Sequence[int] | np.ndarray,
    classes: Sequence[int | None],
    labels: Sequence[str],
    *,
    numbered: bool = False,
    source: str = "labels",
) -> OtherOrder | None:
    """Find out whether labels are in another order than the model's scores.

    The order that the labels have is compared with those that they commonly should have: sorted as Keras' loaders sort
    folders, without regard to case, by the numbers in them, numbers sorted as text; and with the best matching of
    scores and classes. The matching of one half of the images is judged on the other half.

    Args:
        predicted: The index of the highest score of each image, n integers.
        classes: The index of each image's class among `labels`, n of them; None where it is unknown.
        labels: The class names as given.
        numbered: Whether the images' classes were given as numbers (by a dataset), not by name. Then these numbers may
            be in another order, too.
        source: Where the labels are from, for the text: a file, or the name of a parameter.

    Returns:
        The order with the highest accuracy if it is significantly higher than that of the labels as they are (McNemar's
        exact test, p below 0.025 for Keras' order and for all others together) and above chance. None otherwise, which
        is so for a model that is no good in any order.
    """
    known = [(score, label) for score, label in zip(predicted, classes, strict=True) if label is not None]
    if not known or len(labels) < 2:
        return None
    scores, truth = np.array(known, dtype=np.int64).T
    as_given = scores == truth
    chance = max(1 / len(labels), max(Counter(truth.tolist()).values()) / len(truth))
    orders = _orders(labels, numbered)
    limit = SIGNIFICANCE / 2 / max(1, len(orders))

    def is_better(one: np.ndarray, other: np.ndarray, limit: float) -> bool:
        return bool(one.mean() >= other.mean() + MIN_GAIN) and _p_value(one, other) < limit

    def is_found(name: str | None, one: np.ndarray) -> bool:
        is_above_chance = statistics.wilson(int(one.sum()), len(one)).low > chance
        return is_above_chance and is_better(one, as_given, SIGNIFICANCE / 2 if name == _KERAS else limit)

    tried: list[tuple[str | None, np.ndarray, np.ndarray]] = [
        (name, order, order[scores] == truth) for name, order in orders.items()
    ]
    found = max((one for one in tried if is_found(one[0], one[2])), key=lambda one: float(one[2].mean()), default=None)
    matched = _matched_by_halves(scores, truth, len(labels))
    if is_found(None, matched) and (found is None or is_better(matched, found[2], limit)):
        found = (None, _matching(scores, truth, len(labels)), matched)
    if found is None:
        return None
    name, order, right = found
    accuracies = float(as_given.mean()), float(right.mean())
    text = _text(source, labels, accuracies, name, order)
    return OtherOrder(text, *accuracies, tuple(order.tolist()), name, _p_value(right, as_given))


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """The key that sorts names by the numbers in them: "2" before "10"."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return tuple((0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts)


_KERAS = "sorted alphabetically, as Keras sorts folders"
_TEXT = "with their numbers, counted from {}, sorted as text, as Keras sorts numbered folders"
_UNDONE = "in the order of their numbers, if these, counted from {}, were sorted as text"
_NUMBERED = "if the images' classes are numbers of the labels "


def _orders(labels: Sequence[str], numbered: bool) -> dict[str, np.ndarray]:
    """Orders that labels may be meant to have, by name: the index of the label of each score."""
    count = len(labels)
    keys: dict[str, Callable[[str], Any]] = {
        _KERAS: str,
        "sorted alphabetically, with underscores for spaces": lambda name: name.replace(" ", "_"),
        "sorted alphabetically, without regard to case": lambda name: (name.casefold(), name),
        "sorted by the numbers in them": natural,
    }
    orders = {name: _sorted(labels, key) for name, key in keys.items()}
    by_text = {start: sorted(range(count), key=lambda index: str(index + start)) for start in (0, 1)}
    orders |= {_TEXT.format(start): order for start, order in by_text.items()}
    orders |= {_UNDONE.format(start): _inverse(order) for start, order in by_text.items()}
    orders |= {
        "with each one place earlier": [*range(1, count), 0],
        "with each one place later": [count - 1, *range(count - 1)],
    }
    if numbered:
        orders |= {_NUMBERED + name: _inverse(order) for name, order in orders.items()}
    different: dict[tuple[int, ...], str] = {}
    for name, order in orders.items():
        different.setdefault(tuple(order), name)
    return {name: np.array(order) for order, name in different.items() if order != tuple(range(count))}


def _sorted(labels: Sequence[str], key: Callable[[str], Any]) -> list[int]:
    return sorted(range(len(labels)), key=lambda index: key(labels[index]))


def _inverse(order: Sequence[int]) -> list[int]:
    return np.argsort(order).tolist()


def _matching(scores: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    """The class of each score, int64 (count,), each class at most once: the most frequent pairs first; -1 for none."""
    pairs, images = np.unique(scores * count + truth, return_counts=True)
    matching, taken = np.full(count, -1), np.zeros(count, bool)
    for number in np.argsort(-images, kind="stable"):
        score, label = divmod(int(pairs[number]), count)
        if matching[score] < 0 and not taken[label]:
            matching[score], taken[label] = label, True
    return matching


def _matched_by_halves(scores: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    """Whether the matching of the other half of the images classifies each correctly, bool (n,).

    Judged on the images that it comes from, a matching of many classes is above chance for any scores.
    """
    seen: Counter[int] = Counter()
    second = np.zeros(len(truth), bool)
    for number, label in enumerate(truth.tolist()):
        second[number] = seen[label] % 2
        seen[label] += 1
    correct = np.zeros(len(truth), bool)
    for half in (second, ~second):
        correct[half] = _matching(scores[~half], truth[~half], count)[scores[half]] == truth[half]
    return correct


def _p_value(one: np.ndarray, other: np.ndarray) -> float:
    return statistics.mcnemar(int((one & ~other).sum()), int((other & ~one).sum()))


def _text(
    source: str, labels: Sequence[str], accuracies: tuple[float, float], name: str | None, order: np.ndarray
) -> str:
    given, other = (f"{accuracy:.2f}" for accuracy in accuracies)
    if name and name.startswith(_NUMBERED):
        return (
            f"{source}: in another order than the numbers of the images' classes: accuracy {given} as given, {other} "
            f"{name}; number the classes in the order of the labels"
        )
    start = f"{source}: in another order than the model's: accuracy {given} as given, {other} "
    if name:
        some = ", ".join(repr(labels[index]) for index in order[:MAX_SHOWN])
        more = ", ..." if len(labels) > MAX_SHOWN else ""
        return f"{start}{name} ({some}{more}); sort {source} so"
    changed = [
        f"{score} {labels[index]!r} (now {labels[score]!r})"
        for score, index in enumerate(order)
        if index not in (score, -1)
    ]
    more = f" and {len(changed) - MAX_LISTED:,} more" if len(changed) > MAX_LISTED else ""
    return (
        f"{start}under the best matching of labels and scores; it has these labels elsewhere: "
        f"{', '.join(changed[:MAX_LISTED])}{more}. Put them in this order"
    )
