"""Latency: seconds of single inferences, in interleaved rounds, with every sample kept."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from edgenet.machine import quality
from edgenet.records import Latency

# Times this many inferences, and returns the seconds of each.
Timer: TypeAlias = Callable[[int], Sequence[float]]
# Seconds of single inferences, a tuple for each round.
Rounds: TypeAlias = tuple[tuple[float, ...], ...]

WARMUP_SECONDS, MAX_WARMUP = 0.2, 1_000
# Inferences of one turn: few enough to keep every sample in a file.
MIN_COUNT, MAX_COUNT = 5, 100
# Inferences at the start of each turn that are not counted: the caches hold the weights of the model before, and other
# threads sleep.
COLD_SECONDS, MAX_COLD = 0.01, 10
# What the clock resolves.
DECIMALS = 9


def time_inferences(
    run: Callable[[], object], count: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Time `count` calls of `run`, without the garbage collector.

    Returns:
        The seconds of each call.
    """
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
    timers: Mapping[str, Timer],
    rounds: int,
    seconds: float,
    after_round: Callable[[int], None] = lambda number: None,
    before_turn: Callable[[], None] = lambda: None,
) -> dict[str, Rounds]:
    """Time all models in turn, `rounds` times, so that whatever slows the machine affects all of them alike.

    Each model is warmed up first, and each of its turns begins with a few inferences that are not counted. Each round
    begins with another model, so that no model always runs after the same one.

    Args:
        timers: The models.
        rounds: The number of rounds.
        seconds: The approximate time of each model in each round; it takes 5 to 100 inferences.
        after_round: Called after each round with its number, from 1 up.
        before_turn: Called before each turn of a model.

    Returns:
        The samples of each model, in seconds.
    """
    typical = {name: _warm_up(timer) for name, timer in timers.items()}
    counts = {name: round(min(max(seconds / typical[name], MIN_COUNT), MAX_COUNT)) for name in timers}
    cold = {name: round(min(max(COLD_SECONDS / typical[name], 1), MAX_COLD)) for name in timers}
    names = list(timers)
    samples: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            before_turn()
            timers[name](cold[name])
            samples[name].append(tuple(round(sample, DECIMALS) for sample in timers[name](counts[name])))
        after_round(number + 1)
    return {name: tuple(samples[name]) for name in names}


def _warm_up(timer: Timer) -> float:
    """Run for WARMUP_SECONDS, or MAX_WARMUP inferences. Returns the seconds of a typical inference."""
    spent, count, samples = 0.0, 1, timer(1)
    while True:
        spent += sum(samples)
        count *= 2
        if spent >= WARMUP_SECONDS or count >= MAX_WARMUP:
            return max(float(np.median(samples)), 1e-9)
        samples = timer(count)


def noise_image(batch: int, shape: tuple[int, int, int]) -> np.ndarray:
    """The input of every model while it is timed.

    Returns:
        Noise, always the same: uint8 (batch, height, width, channels).
    """
    return np.random.default_rng(0).integers(0, 256, (batch, *shape), dtype=np.uint8)


def summarize(threads: int, rounds: Rounds, base: Rounds | None = None) -> Latency:
    """Summarize the samples of one model on some threads.

    Args:
        threads: The number of threads.
        rounds: Its samples, in seconds.
        base: The samples of the model that the speedup is relative to, measured in turn with these.

    Returns:
        The median with its 95% confidence interval, 90th and 99th percentile (linear between ranks), and so on.
    """
    samples = np.concatenate([np.asarray(samples) for samples in rounds])
    median, p90, p99 = np.percentile(samples, (50, 90, 99)).tolist()
    return Latency(
        threads=threads,
        rounds=rounds,
        interval=quality.median_interval(rounds),
        speedup=quality.ratio_interval(base, rounds) if base else None,
        median=median,
        p90=p90,
        p99=p99,
        minimum=float(samples.min()),
        mean=float(samples.mean()),
        std=float(samples.std(ddof=1)) if len(samples) > 1 else 0.0,
        count=len(samples),
    )
