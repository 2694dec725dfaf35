"""Which of a sweep's files is better: by accuracy where it was measured, and else by what comes closest.

Agreement says how close a file is to its own model. It ranks the files of one model, and not those of several.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgenet.analysis.tradeoff import pareto_front
from edgenet.records import Interval, SweepEntry
from edgenet.records.enums import TextEnum


class Measure(TextEnum):
    """What files are ranked by."""

    ACCURACY = "accuracy"
    AGREEMENT = "agreement"
    # Of the float model; then by agreement.
    PUBLISHED = "published accuracy"


@dataclass(frozen=True)
class Ranking:
    """What some files are ranked by, and what should be known about it."""

    measure: Measure
    notes: tuple[str, ...] = ()

    def score(self, entry: SweepEntry) -> tuple[float, float] | None:
        """The higher, the better; None where an entry has no rank."""
        agreement = entry.agreement.value if entry.agreement else 0.0
        if self.measure == Measure.ACCURACY:
            return (entry.accuracy.value, agreement) if entry.accuracy else None
        if self.measure == Measure.AGREEMENT:
            return (entry.agreement.value, 0.0) if entry.agreement else None
        return None if entry.published_accuracy is None else (entry.published_accuracy, agreement)

    def value(self, entry: SweepEntry) -> float | None:
        """The fraction that an entry is ranked by first."""
        score = self.score(entry)
        return score[0] if score else None

    def interval(self, entry: SweepEntry) -> Interval | None:
        """The measured value with its confidence interval; None for a published accuracy, which has none."""
        if self.measure == Measure.PUBLISHED:
            return None
        return entry.accuracy if self.measure == Measure.ACCURACY else entry.agreement

    def ranked(self, entries: Sequence[SweepEntry]) -> list[SweepEntry]:
        """The entries that have a rank, the best first; of equal ones the faster, then the smaller first."""
        scored = [(score, entry) for entry in entries if (score := self.score(entry))]
        scored.sort(key=lambda pair: (-pair[0][0], -pair[0][1], *_cost(pair[1])))
        return [entry for _, entry in scored]

    def front(self, entries: Sequence[SweepEntry]) -> list[SweepEntry]:
        """The Pareto front of latency and rank: the entries that no other one beats, by latency."""
        scored = [(entry, score) for entry in entries if (score := self.score(entry))]
        ranks = {score: float(rank) for rank, score in enumerate(sorted({score for _, score in scored}))}
        # Of several on one point, the first stays.
        points = {(entry.latency.value, ranks[score]): entry for entry, score in reversed(scored)}
        return [points[point] for point in pareto_front(list(points))]


def ranking(entries: Sequence[SweepEntry]) -> Ranking | None:
    """How to rank files: by accuracy where any has one, else the files of one model by agreement, else as well as it
    goes.

    Args:
        entries: Of one device or of several.

    Returns:
        The ranking; None where nothing was measured that files could be ranked by.
    """
    models = {entry.model for entry in entries}
    if any(entry.accuracy for entry in entries):
        missing = len({(entry.model, entry.variant) for entry in entries if not entry.accuracy})
        note = f"{missing:,} file{'s' * (missing > 1)} without a measured accuracy left out"
        return Ranking(Measure.ACCURACY, (note,) if missing else ())
    if len(models) > 1 and all(entry.published_accuracy is not None for entry in entries):
        note = "no accuracy was measured: ranked by the published accuracy of the float models, then by agreement"
        return Ranking(Measure.PUBLISHED, (note,))
    if any(entry.agreement for entry in entries):
        note = (
            "no accuracy was measured: ranked by agreement, which says how close a file is to its own model, and not "
            "how good that model is"
        )
        return Ranking(Measure.AGREEMENT, (note,) if len(models) > 1 else ())
    return None


def fastest_threads(entries: Sequence[SweepEntry]) -> list[SweepEntry]:
    """Each file of each device on the number of threads with its lowest median latency, in their order."""
    best: dict[tuple[str, str, str], SweepEntry] = {}
    for entry in entries:
        key = entry.device, entry.model, entry.variant
        if key not in best or entry.latency.value < best[key].latency.value:
            best[key] = entry
    return list(best.values())


def _cost(entry: SweepEntry) -> tuple[float, int, str, str, int]:
    """What orders files of equal rank; the names make the order the same in every run."""
    return entry.latency.value, entry.bytes, entry.model, entry.variant, entry.threads
