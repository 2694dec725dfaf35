"""Which file of a sweep to use on a device: the best one that keeps some limits.

A limit is kept, or missed, where the whole 95% confidence interval of the measured value is on its side, and undecided
otherwise. The interval of a latency is of one run: it is widened by the spread of runs that its quality allows
(`edgenet.machine.quality.SPREAD_LIMITS`), as in comparisons; one of poor quality by more (`POOR_MARGIN`).
"""

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edgenet.analysis.decisions import Reason, judge_size
from edgenet.analysis.ranking import Ranking, ranking
from edgenet.analysis.verdict import worst
from edgenet.errors import EdgenetError
from edgenet.machine.quality import SPREAD_LIMITS, threads
from edgenet.records import Grade, Interval, Outcome, Sweep, SweepEntry
from edgenet.records.shown import Shown

# Names in an error.
MAX_NAMES = 8
# By how many times another run may be faster or slower than one of poor quality: a core that is shared with one other
# program, or a CPU that halves its frequency when hot, takes twice the time.
POOR_MARGIN = 2.0


@dataclass(frozen=True)
class Budget:
    """What a file must keep; None for no limit."""

    # The largest median latency, in seconds.
    max_latency: float | None = None
    # Fractions of images.
    min_accuracy: float | None = None
    min_agreement: float | None = None
    # In bytes.
    max_size: int | None = None


@dataclass(frozen=True)
class Candidate:
    """A file on some number of threads, and how it stands to each limit."""

    entry: SweepEntry
    # One for each limit.
    reasons: tuple[Reason, ...]

    @property
    def outcome(self) -> Outcome:
        """PASS: it keeps all limits. FAIL: it misses one."""
        return worst(reason.outcome for reason in self.reasons)

    @property
    def leaning(self) -> Outcome:
        """What the outcome is, or would be if the measured values were the true ones."""
        return worst(reason.leaning or reason.outcome for reason in self.reasons)


@dataclass(frozen=True)
class Choice(Shown):
    """The best file for a device, and what it was chosen from."""

    device: str
    budget: Budget
    ranking: Ranking
    # PASS: the best one keeps all limits. UNDECIDED: it may, and no other one surely does. FAIL: there is none.
    outcome: Outcome
    best: Candidate | None
    # The best one of the other files that keep the limits as surely.
    runner_up: Candidate | None
    # Ranked above the best one, and may keep the limits, too.
    undecided: Candidate | None
    # The best one without a limit of latency; None without such a limit, or where it is the same file.
    without_latency: Candidate | None
    # Where there is no best one: the entry that comes closest, by limit.
    nearest: dict[str, SweepEntry]
    notes: tuple[str, ...]

    @property
    def told_apart(self) -> bool | None:
        """Whether the intervals of the best and the runner-up do not overlap; None without intervals."""
        if not self.best or not self.runner_up:
            return None
        first, second = (self.ranking.interval(one.entry) for one in (self.best, self.runner_up))
        return first.low > second.high if first and second else None

    @property
    def cost_of_latency(self) -> float | None:
        """What the limit of latency costs, in the fraction that files are ranked by."""
        if not self.best or not self.without_latency:
            return None
        values = [self.ranking.value(one.entry) for one in (self.without_latency, self.best)]
        return None if values[0] is None or values[1] is None else values[0] - values[1]


def choose(
    sweep: Sweep,
    *,
    device: str | None = None,
    max_latency: float | None = None,
    threads: int | None = None,
    min_accuracy: float | None = None,
    min_agreement: float | None = None,
    max_size: int | None = None,
) -> Choice:
    """The best file for a device that keeps all limits.

    Best is the highest accuracy; see `edgenet.analysis.ranking` for files without one. Of equal files the faster, then
    the smaller is taken.

    Args:
        sweep: The files and devices.
        device: May be left out where there is one.
        max_latency: The largest median latency, in seconds.
        threads: The number of threads; any by default.
        min_accuracy, min_agreement: The smallest fractions of images.
        max_size: The largest file, in bytes.

    Raises:
        EdgenetError: There is no such device or number of threads, a limit is out of its range, or the sweep has
            nothing that files can be ranked or judged by.
    """
    budget = Budget(max_latency, min_accuracy, min_agreement, max_size)
    _check(budget)
    device = _device(sweep, device)
    entries = _on_threads([entry for entry in sweep.entries if entry.device == device], threads, device)
    found = ranking(entries)
    if found is None:
        raise EdgenetError(
            f"{sweep.name}: neither accuracy nor agreement was measured on {device}, so its files cannot be ranked; "
            "give the plan evaluation images"
        )
    for name, limit in (("accuracy", min_accuracy), ("agreement", min_agreement)):
        if limit is not None and not any(getattr(entry, name) for entry in entries):
            raise EdgenetError(
                f"no {name} was measured on {device}; leave it out, or give the plan evaluation images"
                f"{' with classes' * (name == 'accuracy')}",
                parameter=f"min_{name}",
            )
    ranked = found.ranked(entries)
    outcome, best, others = _best(ranked, budget)
    above = ranked[: ranked.index(best.entry)] if best else []
    undecided = (_judged(entry, budget) for entry in above) if outcome == Outcome.PASS else ()
    free = _best(ranked, replace(budget, max_latency=None))[1] if max_latency is not None else None
    return Choice(
        device=device,
        budget=budget,
        ranking=found,
        outcome=outcome,
        best=best,
        runner_up=next(iter(others), None),
        undecided=next((one for one in undecided if one.outcome == Outcome.UNDECIDED), None),
        without_latency=None if best and free and _file(free.entry) == _file(best.entry) else free,
        nearest={} if best else _nearest(ranked, budget),
        notes=(*found.notes, *_unfinished(sweep, device)),
    )


def _check(budget: Budget) -> None:
    for name in ("max_latency", "max_size"):
        limit = getattr(budget, name)
        if limit is not None and not limit > 0:
            raise EdgenetError(f"must be above 0, got {limit}", parameter=name)
    for name in ("min_accuracy", "min_agreement"):
        limit = getattr(budget, name)
        if limit is not None and not 0 <= limit <= 1:
            raise EdgenetError(f"must be a fraction from 0 to 1, got {limit}", parameter=name)


def _device(sweep: Sweep, device: str | None) -> str:
    names = list(dict.fromkeys(entry.device for entry in sweep.entries))
    if not names:
        raise EdgenetError(f"{sweep.name}: nothing is measured yet; run the sweep to its end")
    if device is None and len(names) == 1:
        return names[0]
    if device in names:
        return str(device)
    close = difflib.get_close_matches(device or "", names, 1)
    shown = ", ".join(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else "")
    if device is None:
        raise EdgenetError(f"the sweep has {len(names):,} devices; give one of {shown}", parameter="device")
    guess = f"; did you mean {close[0]}?" if close else ""
    raise EdgenetError(
        f"{device!r} is not in the sweep, or not measured yet; it has {shown}{guess}", parameter="device"
    )


def _on_threads(entries: Sequence[SweepEntry], count: int | None, device: str) -> list[SweepEntry]:
    found = [entry for entry in entries if count in (None, entry.threads)]
    if not found:
        measured = ", ".join(map(str, sorted({entry.threads for entry in entries})))
        raise EdgenetError(f"{device} was measured on {measured}, and not on {count}", parameter="threads")
    return found


def _file(entry: SweepEntry) -> tuple[str, str]:
    return entry.model, entry.variant


def _best(ranked: Sequence[SweepEntry], budget: Budget) -> tuple[Outcome, Candidate | None, list[Candidate]]:
    """The first one that keeps the limits, or else that may; and those of other files that do likewise."""
    judged = [_judged(entry, budget) for entry in ranked]
    groups = (
        [one for one in judged if one.outcome == Outcome.PASS],
        [one for one in judged if one.outcome == Outcome.UNDECIDED and one.leaning == Outcome.PASS],
        # Not measured, or too poorly to tell.
        [one for one in judged if one.outcome == Outcome.UNDECIDED],
    )
    for possible in groups:
        if possible:
            best = possible[0]
            return best.outcome, best, [one for one in possible if _file(one.entry) != _file(best.entry)]
    return Outcome.FAIL, None, []


def _judged(entry: SweepEntry, budget: Budget) -> Candidate:
    return Candidate(entry, tuple(_reasons(entry, budget)))


def _reasons(entry: SweepEntry, budget: Budget) -> Iterator[Reason]:
    if budget.max_latency is not None:
        yield _judge_latency(entry, budget.max_latency)
    if budget.min_accuracy is not None:
        yield _judge_fraction("accuracy", entry.accuracy, entry.images, budget.min_accuracy)
    if budget.min_agreement is not None:
        yield _judge_fraction("agreement", entry.agreement, entry.images, budget.min_agreement)
    if budget.max_size is not None:
        yield judge_size(entry.bytes, budget.max_size)


def _judge_latency(entry: SweepEntry, limit: float) -> Reason:
    interval = between_runs(entry)
    measured = (
        f"{1_000 * entry.latency.value:.3g} ms (95% CI with the spread of runs {1_000 * interval.low:.3g} to "
        f"{1_000 * interval.high:.3g} ms) on {threads(entry.threads)}, limit {1_000 * limit:.3g} ms"
    )
    leaning = Outcome.PASS if interval.value <= limit else Outcome.FAIL
    if interval.high <= limit:
        return Reason(Outcome.PASS, measured)
    if interval.low > limit:
        return Reason(Outcome.FAIL, measured)
    poor = "; the timing quality is poor, measure again" if entry.quality == Grade.POOR else ""
    return Reason(Outcome.UNDECIDED, measured + poor, leaning)


def _judge_fraction(name: str, interval: Interval | None, images: int, limit: float) -> Reason:
    if interval is None:
        return Reason(Outcome.UNDECIDED, f"{name} not measured, limit {limit:.3f}")
    measured = (
        f"{name} {interval.value:.3f} (95% CI {interval.low:.3f} to {interval.high:.3f}, {images:,} images), "
        f"limit {limit:.3f}"
    )
    if interval.low >= limit:
        return Reason(Outcome.PASS, measured)
    if interval.high < limit:
        return Reason(Outcome.FAIL, measured)
    return Reason(Outcome.UNDECIDED, measured, Outcome.PASS if interval.value >= limit else Outcome.FAIL)


def between_runs(entry: SweepEntry) -> Interval:
    """The interval of a latency, in seconds, with the spread of two runs that its quality allows."""
    margin = POOR_MARGIN if entry.quality == Grade.POOR else 1 + SPREAD_LIMITS[entry.quality != Grade.GOOD]
    return Interval(entry.latency.value, entry.latency.low / margin, entry.latency.high * margin)


# The value by which an entry comes closest to each limit: the lower, the closer.
CLOSENESS: dict[str, Callable[[SweepEntry], float]] = {
    "max_latency": lambda entry: entry.latency.value,
    "min_accuracy": lambda entry: -entry.accuracy.value if entry.accuracy else 0.0,
    "min_agreement": lambda entry: -entry.agreement.value if entry.agreement else 0.0,
    "max_size": lambda entry: entry.bytes,
}


def _nearest(ranked: Sequence[SweepEntry], budget: Budget) -> dict[str, SweepEntry]:
    """For each limit, the entry that comes closest of those that may keep all the others; of all where none may."""
    nearest = {}
    for name, closeness in CLOSENESS.items():
        if getattr(budget, name) is None:
            continue
        without = replace(budget, **{name: None})
        possible = [entry for entry in ranked if _judged(entry, without).outcome != Outcome.FAIL]
        nearest[name] = min(possible or ranked, key=closeness)
    return nearest


def _unfinished(sweep: Sweep, device: str) -> Iterator[str]:
    """What was not measured may be better."""
    failed = sum(failure.device in (None, device) for failure in sweep.failures)
    if failed:
        yield f"{failed:,} model{'s' * (failed > 1)} failed, and may be better"
    if sweep.missing:
        yield f"{sweep.missing:,} row{'s' * (sweep.missing > 1)} of the sweep not measured yet may be better"
