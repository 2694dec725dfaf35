"""Agreement or accuracy of variants against their cost, latency or size."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgenet.analysis.performance import fastest
from edgenet.records import Accuracy, Interval, Results
from edgenet.statistics import wilson

AGREEMENT, LABEL_AGREEMENT, ACCURACY = "top-1 agreement", "label agreement", "accuracy"


@dataclass(frozen=True)
class Point:
    """A variant, its cost and its value."""

    variant: str
    # Of the results that it is from; empty where there is only one.
    group: str
    # Latency on the number of threads that is fastest.
    seconds: float
    bytes: int
    # A fraction of the images.
    value: Interval


def points(results: Results, group: str = "") -> tuple[str, list[Point]]:
    """The variants with their top-1 agreement or label agreement; with their accuracy where there is no reference.

    Returns:
        AGREEMENT, LABEL_AGREEMENT or ACCURACY, and the points.
    """
    drifts = [(m, m.drift) for m in results.measurements if m.drift]
    labels = [(m, drift.label_agreement.decisions) for m, drift in drifts if drift.label_agreement]
    agreements = [(m, drift.agreement.interval) for m, drift in drifts if drift.agreement]
    accuracies = [(m, _interval(drift.accuracy)) for m, drift in drifts if drift.accuracy]
    choices = ((LABEL_AGREEMENT, labels), (AGREEMENT, agreements), (ACCURACY, accuracies))
    name, values = next((choice for choice in choices if choice[1]), choices[-1])
    return name, [Point(m.name, group, fastest(m).median, m.bytes, value) for m, value in values]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points (cost, value) that no other point beats, by cost.

    A point is beaten by another that costs no more and has a higher value, or costs less and has the same value.
    """
    front: list[tuple[float, float]] = []
    for cost, value in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or value > front[-1][1]:
            front.append((cost, value))
    return front


def _interval(accuracy: Accuracy) -> Interval:
    # Older formats do not record it.
    return accuracy.interval or wilson(round(accuracy.top1 * accuracy.images), accuracy.images)
