"""A verdict on each variant: whether what was measured proves that it keeps the limits, proves that it breaks them, or
proves neither, and how many more images or rounds would.

A verdict is made to be wrong in at most 2.5 % of cases on either side. Drift is judged by the exact binomial test,
whose error is never larger; Wilson's interval, which the tables show, can be too narrow for a few flips. The change of
accuracy is judged by two tests that must agree, Newcombe's interval and Tango's score, since with a few changed images
the first passes too often and the second fails too often; together they are wrong in less than 3 % of cases.

A limit of 0 is a statement about the images themselves, which no number of them could prove of all others. Drift of at
most 0: no evaluation image flips. Accuracy drop of at most 0: no image that the reference has right is wrong.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

from edgenet.errors import EdgenetError
from edgenet.machine.quality import FEWEST_ROUNDS, doubt, threads
from edgenet.records import KERAS, Drift, Interval, Latency, Measurement, Results
from edgenet.statistics import TAIL, Z, at_least, at_most, paired_difference, tango

PASS, UNDECIDED, FAIL = OUTCOMES = ("pass", "undecided", "fail")

# Images beyond which nobody is asked to go.
MOST_IMAGES = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What a variant must keep; None: anything.

    max_drift: share of images whose top class is not Keras'; 0: no image may flip. max_accuracy_drop: of accuracy
    against Keras', as a share; 0: passes where no image is newly wrong, or a gain is proven, and fails where a drop is
    proven. min_speedup: times as fast as the base, on every number of threads that was measured. max_size: bytes.
    """

    max_drift: float | None = None
    max_accuracy_drop: float | None = None
    min_speedup: float | None = None
    max_size: int | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in vars(self).values())


@dataclass(frozen=True)
class Reason:
    """What one limit comes to: an outcome out of OUTCOMES, and what it was measured against."""

    outcome: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """variant: its name. reasons: one for each limit."""

    variant: str
    reasons: tuple[Reason, ...]

    @property
    def outcome(self) -> str:
        return worst(reason.outcome for reason in self.reasons)


def worst(outcomes: Iterable[str]) -> str:
    """fail before undecided before pass."""
    return max(outcomes, key=OUTCOMES.index, default=PASS)


def judge(
    results: Results, limits: Limits, variants: Sequence[str] | None = None, where: str = "results"
) -> list[Verdict]:
    """The verdict on each variant of these names, all by default.

    Raises EdgenetError, with `where`, when one was not measured, or when the results do not have what a limit is for.
    """
    measured = {m.name: m for m in results.measurements if m.name not in (KERAS, results.reference)}
    if not measured:
        raise EdgenetError(f"{where}: expected a variant that was measured, found none; measure again")
    for name in measured if variants is None else variants:
        if name not in measured:
            raise EdgenetError(f"--variants: expected names out of {', '.join(measured)} in {where}, found {name!r}")
    chosen = [measured[name] for name in (measured if variants is None else variants)]
    return [Verdict(m.name, tuple(_reasons(m, results, limits, where))) for m in chosen]


def _reasons(measured: Measurement, results: Results, limits: Limits, where: str) -> Iterator[Reason]:
    drift = measured.drift
    if limits.max_drift is not None:
        if not drift or drift.agreement is None:
            raise _missing(where, "max-drift", "a drift", "with --reference or --model")
        yield judge_drift(len(drift.flips), drift.images, limits.max_drift)
    if limits.max_accuracy_drop is not None:
        if not drift or drift.change_interval is None:
            raise _missing(where, "max-accuracy-drop", "the accuracy of a variant and of Keras", "on labelled images")
        yield judge_accuracy(drift, limits.max_accuracy_drop)
    if limits.min_speedup is not None and measured.name != results.base:
        if results.base is None or not measured.latency:
            raise _missing(where, "min-speedup", "a ratio to float32", "float32 with the others")
        for latency in measured.latency:
            yield judge_speed(latency, results.base, limits.min_speedup, doubt(results.condition))
    if limits.max_size is not None:
        outcome = PASS if measured.bytes <= limits.max_size else FAIL
        yield Reason(outcome, f"{_size(measured.bytes)}, at most {_size(limits.max_size)} wanted")


def _missing(where: str, limit: str, expected: str, mend: str) -> EdgenetError:
    return EdgenetError(f"{where}: expected {expected} for --{limit}, found none; measure {mend}")


def judge_drift(flips: int, images: int, limit: float) -> Reason:
    """Whether a variant that flipped so many of so many images drifts by at most `limit`: exact binomial tests.

    With a limit of 0, whether none of these images flips.
    """
    if limit == 0:
        verb = "flips" if flips == 1 else "flip"
        return Reason(FAIL if flips else PASS, f"{flips:,} of {images:,} images {verb}; none allowed")

    def decided(total: int) -> str | None:
        count = round(flips / images * total)
        if at_least(count, total, limit) <= TAIL:
            return FAIL
        return PASS if at_most(count, total, limit) <= TAIL else None

    said = f"drift {flips / images:.2%} of {images:,} images, at most {_percent(limit)} wanted"
    return _reason(decided, images, said)


def judge_accuracy(drift: Drift, limit: float) -> Reason:
    """Whether accuracy fell by at most `limit`: by the paired interval of its change, and by the score test.

    With a limit of 0, it also passes where no image is newly wrong.
    """
    if limit == 0 and not drift.lost:
        return Reason(PASS, f"0 of {drift.labelled:,} labelled images are newly wrong; no drop of accuracy allowed")
    both = round(drift.accuracy * drift.labelled) - drift.gained
    cells = (both, drift.gained, drift.lost, drift.labelled - both - drift.gained - drift.lost)

    def decided(total: int) -> str | None:
        both, gained, lost = (round(cell / drift.labelled * total) for cell in cells[:3])
        change = paired_difference(both, gained, lost, max(0, total - both - gained - lost))
        score = tango(gained, lost, total, -limit)
        if change.high < -limit and score <= -Z:
            return FAIL
        return PASS if change.low >= -limit and score >= Z else None

    change = drift.change_interval
    interval = f"{change.low:+.2%} to {change.high:+.2%}"
    said = f"accuracy {change.value:+.2%} ({interval}), at least {_percent(-limit, '+')} wanted"
    return _reason(decided, drift.labelled, said)


def judge_speed(latency: Latency, base: str, limit: float, doubtful: str | None = None) -> Reason:
    """Whether a variant is `limit` times as fast as the base: by the interval of the ratios within the rounds.

    doubtful: why the latencies prove nothing (`trust.doubt`), which leaves it undecided.
    """
    where = f"on {threads(latency.threads)}, at least {limit:.2f}x wanted"
    speed, rounds = latency.speed, len(latency.rounds)
    if speed is None:
        return Reason(UNDECIDED, f"too few rounds, {rounds}; take {FEWEST_ROUNDS} or more ({where})")
    said = f"{speed.value:.2f}x {base} ({speed.low:.2f}x to {speed.high:.2f}x) {where}"
    if doubtful:
        return Reason(UNDECIDED, f"the measurement quality is poor: {doubtful}; then measure again ({said})")
    if speed.low >= limit:
        return Reason(PASS, said)
    if speed.high < limit:
        return Reason(FAIL, said)
    gap, reach = abs(speed.value - limit), _reach(speed, limit)
    # An interval narrows as the root of the rounds.
    more = math.floor(rounds * ((reach / gap) ** 2 - 1)) + 1 if reach < 1_000 * gap else None
    return Reason(UNDECIDED, f"{_about(more and _two_digits(more), 'round')} ({said})")


def _reach(speed: Interval, limit: float) -> float:
    return speed.value - speed.low if speed.value >= limit else speed.high - speed.value


def _reason(decided: Callable[[int], str | None], images: int, said: str) -> Reason:
    """What is decided on so many images, or how many more of the same kind would decide it."""
    outcome = decided(images)
    if outcome:
        return Reason(outcome, said)
    amounts = takewhile(lambda more: more <= MOST_IMAGES, _amounts())
    more = next((more for more in amounts if decided(images + more)), None)
    return Reason(UNDECIDED, f"{_about(more, 'image')} ({said})")


def _amounts() -> Iterator[int]:
    """The numbers of two digits that count: 1, 2, ... 99, 100, 110, ... 990, 1000, 1100, ..."""
    yield from range(1, 10)
    for power in count():
        yield from range(10 ** (power + 1), 10 ** (power + 2), 10**power)


def _two_digits(number: int) -> int:
    """The next of `_amounts`."""
    return next(amount for amount in _amounts() if amount >= number)


def _about(more: int | None, what: str) -> str:
    if more is None:
        return f"no number of {what}s that one can measure would decide it"
    return f"about {more:,} more {what}{'s' * (more > 1)} would decide it"


def _percent(share: float, sign: str = "") -> str:
    """Two decimals, or one digit that counts where two decimals would show 0."""
    tiny = share and abs(share) < 0.000_05
    return f"{100 * share:{sign}.1g}%" if tiny else f"{share:{sign}.2%}"


def _size(count: int) -> str:
    return f"{count / 1e6:,.3f} MB"
