"""Latency: seconds of one inference, in interleaved rounds, every sample kept."""

import gc
import time
from collections.abc import Callable, Sequence

import numpy as np

from edgenet.machine import quality
from edgenet.records import Latency

# Times this many inferences, and gives the seconds of each.
Timer = Callable[[int], Sequence[float]]

WARMUP_SECONDS = 0.2
# Inferences of one turn: few enough to keep every sample in a file.
MINIMUM_COUNT, MAXIMUM_COUNT = 5, 100
# At the start of each turn, the caches hold the neighbour's weights and other threads sleep: not counted.
COLD_SECONDS, COLD_COUNT = 0.01, 10


def time_inferences(run: Callable[[], None], count: int, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Seconds of each of `count` calls, without the garbage collector in between."""
    samples = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(count):
            start = clock()
            run()
            samples.append(clock() - start)
    finally:
        if collecting:
            gc.enable()
    return samples


def interleave(
    timers: dict[str, Timer],
    rounds: int,
    seconds: float,
    counted: Callable[[int], None] = lambda rounds: None,
    pause: Callable[[], None] = lambda: None,
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Time all in turn, `rounds` times over, so that whatever slows the machine meets all of them alike.

    Each gets about `seconds` in each round, 5 to 100 inferences, after a warm-up at the beginning and a few inferences
    at the start of each turn that are thrown away. Each round begins with another one, so that nobody always runs after
    the same neighbour. pause: called before each turn. Returns the samples, in seconds, a tuple for each round.
    """
    typical = {name: _warm_up(timer) for name, timer in timers.items()}
    counts = {name: round(min(max(seconds / typical[name], MINIMUM_COUNT), MAXIMUM_COUNT)) for name in timers}
    cold = {name: round(min(max(COLD_SECONDS / typical[name], 1), COLD_COUNT)) for name in timers}
    names = list(timers)
    samples = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            pause()
            timers[name](cold[name])
            # Nanoseconds are what the clock resolves.
            samples[name].append(tuple(round(sample, 9) for sample in timers[name](counts[name])))
        counted(number + 1)
    return {name: tuple(samples[name]) for name in names}


def _warm_up(timer: Timer) -> float:
    """Run for WARMUP_SECONDS, or 1,000 inferences. Returns the seconds of a typical one."""
    spent, count = 0.0, 1
    while spent < WARMUP_SECONDS and count < 1_000:
        samples = timer(count)
        spent += sum(samples)
        count *= 2
    return max(float(np.median(samples)), 1e-9)


def picture(batch: int, shape: tuple[int, int, int]) -> np.ndarray:
    """What every model is shown while it is timed: uint8 noise (batch, height, width, channels), always the same."""
    return np.random.default_rng(0).integers(0, 256, (batch, *shape), dtype=np.uint8)


def summarize(
    threads: int, rounds: tuple[tuple[float, ...], ...], base: tuple[tuple[float, ...], ...] | None = None
) -> Latency:
    """Median, 90th and 99th percentile (linear between ranks), minimum, mean, standard deviation, count.

    base: the rounds, measured in turn with these, that the speed is a ratio to.
    """
    samples = np.concatenate([np.asarray(samples) for samples in rounds])
    median, p90, p99 = np.percentile(samples, (50, 90, 99)).tolist()
    return Latency(
        threads=threads,
        rounds=rounds,
        interval=quality.median_interval(rounds),
        speed=quality.ratio_interval(base, rounds) if base else None,
        median=median,
        p90=p90,
        p99=p99,
        minimum=float(samples.min()),
        mean=float(samples.mean()),
        std=float(samples.std(ddof=1)) if len(samples) > 1 else 0.0,
        count=len(samples),
    )
