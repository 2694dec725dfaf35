"""How far a latency can be trusted: intervals for what was measured, and a grade for the conditions.

Each rule names what it found, so that a user can mend it. The limits are in percent of what they would do to a ratio
between two variants: below the first, nothing that matters; above the second, the ratio may be another tomorrow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgenet.machine.sensors import Reading
from edgenet.records import KERAS, Condition, Interval

GOOD, FAIR, POOR = GRADES = ("good", "fair", "poor")

# Draws of a bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993), and what an interval covers.
DRAWS, COVERED = 1_000, 0.95
# With fewer rounds there is no interval to speak of.
FEWEST_ROUNDS = 5

# (fair, poor): the smallest amounts at which a finding makes a result no better than that.
OTHERS = (0.1, 0.5)  # cores that other processes used
STOLEN = (0.02, 0.1)  # of the time that the cores had
CLOCK = (0.05, 0.2)  # fall of the highest clock
SPREAD = (0.05, 0.2)  # of the medians of the rounds, from the 10th to the 90th percentile
TREND = (0.03, 0.1)  # of the last third of the rounds against the first
HOT, RISE = (75.0, 80.0), 10.0  # degrees Celsius; a Raspberry Pi slows down from 80
# Two humps: both hold so much of the samples, and are so far apart, in their own widths and of the faster one.
HUMP_SHARE, HUMP_WIDTHS, HUMP_GAP = 0.15, 4.0, 0.1

# Samples of a variant, in seconds, a sequence for each round.
Rounds = Sequence[Sequence[float]]


def median_interval(rounds: Rounds) -> Interval | None:
    """Where the median of all samples lies: a percentile bootstrap over the rounds.

    Samples of one round share their moment, so rounds are drawn and not samples. None for too few rounds.
    """
    if len(rounds) < FEWEST_ROUNDS:
        return None
    samples = np.asarray(rounds)
    drawn = _draws(len(rounds))
    return _interval(np.array([np.median(samples[chosen]) for chosen in drawn]), float(np.median(samples)))


def ratio_interval(base: Rounds, other: Rounds) -> Interval | None:
    """How many times as fast `other` is as `base`: the median over the rounds of the ratio of their medians there.

    Both met the same conditions in a round, which the ratio drops. A percentile bootstrap over the rounds.
    """
    if len(base) < FEWEST_ROUNDS or len(base) != len(other):
        return None
    ratios = np.array([np.median(slow) / np.median(fast) for slow, fast in zip(base, other, strict=True)])
    return _interval(np.median(ratios[_draws(len(ratios))], axis=1), float(np.median(ratios)))


def quotient_interval(base: Rounds, other: Rounds) -> Interval | None:
    """How many times as fast `other` is as `base`, which was measured at another time: the ratio of their medians.

    A percentile bootstrap over the rounds of each. What differs between two runs, and not between the rounds of one, is
    not in it.
    """
    if min(len(base), len(other)) < FEWEST_ROUNDS:
        return None
    random = np.random.default_rng(0)
    medians = [
        np.array([np.median(samples[chosen]) for chosen in random.integers(0, len(samples), (DRAWS, len(samples)))])
        for samples in map(np.asarray, (base, other))
    ]
    return _interval(medians[0] / medians[1], float(np.median(base) / np.median(other)))


def _draws(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, count, (DRAWS, count))


def _interval(drawn: np.ndarray, value: float) -> Interval:
    low, high = np.quantile(drawn, ((1 - COVERED) / 2, (1 + COVERED) / 2)).tolist()
    return Interval(value, low, high)


@dataclass(frozen=True)
class Phase:
    """One stretch of measuring. readings: before, during and after. own: core-seconds that this program's processes had
    used at each of them. rounds: the samples of each variant. cores: how many the machine has."""

    threads: int
    readings: Sequence[Reading]
    own: Sequence[float | None]
    rounds: dict[str, Rounds]
    cores: int


@dataclass(frozen=True)
class Reason:
    """Something that makes a result no better than `grade`."""

    grade: str
    text: str


def condition(phases: Sequence[Phase], known: Sequence[Reason] = ()) -> Condition:
    """The grade of what was measured in some phases, with the reasons, and what the machine told.

    known: reasons that are none of the readings' and rounds'.
    Keras' own rounds, which vary on the quietest machine, lower no grade beside those of files.
    """
    readings = [reading for phase in phases for reading in phase.readings]
    others = _others(phases)
    reasons, of_keras = [*known, *_machine(readings), *_load(phases, others)], []
    for phase in phases:
        for name, rounds in phase.rounds.items():
            spared = name == KERAS and len(phase.rounds) > 1
            (of_keras if spared else reasons).extend(
                Reason(reason.grade, f"{name} on {threads(phase.threads)}: {reason.text}")
                for reason in _samples(rounds)
            )
    grade = max((reason.grade for reason in reasons), key=GRADES.index, default=GOOD)
    return Condition(
        grade=grade,
        reasons=tuple(
            reason.text
            for part in (reasons, of_keras)
            for reason in sorted(part, key=lambda reason: -GRADES.index(reason.grade))
        ),
        unseen=tuple(_unseen(readings, others)),
        others=others,
        megahertz=_ends([max(reading.megahertz) for reading in readings if reading.megahertz]),
        celsius=_ends([reading.celsius for reading in readings if reading.celsius is not None]),
        governor=next((reading.governor for reading in readings if reading.governor), None),
    )


def doubt(condition: Condition) -> str | None:
    """The worst reason why latencies measured in such a condition prove nothing about speed; None where they can.

    The one rule for every verdict, comparison, report and recommendation: poor latencies prove neither that a variant
    is fast enough nor that it is not.
    """
    if condition.grade != POOR:
        return None
    return next(iter(condition.reasons), "the results do not say why")


def threads(count: int) -> str:
    """1 thread, 2 threads."""
    return f"{count} thread{'s' * (count > 1)}"


def _ends(values: list[float]) -> tuple[float, ...] | None:
    return (min(values), max(values)) if values else None


def _others(phases: Sequence[Phase]) -> float | None:
    """Cores that other processes used while this program measured, on average."""
    used = elapsed = 0.0
    for phase in phases:
        first, last = phase.readings[0], phase.readings[-1]
        if None in (first.busy, last.busy, phase.own[0], phase.own[-1]):
            return None
        used += (last.busy - first.busy) - (phase.own[-1] - phase.own[0])
        elapsed += last.seconds - first.seconds
    return max(0.0, used / elapsed) if elapsed else None


def _level(amount: float, limits: tuple[float, float]) -> str | None:
    return POOR if amount >= limits[1] else FAIR if amount >= limits[0] else None


def _load(phases: Sequence[Phase], others: float | None) -> Iterator[Reason]:
    if others is not None and (grade := _level(others, OTHERS)):
        yield Reason(grade, f"other processes kept {others:.1f} cores busy; stop them")
    stolen = available = 0.0
    for phase in phases:
        first, last = phase.readings[0], phase.readings[-1]
        if first.stolen is not None and last.stolen is not None:
            stolen += last.stolen - first.stolen
            available += (last.seconds - first.seconds) * phase.cores
    if available and (grade := _level(stolen / available, STOLEN)):
        yield Reason(grade, f"the host of this virtual machine took {stolen / available:.0%} of its time for others")


def _machine(readings: Sequence[Reading]) -> Iterator[Reason]:
    """What the readings tell by themselves."""
    limits = sorted({limit for reading in readings for limit in reading.throttled or ()})
    if limits:
        mend = "use a stronger power supply" if "under-voltage" in limits else "cool it: a fan, a heat sink, --cooldown"
        yield Reason(POOR, f"the firmware held the clock back ({', '.join(limits)}); {mend}")
    clocks = _ends([max(reading.megahertz) for reading in readings if reading.megahertz])
    if clocks and (grade := _level(1 - clocks[0] / clocks[1], CLOCK)):
        yield Reason(
            grade, f"the clock went from {clocks[1]:,.0f} down to {clocks[0]:,.0f} MHz; fix it: governor performance"
        )
    governors = {reading.governor for reading in readings}
    if "powersave" in governors:
        yield Reason(FAIR, "governor powersave may hold the clock down; set it to performance")
    heat = _ends([reading.celsius for reading in readings if reading.celsius is not None])
    if heat and (grade := _level(heat[1], HOT)):
        yield Reason(grade, f"it was {heat[1]:.0f} degrees hot; cool it, or wait with --cooldown")
    elif heat and heat[1] - heat[0] >= RISE:
        yield Reason(FAIR, f"it warmed up by {heat[1] - heat[0]:.0f} degrees; wait with --cooldown")
    if any(reading.battery for reading in readings):
        yield Reason(FAIR, "it ran on its battery; plug it in")


def _samples(rounds: Rounds) -> Iterator[Reason]:
    """What the samples of one variant tell."""
    medians = np.array([np.median(samples) for samples in rounds])
    if len(medians) < FEWEST_ROUNDS:
        yield Reason(FAIR, f"{len(medians)} rounds are few; take {FEWEST_ROUNDS} or more")
        return
    low, middle, high = np.quantile(medians, (0.1, 0.5, 0.9))
    spread = (high - low) / middle
    if grade := _level(spread, SPREAD):
        yield Reason(grade, f"the rounds differ by {spread:.0%}")
    third = max(1, len(medians) // 3)
    trend = float(np.median(medians[-third:]) / np.median(medians[:third]) - 1)
    if grade := _level(abs(trend), TREND):
        yield Reason(
            grade, f"the last rounds were {abs(trend):.0%} {'slower' if trend > 0 else 'faster'} than the first"
        )
    humps = _two_humps(np.concatenate([np.asarray(samples) for samples in rounds]))
    if humps:
        yield Reason(FAIR, f"there are two speeds, {1_000 * humps[0]:.3g} and {1_000 * humps[1]:.3g} ms")


def _two_humps(samples: np.ndarray) -> tuple[float, float] | None:
    """The medians of two clusters, where samples fall apart into two; None where they do not.

    The split is Otsu's (1979): that of the logarithms with the largest variance between the parts. The slowest
    twentieth is left out, which is a tail and no hump.
    """
    values = np.sort(np.log(samples))[: max(2, round(0.95 * len(samples)))]
    counts = np.arange(1, len(values))
    sums = np.cumsum(values)[:-1]
    left, right = sums / counts, (values.sum() - sums) / (len(values) - counts)
    split = int(np.argmax(counts * (len(values) - counts) * (right - left) ** 2)) + 1
    fast, slow = values[:split], values[split:]
    width = np.median(np.concatenate([np.abs(fast - np.median(fast)), np.abs(slow - np.median(slow))])) * 1.4826
    gap = float(np.median(slow) - np.median(fast))
    if min(len(fast), len(slow)) < HUMP_SHARE * len(values) or gap < max(HUMP_GAP, HUMP_WIDTHS * width):
        return None
    return float(np.exp(np.median(fast))), float(np.exp(np.median(slow)))


def _unseen(readings: Sequence[Reading], others: float | None) -> Iterator[str]:
    for name in ("megahertz", "celsius"):
        if all(getattr(reading, name) is None for reading in readings):
            yield {"megahertz": "clock", "celsius": "heat"}[name]
    if others is None:
        yield "other processes"
