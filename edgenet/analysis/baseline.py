"""Results beside a baseline, such as those of the last release on the same device: is any variant worse?

Variants are paired by their names and images by their digests. The models may differ, even the Keras model: drift is
then each run's own, and accuracy is compared image by image. What the baseline has must be in the results, too; what it
lacks is not compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgenet.analysis import comparison, pairing
from edgenet.analysis.decisions import Reason, judge_accuracy_change, judge_drift_change, judge_speedup_change
from edgenet.analysis.loading import LoadedResults
from edgenet.errors import EdgenetError
from edgenet.machine.quality import SPREAD_LIMITS, poor_reason
from edgenet.records import Grade, Measurement, Outcome, Results


@dataclass(frozen=True)
class Baseline:
    """What some results are compared with."""

    source: LoadedResults
    # Why speedups are not compared; None if they are. Drift hardly depends on the device.
    other_device: str | None = None


def choose(loaded: LoadedResults, baselines: Sequence[LoadedResults]) -> Baseline:
    """The baseline of some results: that of the same device, or the first one of the same images where none is.

    A device is a machine and LiteRT's interface. Of several models on one device, the name of the model decides.

    Args:
        loaded: The results.
        baselines: At least one.

    Raises:
        EdgenetError: Two are of the same device, the one that fits is the results themselves, or it is of other images
            or of another reference.
    """
    results = loaded.results
    same = [one for one in baselines if _device(one.results) == _device(results)]
    if len(same) > 1:
        same = [one for one in same if one.results.model.name == results.model.name] or same
    if len(same) > 1:
        raise EdgenetError(
            f"{same[0].where}, {same[1].where}: both are of one model on this device ({results.machine.cpu}); give one "
            "of them",
            parameter="baseline",
        )
    images = results.evaluation.sha256
    chosen = same[0] if same else next((b for b in baselines if b.results.evaluation.sha256 == images), baselines[0])
    if chosen.results == results:
        raise EdgenetError(
            f"{chosen.where}: these are the very results that are checked; give those of an earlier release",
            parameter="baseline",
        )
    comparison.check_images(loaded, chosen)
    comparison.check_reference(loaded, chosen)
    return Baseline(chosen, None if same else _difference(chosen.results))


def reasons(measured: Measurement, results: Results, baseline: Baseline) -> Iterator[Reason]:
    """How a variant does beside the variant of the same name in a baseline: drift, accuracy, speedups.

    Args:
        measured: The variant.
        results: That it is of.
        baseline: As `choose` returns it.
    """
    earlier = baseline.source.results
    before = next((m for m in earlier.measurements if m.name == measured.name), None)
    if before is None:
        yield Reason(Outcome.UNDECIDED, "not in the baseline, so there is nothing to compare")
        return
    found = [
        *_drift(measured, before, results, earlier),
        *_accuracy(measured, before, results, earlier),
        *_speedups(measured, before, results, baseline),
    ]
    if not found and measured.name != results.base:
        yield Reason(Outcome.UNDECIDED, "the baseline has neither its drift nor its speedup")
    yield from found


def _device(results: Results) -> tuple[object, ...]:
    return (*comparison.machine(results), results.run.api)


def _difference(earlier: Results) -> str:
    machine = earlier.machine
    return f"{machine.cpu}, {machine.architecture}, {machine.cores} cores, {earlier.run.api}"


def _drift(measured: Measurement, before: Measurement, results: Results, earlier: Results) -> Iterator[Reason]:
    if not before.drift or not before.drift.image_agreement:
        return
    if not measured.drift or not measured.drift.image_agreement:
        yield Reason(Outcome.UNDECIDED, "drift was measured in the baseline, but not here")
    elif pairs := pairing.paired_agreement(earlier, results, measured.name):
        yield judge_drift_change(pairs)
    else:
        yield Reason(
            Outcome.UNDECIDED, "drift: one is of labels and one of top classes, or images cannot be identified"
        )


def _accuracy(measured: Measurement, before: Measurement, results: Results, earlier: Results) -> Iterator[Reason]:
    if not before.drift or not before.drift.accuracy:
        return
    accuracy = measured.drift.accuracy if measured.drift else None
    if not accuracy:
        yield Reason(Outcome.UNDECIDED, "accuracy was measured in the baseline, but not here")
    elif accuracy.images != before.drift.accuracy.images:
        labelled = f"{accuracy.images:,} images have a class here, and {before.drift.accuracy.images:,} in the baseline"
        yield Reason(Outcome.UNDECIDED, f"accuracy: {labelled}")
    elif pairs := pairing.paired_accuracy(earlier, results, measured.name):
        yield judge_accuracy_change(pairs)
    else:
        yield Reason(
            Outcome.UNDECIDED,
            "accuracy: the reference is another one, and which images it gets wrong is not in both results (older "
            "versions and single files lack that); benchmark the bundle of the baseline again",
        )


def _speedups(measured: Measurement, before: Measurement, results: Results, baseline: Baseline) -> Iterator[Reason]:
    earlier = baseline.source.results
    if earlier.base in (None, measured.name) or measured.name == results.base:
        return
    problem = None
    if baseline.other_device:
        problem = f"the baseline is of another device ({baseline.other_device})"
    elif results.base != earlier.base:
        problem = f"it is relative to {earlier.base} in the baseline, and to {results.base or 'nothing'} here"
    elif results.model.batch != earlier.model.batch:
        problem = f"the batch size is {earlier.model.batch} in the baseline, and {results.model.batch} here"
    by_threads = {latency.threads: latency for latency in before.latency}
    common = [(now, by_threads[now.threads]) for now in measured.latency if now.threads in by_threads]
    if not problem and not common:
        problem = f"the baseline has other numbers of threads ({', '.join(map(str, by_threads))})"
    if problem:
        yield Reason(Outcome.UNDECIDED, f"speedup: {problem}")
        return
    good = {results.quality.grade, earlier.quality.grade} == {Grade.GOOD}
    poor = poor_reason(results.quality) or poor_reason(earlier.quality)
    for now, then in common:
        yield judge_speedup_change(now, then, SPREAD_LIMITS[not good], poor)
