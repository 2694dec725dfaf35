"""Tests of one measured value against one limit.

The outcome is PASS where the measurement proves that the limit is kept, FAIL where it proves that it is not, and
UNDECIDED otherwise, with the number of images or rounds that would decide it. False failures and false passes are each
at most 2.5%.

Drift is judged by the exact binomial test, whose error is never larger; Wilson's interval, which the tables show, can
be too narrow for a few flips. That holds for multi-label models, too: an image flips where any of its labels changes.
Label agreement, the fraction of all decisions, is not judged: the decisions on one image are not independent, and where
most labels are absent from most images, it stays high for a variant that finds none.

The accuracy change is judged by two tests that must agree, Newcombe's interval and Tango's score: with a few changed
images the first passes too often, and the second fails too often. Together they are wrong in less than 3% of cases.

A limit of 0 is a statement about the evaluation images themselves, because no number of images could prove it of all
others. A drift of 0: no evaluation image flips. An accuracy drop of 0: no image that the reference classifies correctly
is classified wrongly.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, takewhile

from edgenet.machine.quality import MIN_ROUNDS, threads
from edgenet.records import Accuracy, Interval, LabelAgreement, Latency, Outcome
from edgenet.statistics import TAIL, Z, at_least, at_most, paired_difference, tango

# More images than these are not suggested.
MAX_IMAGES = 1_000_000


@dataclass(frozen=True)
class Reason:
    """The outcome of one limit, the measured value and the limit."""

    outcome: Outcome
    text: str


def judge_drift(flips: int, images: int, limit: float, labels: LabelAgreement | None = None) -> Reason:
    """Whether drift is at most `limit`, by exact binomial tests.

    Args:
        flips: Images whose top class, or any label of a multi-label model, differs from the reference's.
        images: All evaluation images.
        limit: A fraction; with 0, no image may flip.
        labels: The label agreement of a multi-label model.
    """
    if limit == 0:
        verb = "flips" if flips == 1 else "flip"
        return Reason(Outcome.FAIL if flips else Outcome.PASS, f"{flips:,} of {images:,} images {verb}, limit 0")

    def decide(total: int) -> Outcome:
        expected = round(flips / images * total)
        if at_least(expected, total, limit) <= TAIL:
            return Outcome.FAIL
        return Outcome.PASS if at_most(expected, total, limit) <= TAIL else Outcome.UNDECIDED

    counted = f" (any label; label agreement {labels.decisions.value:.4f})" if labels else ""
    measured = f"drift {flips / images:.2%} of {images:,} images{counted}, limit {_percent(limit)}"
    return _reason(decide, images, measured)


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
    cells = (round(accuracy.top1 * images) - positive, positive, negative)

    def decide(total: int) -> Outcome:
        both, gained, lost = (round(cell / images * total) for cell in cells)
        interval = paired_difference(both, gained, lost, max(0, total - both - gained - lost))
        score = tango(gained, lost, total, -limit)
        if interval.high < -limit and score <= -Z:
            return Outcome.FAIL
        return Outcome.PASS if interval.low >= -limit and score >= Z else Outcome.UNDECIDED

    interval = change.interval
    measured = (
        f"accuracy change {_points(interval.value)} points "
        f"(95% CI {_points(interval.low)} to {_points(interval.high)}), limit {_points(-limit) if limit else 0} points"
    )
    return _reason(decide, images, measured)


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
    gap, reach = abs(speedup.value - limit), _reach(speedup, limit)
    # The width of an interval falls with the square root of the rounds.
    more = math.floor(rounds * ((reach / gap) ** 2 - 1)) + 1 if reach < 1_000 * gap else None
    expected = Outcome.PASS if speedup.value >= limit else Outcome.FAIL
    return Reason(Outcome.UNDECIDED, f"{measured}; {_outlook(more and _two_digits(more), 'round', expected)}")


def judge_size(size: int, limit: int) -> Reason:
    """Whether a file has at most `limit` bytes."""
    outcome = Outcome.PASS if size <= limit else Outcome.FAIL
    return Reason(outcome, f"{size / 1e6:,.3f} MB, limit {limit / 1e6:,.3f} MB")


def _reach(speedup: Interval, limit: float) -> float:
    """From the value to the end of the interval on the limit's side."""
    return speedup.value - speedup.low if speedup.value >= limit else speedup.high - speedup.value


def _reason(decide: Callable[[int], Outcome], images: int, measured: str) -> Reason:
    """The outcome on so many images, or how many more, at the same rate, would decide it."""
    outcome = decide(images)
    if outcome != Outcome.UNDECIDED:
        return Reason(outcome, measured)
    for more in takewhile(lambda more: more <= MAX_IMAGES, _amounts()):
        if (expected := decide(images + more)) != Outcome.UNDECIDED:
            return Reason(outcome, f"{measured}; {_outlook(more, 'image', expected)}")
    return Reason(outcome, f"{measured}; {_outlook(None, 'image', outcome)}")


def _amounts() -> Iterator[int]:
    """The numbers with two significant digits: 1, 2, ... 99, 100, 110, ... 990, 1000, 1100, ..."""
    yield from range(1, 10)
    for power in count():
        yield from range(10 ** (power + 1), 10 ** (power + 2), 10**power)


def _two_digits(number: int) -> int:
    """The next of `_amounts`."""
    return next(amount for amount in _amounts() if amount >= number)


def _outlook(more: int | None, what: str, expected: Outcome) -> str:
    if more is None:
        return f"too close to the limit to be decided by more {what}s"
    return f"about {more:,} more {what}{'s' * (more > 1)} at this rate would make it a {expected}"


def _percent(fraction: float) -> str:
    """Two decimals, or one significant digit where two decimals would show 0."""
    return f"{100 * fraction:.1g}%" if 0 < abs(fraction) < 0.000_05 else f"{fraction:.2%}"


def _points(difference: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return f"{100 * difference:+.1g}" if 0 < abs(difference) < 0.000_05 else f"{100 * difference:+.2f}"
