"""Intervals against known true values, and the grades of simulated machines and samples."""

import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from edgenet.benchmarking import benchmark
from edgenet.benchmarking.options import BenchmarkOptions
from edgenet.benchmarking.subject import Subject
from edgenet.machine.quality import Phase, assess, median_interval, ratio_interval
from edgenet.machine.sensors import THROTTLED, Reading
from edgenet.records import Grade, Interval, Quality

TYPICAL = 0.002  # seconds of an inference
# Offsets of the rounds, in parts of their range: read backwards they are the same, so nothing drifts. Two in 21 lie
# beyond the 10th and the 90th percentile on each side: those are -0.4 and 0.4.
OFFSETS = [0.1, -0.5, 0.3, -0.2, 0.5, -0.4, 0.2, -0.3, 0.4, -0.1, 0.0]
OFFSETS += OFFSETS[-2::-1]


def noisy(random: np.random.Generator, rounds: int, samples: int, round_effect: float, noise: float) -> np.ndarray:
    """Samples whose logarithms are symmetric about that of TYPICAL, which is therefore their true median."""
    effects = random.normal(0, round_effect, (rounds, 1)) + random.normal(0, noise, (rounds, samples))
    return TYPICAL * np.exp(effects)


def steady(*factors: float) -> list[list[float]]:
    """Rounds that differ by these factors, 21 equal ones without, and hardly anything within a round."""
    return [[TYPICAL * factor * jitter for jitter in (0.999, 1, 1, 1.001, 1)] for factor in factors or [1] * 21]


def phase(
    *told: dict,
    rounds: dict | None = None,
    others: float = 0.0,
    own: float = 1.0,
    stolen: float = 0.0,
    threads: int = 1,
    seconds: float = 10.0,
) -> Phase:
    """Measured on four cores that tell everything and are quiet, but for what is `told` at some moments.

    others, own: the cores that other processes and this program's keep busy. stolen: share of the cores' time.
    """
    told = told or ({}, {})
    moments = np.linspace(0, seconds, len(told)).tolist()
    quiet = {"megahertz": (1_500.0,) * 4, "governor": "performance", "celsius": 50.0, "throttled": (), "battery": False}
    readings = [
        Reading(
            **{
                **quiet,
                "seconds": 7_000 + moment,  # the machine has been up for a while, and busy
                "busy": 900 + (own + others) * moment,
                "stolen": 30 + stolen * 4 * moment,
                **changed,
            }
        )
        for moment, changed in zip(moments, told, strict=True)
    ]
    used = [5 + own * moment for moment in moments]
    return Phase(threads, readings, used, rounds or {"int8": steady()}, 4)


# Intervals


@pytest.mark.slow
def test_an_interval_of_a_median_covers_the_true_one():
    # Of the mean of 20 rounds, a percentile bootstrap of 95 % covers P(|t19| < 1.96 sqrt(19 / 20)) = 92.9 %; 2.5
    # standard deviations of a share of 500 draws, each 1.15 %, below that are 90 %.
    random = np.random.default_rng(1)
    found = [median_interval(noisy(random, 20, 5, round_effect=0.05, noise=0.02)) for _ in range(500)]
    covered = np.mean([interval.low <= TYPICAL <= interval.high for interval in found])
    assert covered >= 0.90
    # Nor are they wide for nothing: the median of 20 normal values has a standard deviation of 1.25 / sqrt(20) of
    # theirs, so twice 1.96 of that are 0.055; within a fifth, as those of the bootstrap vary.
    widths = [math.log(interval.high / interval.low) for interval in found]
    assert np.mean(widths) == pytest.approx(2 * 1.96 * 1.2533 * math.hypot(0.05, 0.02 / 5**0.5) / 20**0.5, rel=0.2)


@pytest.mark.slow
def test_an_interval_of_a_ratio_covers_the_true_one_whatever_the_rounds_have_in_common():
    random = np.random.default_rng(2)
    covered, narrower = [], []
    for _ in range(500):
        common = np.exp(random.normal(0, 0.3, (20, 1)))
        base = 1.5 * common * noisy(random, 20, 5, round_effect=0, noise=0.02)
        other = common * noisy(random, 20, 5, round_effect=0, noise=0.02)
        paired, unpaired = ratio_interval(base, other), ratio_interval(base, random.permutation(other))
        covered.append(paired.low <= 1.5 <= paired.high)
        narrower.append((unpaired.high - unpaired.low) / (paired.high - paired.low))
    assert np.mean(covered) >= 0.90  # as above
    # A median of five has 1.25 / sqrt(5) of the noise, so two vary by 0.3 and by 0.02 * 0.56: 27 times as much. Half of
    # that leaves room for the skewness of ratios and for how the widths vary.
    assert np.median(narrower) >= 13


@pytest.mark.slow
def test_equal_variants_are_seldom_called_different():
    # At most 7.1 % by the above, and one standard deviation of a share of 1,000.
    random = np.random.default_rng(3)
    called = 0
    for _ in range(1_000):
        common = np.exp(random.normal(0, 0.3, (20, 1)))
        base, other = (common * noisy(random, 20, 5, round_effect=0.01, noise=0.02) for _ in range(2))
        found = ratio_interval(base, other)
        called += not found.low <= 1 <= found.high
    assert 0 < called <= 80


def drawn_median(count: int) -> list[float]:
    """For k from 0: the probability that the median of `count` draws from as many values is at most the k-th smallest.

    That is when more than half of the draws are: each is one of the k smallest with probability k / count.
    """
    shares = [k / count for k in range(count + 1)]
    half = range(count // 2 + 1, count + 1)
    return [sum(math.comb(count, j) * share**j * (1 - share) ** (count - j) for j in half) for share in shares]


def interval_of_ratio(rounds) -> Interval:
    """Beside a variant that takes a second in each round."""
    return ratio_interval(rounds, [[1.0]] * len(rounds))


@pytest.mark.parametrize("count", [5, 11, 21, 41])
@pytest.mark.parametrize("interval", [median_interval, interval_of_ratio])
def test_the_ends_are_those_of_the_bootstraps_exact_distribution(interval, count):
    values = np.random.default_rng(count).permutation(1.1 ** np.arange(count))
    ordered, at_most = np.sort(values), np.array(drawn_median(count))
    assert at_most[-1] == 1

    def quantile(share: float) -> float:
        return ordered[int(np.argmax(at_most >= share)) - 1]

    found = interval([[value] for value in values.tolist()])
    assert found.value == ordered[count // 2]
    # What lies below a quantile of 1,000 draws is 2.5 %, with a standard deviation of 0.5 %; four of those.
    off = 4 * math.sqrt(0.025 * 0.975 / 1_000)
    assert quantile(0.025 - off) <= found.low <= quantile(0.025 + off)
    assert quantile(0.975 - off) <= found.high <= quantile(0.975 + off)


def test_rounds_are_drawn_and_not_samples():
    # More samples of the same moments tell nothing new.
    samples = noisy(np.random.default_rng(4), 12, 5, round_effect=0.1, noise=0.01)
    assert median_interval(np.repeat(samples, 20, axis=1)) == median_interval(samples)


def test_intervals_know_no_unit_and_no_order_within_a_round():
    random = np.random.default_rng(5)
    samples = noisy(random, 9, 7, round_effect=0.1, noise=0.1)
    found = median_interval(samples)
    assert found.low < found.value < found.high
    assert median_interval(4 * samples) == Interval(4 * found.value, 4 * found.low, 4 * found.high)
    assert median_interval(random.permuted(samples, axis=1)) == found
    assert median_interval(samples.tolist()) == found


def test_a_ratio_that_is_the_same_in_each_round_is_sure():
    base = noisy(np.random.default_rng(6), 8, 5, round_effect=0.5, noise=0.1)
    assert ratio_interval(base, base / 2) == Interval(2, 2, 2)
    assert ratio_interval(base, base * 4) == Interval(0.25, 0.25, 0.25)


@pytest.mark.parametrize(("rounds", "there"), [(1, False), (4, False), (5, True), (6, True)])
def test_few_rounds_have_no_interval(rounds, there):
    samples = noisy(np.random.default_rng(7), rounds, 5, round_effect=0.1, noise=0.1)
    assert (median_interval(samples) is not None) == there
    assert (ratio_interval(samples, samples) is not None) == there


# The machine


def test_a_quiet_machine_and_steady_samples_are_good():
    random = np.random.default_rng(8)
    rounds = {name: noisy(random, 20, 20, round_effect=0.005, noise=0.01).tolist() for name in ("float32", "int8")}
    assert assess([phase({}, {}, {}, rounds=rounds)]) == Quality(
        grade="good",
        reasons=(),
        unavailable=(),
        other_load=pytest.approx(0, abs=1e-9),
        frequency_mhz=(1_500.0, 1_500.0),
        temperature_celsius=(50.0, 50.0),
        governor="performance",
    )


@pytest.mark.parametrize(("cores", "grade"), [(0.05, "good"), (0.2, "fair"), (0.6, "poor"), (1.0, "poor")])
@pytest.mark.parametrize("own", [1.0, 3.5])
def test_other_processes(cores, grade, own):
    found = assess([phase(others=cores, own=own)])
    assert found.grade == grade
    assert found.other_load == pytest.approx(cores)
    assert found.reasons == (
        () if grade == "good" else (f"other processes kept {cores:.1f} cores busy; close other programs",)
    )


def test_other_processes_are_counted_over_all_phases_by_their_length():
    short, long = phase(others=1.0, seconds=10.0), phase(others=0.2, seconds=30.0, own=2.0)
    found = assess([short, long])
    assert found.other_load == pytest.approx((10 * 1.0 + 30 * 0.2) / 40)
    assert found.reasons == ("other processes kept 0.4 cores busy; close other programs",)


def test_clocks_that_tick_coarsely_make_no_fewer_than_no_others():
    assert assess([phase(others=-0.02)]).other_load == 0


@pytest.mark.parametrize(("share", "grade"), [(0.01, "good"), (0.05, "fair"), (0.15, "poor")])
def test_stolen_time(share, grade):
    found = assess([phase(stolen=share)])
    text = f"the host of this virtual machine took {100 * share:.0f}% of its CPU time"
    assert (found.grade, found.reasons) == (grade, () if grade == "good" else (text,))


@pytest.mark.parametrize(("fall", "grade"), [(0.04, "good"), (0.1, "fair"), (0.3, "poor")])
@pytest.mark.parametrize("moment", [1, 2])
def test_a_clock_that_falls(fall, grade, moment):
    told = [{"megahertz": (600.0, 2_000.0)} for _ in range(3)]
    told[moment] = {"megahertz": (600.0, 2_000 * (1 - fall))}
    found = assess([phase(*told)])
    text = f"the CPU frequency fell from 2,000 to {2_000 * (1 - fall):,.0f} MHz; set the governor to performance"
    assert (found.grade, found.reasons) == (grade, () if grade == "good" else (text,))
    assert found.frequency_mhz == (2_000 * (1 - fall), 2_000)


def test_the_clock_is_that_of_the_fastest_core():
    # The others sleep, or the work has moved to another core.
    found = assess([phase({"megahertz": (600.0, 600.0, 1_500.0)}, {"megahertz": (1_500.0, 600.0, 600.0)})])
    assert (found.grade, found.frequency_mhz) == ("good", (1_500, 1_500))


@pytest.mark.parametrize("governor", ["performance", "ondemand", "schedutil", None])
def test_a_governor_that_lets_the_clock_rise_is_good(governor):
    found = assess([phase(*[{"governor": governor}] * 2)])
    assert (found.grade, found.governor) == ("good", governor)


def test_governor_powersave_is_fair():
    # On a Raspberry Pi it is the lowest clock; Intel's driver calls so what others call schedutil.
    found = assess([phase(*[{"governor": "powersave"}] * 2)])
    assert (found.grade, found.governor) == ("fair", "powersave")
    assert found.reasons == ("the governor powersave may limit the CPU frequency; set it to performance",)


@pytest.mark.parametrize(("degrees", "grade"), [(74.0, "good"), (76.0, "fair"), (81.0, "poor")])
def test_heat(degrees, grade):
    found = assess([phase(*[{"celsius": degrees}] * 2)])
    text = f"the temperature reached {degrees:.0f} degrees Celsius; cool it, or use the cooldown option"
    assert (found.grade, found.reasons) == (grade, () if grade == "good" else (text,))


def test_one_hot_moment_is_enough():
    found = assess([phase({"celsius": 72.0}, {"celsius": 81.0}, {"celsius": 72.0})])
    assert (found.grade, found.temperature_celsius) == ("poor", (72, 81))


def test_warming_up():
    found = assess([phase({"celsius": 48.0}, {"celsius": 60.0})])
    assert (found.grade, found.temperature_celsius) == ("fair", (48, 60))
    assert found.reasons == ("the temperature rose by 12 degrees Celsius; cool it, or use the cooldown option",)
    assert assess([phase({"celsius": 51.0}, {"celsius": 60.0})]).grade == "good"


def test_a_hot_machine_has_no_second_reason_for_warming_up():
    (reason,) = assess([phase({"celsius": 60.0}, {"celsius": 76.0})]).reasons
    assert reason.startswith("the temperature reached 76 degrees")


@pytest.mark.parametrize("flag", THROTTLED.values())
@pytest.mark.parametrize("moment", [0, 1, 2])
def test_a_firmware_that_holds_the_clock_back_is_poor(flag, moment):
    told = [{"throttled": ()} for _ in range(3)]
    told[moment] = {"throttled": (flag,)}
    found = assess([phase(*told)])
    remedies = {"under-voltage": "use a stronger power supply"}
    remedy = remedies.get(flag, "cool it with a fan or a heat sink")
    assert found.grade == "poor"
    assert found.reasons == (f"the firmware limited the CPU frequency ({flag}); {remedy}",)


def test_each_limit_of_the_firmware_is_listed_once():
    found = assess([phase({"throttled": ("throttled", "under-voltage")}, {"throttled": ("throttled",)})])
    assert found.reasons == (
        "the firmware limited the CPU frequency (throttled, under-voltage); use a stronger power supply",
    )


@pytest.mark.parametrize(("battery", "grade"), [(True, "fair"), (False, "good"), (None, "good")])
def test_a_battery(battery, grade):
    found = assess([phase(*[{"battery": battery}] * 2)])
    assert (found.grade, found.reasons) == (grade, ("the machine ran on battery; plug it in",) if battery else ())


UNREADABLE = {
    "megahertz": None,
    "governor": None,
    "celsius": None,
    "throttled": None,
    "busy": None,
    "stolen": None,
    "battery": None,
}


def test_unavailable_sensors_are_listed_and_lower_no_grade():
    found = assess([phase(UNREADABLE, UNREADABLE, UNREADABLE)])
    assert found == Quality("good", (), ("CPU frequency", "temperature", "other processes"), None, None, None, None)


def test_a_single_reading_is_enough():
    found = assess([phase({"megahertz": None, "celsius": None}, {"megahertz": (900.0,)}, {"celsius": None})])
    assert (found.unavailable, found.frequency_mhz, found.temperature_celsius) == ((), (900, 1_500), (50, 50))
    found = assess([phase({"celsius": None}, {"celsius": None})])
    assert found.unavailable == ("temperature",)
    found = assess([phase({}, {"busy": None})])
    assert (found.unavailable, found.other_load) == (("other processes",), None)


def test_other_load_needs_the_cpu_time_of_this_program():
    quiet = phase()
    found = assess([Phase(1, quiet.readings, [None, None], quiet.rounds, 4)])
    assert (found.grade, found.unavailable, found.other_load) == ("good", ("other processes",), None)


# The samples


def reasons(rounds) -> tuple[str, tuple[str, ...]]:
    """The grade, and the reasons without the name of what they are said of."""
    found = assess([phase(rounds={"int8": rounds})])
    assert all(reason.startswith("int8 on 1 thread: ") for reason in found.reasons)
    return found.grade, tuple(reason.removeprefix("int8 on 1 thread: ") for reason in found.reasons)


@pytest.mark.parametrize(("spread", "grade"), [(0.04, "good"), (0.08, "fair"), (0.3, "poor")])
def test_rounds_that_differ(spread, grade):
    found = reasons(steady(*[1 + spread / 0.8 * offset for offset in OFFSETS]))
    assert found == (
        grade,
        ()
        if grade == "good"
        else (f"round-to-round spread {100 * spread:.0f}%; close other programs and measure again",),
    )


def test_one_slow_round_is_ignored():
    assert reasons(steady(*[1] * 10, 3, *[1] * 10)) == ("good", ())


@pytest.mark.parametrize(("change", "grade"), [(0.02, "good"), (0.05, "fair"), (0.15, "poor")])
@pytest.mark.parametrize(("sign", "way"), [(1, "slower"), (-1, "faster")])
def test_a_trend(change, grade, sign, way):
    factors = [1.0] * 7 + [1 + sign * change / 2] * 7 + [1 + sign * change] * 7
    found, texts = reasons(steady(*factors))
    assert found == grade
    told = f"the last rounds were {100 * change:.0f}% {way} than the first"
    # The rounds differ, too, by as much; that is no worse, so the trend comes first where it is.
    assert (told in texts) == (grade != "good")
    if grade == "poor":
        assert texts == (
            told,
            f"round-to-round spread {change / (1 + sign * change / 2):.0%}; close other programs and measure again",
        )


def mixture(random: np.random.Generator, share: float, slower: float) -> np.ndarray:
    """A share of the samples is so many times slower."""
    samples = noisy(random, 20, 40, round_effect=0, noise=0.01)
    return np.where(random.random(samples.shape) < share, slower, 1) * samples


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("share", "slower"), [(0.3, 1.3), (0.25, 1.15), (0.3, 3.0), (0.8, 1.3)])
def test_two_speeds(share, slower, seed):
    grade, texts = reasons(mixture(np.random.default_rng(seed), share, slower))
    (found,) = (text for text in texts if "two groups" in text)
    fast, slow = map(
        float, re.fullmatch(r"latencies fall into two groups, around ([\d.]+) and ([\d.]+) ms", found).groups()
    )
    # Three digits are shown, and the smaller part's median is off by 1.25 / sqrt(160) of 1 %.
    assert (fast, slow) == (pytest.approx(2, rel=0.006), pytest.approx(2 * slower, rel=0.006))
    if share < 0.5 and slower > 1.2:  # where the medians of the rounds stay with the larger part
        assert (grade, texts) == ("fair", (found,))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "samples",
    [
        lambda random: noisy(random, 20, 40, round_effect=0, noise=0.2),
        lambda random: TYPICAL * (1 + random.lognormal(-4, 1, (20, 40))),
        lambda random: TYPICAL * (1 + random.exponential(0.3, (20, 40))),
        lambda random: TYPICAL * (1 + random.uniform(0, 0.5, (20, 40))),
        lambda random: mixture(random, 0.01, 20.0),
        lambda random: mixture(random, 0.1, 2.0),
        lambda random: mixture(random, 0.5, 1.05),
    ],
    ids=["lognormal", "long tail", "exponential", "uniform", "single outliers", "a tenth is slow", "too near"],
)
def test_one_speed(samples, seed):
    _, texts = reasons(samples(np.random.default_rng(seed)))
    assert not [text for text in texts if "two groups" in text]


@pytest.mark.parametrize("count", [1, 4])
def test_few_rounds_are_fair_and_that_is_the_only_reason(count):
    factors = [1, 2, 3, 4][:count]
    assert reasons(steady(*factors)) == ("fair", (f"only {count} round{'s' * (count > 1)}; use 5 or more",))


def test_five_rounds_are_enough():
    assert reasons(steady(*[1] * 5)) == ("good", ())


# All together


def test_several_phases_name_the_variant_and_its_threads():
    slower, steady_one = steady(*[1] * 14, *[1.04] * 7), steady()
    found = assess(
        [
            phase({"celsius": 44.0}, {"celsius": 46.0}, rounds={"float32": slower, "int8": steady_one}),
            phase({"celsius": 47.0}, {"celsius": 49.0}, rounds={"float32": steady_one, "int8": slower}, threads=2),
        ]
    )
    assert found.grade == "fair"
    assert found.reasons == (
        "float32 on 1 thread: the last rounds were 4% slower than the first",
        "int8 on 2 threads: the last rounds were 4% slower than the first",
    )
    assert found.temperature_celsius == (44, 49)


def test_one_poor_phase_makes_all_poor():
    calm = phase()
    assert assess([calm, calm]).grade == "good"
    for phases in ([calm, phase({}, {"throttled": ("throttled",)})], [phase({"throttled": ("throttled",)}, {}), calm]):
        assert assess(phases).grade == "poor"


def test_the_worst_reasons_come_first():
    found = assess(
        [
            phase(
                {"battery": True, "celsius": 76.0, "throttled": ("under-voltage",)},
                {"battery": True, "celsius": 76.0},
                others=0.6,
                rounds={
                    "float32": steady(*[1 + 0.1 * offset for offset in OFFSETS]),
                    "int8": steady(*[1 + 0.5 * offset for offset in OFFSETS]),
                },
            )
        ]
    )
    poor = {"the firmware limited", "other processes kept", "int8 on 1 thread: round-to-round spread 40%"}
    fair = {"the temperature reached 76", "the machine ran on battery", "float32 on 1 thread: round-to-round spread 8%"}
    assert (found.grade, len(found.reasons)) == ("poor", 6)
    for texts, expected in ((found.reasons[:3], poor), (found.reasons[3:], fair)):
        assert {start for start in expected for text in texts if text.startswith(start)} == expected


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of other processes")
def test_a_process_that_burns_a_core_is_found(tiny_bundle):
    subject = Subject.from_bundle(tiny_bundle, tiny_bundle.variants(["float32", "int8"]), keras=False)
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        found = benchmark.run(subject, BenchmarkOptions(threads=[1], rounds=10, seconds=0.05)).quality
    finally:
        burner.kill()
        burner.wait()
    assert found.grade != Grade.GOOD
    assert any(
        re.fullmatch(r"other processes kept \d+\.\d cores busy; close other programs", text) for text in found.reasons
    )
    # One worker runs at a time, and a scheduler is fair: on a single core both get half of it.
    assert 0.4 <= found.other_load <= os.cpu_count()


def test_keras_lowers_no_grade_beside_files():
    uneven = steady(*[1, 1.5] * 5)
    assert assess([phase(rounds={"int8": uneven})]).grade == "poor"
    found = assess([phase(rounds={"keras": uneven, "int8": steady()})])
    assert found.grade == "good"
    assert any(reason.startswith("keras on 1 thread: round-to-round spread ") for reason in found.reasons)
    assert assess([phase(rounds={"keras": uneven})]).grade == "poor"
