"""Which variant is recommended, and what is said of it and of the others."""

from dataclasses import replace

import pytest
from measured import alone, drift_of, measured, results_of, timed, with_speed

from edgenet.errors import EdgenetError
from edgenet.evidence.recommendation import Recommendation, recommend
from edgenet.evidence.verdict import Limits

BASE = measured("float32", (timed(0.004),), drift_of(0, 1_000), 4_000_000)
INT8 = measured("int8", (timed(0.002, base=0.004),), drift_of(5, 1_000), 1_000_000)
FLOAT16 = measured("float16", (timed(0.004, base=0.004),), drift_of(1, 1_000), 2_000_000)


def of(*measurements, limits: Limits | None = None, **others) -> Recommendation:
    return recommend(results_of(*measurements, **others), limits)


def test_the_fastest_that_keeps_the_limits_with_its_reasons():
    found = of(BASE, INT8, FLOAT16, measured("keras", (0.0001,)))
    assert found.variant == "int8"
    # 1.96 errors of 0.5 % of 1,000, by Wilson: 98.8 to 99.8 %.
    assert found.sentence == (
        "Ship int8: 2.00 times (2.00 to 2.00) as fast as float32 on 1 thread, 4.0 times smaller, with the same top "
        "class as Keras on 99.5% of 1,000 images (95 %: 98.8% to 99.8%)."
    )
    assert [name for name, _ in found.others] == ["float32", "float16"]


def test_why_not_the_others():
    drifting = replace(INT8, name="dynamic", drift=drift_of(200, 1_000))
    unsure = replace(INT8, name="mixed", drift=drift_of(16, 1_000))
    others = dict(of(BASE, INT8, drifting, unsure).others)
    assert others["float32"] == "keeps the limits; takes 2.00 times as long, 4.0 times as large"
    assert others["dynamic"] == "drift 20.00% of 1,000 images, at most 2.00% wanted"
    assert others["mixed"].startswith("about ")
    assert others["mixed"].endswith(" more images would decide it (drift 1.60% of 1,000 images, at most 2.00% wanted)")


def test_of_those_as_fast_for_all_that_is_known_the_smallest():
    # The rounds differ by 1 % to each side, so an interval may, and 0.1 % apart is no difference.
    small = replace(INT8, name="small", latency=(timed(0.002_002, base=0.004),), bytes=900_000)
    found = of(BASE, INT8, small)
    assert found.variant == "small"
    assert dict(found.others)["int8"] == "keeps the limits; as fast, 1.1 times as large"
    slower = replace(small, latency=(timed(0.0025, base=0.004),))
    assert of(BASE, INT8, slower).variant == "int8"


def test_of_the_same_size_the_first_by_name():
    assert of(BASE, INT8, replace(INT8, name="dynamic")).variant == "dynamic"


def test_without_intervals_the_fastest():
    few = [
        replace(INT8, name=name, bytes=size, latency=(timed(seconds, rounds=2),))
        for name, seconds, size in (("a", 0.002, 2_000_000), ("b", 0.002_001, 1_000_000))
    ]
    assert of(*few).variant == "a"


def test_each_counts_with_the_threads_that_are_best_for_it():
    one = replace(INT8, latency=(timed(0.003, 0.004), timed(0.001, 0.003, threads=2)))
    base = replace(BASE, latency=(timed(0.004), timed(0.003, threads=2)))
    other = replace(INT8, name="other", latency=(timed(0.002, 0.004), timed(0.005, 0.003, threads=2)))
    found = of(base, one, other)
    assert found.variant == "int8"
    assert "3.00 times (3.00 to 3.00) as fast as float32 on 2 threads" in found.sentence


def test_a_speed_that_may_be_none_is_said():
    one = replace(INT8, latency=(replace(with_speed(1.02, 0.98, 1.06), median=0.0001, interval=None),))
    assert "1.02 times (0.98 to 1.06) as fast as float32 on 1 thread, which may be no difference, " in (
        of(BASE, one).sentence
    )


def test_the_base_itself_is_compared_with_nothing():
    found = of(BASE, replace(INT8, drift=drift_of(200, 1_000)))
    assert found.variant == "float32"
    assert found.sentence == (
        "Ship float32: with the same top class as Keras on 100.0% of 1,000 images (95 %: 99.6% to 100.0%)."
    )


def test_against_another_reference():
    one = replace(INT8, name="a.tflite")
    found = of(one, replace(BASE, name="b.tflite"), reference="b.tflite", base="b.tflite")
    assert found.variant == "a.tflite"
    assert "as fast as b.tflite on 1 thread" in found.sentence
    assert "with the same top class as b.tflite on 99.5% of" in found.sentence
    assert found.others == ()


def test_where_none_is_sure_the_fastest_of_those_that_may():
    found = of(replace(BASE, drift=drift_of(0, 43)), replace(INT8, drift=drift_of(0, 43)))
    assert found.variant == "int8"
    assert found.sentence.endswith(
        " It is not proved yet: about 140 more images would decide it (drift 0.00% of 43 images, at most 2.00% wanted)."
    )
    assert dict(found.others)["float32"].startswith("about 140 more images would decide it (")


def test_one_that_is_sure_is_before_faster_ones_that_are_not():
    assert of(BASE, replace(INT8, drift=drift_of(16, 1_000))).variant == "float32"


def test_where_all_fail_there_is_none():
    bad = drift_of(200, 1_000)
    found = of(replace(BASE, drift=bad), replace(INT8, drift=bad))
    assert (found.variant, found.sentence) == (None, "No variant is recommended: none keeps the limits.")
    said = "drift 20.00% of 1,000 images, at most 2.00% wanted"
    assert found.others == (("float32", said), ("int8", said))


def test_the_limits_that_are_given_count_and_no_others():
    drifting = replace(INT8, drift=drift_of(50, 1_000))
    assert of(BASE, drifting).variant == "float32"
    assert of(BASE, drifting, limits=Limits(max_drift=0.1)).variant == "int8"
    assert of(BASE, drifting, limits=Limits(max_size=2_000_000)).variant == "int8"
    assert of(BASE, INT8, limits=Limits(max_size=500_000)).variant is None


def test_the_base_is_not_faster_than_itself():
    # It is not judged by --min-speedup, but who asks for speed does not want it.
    slow = replace(INT8, latency=(timed(0.0039, base=0.004),))
    faster = of(BASE, INT8, limits=Limits(min_speedup=1.5))
    assert faster.variant == "int8"
    assert faster.others == (("float32", "the others are compared with it"),)
    none = of(BASE, slow, limits=Limits(min_speedup=1.5))
    assert (none.variant, none.sentence) == (None, "No variant is recommended: none keeps the limits.")
    assert all(why for _, why in none.others), none.others
    assert of(BASE, slow, limits=Limits(min_speedup=0.5)).variant == "int8"


def test_a_grade_that_is_not_good_is_said():
    assert of(BASE, INT8, grade="fair").sentence.endswith(" The latencies are fair.")
    assert "The latencies" not in of(BASE, INT8).sentence


@pytest.mark.parametrize("drift", [None, alone(drift_of(0, 43, (40, 0, 0, 3)))], ids=["none", "alone"])
def test_without_drift_and_limits_nothing_is_recommended(drift):
    found = of(measured("mine.tflite", drift=drift), reference=None)
    expected = "No variant is recommended: nothing says how far they are from the model."
    assert found == Recommendation(None, expected, ())
    with pytest.raises(EdgenetError, match=r"^results: expected a drift for --max-drift, found none; measure with "):
        of(measured("mine.tflite", drift=drift), reference=None, limits=Limits(max_drift=0.1))


def test_a_file_of_which_nothing_but_its_size_is_asked_has_a_sentence_of_its_own():
    found = of(measured("mine.tflite"), reference=None, limits=Limits(max_size=2_000_000))
    assert found.variant == "mine.tflite"
    assert found.sentence.startswith("Ship mine.tflite")
    assert ": ." not in found.sentence


def test_a_larger_or_smaller_file_is_not_of_the_same_size():
    # A fast file that is twice as large as the base, and a slow one that is half as large as the best.
    large = replace(INT8, name="large", bytes=8_000_000)
    assert "of the same size" not in of(BASE, large).sentence
    slow = replace(FLOAT16, latency=(timed(0.006, base=0.004),))
    assert "of the same size" not in dict(of(BASE, slow).others)["float16"]


def test_of_the_same_size_is_said_within_5_percent():
    like = replace(INT8, bytes=4_100_000)
    assert ", of the same size, with " in of(BASE, like).sentence
    assert dict(of(BASE, like).others)["float32"].endswith(", of the same size")
