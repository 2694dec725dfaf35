"""The quality of a latency measurement: confidence intervals, and a grade for the conditions it was made in.

Each rule gives a reason that a user can act on. The limits are relative effects on the ratio between two variants:
below the first, the effect does not matter; above the second, the ratio may differ in the next run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgenet.machine.sensors import Reading
from edgenet.records import KERAS, Grade, Interval, Quality

GRADES = tuple(Grade)  # from the best

# Of a bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).
RESAMPLES, CONFIDENCE = 1_000, 0.95
# Samples that are resampled at once: small resamples one by one are slow, many large ones take memory for no gain.
MAX_SAMPLES = 20_000
# Fewer rounds give no meaningful interval.
MIN_ROUNDS = 5

# The amounts from which the quality is no better than (fair, poor).
OTHER_LOAD_LIMITS = (0.1, 0.5)  # cores that other processes kept busy
STOLEN_LIMITS = (0.02, 0.1)  # fraction of the CPU time that the host of a virtual machine took
CLOCK_LIMITS = (0.05, 0.2)  # relative fall of the highest CPU frequency
SPREAD_LIMITS = (0.05, 0.2)  # of the medians of the rounds: from the 10th to the 90th percentile, relative
TREND_LIMITS = (0.03, 0.1)  # of the last third of the rounds relative to the first
HOT_CELSIUS, MAX_RISE_CELSIUS = (75.0, 80.0), 10.0  # a Raspberry Pi slows down from 80
# Two clusters: each has at least this fraction of the samples, and the gap between their medians is at least so many of
# their widths, and at least this fraction of the faster one.
CLUSTER_FRACTION, CLUSTER_WIDTHS, CLUSTER_GAP = 0.15, 4.0, 0.1

# Samples of a variant, in seconds, a sequence for each round.
Rounds = Sequence[Sequence[float]]


def median_interval(rounds: Rounds) -> Interval | None:
    """The median of all samples, with its 95% confidence interval.

    A percentile bootstrap that resamples rounds, not samples, since the samples of one round share its conditions.

    Args:
        rounds: Samples in seconds, (rounds, samples).

    Returns:
        The interval; None for fewer than MIN_ROUNDS rounds.
    """
    if len(rounds) < MIN_ROUNDS:
        return None
    samples = np.asarray(rounds)
    return _interval(_medians(samples, _resamples(len(rounds))), float(np.median(samples)))


def ratio_interval(base: Rounds, other: Rounds) -> Interval | None:
    """The speedup of `other` relative to `base`, measured in the same rounds, with its 95% confidence interval.

    The value is the median over the rounds of the ratio of both medians: what both variants of a round have in common
    cancels out. A percentile bootstrap over the rounds.

    Args:
        base: Samples in seconds, (rounds, samples).
        other: As many rounds.

    Returns:
        The interval; None for fewer than MIN_ROUNDS rounds, or different numbers of rounds.
    """
    if len(base) < MIN_ROUNDS or len(base) != len(other):
        return None
    ratios = np.array([np.median(slow) / np.median(fast) for slow, fast in zip(base, other, strict=True)])
    return _interval(np.median(ratios[_resamples(len(ratios))], axis=1), float(np.median(ratios)))


def quotient_interval(base: Rounds, other: Rounds) -> Interval | None:
    """The speedup of `other` relative to `base`, measured in another run: the ratio of the medians of all samples.

    A percentile bootstrap over the rounds of each. It does not include the variation from run to run.

    Args:
        base: Samples in seconds, (rounds, samples).
        other: The same; the number of rounds may differ.

    Returns:
        The value and its 95% confidence interval; None for fewer than MIN_ROUNDS rounds.
    """
    if min(len(base), len(other)) < MIN_ROUNDS:
        return None
    random = np.random.default_rng(0)
    medians = [
        _medians(samples, random.integers(0, len(samples), (RESAMPLES, len(samples))))
        for samples in map(np.asarray, (base, other))
    ]
    return _interval(medians[0] / medians[1], float(np.median(base) / np.median(other)))


def _resamples(count: int) -> np.ndarray:
    """The indices of `count` rounds in each resample, (RESAMPLES, count)."""
    return np.random.default_rng(0).integers(0, count, (RESAMPLES, count))


def _medians(samples: np.ndarray, resamples: np.ndarray) -> np.ndarray:
    """The median of all samples of each resample of their rounds, (RESAMPLES,)."""
    at_once = max(1, MAX_SAMPLES // samples.size)
    return np.concatenate(
        [
            np.median(samples[resamples[start : start + at_once]].reshape(-1, samples.size), axis=1)
            for start in range(0, RESAMPLES, at_once)
        ]
    )


def _interval(estimates: np.ndarray, value: float) -> Interval:
    low, high = np.quantile(estimates, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)).tolist()
    return Interval(value, low, high)


@dataclass(frozen=True)
class Phase:
    """One part of a benchmark: the rounds with one number of threads."""

    threads: int
    # Before, during and after the rounds.
    readings: Sequence[Reading]
    # Core-seconds that this program's processes had used at each reading.
    own_cpu_seconds: Sequence[float | None]
    # The samples of each variant.
    rounds: dict[str, Rounds]
    # Of the machine.
    cores: int


@dataclass(frozen=True)
class Reason:
    """Why the quality is no better than `grade`."""

    grade: Grade
    text: str


def assess(phases: Sequence[Phase], known: Sequence[Reason] = ()) -> Quality:
    """Grade a latency measurement.

    The rounds of Keras vary even on an idle machine, so they do not lower the grade if files were measured as well.

    Args:
        phases: What was measured.
        known: Further reasons, from elsewhere.

    Returns:
        The grade, its reasons (the worst first), and the machine's condition.
    """
    readings = [reading for phase in phases for reading in phase.readings]
    other_load = _other_load(phases)
    reasons = [*known, *_machine_reasons(readings), *_load_reasons(phases, other_load)]
    keras_reasons: list[Reason] = []
    for phase in phases:
        for name, rounds in phase.rounds.items():
            ignored = name == KERAS and len(phase.rounds) > 1
            (keras_reasons if ignored else reasons).extend(
                Reason(reason.grade, f"{name} on {threads(phase.threads)}: {reason.text}")
                for reason in _sample_reasons(rounds)
            )
    return Quality(
        grade=max((reason.grade for reason in reasons), key=GRADES.index, default=Grade.GOOD),
        reasons=tuple(
            reason.text
            for part in (reasons, keras_reasons)
            for reason in sorted(part, key=lambda reason: -GRADES.index(reason.grade))
        ),
        unavailable=tuple(_unavailable(readings, other_load)),
        other_load=other_load,
        frequency_mhz=_ends([max(reading.megahertz) for reading in readings if reading.megahertz]),
        temperature_celsius=_ends([reading.celsius for reading in readings if reading.celsius is not None]),
        governor=next((reading.governor for reading in readings if reading.governor), None),
    )


def poor_reason(quality: Quality) -> str | None:
    """The main reason for a poor quality; None if it is fair or good.

    Poor latencies prove neither that a variant is fast enough nor that it is not: verdicts, comparisons, reports and
    recommendations all use this rule.
    """
    if quality.grade != Grade.POOR:
        return None
    return next(iter(quality.reasons), "the results do not give a reason")


def threads(count: int) -> str:
    """1 thread, 2 threads."""
    return f"{count} thread{'s' * (count > 1)}"


def _ends(values: list[float]) -> tuple[float, ...] | None:
    return (min(values), max(values)) if values else None


def _other_load(phases: Sequence[Phase]) -> float | None:
    """Cores that other processes used during the measurement, on average; None if not available."""
    used = elapsed = 0.0
    for phase in phases:
        first, last = phase.readings[0], phase.readings[-1]
        own_first, own_last = phase.own_cpu_seconds[0], phase.own_cpu_seconds[-1]
        if first.busy is None or last.busy is None or own_first is None or own_last is None:
            return None
        used += (last.busy - first.busy) - (own_last - own_first)
        elapsed += last.seconds - first.seconds
    return max(0.0, used / elapsed) if elapsed else None


def _grade(amount: float, limits: tuple[float, float]) -> Grade | None:
    return Grade.POOR if amount >= limits[1] else Grade.FAIR if amount >= limits[0] else None


def _load_reasons(phases: Sequence[Phase], other_load: float | None) -> Iterator[Reason]:
    if other_load is not None and (grade := _grade(other_load, OTHER_LOAD_LIMITS)):
        yield Reason(grade, f"other processes kept {other_load:.1f} cores busy; close other programs")
    stolen = available = 0.0
    for phase in phases:
        first, last = phase.readings[0], phase.readings[-1]
        if first.stolen is not None and last.stolen is not None:
            stolen += last.stolen - first.stolen
            available += (last.seconds - first.seconds) * phase.cores
    if available and (grade := _grade(stolen / available, STOLEN_LIMITS)):
        yield Reason(grade, f"the host of this virtual machine took {stolen / available:.0%} of its CPU time")


def _machine_reasons(readings: Sequence[Reading]) -> Iterator[Reason]:
    limits = sorted({limit for reading in readings for limit in reading.throttled or ()})
    if limits:
        remedy = "use a stronger power supply" if "under-voltage" in limits else "cool it with a fan or a heat sink"
        yield Reason(Grade.POOR, f"the firmware limited the CPU frequency ({', '.join(limits)}); {remedy}")
    clocks = _ends([max(reading.megahertz) for reading in readings if reading.megahertz])
    if clocks and (grade := _grade(1 - clocks[0] / clocks[1], CLOCK_LIMITS)):
        text = f"the CPU frequency fell from {clocks[1]:,.0f} to {clocks[0]:,.0f} MHz"
        yield Reason(grade, f"{text}; set the governor to performance")
    governors = {reading.governor for reading in readings}
    if "powersave" in governors:
        yield Reason(Grade.FAIR, "the governor powersave may limit the CPU frequency; set it to performance")
    heat = _ends([reading.celsius for reading in readings if reading.celsius is not None])
    if heat and (grade := _grade(heat[1], HOT_CELSIUS)):
        yield Reason(
            grade, f"the temperature reached {heat[1]:.0f} degrees Celsius; cool it, or use the cooldown option"
        )
    elif heat and heat[1] - heat[0] >= MAX_RISE_CELSIUS:
        text = f"the temperature rose by {heat[1] - heat[0]:.0f} degrees Celsius"
        yield Reason(Grade.FAIR, f"{text}; cool it, or use the cooldown option")
    if any(reading.battery for reading in readings):
        yield Reason(Grade.FAIR, "the machine ran on battery; plug it in")


def _sample_reasons(rounds: Rounds) -> Iterator[Reason]:
    """The reasons in the samples of one variant."""
    medians = np.array([np.median(samples) for samples in rounds])
    if len(medians) < MIN_ROUNDS:
        count = f"{len(medians)} round{'s' * (len(medians) > 1)}"
        yield Reason(Grade.FAIR, f"only {count}; use {MIN_ROUNDS} or more")
        return
    low, middle, high = np.quantile(medians, (0.1, 0.5, 0.9)).tolist()
    spread = (high - low) / middle
    if grade := _grade(spread, SPREAD_LIMITS):
        yield Reason(grade, f"round-to-round spread {spread:.0%}; close other programs and measure again")
    third = max(1, len(medians) // 3)
    trend = float(np.median(medians[-third:]) / np.median(medians[:third]) - 1)
    if grade := _grade(abs(trend), TREND_LIMITS):
        direction = "slower" if trend > 0 else "faster"
        yield Reason(grade, f"the last rounds were {abs(trend):.0%} {direction} than the first")
    clusters = _two_clusters(np.concatenate([np.asarray(samples) for samples in rounds]))
    if clusters:
        fast, slow = (1_000 * seconds for seconds in clusters)
        yield Reason(Grade.FAIR, f"latencies fall into two groups, around {fast:.3g} and {slow:.3g} ms")


def _two_clusters(samples: np.ndarray) -> tuple[float, float] | None:
    """The medians of two clusters of latencies, in seconds; None where there is one.

    The threshold is Otsu's (1979): the one with the largest variance between the two parts, of the logarithms. The
    slowest twentieth is left out: a long tail is no cluster.
    """
    values = np.sort(np.log(samples))[: max(2, round(0.95 * len(samples)))]
    counts = np.arange(1, len(values))
    sums = np.cumsum(values)[:-1]
    left, right = sums / counts, (values.sum() - sums) / (len(values) - counts)
    split = int(np.argmax(counts * (len(values) - counts) * (right - left) ** 2)) + 1
    fast, slow = values[:split], values[split:]
    width = np.median(np.concatenate([np.abs(fast - np.median(fast)), np.abs(slow - np.median(slow))])) * 1.4826
    gap = float(np.median(slow) - np.median(fast))
    if min(len(fast), len(slow)) < CLUSTER_FRACTION * len(values) or gap < max(CLUSTER_GAP, CLUSTER_WIDTHS * width):
        return None
    return float(np.exp(np.median(fast))), float(np.exp(np.median(slow)))


def _unavailable(readings: Sequence[Reading], other_load: float | None) -> Iterator[str]:
    if all(reading.megahertz is None for reading in readings):
        yield "CPU frequency"
    if all(reading.celsius is None for reading in readings):
        yield "temperature"
    if other_load is None:
        yield "other processes"
