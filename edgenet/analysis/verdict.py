"""Verdicts: whether results prove that each variant keeps, or breaks, some limits, and is no worse than a baseline."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgenet.analysis import baseline as baselines_of
from edgenet.analysis.baseline import Baseline
from edgenet.analysis.decisions import (
    Reason,
    judge_accuracy,
    judge_confident_flips,
    judge_drift,
    judge_size,
    judge_speedup,
)
from edgenet.analysis.loading import LoadedResults
from edgenet.errors import EdgenetError
from edgenet.machine.quality import poor_reason
from edgenet.records import KERAS, Drift, Measurement, Outcome, Results
from edgenet.records.shown import Shown

# From the best to the worst.
SEVERITY = (Outcome.PASS, Outcome.UNDECIDED, Outcome.FAIL)


@dataclass(frozen=True)
class Limits:
    """What a variant must keep; None for no limit."""

    # The largest fraction of images whose top class, or any label of a multi-label model, differs from the reference's;
    # 0: no image may flip.
    max_drift: float | None = None
    # The largest drop of top-1 accuracy below the reference's, as a fraction. 0 passes where no image is newly wrong or
    # a gain is proven, and fails where a drop is proven.
    max_accuracy_drop: float | None = None
    # The smallest speedup relative to the base, on every number of threads that was measured.
    min_speedup: float | None = None
    # The largest file, in bytes.
    max_size: int | None = None
    # The largest fraction of images that flip although the reference gave its top class a probability above 0.5; 0: no
    # such flip. Not of a multi-label model.
    max_confident_flips: float | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in vars(self).values())


@dataclass(frozen=True)
class Verdict:
    """The verdict on one variant."""

    variant: str
    # One for each limit, then those beside the baseline; none for the base, where only the speedup is limited.
    reasons: tuple[Reason, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the reasons."""
        return worst(reason.outcome for reason in self.reasons)


@dataclass(frozen=True)
class Verdicts(Shown):
    """The verdicts on the variants of some results."""

    source: LoadedResults
    limits: Limits
    verdicts: tuple[Verdict, ...]
    # What the variants are compared with, too.
    baseline: Baseline | None = None

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the variants."""
        return worst(verdict.outcome for verdict in self.verdicts)

    @property
    def passed(self) -> bool:
        """Whether every variant is proven to keep every limit, and to be no worse than in the baseline."""
        return self.outcome == Outcome.PASS

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """FAIL before UNDECIDED before PASS; PASS for none."""
    return max(outcomes, key=SEVERITY.index, default=Outcome.PASS)


def judge(
    loaded: LoadedResults,
    limits: Limits,
    variants: Sequence[str] | None = None,
    baselines: Sequence[LoadedResults] = (),
) -> Verdicts:
    """Judge the variants of some results by limits, and beside a baseline.

    Args:
        loaded: The results.
        limits: What each variant must keep.
        variants: The names of those to judge; all by default.
        baselines: Earlier results, of which those of the same device count; none for no comparison.

    Raises:
        EdgenetError: A variant was not measured, the results lack what a limit needs, or no baseline fits.
    """
    baseline = baselines_of.choose(loaded, baselines) if baselines else None
    verdicts = judge_results(loaded.results, limits, variants, loaded.where, baseline)
    return Verdicts(loaded, limits, tuple(verdicts), baseline)


def judge_results(
    results: Results,
    limits: Limits,
    variants: Sequence[str] | None = None,
    where: str = "results",
    baseline: Baseline | None = None,
) -> list[Verdict]:
    """The verdict on each variant; the Keras model and the reference are not judged.

    Args:
        results: Of a benchmark.
        limits: What each variant must keep.
        variants: The names of those to judge; all by default.
        where: The results' name in error messages.
        baseline: What the variants are compared with, too.

    Raises:
        EdgenetError: A variant was not measured, or the results lack what a limit needs.
    """
    measured = {m.name: m for m in results.measurements if m.name not in (KERAS, results.reference)}
    if not measured:
        raise EdgenetError(f"{where}: no variant was measured; run the benchmark again")
    names = list(measured) if variants is None else list(variants)
    for name in names:
        if name not in measured:
            raise EdgenetError(
                f"{name!r} is not in {where}", parameter="variants", hint=f"choose from {', '.join(measured)}"
            )
    return [
        Verdict(
            name,
            (
                *_reasons(measured[name], results, limits, where),
                *(baselines_of.reasons(measured[name], results, baseline) if baseline else ()),
            ),
        )
        for name in names
    ]


def _reasons(measured: Measurement, results: Results, limits: Limits, where: str) -> Iterator[Reason]:
    drift = measured.drift
    if limits.max_drift is not None:
        if not drift or not drift.image_agreement:
            raise EdgenetError(f"{where}: max_drift= needs a measured drift; run the benchmark with reference=")
        yield judge_drift(len(drift.flips), drift.images, limits.max_drift, drift.label_agreement)
    if limits.max_confident_flips is not None:
        yield _confident_flips(drift, limits.max_confident_flips, where)
    if limits.max_accuracy_drop is not None:
        if drift and drift.label_agreement:
            raise EdgenetError(
                f"{where}: this is a multi-label model, whose accuracy is not measured; give max_drift= instead",
                parameter="max_accuracy_drop",
            )
        if not drift or not drift.accuracy or not drift.accuracy.change:
            raise EdgenetError(
                f"{where}: max_accuracy_drop= needs the accuracy of the variant and of the reference; "
                "run the benchmark on labelled images"
            )
        yield judge_accuracy(drift.accuracy, limits.max_accuracy_drop)
    if limits.min_speedup is not None and measured.name != results.base:
        if results.base is None or not measured.latency:
            raise EdgenetError(
                f"{where}: min_speedup= needs a speedup relative to float32; benchmark float32 with the other variants"
            )
        for latency in measured.latency:
            yield judge_speedup(latency, results.base, limits.min_speedup, poor_reason(results.quality))
    if limits.max_size is not None:
        yield judge_size(measured.bytes, limits.max_size)


def _confident_flips(drift: Drift | None, limit: float, where: str) -> Reason:
    parameter = "max_confident_flips"
    if not drift or not drift.image_agreement:
        raise EdgenetError(f"{where}: {parameter}= needs a measured drift; run the benchmark with reference=")
    if drift.label_agreement:
        raise EdgenetError(
            f"{where}: this is a multi-label model, which has no top class to be confident of; give max_drift= instead",
            parameter=parameter,
        )
    if drift.confident_flips is None:
        raise EdgenetError(
            f"{where}: {parameter}= needs the reference's probability of each flipped image, which older versions did "
            "not record, and which scores that are not probabilities do not have; run the benchmark again, or give "
            "max_drift= instead"
        )
    return judge_confident_flips(drift.confident_flips, drift.images, limit)
