"""What latencies say about a variant: its best number of threads, its start, and how it uses the machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from edgenet.records import KERAS, Arithmetic, Delegation, Latency, LayerTime, Measurement, Results, Variant

# The arithmetic of each variant's convolutions, for results of formats that do not record it.
ARITHMETIC = {
    Variant.FLOAT32.value: Arithmetic.FLOAT32,
    Variant.FLOAT16.value: Arithmetic.FLOAT32,
    Variant.DYNAMIC.value: Arithmetic.INT8,
    Variant.INT8.value: Arithmetic.INT8,
}


def fastest(measurement: Measurement) -> Latency:
    """The latency on the number of threads with the lowest median."""
    return min(measurement.latency, key=lambda latency: latency.median)


def slowdowns(measurement: Measurement) -> list[tuple[int, int]]:
    """Where more threads are significantly slower: pairs of (more threads, fewer threads).

    Significant is a difference where the 95% confidence intervals of both medians do not overlap.
    """
    by_threads = sorted(measurement.latency, key=lambda latency: latency.threads)
    return [
        (more.threads, fewer.threads)
        for fewer, more in pairwise(by_threads)
        if fewer.interval and more.interval and more.interval.low > fewer.interval.high
    ]


def scaling(measurement: Measurement) -> list[tuple[int, float]]:
    """For each number of threads, the speedup relative to the smallest number of threads, by the medians."""
    by_threads = sorted(measurement.latency, key=lambda latency: latency.threads)
    return [(latency.threads, by_threads[0].median / latency.median) for latency in by_threads]


@dataclass(frozen=True)
class StartMedians:
    """Medians over the fresh processes that a file was started in; None where they are not available."""

    # Seconds.
    load: float | None
    first: float | None
    peak_bytes: float | None


def start_medians(measurement: Measurement) -> StartMedians:
    """The medians of loading, of the first inference, and of the peak memory."""
    starts = measurement.starts
    peaks = [start.peak_bytes for start in starts if start.peak_bytes is not None]
    return StartMedians(
        load=median(start.load for start in starts) if starts else None,
        first=median(start.first for start in starts) if starts else None,
        peak_bytes=median(peaks) if peaks and len(peaks) == len(starts) else None,
    )


def runtime_bytes(results: Results) -> float | None:
    """The median memory of a process before it loads a file: Python, numpy and LiteRT. None where not available."""
    starts = [start for m in results.measurements if m.name != KERAS for start in m.starts]
    baselines = [start.baseline_bytes for start in starts if start.baseline_bytes is not None]
    return median(baselines) if baselines and len(baselines) == len(starts) else None


@dataclass(frozen=True)
class Throughput:
    """Multiply-adds per second on one number of threads."""

    threads: int
    rate: float
    # Of the machine's peak in the same arithmetic; None where that was not measured, or is below `rate`.
    peak_fraction: float | None


@dataclass(frozen=True)
class MachineUse:
    """How one variant uses the machine."""

    variant: str
    delegation: Delegation
    throughput: tuple[Throughput, ...]


@dataclass(frozen=True)
class DisturbedPeak:
    """A measured peak that a variant exceeded: another process ran while the peak was measured."""

    arithmetic: Arithmetic
    threads: int


def machine_use(results: Results, measurements: Sequence[Measurement]) -> tuple[list[MachineUse], list[DisturbedPeak]]:
    """Throughput of each variant, beside the machine's peak (the roofline's ceiling).

    Args:
        results: With the peaks.
        measurements: In the order of the result; those without a count of multiply-adds are skipped.

    Returns:
        The variants, and the peaks that are not used.
    """
    peaks = {(peak.arithmetic, peak.threads): peak.multiply_adds for peak in results.peaks}
    uses, disturbed = [], set()
    for measurement in measurements:
        if measurement.multiply_adds is None or measurement.delegation is None:
            continue
        arithmetic = measurement.arithmetic or ARITHMETIC.get(measurement.name)
        throughput = []
        for latency in measurement.latency:
            rate = measurement.multiply_adds / latency.median
            peak = peaks.get((arithmetic, latency.threads)) if arithmetic else None
            if arithmetic and peak and rate > peak:
                disturbed.add((arithmetic, latency.threads))
                peak = None
            throughput.append(Throughput(latency.threads, rate, rate / peak if peak else None))
        uses.append(MachineUse(measurement.name, measurement.delegation, tuple(throughput)))
    return uses, [DisturbedPeak(*key) for key in sorted(disturbed)]


def operator_fractions(measurement: Measurement) -> Iterator[tuple[LayerTime, float]]:
    """The operators of a file, each with its fraction of the sum of their times."""
    total = sum(layer.seconds for layer in measurement.layers)
    return ((layer, layer.seconds / total) for layer in measurement.layers)


def operators_to_whole(measurement: Measurement) -> float:
    """The sum of the operators' times as a ratio to the latency of the whole file on the same number of threads."""
    return sum(layer.seconds for layer in measurement.layers) / measurement.latency[0].median
