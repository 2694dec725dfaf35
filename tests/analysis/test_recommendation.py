"""Which variant is recommended, and the reasons."""

from dataclasses import replace

import numpy as np
import pytest
from measured import alone, drift_of, measured, results_of, rounds_of, timed, with_speed

from edgenet.analysis.recommendation import Recommendation, recommend
from edgenet.analysis.verdict import Limits
from edgenet.benchmarking import latency
from edgenet.benchmarking.tally import Tally
from edgenet.errors import EdgenetError
from edgenet.records import EvaluationImage, Finding, Level

BASE = measured("float32", (timed(0.004),), drift_of(0, 1_000), 4_000_000)
INT8 = measured("int8", (timed(0.002, base=0.004),), drift_of(5, 1_000), 1_000_000)
FLOAT16 = measured("float16", (timed(0.004, base=0.004),), drift_of(1, 1_000), 2_000_000)
DEFAULT = "Default limit: drift 2% (max_drift sets another)."


def of(*measurements, limits: Limits | None = None, **others) -> Recommendation:
    return recommend(results_of(*measurements, **others), limits)


def test_the_fastest_that_keeps_the_limits_with_its_reasons():
    found = of(BASE, INT8, FLOAT16, measured("keras", (0.0001,)))
    assert found.variant == "int8"
    # 1.96 errors of 0.5 % of 1,000, by Wilson: 98.8 to 99.8 %.
    assert found.sentence == (
        "Ship int8: speedup 2.00x over float32 on 1 thread (95% CI 2.00x to 2.00x), 4.0x smaller, same top class as "
        f"Keras on 99.5% of 1,000 images (95% CI 98.8% to 99.8%). {DEFAULT}"
    )
    assert [name for name, _ in found.others] == ["float32", "float16"]


def test_why_not_the_others():
    drifting = replace(INT8, name="dynamic", drift=drift_of(200, 1_000))
    unsure = replace(INT8, name="mixed", drift=drift_of(16, 1_000))
    others = dict(of(BASE, INT8, drifting, unsure).others)
    assert others["float32"] == "also within limits, but 2.00x slower and 4.0x larger than int8"
    assert others["dynamic"] == "fail: drift 20.00% of 1,000 images, limit 2.00%"
    assert others["mixed"].startswith("undecided: drift 1.60% of 1,000 images, limit 2.00%; leans towards pass: about ")
    assert others["mixed"].endswith(" more images at this rate would prove it")


def test_of_those_as_fast_for_all_that_is_known_the_smallest():
    # The rounds differ by 1 % to each side, so an interval may, and 0.1 % apart is no difference.
    small = replace(INT8, name="small", latency=(timed(0.002_002, base=0.004),), bytes=900_000)
    found = of(BASE, INT8, small)
    assert found.variant == "small"
    assert dict(found.others)["int8"] == "also within limits and as fast, but 1.1x larger than small"
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
    assert "speedup 3.00x over float32 on 2 threads (95% CI 3.00x to 3.00x)" in found.sentence


def test_a_speedup_that_is_not_significant_is_marked():
    one = replace(INT8, latency=(replace(with_speed(1.02, 0.98, 1.06), median=0.0001, interval=None),))
    expected = "speedup 1.02x over float32 on 1 thread (95% CI 0.98x to 1.06x, not significant), "
    assert expected in of(BASE, one).sentence


def test_the_base_itself_is_compared_with_nothing():
    found = of(BASE, replace(INT8, drift=drift_of(200, 1_000)))
    assert found.variant == "float32"
    assert found.sentence == (
        f"Ship float32: same top class as Keras on 100.0% of 1,000 images (95% CI 99.6% to 100.0%). {DEFAULT}"
    )


def test_against_another_reference():
    one = replace(INT8, name="a.tflite")
    found = of(one, replace(BASE, name="b.tflite"), reference="b.tflite", base="b.tflite")
    assert found.variant == "a.tflite"
    assert "over b.tflite on 1 thread" in found.sentence
    assert "same top class as b.tflite on 99.5% of" in found.sentence
    assert found.others == ()


def test_where_none_is_sure_the_fastest_of_those_that_may():
    found = of(replace(BASE, drift=drift_of(0, 43)), replace(INT8, drift=drift_of(0, 43)))
    assert found.variant == "int8"
    assert found.sentence.endswith(
        " Not proven yet: drift 0.00% of 43 images, limit 2.00%; leans towards pass: about 140 more images at "
        "this rate would prove it."
    )
    assert dict(found.others)["float32"].startswith("undecided: drift 0.00% of 43 images, ")


def test_one_that_is_sure_is_before_faster_ones_that_are_not():
    assert of(BASE, replace(INT8, drift=drift_of(16, 1_000))).variant == "float32"


def test_where_all_fail_there_is_none():
    bad = drift_of(200, 1_000)
    found = of(replace(BASE, drift=bad), replace(INT8, drift=bad))
    assert (found.variant, found.sentence) == (None, f"No variant is recommended: none is within the limits. {DEFAULT}")
    reason = "fail: drift 20.00% of 1,000 images, limit 2.00%"
    assert found.others == (("float32", reason), ("int8", reason))


def test_the_limits_that_are_given_count_and_no_others():
    drifting = replace(INT8, drift=drift_of(50, 1_000))
    assert of(BASE, drifting).variant == "float32"
    assert of(BASE, drifting, limits=Limits(max_drift=0.1)).variant == "int8"
    assert of(BASE, drifting, limits=Limits(max_size=2_000_000)).variant == "int8"
    assert of(BASE, INT8, limits=Limits(max_size=500_000)).variant is None


def test_the_base_is_not_faster_than_itself():
    # It is not judged by the smallest speedup, but is not what such a limit is for.
    slow = replace(INT8, latency=(timed(0.0039, base=0.004),))
    faster = of(BASE, INT8, limits=Limits(min_speedup=1.5))
    assert faster.variant == "int8"
    assert faster.others == (("float32", "the base of the speedups"),)
    none = of(BASE, slow, limits=Limits(min_speedup=1.5))
    assert (none.variant, none.sentence) == (None, "No variant is recommended: none is within the limits.")
    assert all(why for _, why in none.others), none.others
    assert of(BASE, slow, limits=Limits(min_speedup=0.5)).variant == "int8"


def test_a_timing_quality_that_is_not_good_is_mentioned():
    assert of(BASE, INT8, grade="fair").sentence.endswith(" The timing quality is fair.")
    assert "timing quality" not in of(BASE, INT8).sentence


@pytest.mark.parametrize("drift", [None, alone(drift_of(0, 43, (40, 0, 0, 3)))], ids=["none", "alone"])
def test_without_drift_and_limits_nothing_is_recommended(drift):
    found = of(measured("mine.tflite", drift=drift), reference=None)
    expected = "No variant is recommended: there is no reference, so their drift is unknown."
    assert found == Recommendation(None, expected, ())
    with pytest.raises(EdgenetError, match=r"^results: max_drift= needs a measured drift; run the benchmark with "):
        of(measured("mine.tflite", drift=drift), reference=None, limits=Limits(max_drift=0.1))


def test_a_file_that_is_limited_only_in_size_has_a_whole_sentence():
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


def test_sizes_within_5_percent_are_the_same():
    like = replace(INT8, bytes=4_100_000)
    assert ", of the same size, same top class " in of(BASE, like).sentence
    assert "and of the same size" in dict(of(BASE, like).others)["float32"]


# Rounds that alternate are compared round by round


def slowing(seconds: float, threads: int = 1, rounds: int = 20):
    """A latency on a machine that is twice as slow in the last round as in the first."""
    slowness = np.linspace(1, 2, rounds)
    samples = [tuple(seconds * factor * one for one in rounds_of(1.0, 1)[0]) for factor in slowness]
    return latency.summarize(threads, tuple(samples), tuple(samples))


def test_what_slows_all_variants_alike_hides_no_difference_between_them():
    # The intervals of the medians overlap by far, but in each round one takes 5 % longer.
    fast = replace(INT8, latency=(slowing(0.002),))
    small = replace(INT8, name="small", latency=(slowing(0.0021),), bytes=900_000)
    assert fast.latency[0].interval.high > small.latency[0].interval.low
    found = of(BASE, fast, small)
    assert found.variant == "int8"
    assert dict(found.others)["small"] == "also within limits and 1.1x smaller, but 1.05x slower than int8"


def test_less_than_1_percent_is_no_difference_that_matters():
    fast = replace(INT8, latency=(slowing(0.002),))
    assert of(BASE, fast, replace(INT8, name="small", latency=(slowing(0.00201),), bytes=900_000)).variant == "small"


def test_on_other_numbers_of_threads_the_medians_are_compared():
    # Measured one after the other: nothing pairs the rounds, and the machine's drift is in both.
    fast = replace(INT8, latency=(slowing(0.002), slowing(0.004, threads=2)))
    small = replace(INT8, name="small", latency=(slowing(0.004), slowing(0.0021, threads=2)), bytes=900_000)
    assert of(BASE, fast, small).variant == "small"
    slow = replace(small, latency=(slowing(0.009), slowing(0.006, threads=2)))
    assert of(BASE, fast, slow).variant == "int8"


def test_rounds_that_do_not_pair_are_compared_by_their_medians():
    fast, small = (replace(INT8, name=n, latency=(timed(0.002, 0.004, rounds=r),)) for n, r in (("b", 10), ("a", 7)))
    assert of(BASE, fast, small).variant == "a"


# Poor latencies


def test_poor_latencies_prove_nothing_about_speed():
    small = replace(FLOAT16, name="small", bytes=900_000)
    found = of(BASE, INT8, small, grade="poor")
    assert found.variant == "small"  # the smallest: the fastest is not known
    assert "speedup" not in found.sentence
    assert found.sentence.endswith(
        " The timing quality is poor (it ran on its battery; plug it in), so its speed is unknown; measure again."
    )
    assert dict(found.others) == {
        "float32": "also within limits, but 4.4x larger than small",
        "int8": "also within limits, but 1.1x larger than small",
    }


def test_poor_latencies_prove_no_speedup():
    found = of(BASE, INT8, grade="poor", limits=Limits(min_speedup=1.5))
    assert found.variant == "int8"
    assert "Not proven yet: 2.00x float32 " in found.sentence
    assert "; the timing quality is poor (it ran on its battery" in found.sentence


# Nothing is recommended against the findings in the results


NAMES = tuple(f"class {number}" for number in range(10))
CAUSES = "a wrong input range or channel order, labels in another order, or an untrained model"


def scored(reference: list[int], variant: list[int], labels: list[int | None]):
    """The drift of a variant from a reference, by the classes that they give each image."""
    tally = Tally("softmax")
    pictures = tuple(EvaluationImage(f"evaluation/{n}.png", label) for n, label in enumerate(labels))
    tally.add(*(np.eye(10, dtype=np.float32)[part] for part in (reference, variant)), pictures)
    return tally.drift()


def shipped(reference, variant, labels, limits=None, **others) -> Recommendation:
    drift = scored(list(reference), list(variant), list(labels))
    base = replace(BASE, drift=scored(list(reference), list(reference), list(labels)))
    return of(base, replace(INT8, drift=drift), labels=NAMES, limits=limits, **others)


TRUTH = [number % 10 for number in range(200)]


def test_a_model_that_is_right_is_shipped():
    assert shipped(TRUTH, TRUTH, TRUTH).variant == "int8"
    assert shipped(TRUTH, TRUTH, [None] * 200).variant == "int8"
    assert shipped([3] * 200, [3] * 200, [3] * 200).variant == "int8"  # all images are of that class


def test_nothing_is_shipped_where_calibration_is_wrong():
    finding = Finding(Level.WRONG, "the images do not match the model with input range 0,1")
    found = shipped(TRUTH, TRUTH, TRUTH, calibration=(Finding(Level.OK, "200 images"), finding))
    assert found == Recommendation(
        None,
        "No variant is recommended: the results show a problem. The calibration images contradict the input range: "
        f"{finding.text}.",
        (),
    )
    assert shipped(TRUTH, TRUTH, TRUTH, calibration=(replace(finding, level=Level.WARNING),)).variant == "int8"


@pytest.mark.parametrize("labels", [TRUTH, [None] * 200], ids=["labels", "no labels"])
@pytest.mark.parametrize("limits", [None, Limits(max_drift=0.5), Limits(max_size=10**9)])
def test_nothing_is_shipped_where_the_model_gives_one_class(labels, limits):
    found = shipped([4] * 200, [4] * 200, labels, limits)
    assert found.variant is None
    assert found.sentence == (
        "No variant is recommended: the results show a problem. Keras predicts the same class, class 4, "
        f"for all 200 images; likely causes: {CAUSES}."
    )


def test_one_class_of_a_class_that_no_label_has_is_found_too():
    labels = [number % 3 for number in range(200)]
    assert shipped([9] * 200, [9] * 200, labels).variant is None


@pytest.mark.parametrize("labels", [TRUTH, [None] * 200], ids=["labels", "no labels"])
def test_a_variant_that_gives_one_class_is_ruled_out_whatever_the_limits(labels):
    found = shipped(TRUTH, [4] * 200, labels, Limits(max_drift=0.99))
    assert found.variant == "float32"
    assert dict(found.others) == {"int8": "predicts the same class, class 4, for all 200 images"}


def test_a_few_images_may_well_be_of_one_class():
    assert shipped([4] * 9, [4] * 9, [None] * 9).variant is not None
    assert shipped([4] * 10, [4] * 10, [None] * 10).variant is None


def test_nothing_is_shipped_where_the_model_only_guesses():
    wrong = [(number * 7 + number // 10) % 10 for number in range(200)]  # right in a tenth of the images
    found = shipped(wrong, wrong, TRUTH)
    right = sum(one == truth for one, truth in zip(wrong, TRUTH, strict=True)) / 200
    assert found.sentence == (
        f"No variant is recommended: the results show a problem. The accuracy of Keras, {right:.1%}, is not "
        f"significantly above chance on 200 labelled images; likely causes: {CAUSES}."
    )
    assert found.variant is None


@pytest.mark.parametrize(("right", "ships"), [(8, True), (7, False), (5, False)])
def test_two_classes_and_few_images(right, ships):
    # Of 9 fair coins, 8 or more are heads in 10 of 512 cases, 7 or more in 46 of 512: 2 and 9 %.
    labels = [0, 1, 0, 1, 0, 1, 0, 1, 0]
    given = [label if number < right else 1 - label for number, label in enumerate(labels)]
    drift = scored(given, given, labels)
    one = of(replace(BASE, drift=drift), replace(INT8, drift=drift), labels=("a", "b"))
    assert (one.variant is not None) is ships
    assert ships or one.sentence.endswith("9 labelled images; likely causes: " + CAUSES + ", or too few images.")


def test_a_variant_that_only_guesses_is_ruled_out_whatever_the_limits():
    found = shipped(TRUTH, [(one + 1) % 10 for one in TRUTH], TRUTH, Limits(max_size=10**9))
    assert found.variant == "float32"
    why = "its accuracy, 0.0%, is not significantly above chance on 200 labelled images"
    assert dict(found.others) == {"int8": why}


def test_a_model_that_is_mostly_wrong_is_shipped_with_a_warning():
    half = [one if number % 3 == 0 else (one + 1) % 10 for number, one in enumerate(TRUTH)]
    found = shipped(half, half, TRUTH)
    assert found.variant == "int8"
    assert (
        "But Keras itself classifies only 33.5% of the labelled images correctly: check the input range, "
        in found.sentence
    )


def test_a_file_that_a_library_cannot_load_is_not_shipped():
    results = results_of(BASE, INT8)
    found = recommend(results, None, {"int8": "the Task Library cannot load it: version 12"})
    assert found.variant == "float32"
    assert dict(found.others) == {"int8": "the Task Library cannot load it: version 12"}
    every = dict.fromkeys(("float32", "int8"), "MediaPipe Tasks cannot load it")
    none = recommend(results, Limits(max_drift=0.1), every)
    assert (none.variant, none.sentence) == (None, "No variant is recommended: each one is ruled out.")
    assert dict(none.others) == every


def test_with_labels_a_significant_loss_of_accuracy_rules_out_unless_limits_are_given():
    # 17 of 1,000 images lost and none gained: -1.7 %, p = 2 / 2^17. The flips keep the default limit: 5 of 1,000.
    losing = replace(INT8, drift=drift_of(5, 1_000, (883, 0, 17, 100)))
    base = replace(BASE, drift=drift_of(0, 1_000, (900, 0, 0, 100)))
    found = of(base, losing)
    assert found.variant == "float32"
    assert dict(found.others)["int8"] == (
        "accuracy change -1.7 points on 1,000 labelled images (p-value 1.5e-05, McNemar), default limit -1 point"
    )
    assert "drift 2%, and no significant accuracy drop above 1 point (max_drift sets another)" in found.sentence
    assert of(base, losing, limits=Limits(max_drift=0.05)).variant == "int8"
    uneven = replace(INT8, drift=drift_of(5, 1_000, (865, 18, 35, 82)))  # as much, but p = 0.03
    assert of(base, uneven).variant == "float32"
    by_chance = replace(INT8, drift=drift_of(5, 1_000, (850, 33, 50, 67)))  # as much, but p = 0.08
    assert of(base, by_chance).variant == "int8"
    little = replace(INT8, drift=drift_of(5, 1_000, (891, 0, 9, 100)))  # significant, but less than 1 %
    assert of(base, little).variant == "int8"
