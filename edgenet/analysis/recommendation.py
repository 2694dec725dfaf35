"""Which variant to ship, and why.

No variant is recommended against edgenet's own findings: see `edgenet.analysis.soundness`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgenet.analysis import soundness
from edgenet.analysis.verdict import PASS, UNDECIDED, Limits, Verdict, judge
from edgenet.machine.quality import doubt, quotient_interval, ratio_interval, threads
from edgenet.records import Drift, Interval, Latency, Measurement, Results

# What is asked of a variant where no limit is given.
USUAL = Limits(max_drift=0.02)
# Then, a loss of accuracy larger than this, with a p-value (McNemar) below that, rules a variant out as well.
USUAL_LOSS, SIGNIFICANCE = 0.01, 0.05
# A variant that takes less than 1 % longer is as fast: no app shows the difference.
AS_FAST = 0.99


@dataclass(frozen=True)
class Recommendation:
    """variant: the one to ship, None where none can be recommended. sentence: that, with its reasons. others: for each
    other variant, why not."""

    variant: str | None
    sentence: str
    others: tuple[tuple[str, str], ...]


def recommend(
    results: Results, limits: Limits | None = None, unloadable: Mapping[str, str] | None = None
) -> Recommendation:
    """The fastest variant that keeps the limits; of those that are as fast for all that is known, the smallest.

    Where the measurement quality is poor, nothing is known of speed, and the smallest is taken. Where no variant is
    sure to keep the limits, the best of those that may.

    limits: without any, those of USUAL, and of labelled images no significant loss of accuracy above USUAL_LOSS.
    unloadable: why a library of apps that was asked cannot load a variant, by its name; such a variant is ruled out.
    """
    if not limits and soundness.reference_drift(results) is None:
        return _none("nothing says how far they are from the model.")
    if found := list(soundness.problems(results)):
        return _none(f"the results contradict it. {' '.join(f'{problem}.' for problem in found)}")
    verdicts = {verdict.variant: verdict for verdict in judge(results, limits or USUAL)}
    variants = [m for m in results.measurements if m.name in verdicts]
    excluded = {m.name: why for m in variants if (why := _exclusion(m, results, limits, unloadable or {}))}
    # A user who asks for speed does not want the base, although it is not judged by that.
    base = results.base if limits and (limits.min_speedup or 0) > 1 else None
    candidates = [m for m in variants if m.name not in excluded and m.name != base]
    for outcome in (PASS, UNDECIDED):
        possible = [m for m in candidates if verdicts[m.name].outcome == outcome]
        if possible:
            best = _best(possible, results)
            sentence = " ".join(_sentence(best, verdicts[best.name], results, limits))
            others = _others(variants, best, verdicts, base, excluded, results)
            return Recommendation(best.name, sentence, tuple(others))
    why = "none keeps the limits" if any(v.outcome != PASS for v in verdicts.values()) else "each one is ruled out"
    drift = soundness.reference_drift(results)
    others = tuple(_others(variants, None, verdicts, base, excluded, results))
    return _none(" ".join([f"{why}.", *_default(limits, drift)]), others)


def _none(why: str, others: tuple[tuple[str, str], ...] = ()) -> Recommendation:
    return Recommendation(None, f"No variant is recommended: {why}", others)


def _exclusion(one: Measurement, results: Results, limits: Limits | None, unloadable: Mapping[str, str]) -> str | None:
    """What rules a variant out, whatever limits it keeps."""
    if one.name in unloadable:
        return unloadable[one.name]
    if why := soundness.variant_problem(one.drift, results):
        return why
    drift = one.drift
    if limits or drift is None or drift.accuracy_change is None or drift.mcnemar is None:
        return None
    if drift.accuracy_change < -USUAL_LOSS and drift.mcnemar < SIGNIFICANCE:
        return (
            f"loses accuracy: {drift.accuracy_change:+.1%} of {drift.labelled:,} labelled images (p = "
            f"{drift.mcnemar:.2g}, McNemar); default limit: {USUAL_LOSS:.0%}"
        )
    return None


def _default(limits: Limits | None, drift: Drift | None) -> Iterator[str]:
    """Where the limits come from, if nobody gave any."""
    if limits:
        return
    labelled = drift is not None and drift.accuracy_change is not None
    accuracy = f", and no significant loss of accuracy above {USUAL_LOSS:.0%}" if labelled else ""
    yield f"Judged by the default limit: {USUAL.max_drift:.0%} of predictions{accuracy}; --max-drift changes it."


def _best(possible: list[Measurement], results: Results) -> Measurement:
    if not doubt(results.condition):
        fastest = min(possible, key=lambda m: _fastest(m).median)
        possible = [m for m in possible if m is fastest or _as_fast(m, fastest)]
    return min(possible, key=lambda m: (m.bytes, m.name))


def _fastest(measurement: Measurement) -> Latency:
    """On the number of threads on which it is fastest."""
    return min(measurement.latency, key=lambda latency: latency.median)


def _as_fast(one: Measurement, fastest: Measurement) -> bool:
    """Whether it is not proven to be slower by 1 %, each on the number of threads that suits it best.

    On the same number of threads their rounds alternated, so their ratios within the rounds are compared: what slowed
    the machine met both. On different ones, they were measured one after the other, and the medians are compared.
    """
    slower, faster = _fastest(one), _fastest(fastest)
    paired = slower.threads == faster.threads and len(slower.rounds) == len(faster.rounds)
    speed = (ratio_interval if paired else quotient_interval)(faster.rounds, slower.rounds)
    return speed is not None and speed.high >= AS_FAST


def _sentence(best: Measurement, verdict: Verdict, results: Results, limits: Limits | None) -> Iterator[str]:
    base = next((m for m in results.measurements if m.name == results.base), None)
    latency, reasons, doubtful = _fastest(best), [], doubt(results.condition)
    if latency.speed and base and best is not base and not doubtful:
        sure = "" if latency.speed.low > 1 or latency.speed.high < 1 else ", which may be no difference"
        reasons.append(f"{_speed(latency.speed)} as fast as {base.name} on {threads(latency.threads)}{sure}")
    if base and best is not base:
        reasons.append(_size(best, base))
    if best.drift and best.drift.agreement is not None:
        share = best.drift.agreement_interval
        reasons.append(
            f"with the same top class as {results.reference_name} on "
            f"{share.value:.1%} of {best.drift.images:,} images (95 %: {share.low:.1%} to {share.high:.1%})"
        )
    yield f"Ship {best.name}: {', '.join(reasons) or 'it keeps the limits'}."
    yield from _default(limits, best.drift)
    open_reasons = [reason.text for reason in verdict.reasons if reason.outcome == UNDECIDED]
    if open_reasons:
        yield f"It is not proved yet: {'; '.join(open_reasons)}."
    if best.drift and soundness.has_low_accuracy(best.drift):
        yield (
            f"But {results.reference_name} itself has only {best.drift.reference_accuracy:.1%} of the labelled images "
            "right: check the input range, the channel order and the order of the labels."
        )
    if doubtful:
        yield f"The latencies are poor ({doubtful}), so nothing is known of its speed; measure again."
    elif results.condition.grade != "good":
        yield f"The latencies are {results.condition.grade}."


def _speed(speed: Interval) -> str:
    return f"{speed.value:.2f} times ({speed.low:.2f} to {speed.high:.2f})"


def _size(one: Measurement, other: Measurement) -> str:
    ratio = one.bytes / other.bytes
    if ratio >= 1.05:
        return f"{ratio:.1f} times as large"
    return f"{1 / ratio:.1f} times smaller" if ratio <= 1 / 1.05 else "of the same size"


def _others(
    variants: Sequence[Measurement],
    best: Measurement | None,
    verdicts: dict[str, Verdict],
    base: str | None,
    excluded: Mapping[str, str],
    results: Results,
) -> Iterator[tuple[str, str]]:
    """Why not each other variant. base: one that passes because it is not judged. excluded: why, of those ruled out."""
    for one in variants:
        verdict = verdicts[one.name]
        reasons = [reason.text for reason in verdict.reasons if reason.outcome == verdict.outcome]
        if one is best:
            continue
        if one.name in excluded:
            yield one.name, excluded[one.name]
        elif verdict.outcome != PASS:
            yield one.name, "; ".join(reasons)
        elif best is None or verdicts[best.name].outcome != PASS or one.name == base:
            yield one.name, "the others are compared with it"
        else:
            pace = "" if doubt(results.condition) else f"{_pace(one, best)}, "
            yield one.name, f"keeps the limits; {pace}{_size(one, best)}"


def _pace(one: Measurement, best: Measurement) -> str:
    ratio = _fastest(one).median / _fastest(best).median
    if _as_fast(one, best):
        return "as fast"
    return f"takes {ratio:.2f} times as long" if ratio > 1 else f"{1 / ratio:.2f} times as fast"
