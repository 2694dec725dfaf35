"""Which variant to ship, and why.

No variant is recommended against edgenet's own findings: see `edgenet.analysis.soundness`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgenet.analysis import soundness
from edgenet.analysis.performance import fastest
from edgenet.analysis.significance import is_significant
from edgenet.analysis.verdict import Limits, Verdict, judge_results
from edgenet.machine.quality import poor_reason, quotient_interval, ratio_interval, threads
from edgenet.records import Drift, Grade, Latency, Measurement, Outcome, Results

# The limit where none is given.
DEFAULT_LIMITS = Limits(max_drift=0.02)
# Then, a larger drop of accuracy with a smaller p-value (McNemar) also rules a variant out.
DEFAULT_ACCURACY_DROP, SIGNIFICANCE = 0.01, 0.05
# A variant that takes less than 1% longer counts as equally fast: no app shows the difference.
EQUALLY_FAST = 0.99
# Sizes that differ by less than this ratio count as equal.
SAME_SIZE = 1.05


@dataclass(frozen=True)
class Recommendation:
    """The variant to ship."""

    # None where none can be recommended.
    variant: str | None
    # The recommendation with its reasons.
    sentence: str
    # The other variants, each with the reason why it is not recommended.
    others: tuple[tuple[str, str], ...]


def recommend(
    results: Results, limits: Limits | None = None, unloadable: Mapping[str, str] | None = None
) -> Recommendation:
    """The fastest variant that keeps the limits; of equally fast ones, the smallest.

    Where the timing quality is poor, speed is unknown and the smallest is taken. Where no variant is proven to keep the
    limits, the best of the undecided ones is taken.

    Args:
        results: Of a benchmark.
        limits: Without any, DEFAULT_LIMITS; on labelled images also no significant accuracy drop above
            DEFAULT_ACCURACY_DROP.
        unloadable: Why a mobile library cannot load a variant, by its name; such a variant is ruled out.
    """
    if not limits and soundness.reference_drift(results) is None:
        return _none("there is no reference, so their drift is unknown.")
    if found := list(soundness.problems(results)):
        return _none(f"the results show a problem. {' '.join(f'{problem}.' for problem in found)}")
    verdicts = {verdict.variant: verdict for verdict in judge_results(results, limits or DEFAULT_LIMITS)}
    variants = [m for m in results.measurements if m.name in verdicts]
    excluded = {m.name: why for m in variants if (why := _exclusion(m, results, limits, unloadable or {}))}
    # The base is not judged by a smallest speedup, and is not what such a limit is for.
    base = results.base if limits and (limits.min_speedup or 0) > 1 else None
    candidates = [m for m in variants if m.name not in excluded and m.name != base]
    for outcome in (Outcome.PASS, Outcome.UNDECIDED):
        possible = [m for m in candidates if verdicts[m.name].outcome == outcome]
        if possible:
            best = _best(possible, results)
            sentence = " ".join(_sentences(best, verdicts[best.name], results, limits))
            others = _others(variants, best, verdicts, base, excluded, results)
            return Recommendation(best.name, sentence, tuple(others))
    some_fail = any(verdict.outcome != Outcome.PASS for verdict in verdicts.values())
    reason = "none is within the limits." if some_fail else "each one is ruled out."
    others = _others(variants, None, verdicts, base, excluded, results)
    return _none(" ".join([reason, *_default(limits, soundness.reference_drift(results))]), tuple(others))


def _none(reason: str, others: tuple[tuple[str, str], ...] = ()) -> Recommendation:
    return Recommendation(None, f"No variant is recommended: {reason}", others)


def _exclusion(
    variant: Measurement, results: Results, limits: Limits | None, unloadable: Mapping[str, str]
) -> str | None:
    """What rules a variant out, whatever limits it keeps."""
    if variant.name in unloadable:
        return unloadable[variant.name]
    if problem := soundness.variant_problem(variant.drift, results):
        return problem
    change = soundness.accuracy_change(variant.drift)
    if limits or not variant.drift or not variant.drift.accuracy or not change:
        return None
    accuracy = variant.drift.accuracy
    difference = accuracy.top1 - change.reference_top1
    if difference < -DEFAULT_ACCURACY_DROP and change.p_value < SIGNIFICANCE:
        return (
            f"accuracy change {100 * difference:+.1f} points on {accuracy.images:,} labelled images (p-value "
            f"{change.p_value:.2g}, McNemar), default limit {-100 * DEFAULT_ACCURACY_DROP:.0f} point"
        )
    return None


def _default(limits: Limits | None, drift: Drift | None) -> Iterator[str]:
    """The limits, if none were given."""
    if limits:
        return
    accuracy = (
        f", and no significant accuracy drop above {100 * DEFAULT_ACCURACY_DROP:.0f} point"
        if soundness.accuracy_change(drift)
        else ""
    )
    yield f"Default limit: drift {DEFAULT_LIMITS.max_drift:.0%}{accuracy} (max_drift sets another)."


def _best(possible: list[Measurement], results: Results) -> Measurement:
    if not poor_reason(results.quality):
        quickest = min(possible, key=lambda m: fastest(m).median)
        possible = [m for m in possible if m is quickest or _is_equally_fast(m, quickest)]
    return min(possible, key=lambda m: (m.bytes, m.name))


def _is_equally_fast(variant: Measurement, quickest: Measurement) -> bool:
    """Whether it is not proven to be slower by 1%, each on its best number of threads.

    On the same number of threads their rounds alternated, so the ratios within the rounds are compared: what slowed the
    machine affected both. On different ones they were measured one after the other, and the medians are compared.
    """
    slower, faster = fastest(variant), fastest(quickest)
    paired = slower.threads == faster.threads and len(slower.rounds) == len(faster.rounds)
    speedup = (ratio_interval if paired else quotient_interval)(faster.rounds, slower.rounds)
    return speedup is not None and speedup.high >= EQUALLY_FAST


def _sentences(best: Measurement, verdict: Verdict, results: Results, limits: Limits | None) -> Iterator[str]:
    poor = poor_reason(results.quality)
    reasons = list(_reasons(best, results, speed=poor is None))
    yield f"Ship {best.name}: {', '.join(reasons) or 'it is within the limits'}."
    yield from _default(limits, best.drift)
    undecided = [reason.text for reason in verdict.reasons if reason.outcome == Outcome.UNDECIDED]
    if undecided:
        yield f"Not proven yet: {'. '.join(undecided)}."
    change = soundness.accuracy_change(best.drift)
    if change and soundness.has_low_accuracy(change):
        yield (
            f"But {results.reference_name} itself classifies only {change.reference_top1:.1%} of the labelled images "
            "correctly: check the input range, the channel order and the order of the labels."
        )
    if poor:
        yield f"The timing quality is poor ({poor}), so its speed is unknown; measure again."
    elif results.quality.grade != Grade.GOOD:
        yield f"The timing quality is {results.quality.grade}."


def _reasons(best: Measurement, results: Results, speed: bool) -> Iterator[str]:
    """Why the best variant is the best. speed: whether latencies prove anything."""
    base = next((m for m in results.measurements if m.name == results.base), None)
    if base and best is not base:
        latency = fastest(best)
        if latency.speedup and speed:
            yield _speedup(latency, base.name)
        yield _size(best, base) or "of the same size"
    if best.drift and (interval := best.drift.image_agreement):
        answer = "labels" if best.drift.label_agreement else "top class"
        yield (
            f"same {answer} as {results.reference_name} on {interval.value:.1%} of {best.drift.images:,} images "
            f"(95% CI {interval.low:.1%} to {interval.high:.1%})"
        )


def _speedup(latency: Latency, base: str) -> str:
    speedup = latency.speedup
    assert speedup is not None
    significance = "" if is_significant(speedup, 1.0) else ", not significant"
    interval = f"95% CI {speedup.low:.2f}x to {speedup.high:.2f}x"
    return f"speedup {speedup.value:.2f}x over {base} on {threads(latency.threads)} ({interval}{significance})"


def _size(variant: Measurement, other: Measurement) -> str | None:
    """How its size differs from another's; None where it does not."""
    ratio = variant.bytes / other.bytes
    if ratio >= SAME_SIZE:
        return f"{ratio:.1f}x larger"
    return f"{1 / ratio:.1f}x smaller" if ratio <= 1 / SAME_SIZE else None


def _others(
    variants: Sequence[Measurement],
    best: Measurement | None,
    verdicts: Mapping[str, Verdict],
    base: str | None,
    excluded: Mapping[str, str],
    results: Results,
) -> Iterator[tuple[str, str]]:
    """Why each other variant is not recommended.

    base: one that passes because it is not judged. excluded: the reasons of those that are ruled out.
    """
    for variant in variants:
        verdict = verdicts[variant.name]
        if variant is best:
            continue
        if variant.name in excluded:
            yield variant.name, excluded[variant.name]
        elif verdict.outcome != Outcome.PASS:
            reasons = [reason.text for reason in verdict.reasons if reason.outcome == verdict.outcome]
            yield variant.name, ". ".join([f"{verdict.outcome}: {reasons[0]}", *reasons[1:]])
        elif best is None or verdicts[best.name].outcome != Outcome.PASS or variant.name == base:
            yield variant.name, "the base of the speedups"
        else:
            yield variant.name, _difference(variant, best, speed=poor_reason(results.quality) is None)


def _difference(variant: Measurement, best: Measurement, speed: bool) -> str:
    """How a variant within the limits differs from the best one. speed: whether latencies prove anything."""
    pros, cons = [], []
    if speed:
        ratio = fastest(variant).median / fastest(best).median
        if _is_equally_fast(variant, best):
            pros.append("as fast")
        elif ratio > 1:
            cons.append(f"{ratio:.2f}x slower")
        else:
            pros.append(f"{1 / ratio:.2f}x faster")
    size = _size(variant, best)
    (cons if size and size.endswith("larger") else pros).append(size or "of the same size")
    within = " and ".join(["also within limits", *pros])
    return f"{within}, but {' and '.join(cons)} than {best.name}" if cons else f"{within} as {best.name}"
