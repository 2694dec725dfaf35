"""Which variant to ship, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgenet.evidence.verdict import PASS, UNDECIDED, Limits, Verdict, judge
from edgenet.records import Interval, Latency, Measurement, Results
from edgenet.runtime.trust import threads

# What is asked of a variant where no limit is given.
USUAL = Limits(max_drift=0.02)


@dataclass(frozen=True)
class Recommendation:
    """variant: the one to ship, None where none can be recommended. sentence: that, with its reasons. others: for each
    other variant, why not."""

    variant: str | None
    sentence: str
    others: tuple[tuple[str, str], ...]


def recommend(results: Results, limits: Limits | None = None) -> Recommendation:
    """The fastest variant that keeps the limits; of those that are as fast for all that is known, the smallest.

    Without limits, those of USUAL. Where no variant is sure to keep them, the fastest of those that may.
    """
    if not limits and not any(m.drift and m.drift.agreement is not None for m in results.measurements):
        return Recommendation(None, "No variant is recommended: nothing says how far they are from the model.", ())
    verdicts = {verdict.variant: verdict for verdict in judge(results, limits or USUAL)}
    variants = [m for m in results.measurements if m.name in verdicts]
    # Who asks for speed does not want the base, although nobody judges it.
    base = results.base if limits and (limits.min_speedup or 0) > 1 else None
    for outcome in (PASS, UNDECIDED):
        possible = [m for m in variants if verdicts[m.name].outcome == outcome and m.name != base]
        if possible:
            best = _best(possible)
            sentence = " ".join(_sentence(best, verdicts[best.name], results))
            return Recommendation(best.name, sentence, tuple(_others(variants, best, verdicts, base)))
    return Recommendation(
        None, "No variant is recommended: none keeps the limits.", tuple(_others(variants, None, verdicts, base))
    )


def _best(possible: list[Measurement]) -> Measurement:
    fastest = min(possible, key=lambda m: _fastest(m).median)
    return min((m for m in possible if m is fastest or _as_fast(m, fastest)), key=lambda m: (m.bytes, m.name))


def _fastest(measurement: Measurement) -> Latency:
    """On the number of threads on which it is fastest."""
    return min(measurement.latency, key=lambda latency: latency.median)


def _as_fast(one: Measurement, fastest: Measurement) -> bool:
    """Whether nothing shows that it is slower: the intervals of the medians overlap."""
    slower, faster = _fastest(one).interval, _fastest(fastest).interval
    return bool(slower and faster and slower.low <= faster.high)


def _sentence(best: Measurement, verdict: Verdict, results: Results) -> Iterator[str]:
    base = next((m for m in results.measurements if m.name == results.base), None)
    latency, reasons = _fastest(best), []
    if latency.speed and base and best is not base:
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
    open_reasons = [reason.text for reason in verdict.reasons if reason.outcome == UNDECIDED]
    if open_reasons:
        yield f"It is not proved yet: {'; '.join(open_reasons)}."
    if results.condition.grade != "good":
        yield f"The latencies are {results.condition.grade}."


def _speed(speed: Interval) -> str:
    return f"{speed.value:.2f} times ({speed.low:.2f} to {speed.high:.2f})"


def _size(one: Measurement, other: Measurement) -> str:
    ratio = one.bytes / other.bytes
    if ratio >= 1.05:
        return f"{ratio:.1f} times as large"
    return f"{1 / ratio:.1f} times smaller" if ratio <= 1 / 1.05 else "of the same size"


def _others(
    variants: Sequence[Measurement], best: Measurement | None, verdicts: dict[str, Verdict], base: str | None
) -> Iterator[tuple[str, str]]:
    """Why not each other variant. base: one that passes because nobody judges it."""
    for one in variants:
        verdict = verdicts[one.name]
        reasons = [reason.text for reason in verdict.reasons if reason.outcome == verdict.outcome]
        if one is best:
            continue
        if verdict.outcome != PASS:
            yield one.name, "; ".join(reasons)
        elif best is None or verdicts[best.name].outcome != PASS or one.name == base:
            yield one.name, "the others are compared with it"
        else:
            yield one.name, f"keeps the limits; {_pace(one, best)}, {_size(one, best)}"


def _pace(one: Measurement, best: Measurement) -> str:
    ratio = _fastest(one).median / _fastest(best).median
    if _as_fast(one, best):
        return "as fast"
    return f"takes {ratio:.2f} times as long" if ratio > 1 else f"{1 / ratio:.2f} times as fast"
