"""Tests of one measured value against one limit.

The outcome is PASS where the measurement proves that the limit is kept, FAIL where it proves that it is not, and
UNDECIDED otherwise, with the outcome that the measured value leans towards, and the number of images or rounds that
would prove it where that number is within reach. False failures and false passes are each at most 2.5%.

Drift is judged by the exact binomial test, whose error is never larger; Wilson's interval, which the tables show, can
be too narrow for a few flips. That holds for multi-label models, too: an image flips where any of its labels changes.
Label agreement, the fraction of all decisions, is not judged: the decisions on one image are not independent, and where
most labels are absent from most images, it stays high for a variant that finds none.

The accuracy change is judged by two tests that must agree, Newcombe's interval and Tango's score: with a few changed
images the first passes too often, and the second fails too often. Together they are wrong in less than 3% of cases.

A limit of 0 is a statement about the evaluation images themselves, because no number of images could prove it of all
others. A drift of 0: no evaluation image flips. An accuracy drop of 0: no image that the reference classifies correctly
is classified wrongly.

Results are judged beside those of a baseline by the same paired tests: PASS where no image changes for the worse, or an
improvement is proven, and FAIL where a change for the worse is. A speedup is a ratio within one run. Two runs of one
file differ, too, so it may be lower than the baseline's by the spread that their grades allow.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, takewhile

from edgenet.analysis.pairing import Pairs
from edgenet.machine.quality import MIN_ROUNDS, threads
from edgenet.records import Accuracy, Interval, LabelAgreement, Latency, Outcome
from edgenet.statistics import TAIL, Z, at_least, at_most, paired_difference, ratio, tango

# More images than these, or more than so many times those that were measured, are not suggested; likewise rounds.
MAX_IMAGES, MAX_FACTOR = 10_000, 10


@dataclass(frozen=True)
class Reason:
    """The outcome of one limit, the measured value and the limit."""

    outcome: Outcome
    text: str
    # Of an undecided one: what it would be if the measured value were the true one. None for the others, where the
    # value is the limit itself, and where the measurement says nothing.
    leaning: Outcome | None = None


def judge_drift(flips: int, images: int, limit: float, labels: LabelAgreement | None = None) -> Reason:
    """Whether drift is at most `limit`, by exact binomial tests.

    Args:
        flips: Images whose top class, or any label of a multi-label model, differs from the reference's.
        images: All evaluation images.
        limit: A fraction; with 0, no image may flip.
        labels: The label agreement of a multi-label model.
    """
    counted = f" (any label; label agreement {labels.decisions.value:.4f})" if labels else ""
    verb = "flips" if flips == 1 else "flip"
    return _judge_flips(
        flips,
        images,
        limit,
        none_allowed=f"{flips:,} of {images:,} images {verb}, limit 0",
        measured=f"drift {flips / images:.2%} of {images:,} images{counted}, limit {_percent(limit)}",
    )


def judge_confident_flips(flips: int, images: int, limit: float) -> Reason:
    """Whether confident flips are at most `limit`, by exact binomial tests.

    Args:
        flips: Images that flip although the reference's probability of its top class was above `CONFIDENT`.
        images: All evaluation images.
        limit: A fraction; with 0, there may be none.
    """
    are = "is a confident flip" if flips == 1 else "are confident flips"
    return _judge_flips(
        flips,
        images,
        limit,
        none_allowed=f"{flips:,} of {images:,} images {are}, limit 0",
        measured=f"confident flips {flips / images:.2%} of {images:,} images, limit {_percent(limit)}",
    )


def _judge_flips(flips: int, images: int, limit: float, *, none_allowed: str, measured: str) -> Reason:
    """none_allowed: the text for a limit of 0."""
    if limit == 0:
        return Reason(Outcome.FAIL if flips else Outcome.PASS, none_allowed)

    def decide(total: int) -> Outcome:
        expected = round(flips / images * total)
        if at_least(expected, total, limit) <= TAIL:
            return Outcome.FAIL
        return Outcome.PASS if at_most(expected, total, limit) <= TAIL else Outcome.UNDECIDED

    return _reason(decide, images, measured, _leaning(limit, flips / images))


def judge_accuracy(accuracy: Accuracy, limit: float) -> Reason:
    """Whether top-1 accuracy drops by at most `limit`, by the paired interval of its change and by the score test.

    Args:
        accuracy: Of a variant, with its change.
        limit: A fraction; with 0, it also passes where no image is newly wrong.

    Raises:
        ValueError: `accuracy` has no change.
    """
    images, change = accuracy.images, accuracy.change
    if change is None:
        raise ValueError("an accuracy without a reference cannot be judged")
    if limit == 0 and not change.negative_flips:
        return Reason(Outcome.PASS, f"0 of {images:,} labelled images are newly wrong, limit 0")
    positive, negative = change.positive_flips, change.negative_flips
    both = round(accuracy.top1 * images) - positive
    pairs = Pairs(both, positive, negative, images - both - positive - negative)
    interval = change.interval
    measured = (
        f"accuracy change {_points(interval.value)} points "
        f"(95% CI {_points(interval.low)} to {_points(interval.high)}), limit {_points(-limit) if limit else 0} points"
    )
    return _reason(
        _paired_test(pairs, limit), images, measured, _leaning(-limit, interval.value, larger_is_worse=False)
    )


def judge_drift_change(pairs: Pairs) -> Reason:
    """Whether drift is not larger than in a baseline, on the same images.

    Args:
        pairs: Images with the reference's answer, in the baseline and now.
    """
    images = sum(pairs)
    now, before = ((images - agreeing) / images for agreeing in (pairs.both + pairs.gained, pairs.both + pairs.lost))
    measured = f"drift {now:.2%} of {images:,} images, baseline {before:.2%}"
    if not pairs.lost:
        return Reason(Outcome.PASS, f"{measured}; no image is newly flipped")
    interval = paired_difference(*pairs)
    measured += (
        f": change {_points(-interval.value)} points (95% CI {_points(-interval.high)} to {_points(-interval.low)}), "
        f"{pairs.lost:,} newly flipped, {pairs.gained:,} no longer"
    )
    return _reason(_paired_test(pairs), images, measured, _leaning(pairs.gained, pairs.lost))


def judge_accuracy_change(pairs: Pairs) -> Reason:
    """Whether top-1 accuracy is not lower than in a baseline, on the same labelled images.

    Args:
        pairs: Images that are classified correctly, in the baseline and now.
    """
    images = sum(pairs)
    now, before = (correct / images for correct in (pairs.both + pairs.gained, pairs.both + pairs.lost))
    measured = f"accuracy {now:.2%} of {images:,} images, baseline {before:.2%}"
    if not pairs.lost:
        return Reason(Outcome.PASS, f"{measured}; no image is newly wrong")
    interval = paired_difference(*pairs)
    measured += (
        f": change {_points(interval.value)} points (95% CI {_points(interval.low)} to {_points(interval.high)}), "
        f"{pairs.lost:,} newly wrong, {pairs.gained:,} newly right"
    )
    return _reason(_paired_test(pairs), images, measured, _leaning(pairs.gained, pairs.lost))


def judge_speedup_change(now: Latency, before: Latency, spread: float, poor: str | None = None) -> Reason:
    """Whether a speedup is not lower than in a baseline by more than `spread`, by the interval of their ratio.

    Args:
        now, before: Latencies of one file, or of two with the same name, on the same number of threads, each with its
            speedup relative to the base of its own run.
        spread: By how much two runs of one file may differ, as a ratio minus 1.
        poor: Why the latencies prove nothing; the outcome is then undecided.
    """
    where, limit = f"on {threads(now.threads)}", 1 / (1 + spread)
    if now.speedup is None or before.speedup is None:
        rounds = min(len(latency.rounds) for latency in (now, before))
        return Reason(Outcome.UNDECIDED, f"speedup: only {rounds} rounds {where}; measure {MIN_ROUNDS} rounds or more")
    change = ratio(now.speedup, before.speedup)
    measured = (
        f"speedup {now.speedup.value:.2f}x {where}, baseline {before.speedup.value:.2f}x: ratio {change.value:.3f} "
        f"(95% CI {change.low:.3f} to {change.high:.3f}), limit {limit:.3f}"
    )
    if poor:
        return Reason(Outcome.UNDECIDED, f"{measured}; the timing quality is poor ({poor}), measure again")
    if change.low >= limit:
        return Reason(Outcome.PASS, measured)
    if change.high < limit:
        return Reason(Outcome.FAIL, measured)
    return _undecided(measured, _leaning(limit, change.value, larger_is_worse=False))


def judge_speedup(latency: Latency, base: str, limit: float, poor: str | None = None) -> Reason:
    """Whether a variant's speedup is at least `limit`, by the interval of the ratios within the rounds.

    Args:
        latency: On one number of threads.
        base: The variant that the speedup is relative to.
        limit: A ratio.
        poor: Why the latencies prove nothing (`edgenet.machine.quality.poor_reason`); the outcome is then undecided.
    """
    where = f"on {threads(latency.threads)}, limit {limit:.2f}x"
    speedup, rounds = latency.speedup, len(latency.rounds)
    if speedup is None:
        return Reason(Outcome.UNDECIDED, f"only {rounds} rounds {where}; measure {MIN_ROUNDS} rounds or more")
    measured = f"{speedup.value:.2f}x {base} (95% CI {speedup.low:.2f}x to {speedup.high:.2f}x) {where}"
    if poor:
        return Reason(Outcome.UNDECIDED, f"{measured}; the timing quality is poor ({poor}), measure again")
    if speedup.low >= limit:
        return Reason(Outcome.PASS, measured)
    if speedup.high < limit:
        return Reason(Outcome.FAIL, measured)
    leaning = _leaning(limit, speedup.value, larger_is_worse=False)
    gap, reach = abs(speedup.value - limit), _reach(speedup, limit)
    # The width of an interval falls with the square root of the rounds.
    more = _two_digits(math.floor(rounds * ((reach / gap) ** 2 - 1)) + 1) if reach < 1_000 * gap else None
    return _undecided(measured, leaning, more if more and more <= MAX_FACTOR * rounds else None, "round")


def judge_size(size: int, limit: int) -> Reason:
    """Whether a file has at most `limit` bytes."""
    outcome = Outcome.PASS if size <= limit else Outcome.FAIL
    return Reason(outcome, f"{size / 1e6:,.3f} MB, limit {limit / 1e6:,.3f} MB")


def _reach(speedup: Interval, limit: float) -> float:
    """From the value to the end of the interval on the limit's side."""
    return speedup.value - speedup.low if speedup.value >= limit else speedup.high - speedup.value


def _paired_test(pairs: Pairs, limit: float = 0.0) -> Callable[[int], Outcome]:
    """Whether what is true of images becomes true of fewer by at most `limit`, on so many images at the same rates."""
    images = sum(pairs)

    def decide(total: int) -> Outcome:
        both, gained, lost = (round(count / images * total) for count in pairs[:3])
        interval = paired_difference(both, gained, lost, max(0, total - both - gained - lost))
        score = tango(gained, lost, total, -limit)
        if interval.high < -limit and score <= -Z:
            return Outcome.FAIL
        return Outcome.PASS if interval.low >= -limit and score >= Z else Outcome.UNDECIDED

    return decide


def _leaning(limit: float, value: float, *, larger_is_worse: bool = True) -> Outcome | None:
    """What a measured value would be if it were the true one; None where it is the limit itself."""
    if math.isclose(value, limit, rel_tol=1e-9, abs_tol=1e-12):  # fractions that differ by rounding alone
        return None
    return Outcome.FAIL if (value > limit) == larger_is_worse else Outcome.PASS


def _reason(decide: Callable[[int], Outcome], images: int, measured: str, leaning: Outcome | None) -> Reason:
    """The outcome on so many images, or how many more, at the same rate, would prove what it leans towards."""
    outcome = decide(images)
    if outcome != Outcome.UNDECIDED:
        return Reason(outcome, measured)
    most = min(MAX_IMAGES, MAX_FACTOR * images)
    amounts = takewhile(lambda more: more <= most, _amounts()) if leaning else ()
    more = next((more for more in amounts if decide(images + more) == leaning), None)
    return _undecided(measured, leaning, more, "image")


def _amounts() -> Iterator[int]:
    """The numbers with two significant digits: 1, 2, ... 99, 100, 110, ... 990, 1000, 1100, ..."""
    yield from range(1, 10)
    for power in count():
        yield from range(10 ** (power + 1), 10 ** (power + 2), 10**power)


def _two_digits(number: int) -> int:
    """The next of `_amounts`."""
    return next(amount for amount in _amounts() if amount >= number)


def _undecided(measured: str, leaning: Outcome | None, more: int | None = None, what: str = "") -> Reason:
    """more: of `what`; None for more than can be asked for."""
    if leaning is None:
        return Reason(Outcome.UNDECIDED, f"{measured}; at the limit itself, leans neither way")
    text = f"{measured}; leans towards {leaning}"
    if more:
        text += f": about {more:,} more {what}{'s' * (more > 1)} at this rate would prove it"
    return Reason(Outcome.UNDECIDED, text, leaning)


def _percent(fraction: float) -> str:
    """Two decimals, or one significant digit where two decimals would show 0."""
    return f"{100 * fraction:.1g}%" if 0 < abs(fraction) < 0.000_05 else f"{fraction:.2%}"


def _points(difference: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return f"{100 * difference:+.1g}" if 0 < abs(difference) < 0.000_05 else f"{100 * difference:+.2f}"
