"""Results side by side: one bundle on several machines, or several bundles on one machine."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgenet.analysis.loading import LoadedResults
from edgenet.analysis.pairing import accuracy_change, agreement_change
from edgenet.errors import EdgenetError
from edgenet.machine.quality import SPREAD_LIMITS, poor_reason, quotient_interval
from edgenet.records import Api, Grade, Interval, Measurement, Results
from edgenet.records.shown import Shown


@dataclass(frozen=True)
class ComparisonRow:
    """A variant in some results, compared with the same variant in the first results."""

    variant: str
    # Of the results.
    name: str
    # By number of threads; None for too few rounds. The intervals include run-to-run variation.
    speedup: dict[int, Interval | None]
    # Of the files, as a ratio.
    size_ratio: float
    # Differences of fractions; None where they cannot be compared. Agreement is of images: their top class is the
    # reference's, or all labels of a multi-label model are.
    agreement_change: Interval | None
    accuracy_change: float | None
    # Paired by image; None where the two were not compared with the same reference scores.
    accuracy_interval: Interval | None = None


@dataclass(frozen=True)
class Comparison(Shown):
    """Results compared with the first of them."""

    # Of the results, that of the first one first.
    names: tuple[str, ...]
    # What they have in common: "bundle", "machine", or "bundle and machine".
    same: str
    # The numbers of threads that all were measured on; empty without latency.
    threads: tuple[int, ...]
    rows: tuple[ComparisonRow, ...]
    # Variants that are not in all of them.
    missing: tuple[str, ...]
    # Whether agreement is of labels instead of top classes; None where the results differ in that.
    multi_label: bool | None = False


def compare(loaded: Sequence[LoadedResults], latency: bool = True) -> Comparison:
    """Compare results with the first of them.

    Args:
        loaded: Two or more.
        latency: Whether to compare latencies; otherwise only sizes and drift.

    Raises:
        EdgenetError: They are not comparable; the message has the reason.
    """
    if len(loaded) < 2:
        raise EdgenetError("compare: two or more results are needed; give another file or bundle")
    first = loaded[0]
    same = {_shared(first, other) for other in loaded[1:]}
    if len(same - {"bundle and machine"}) > 1:
        raise _error(
            first,
            loaded[-1],
            "both the bundle and the machine differ; compare one bundle on several machines, or several bundles on one "
            "machine",
        )
    for other in loaded[1:]:
        check_images(first, other)
        check_reference(first, other)
    if latency:
        for one in loaded:
            _check_latency(first, one)
    everywhere = [{m.name for m in one.results.measurements} for one in loaded]
    common = set.intersection(*everywhere)
    names = [m.name for m in first.results.measurements if m.name in common]
    if not names:
        raise _error(first, loaded[-1], "they have no variant in common")
    counts = [count for count in _threads(first.results) if all(count in _threads(one.results) for one in loaded)]
    if latency and not counts:
        raise _error(first, loaded[-1], "they have no number of threads in common; measure both with threads=1")
    counts = counts if latency else []
    return Comparison(
        names=tuple(one.name for one in loaded),
        same=min(same, key=len),
        threads=tuple(counts),
        rows=tuple(_row(name, first, other, counts) for name in names for other in loaded[1:]),
        missing=tuple(sorted(set.union(*everywhere) - common)),
        multi_label=_multi_label([one.results for one in loaded]),
    )


def _error(first: LoadedResults, other: LoadedResults, problem: str) -> EdgenetError:
    return EdgenetError(f"{first.where}, {other.where}: {problem}")


def _models(results: Results) -> dict[str, str]:
    return {path: digest for path, digest in results.model.files.items() if path.endswith(".tflite")}


def machine(results: Results) -> tuple[str, str, int]:
    """What a machine is known by."""
    return results.machine.cpu, results.machine.architecture, results.machine.cores


def _shared(first: LoadedResults, other: LoadedResults) -> str:
    """What two results have in common. Raises EdgenetError when it is nothing."""
    facts = {
        "bundle": _models(first.results) == _models(other.results),
        "machine": machine(first.results) == machine(other.results),
    }
    if not any(facts.values()):
        problem = "these are different files on different machines; measure one bundle on both, or both on one machine"
        raise _error(first, other, problem)
    return " and ".join(what for what, is_same in facts.items() if is_same)


def check_images(first: LoadedResults, other: LoadedResults) -> None:
    """Check that drift was measured on the same images.

    Raises:
        EdgenetError: It was not.
    """
    if first.results.evaluation.sha256 == other.results.evaluation.sha256:
        return
    counts = [next((m.drift.images for m in one.results.measurements if m.drift), 0) for one in (first, other)]
    problem = (
        f"they were measured on different evaluation images ({counts[0]:,} and {counts[1]:,}); "
        "export both with the same evaluation="
    )
    raise _error(first, other, problem)


def check_reference(first: LoadedResults, other: LoadedResults) -> None:
    """Check that drift is against references of the same name.

    Raises:
        EdgenetError: It is not.
    """
    references = [one.results.reference or "none" for one in (first, other)]
    if references[0] != references[1]:
        raise _error(first, other, f"their drift has different references ({references[0]} and {references[1]})")


def _check_latency(first: LoadedResults, other: LoadedResults) -> None:
    if reason := poor_reason(other.results.quality):
        raise EdgenetError(
            f"{other.where}: the timing quality is poor ({reason}); measure again, or compare only drift and size: "
            "latency=False"
        )
    apis = [one.results.run.api for one in (first, other)]
    # A browser has only an interface of its own, so a phone is compared by that.
    if apis[0] != apis[1] and Api.JAVASCRIPT not in apis:
        raise _error(first, other, f"they were measured with different APIs ({apis[0]} and {apis[1]})")
    batches = [one.results.model.batch for one in (first, other)]
    if batches[0] != batches[1]:
        raise _error(first, other, f"they have different batch sizes ({batches[0]} and {batches[1]})")


def _multi_label(results: Sequence[Results]) -> bool | None:
    """Whether drift is of labels, in those that have any; None where they differ."""
    kinds = {one.multi_label for one in results if any(m.drift and m.drift.image_agreement for m in one.measurements)}
    return None if len(kinds) > 1 else True in kinds


def _threads(results: Results) -> list[int]:
    return [latency.threads for latency in results.measurements[0].latency]


def _row(variant: str, first: LoadedResults, other: LoadedResults, threads: Sequence[int]) -> ComparisonRow:
    before, after = (_measurement(one.results, variant) for one in (first, other))
    grades = {first.results.quality.grade, other.results.quality.grade}
    # The rounds of one run do not show how runs differ: this is the spread that their grades allow.
    margin = 1 + SPREAD_LIMITS[grades != {Grade.GOOD}]
    return ComparisonRow(
        variant=variant,
        name=other.name,
        speedup={count: _speedup(_rounds(before, count), _rounds(after, count), margin) for count in threads},
        size_ratio=after.bytes / before.bytes,
        agreement_change=agreement_change(first.results, other.results, variant),
        accuracy_change=_accuracy_change(before, after),
        accuracy_interval=accuracy_change(first.results, other.results, variant),
    )


def _speedup(base: Sequence[Sequence[float]], other: Sequence[Sequence[float]], margin: float) -> Interval | None:
    speedup = quotient_interval(base, other)
    return speedup and Interval(speedup.value, speedup.low / margin, speedup.high * margin)


def _measurement(results: Results, variant: str) -> Measurement:
    return next(m for m in results.measurements if m.name == variant)


def _rounds(measurement: Measurement, threads: int) -> Sequence[Sequence[float]]:
    return next(latency.rounds for latency in measurement.latency if latency.threads == threads)


def _accuracy_change(before: Measurement, after: Measurement) -> float | None:
    accuracies = [m.drift.accuracy for m in (before, after) if m.drift and m.drift.accuracy]
    return accuracies[1].top1 - accuracies[0].top1 if len(accuracies) == 2 else None
