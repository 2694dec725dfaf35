"""Results side by side: one bundle on several devices, or several bundles on one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenet.analysis.loading import Loaded
from edgenet.bundle.bundle import REFERENCE
from edgenet.errors import EdgenetError
from edgenet.machine.quality import GOOD, SPREAD, doubt, quotient_interval
from edgenet.records import KERAS, LITERT_JS, Flip, Interval, Measurement, Results
from edgenet.statistics import paired_difference


@dataclass(frozen=True)
class Row:
    """A variant in results, against the same variant in the first ones.

    speed: by number of threads, how many times as fast, with what two runs of this grade differ by in the interval.
    size: in multiples. agreement, accuracy: difference of the shares. accuracy_interval: of that difference, image by
    image; None where the two were not compared with the same reference scores, which is what tells them.
    """

    variant: str
    name: str
    speed: dict[int, Interval | None]
    size: float
    agreement: Interval | None
    accuracy: float | None
    accuracy_interval: Interval | None = None


@dataclass(frozen=True)
class Comparison:
    """names: of the results, the first of which is the one that the others are compared with. same: what they share,
    bundle, machine or both. threads: the numbers that all were timed with. missing: variants that not all have."""

    names: tuple[str, ...]
    same: str
    threads: tuple[int, ...]
    rows: tuple[Row, ...]
    missing: tuple[str, ...]


def compare(loaded: Sequence[Loaded], latency: bool = True) -> Comparison:
    """Compare results with the first of them; without `latency`, sizes and drift alone.

    Raises EdgenetError, with the reason, when they are not comparable.
    """
    if len(loaded) < 2:
        raise EdgenetError("compare: expected two results or more, found one; name another file or bundle")
    first = loaded[0]
    same = {_shared(first, other) for other in loaded[1:]}
    if len(same - {"bundle and machine"}) > 1:
        raise _different(
            first, loaded[-1], "one bundle on several machines, or several bundles on one", "a mix of both"
        )
    for other in loaded[1:]:
        _check_images(first, other)
        _check_reference(first, other)
    if latency:
        for one in loaded:
            _check_latency(first, one)
    everywhere = [{m.name: m for m in one.results.measurements} for one in loaded]
    names = [name for name in everywhere[0] if all(name in measured for measured in everywhere)]
    if not names:
        raise _different(first, loaded[-1], "a variant that all have", "none")
    threads = [count for count in _threads(first.results) if all(count in _threads(one.results) for one in loaded)]
    if latency and not threads:
        raise _different(first, loaded[-1], "latencies on the same number of threads", "none; measure with --threads 1")
    rows = tuple(_row(name, first, other, threads if latency else ()) for name in names for other in loaded[1:])
    return Comparison(
        names=tuple(one.name for one in loaded),
        same=min(same, key=len),
        threads=tuple(threads if latency else ()),
        rows=rows,
        missing=tuple(sorted({name for measured in everywhere for name in measured} - set(names))),
    )


def _different(first: Loaded, other: Loaded, expected: str, found: str) -> EdgenetError:
    return EdgenetError(f"{first.path}, {other.path}: expected {expected}, found {found}")


def _models(results: Results) -> dict[str, str]:
    return {path: digest for path, digest in results.files.items() if path.endswith(".tflite")}


def _machine(results: Results) -> tuple:
    return results.machine.cpu, results.machine.architecture, results.machine.cores


def _shared(first: Loaded, other: Loaded) -> str:
    """What two results have in common. Raises EdgenetError when it is nothing."""
    bundle = _models(first.results) == _models(other.results)
    machine = _machine(first.results) == _machine(other.results)
    if not bundle and not machine:
        raise _different(
            first,
            other,
            "the same bundle, or the same machine",
            "other files on another machine; measure one of them on both, or both on one",
        )
    return " and ".join(what for what, is_same in (("bundle", bundle), ("machine", machine)) if is_same)


def _check_images(first: Loaded, other: Loaded) -> None:
    if first.results.evaluation != other.results.evaluation:
        counts = [next((m.drift.images for m in one.results.measurements if m.drift), 0) for one in (first, other)]
        raise _different(
            first,
            other,
            "the same evaluation images",
            f"others ({counts[0]:,} and {counts[1]:,}); export both with the same --evaluation",
        )


def _check_reference(first: Loaded, other: Loaded) -> None:
    found = [one.results.reference for one in (first, other)]
    if found[0] != found[1]:
        raise _different(first, other, "drift from the same reference", f"{found[0]} and {found[1]}")


def _check_latency(first: Loaded, one: Loaded) -> None:
    if why := doubt(one.results.condition):
        raise EdgenetError(
            f"{one.path}: expected latencies that can be trusted, found them poor ({why}); "
            "measure again, or compare drift and size alone: --no-latency"
        )
    # A browser has an interface of its own, and nothing else: a phone is compared by that.
    browser = LITERT_JS in (first.results.api, one.results.api)
    for what in ("batch",) if browser else ("api", "batch"):
        found = [getattr(part.results, what) for part in (first, one)]
        if found[0] != found[1]:
            raise _different(first, one, f"the same {what}", f"{found[0]} and {found[1]}")


def _threads(results: Results) -> list[int]:
    return [latency.threads for latency in results.measurements[0].latency]


def _row(variant: str, first: Loaded, other: Loaded, threads: Sequence[int]) -> Row:
    before, after = (_measurement(one.results, variant) for one in (first, other))
    grades = {first.results.condition.grade, other.results.condition.grade}
    margin = 1 + SPREAD[grades != {GOOD}]
    return Row(
        variant=variant,
        name=other.name,
        speed={count: _speed(_rounds(before, count), _rounds(after, count), margin) for count in threads},
        size=after.bytes / before.bytes,
        agreement=_agreement(first.results, other.results, variant),
        accuracy=_accuracy(before, after),
        accuracy_interval=_accuracy_interval(first.results, other.results, variant),
    )


def _speed(base: Sequence[Sequence[float]], other: Sequence[Sequence[float]], margin: float) -> Interval | None:
    """The rounds of one run tell nothing of the next one: `margin` is the spread that its grade allows."""
    speed = quotient_interval(base, other)
    return speed and Interval(speed.value, speed.low / margin, speed.high * margin)


def _measurement(results: Results, variant: str) -> Measurement:
    return next(m for m in results.measurements if m.name == variant)


def _rounds(measurement: Measurement, threads: int) -> Sequence[Sequence[float]]:
    return next(latency.rounds for latency in measurement.latency if latency.threads == threads)


def _accuracy(before: Measurement, after: Measurement) -> float | None:
    if not before.drift or not after.drift or before.drift.accuracy is None or after.drift.accuracy is None:
        return None
    return after.drift.accuracy - before.drift.accuracy


def _accuracy_interval(first: Results, other: Results, variant: str) -> Interval | None:
    """The change of accuracy with its interval, paired by image.

    An image that flipped in neither run has the reference's class in both, so only flipped ones can differ. That needs
    the same reference scores in both: results of bundles have the digest of theirs.
    """
    before, after = (_measurement(results, variant).drift for results in (first, other))
    same = first.files.get(REFERENCE) is not None and first.files.get(REFERENCE) == other.files.get(REFERENCE)
    if not same or variant == KERAS or not before or not after or None in (before.accuracy, after.accuracy):
        return None
    flips = [
        {results.files.get(flip.file): flip for flip in drift.flips if flip.label is not None}
        for results, drift in ((first, before), (other, after))
    ]
    if any(None in digests for digests in flips) or before.labelled != after.labelled:
        return None
    gained = lost = 0
    for digest in flips[0].keys() | flips[1].keys():
        was, is_now = (_is_right(some.get(digest), flips[1 - place].get(digest)) for place, some in enumerate(flips))
        gained, lost = gained + (is_now and not was), lost + (was and not is_now)
    both = round(before.accuracy * before.labelled) - lost
    return paired_difference(both, gained, lost, before.labelled - both - gained - lost)


def _is_right(flip: Flip | None, elsewhere: Flip | None) -> bool:
    """Whether a variant has an image right. flip: what it made of it; None for the reference's class, which the flip in
    the other run tells."""
    guess = flip.variant[0] if flip else elsewhere.reference[0]
    return guess.label == (flip or elsewhere).label


def _agreement(first: Results, other: Results, variant: str) -> Interval | None:
    """How much more of the images a variant agrees on than in the first results, image by image."""
    before, after = (_measurement(results, variant).drift for results in (first, other))
    if variant == KERAS or not before or not after or before.agreement is None or after.agreement is None:
        return None
    flipped = [
        {results.files.get(flip.file) for flip in drift.flips} for results, drift in ((first, before), (other, after))
    ]
    if any(None in digests for digests in flipped):  # nothing says which images they are
        return None
    gained, lost = len(flipped[0] - flipped[1]), len(flipped[1] - flipped[0])
    neither = len(flipped[0] & flipped[1])
    return paired_difference(before.images - gained - lost - neither, gained, lost, neither)


def is_real(interval: Interval, nothing: float) -> bool:
    """Whether an interval leaves out what no change would be: 1 for a ratio, 0 for a difference."""
    return not (interval.low <= nothing <= interval.high) and bool(np.isfinite(interval.value))
