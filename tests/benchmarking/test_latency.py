"""Latency with clocks and timers that say what they are told to."""

import gc
import itertools
import re
import statistics

import numpy as np
import pytest

from edgenet.benchmarking import latency
from edgenet.benchmarking.latency import interleave, summarize, time_inferences
from edgenet.records import Interval


class Timer:
    """A timer whose every inference takes `seconds`, plus a mark that tells one inference from another."""

    def __init__(self, name: str, seconds: float, calls: list):
        self.name, self.seconds, self.calls = name, seconds, calls
        self.marks = itertools.count(1)

    def __call__(self, count: int) -> list[float]:
        samples = [self.seconds + next(self.marks) * 1e-9 for _ in range(count)]
        self.calls.append((self.name, samples))
        return samples


def test_time_inferences_times_each_call_alone():
    clock = iter([10.0, 10.5, 11.0, 11.25, 20.0, 20.125])
    runs = []
    assert time_inferences(lambda: runs.append(1), 3, lambda: next(clock)) == [0.5, 0.25, 0.125]
    assert len(runs) == 3


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_rests_during_inferences_and_is_then_as_before(enabled):
    seen = []
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        time_inferences(lambda: seen.append(gc.isenabled()), 2)
        assert gc.isenabled() == enabled
        with pytest.raises(ZeroDivisionError):
            time_inferences(lambda: 1 / 0, 2)
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False, False]


def test_rounds_are_interleaved_and_each_begins_with_another():
    calls, counted = [], []
    timers = {name: Timer(name, 0.01, calls) for name in "abc"}
    rounds = interleave(timers, 5, 0.1, counted.append)
    order = "".join(name for name, _ in calls[-30:])
    assert order == "aabbccbbccaaccaabbaabbccbbccaa"  # a cold inference, then those that count
    assert counted == [1, 2, 3, 4, 5]
    # What comes back is what was measured in the rounds, nothing of the warm-up before them and nothing cold.
    for name in "abc":
        turns = [tuple(samples) for called, samples in calls[-30:] if called == name]
        assert [len(samples) for samples in turns[::2]] == [1] * 5  # 10 ms of inferences that take as long
        # to the nanosecond
        assert rounds[name] == tuple(tuple(round(s, 9) for s in samples) for samples in turns[1::2])


def test_a_pause_comes_before_each_turn_and_not_before_the_warm_up():
    calls = []
    timers = {name: Timer(name, 0.01, calls) for name in "ab"}
    rounds = interleave(timers, 3, 0.1, before_turn=lambda: calls.append(("|", [])))
    order = "".join(name for name, _ in calls)
    assert re.fullmatch(r"a+b+\|aa\|bb\|bb\|aa\|aa\|bb", order)
    assert [len(samples) for samples in rounds["a"] + rounds["b"]] == [10] * 6


def test_each_is_warmed_up_before_any_is_measured():
    calls = []
    timers = {"slow": Timer("slow", 0.03, calls), "fast": Timer("fast", 1e-6, calls)}
    interleave(timers, 1, 0.1)
    warm_up = {name: [s for called, samples in calls[:-4] if called == name for s in samples] for name in timers}
    assert sum(warm_up["slow"]) >= latency.WARMUP_SECONDS
    assert 500 <= len(warm_up["fast"]) <= 2_000  # so fast a one is warm before 0.2 s are over


@pytest.mark.parametrize(
    ("seconds", "budget", "count"),
    [
        (0.01, 0.1, 10),
        (0.01, 0.234, 23),
        (0.5, 0.1, 5),  # at least 5
        (1e-5, 0.1, 100),  # at most 100
    ],
)
def test_a_turn_fills_its_seconds_within_bounds(seconds, budget, count):
    rounds = interleave({"a": Timer("a", seconds, [])}, 3, budget)
    assert [len(samples) for samples in rounds["a"]] == [count] * 3


def test_a_clock_that_stands_still_ends():
    rounds = interleave({"a": lambda count: [0.0] * count}, 2, 0.1)
    assert rounds == {"a": ((0.0,) * 100,) * 2}


def test_the_count_follows_the_warm_inferences_not_the_cold_first_one():
    cold = iter([0.1])

    def timer(count):
        return [next(cold, 0.01) for _ in range(count)]

    (samples,) = interleave({"a": timer}, 1, 0.2)["a"]
    assert len(samples) == 20  # two would be the answer to the first inference


@pytest.mark.parametrize("sizes", [(5, 5), (1,), (100, 100, 100), (7, 3)])
def test_the_summary_is_that_of_all_samples(sizes):
    rng = np.random.default_rng(len(sizes))
    rounds = tuple(tuple(rng.gamma(9, 1e-3, size).tolist()) for size in sizes)
    samples = [sample for one in rounds for sample in one]
    found = summarize(2, rounds)
    assert (found.threads, found.rounds, found.count) == (2, rounds, sum(sizes))
    assert found.minimum == min(samples)
    # float64 rounding in another order of sums
    assert found.median == pytest.approx(statistics.median(samples), rel=1e-12)
    assert found.mean == pytest.approx(statistics.fmean(samples), rel=1e-12)
    assert found.p90 == pytest.approx(np.percentile(samples, 90), rel=1e-12)
    assert found.p99 == pytest.approx(np.percentile(samples, 99), rel=1e-12)
    if len(samples) == 1:
        assert found.std == 0
    else:
        assert found.std == pytest.approx(statistics.stdev(samples), rel=1e-12)
        cuts = statistics.quantiles(samples, n=100, method="inclusive")
        assert (found.p90, found.p99) == pytest.approx((cuts[89], cuts[98]), rel=1e-12)


def rounds_of(*medians: float) -> tuple[tuple[float, ...], ...]:
    """Rounds with these medians."""
    return tuple((0.75 * median, median, 1.25 * median) for median in medians)


def test_an_interval_surrounds_the_median():
    rounds = tuple(map(tuple, np.random.default_rng(0).gamma(9, 1e-3, (20, 10)).tolist()))
    found = summarize(1, rounds)
    assert found.interval.value == found.median
    assert min(map(min, rounds)) < found.interval.low < found.median < found.interval.high < max(map(max, rounds))


def test_equal_rounds_leave_no_doubt():
    found = summarize(1, rounds_of(*[0.5] * 5))
    assert (found.interval, found.speedup) == (Interval(0.5, 0.5, 0.5), None)


def test_the_speed_is_that_beside_the_base_in_the_same_rounds():
    # The machine gets eight times as slow and this one stays twice as fast.
    machine = np.array([1, 2, 4, 8, 1, 2, 4, 8])
    found = summarize(4, rounds_of(*0.25 * machine), rounds_of(*0.5 * machine))
    assert found.speedup == Interval(2, 2, 2)
    assert found.interval.low < found.interval.high
    slower = summarize(4, rounds_of(*0.5 * machine), rounds_of(*0.25 * machine))
    assert slower.speedup == Interval(0.5, 0.5, 0.5)


@pytest.mark.parametrize(("count", "there"), [(4, False), (5, True)])
def test_few_rounds_have_neither_interval_nor_speed(count, there):
    found = summarize(1, rounds_of(*[0.5] * count), rounds_of(*[1.0] * count))
    assert ((found.interval is not None), (found.speedup is not None)) == (there, there)
    assert (found.median, found.count) == (0.5, 3 * count)


@pytest.mark.parametrize(("batch", "shape"), [(1, (32, 32, 3)), (4, (24, 40, 1))])
def test_the_input_is_noise_of_every_level_and_always_the_same(batch, shape):
    image = latency.noise_image(batch, shape)
    assert (image.dtype, image.shape) == (np.uint8, (batch, *shape))
    assert len(np.unique(image)) == 256
    np.testing.assert_array_equal(image, latency.noise_image(batch, shape))
