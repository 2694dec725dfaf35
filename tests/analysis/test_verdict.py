"""Verdicts: how often they are wrong, what they say, and that what they ask for would decide."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from measured import alone, drift_of, measured, results_of, timed, with_speed
from multi_label import tag_results

from edgenet.analysis import decisions
from edgenet.analysis.decisions import Reason, judge_accuracy, judge_confident_flips, judge_drift, judge_speedup
from edgenet.analysis.loading import from_records
from edgenet.analysis.verdict import Limits, Verdict, judge, judge_results, worst
from edgenet.errors import EdgenetError
from edgenet.records import Accuracy, Outcome

# Labelled images: right in both, gained, lost, wrong in both.
CELLS = (800, 10, 20, 170)
PASS, UNDECIDED, FAIL = Outcome.PASS, Outcome.UNDECIDED, Outcome.FAIL
NEITHER = "at the limit itself, leans neither way"


def more_of(text: str, what: str = "images") -> int:
    """The number in "leans towards pass: about N more images at this rate would prove it"."""
    return int(re.search(rf": about ([\d,]+) more {what} at this rate would prove it$", text)[1].replace(",", ""))


def accuracy_of(*cells: int) -> Accuracy:
    """Of labelled images: right in both, gained, lost, wrong in both."""
    return drift_of(0, sum(cells), cells).accuracy


def outcomes(results, limits: Limits, **others) -> dict[str, list[str]]:
    return {one.variant: [reason.outcome for reason in one.reasons] for one in judge_results(results, limits, **others)}


ALL = results_of(
    measured("float32", (timed(0.004),), drift_of(0, 1_000, (810, 0, 0, 190)), 4_000_000),
    measured("int8", (timed(0.002, base=0.004),), drift_of(15, 1_000, CELLS), 1_200_000),
    measured("keras", (timed(0.008, base=0.004),), None, 5_000_000),
)


# Drift


@pytest.mark.parametrize(
    ("flips", "images", "limit", "outcome", "said"),
    [
        (0, 1_000, 0.02, PASS, "drift 0.00% of 1,000 images, limit 2.00%"),
        (100, 1_000, 0.02, FAIL, "drift 10.00% of 1,000 images, limit 2.00%"),
        (15, 10_000, 0.005, PASS, "drift 0.15% of 10,000 images, limit 0.50%"),
        (0, 1_000, 0.0, PASS, "0 of 1,000 images flip, limit 0"),
        (1, 43, 0.0, FAIL, "1 of 43 images flips, limit 0"),
        (2, 43, 0.0, FAIL, "2 of 43 images flip, limit 0"),
        (0, 10_000_000, 0.000_001, PASS, "drift 0.00% of 10,000,000 images, limit 0.0001%"),
        (43, 43, 0.9, FAIL, "drift 100.00% of 43 images, limit 90.00%"),  # 0.9^43 is 1.1 %
    ],
)
def test_drift_that_is_decided(flips, images, limit, outcome, said):
    assert judge_drift(flips, images, limit) == Reason(outcome, said)


def test_without_a_flip_the_images_that_decide_are_those_of_the_binomial():
    # (1 - limit)^n is at most 2.5 % from n = log 0.025 / log 0.98 = 182.6 on.
    assert judge_drift(0, 183, 0.02).outcome == PASS
    assert judge_drift(0, 182, 0.02).outcome == UNDECIDED


def test_one_flip_decides_where_it_is_too_unlikely():
    # 1 - 0.999^n is at most 2.5 % up to n = log 0.975 / log 0.999 = 25.3.
    assert judge_drift(1, 25, 0.001).outcome == FAIL
    assert judge_drift(1, 26, 0.001).outcome == UNDECIDED


def test_drift_that_is_not_decided_says_what_would():
    found = judge_drift(0, 43, 0.02)
    # 183 are needed; the search goes in steps of a fiftieth, and 140 are those of 43 rounded up to two digits.
    assert found == Reason(
        UNDECIDED,
        "drift 0.00% of 43 images, limit 2.00%; leans towards pass: about 140 more images at this rate would prove it",
        leaning=PASS,
    )


@pytest.mark.parametrize(
    ("flips", "images", "limit", "outcome"),
    [
        (0, 43, 0.02, PASS),
        (0, 400, 0.001, PASS),
        (1, 170, 0.02, PASS),
        (2, 170, 0.02, PASS),
        (3, 500, 0.01, PASS),
        (8, 500, 0.01, FAIL),
        (25, 1_000, 0.02, FAIL),
        (8, 43, 0.1, FAIL),
    ],
)
def test_as_many_more_images_decide_on_drift_and_a_fifth_fewer_do_not(flips, images, limit, outcome):
    found = judge_drift(flips, images, limit)
    assert (found.outcome, found.leaning) == (UNDECIDED, outcome)
    more = more_of(found.text)
    for part, expected in ((1.0, outcome), (0.8, UNDECIDED), (0.5, UNDECIDED)):
        total = images + round(part * more)
        assert judge_drift(round(flips / images * total), total, limit).outcome == expected, part


@pytest.mark.parametrize(("flips", "images", "limit"), [(20, 1_000, 0.02), (1, 50, 0.02), (1_200, 60_000, 0.02)])
def test_drift_that_is_the_limit_leans_neither_way(flips, images, limit):
    said = f"drift {flips / images:.2%} of {images:,} images, limit {limit:.2%}"
    assert judge_drift(flips, images, limit) == Reason(UNDECIDED, f"{said}; {NEITHER}")


def likely(count: int, total: int, share: float) -> float:
    logs = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    return math.exp(logs + count * math.log(share) + (total - count) * math.log1p(-share))


@pytest.mark.parametrize(
    ("images", "limit"), [(43, 0.05), (170, 0.001), (170, 0.02), (1_000, 0.02), (2_000, 0.001), (10_000, 0.01)]
)
@pytest.mark.parametrize("side", [FAIL, PASS])
def test_a_verdict_on_drift_is_wrong_in_2_5_percent_at_most(images, limit, side, monkeypatch):
    # Of every count, with how likely it is where the truth is the limit itself, or hardly more: no draw is needed.
    monkeypatch.setattr(decisions, "MAX_IMAGES", 0)  # how many more is not asked here
    share = limit if side == FAIL else limit * 1.000_001
    counts = [count for count in range(images + 1) if likely(count, images, share) > 1e-9]
    wrong = sum(likely(count, images, share) for count in counts if judge_drift(count, images, limit).outcome == side)
    assert wrong <= 0.025 + 1e-6  # what was left out, of up to 1,000 counts
    assert len(counts) >= 4


@pytest.mark.parametrize(
    ("flips", "images", "limit", "leaning"),
    [
        # z^2 p (1 - p) / (p - limit)^2 is 11,000, 95,000 and 8,000 images: over ten times the first, over 10,000.
        (6, 500, 0.01, FAIL),
        (20, 2_000, 0.0094, FAIL),
        (20, 2_000, 0.0106, PASS),
        (3, 250, 0.01, FAIL),
    ],
)
def test_where_it_would_take_too_many_images_only_the_leaning_is_told(flips, images, limit, leaning):
    found = judge_drift(flips, images, limit)
    assert (found.outcome, found.leaning) == (UNDECIDED, leaning)
    assert found.text.endswith(f", limit {limit:.2%}; leans towards {leaning}")


def test_drift_far_from_the_limit_is_decided_most_of_the_time(monkeypatch):
    monkeypatch.setattr(decisions, "MAX_IMAGES", 0)
    drawn = np.random.default_rng(1).binomial(2_000, [[0.005], [0.04]], (2, 500)).tolist()
    passed, failed = ([judge_drift(count, 2_000, 0.02).outcome for count in counts] for counts in drawn)
    # 10 flips of 2,000, or 80, where 40 are the limit: five standard deviations from it.
    assert passed.count(PASS) >= 0.99 * 500
    assert failed.count(FAIL) >= 0.99 * 500


# Confident flips


def confident(flips: int, confident_flips: int, images: int = 1_000):
    """A drift of flips, so many of which are confident."""
    drift = drift_of(flips, images)
    probabilities = [0.9] * confident_flips + [0.5] * (flips - confident_flips)
    return replace(
        drift, flips=tuple(replace(f, probability=p) for f, p in zip(drift.flips, probabilities, strict=True))
    )


@pytest.mark.parametrize(
    ("flips", "limit", "outcome", "said"),
    [
        (0, 0.01, PASS, "confident flips 0.00% of 1,000 images, limit 1.00%"),
        (50, 0.01, FAIL, "confident flips 5.00% of 1,000 images, limit 1.00%"),
        (0, 0.0, PASS, "0 of 1,000 images are confident flips, limit 0"),
        (1, 0.0, FAIL, "1 of 1,000 images is a confident flip, limit 0"),
    ],
)
def test_only_confident_flips_count_by_the_test_of_drift(flips, limit, outcome, said):
    found = results_of(measured("int8", drift=confident(100, flips)))
    assert judge_results(found, Limits(max_confident_flips=limit))[0].reasons == (Reason(outcome, said),)
    assert judge_confident_flips(flips, 1_000, limit).outcome == judge_drift(flips, 1_000, limit).outcome


def test_confident_flips_that_are_not_decided():
    found = judge_confident_flips(6, 1_000, 0.01)
    assert (found.outcome, found.leaning) == (UNDECIDED, PASS)
    assert found.text.startswith("confident flips 0.60% of 1,000 images, limit 1.00%; leans towards pass: about ")


@pytest.mark.parametrize(
    ("measurement", "text"),
    [
        (measured("int8"), r"needs a measured drift; run the benchmark with reference=$"),
        (measured("int8", drift=alone(drift_of(0, 43))), r"needs a measured drift; run the benchmark with reference=$"),
        (
            measured("int8", drift=drift_of(1, 43)),
            r"needs the reference's probability of each flipped image, which older versions did not record, and which "
            r"scores that are not probabilities do not have; run the benchmark again, or give max_drift= instead$",
        ),
    ],
)
def test_confident_flips_that_are_not_known_cannot_be_judged(measurement, text):
    with pytest.raises(EdgenetError, match=rf"^a\.json: max_confident_flips= {text}"):
        judge_results(results_of(measurement), Limits(max_confident_flips=0.1), where="a.json")


def test_a_multi_label_model_has_no_confident_flips():
    text = r"^max_confident_flips: a\.json: this is a multi-label model, which has no top class to be confident of; "
    with pytest.raises(EdgenetError, match=text):
        judge_results(tag_results(), Limits(max_confident_flips=0.1), where="a.json")


# Accuracy


def test_accuracy_that_is_decided():
    # -1 %, by the paired interval: 30 images of 1,000 changed, so 1.96 sqrt(30) / 1,000 = 1.1 % to each side.
    found = judge_accuracy(accuracy_of(*CELLS), 0.03)
    assert found.outcome == PASS
    expected = r"accuracy change -1\.00 points \(95% CI -2\.\d\d to \+0\.\d\d\), limit -3\.00 points"
    assert re.fullmatch(expected, found.text)
    worse = judge_accuracy(accuracy_of(700, 10, 120, 170), 0.03)
    assert worse.outcome == FAIL
    expected = r"accuracy change -11\.00 points \(95% CI -1\d\.\d\d to -\d\.\d\d\), limit -3\.00 points"
    assert re.fullmatch(expected, worse.text)


def test_accuracy_that_is_not_decided():
    found = judge_accuracy(accuracy_of(*CELLS), 0.02)
    assert found.outcome == UNDECIDED
    assert re.fullmatch(
        r"accuracy change -1\.00 points \(95% CI .* to .*\), limit -2\.00 points; leans towards pass: about [\d,]+ "
        "more images at this rate would prove it",
        found.text,
    )


def test_the_limit_itself_is_kept():
    accuracy = accuracy_of(*CELLS)
    low = accuracy.change.interval.low
    # Within a tenth of the interval's ends, where the other test has its own.
    assert judge_accuracy(accuracy, -1.1 * low).outcome == PASS
    assert judge_accuracy(accuracy, math.nextafter(-low, 0)).outcome == UNDECIDED
    fallen = accuracy_of(700, 10, 120, 170)
    high = fallen.change.interval.high
    assert judge_accuracy(fallen, -high).outcome == UNDECIDED
    assert judge_accuracy(fallen, -0.9 * high).outcome == FAIL


@pytest.mark.parametrize(
    ("cells", "limit", "outcome"),
    [
        ((160, 0, 2, 8), 0.02, PASS),
        ((150, 3, 4, 13), 0.02, PASS),
        ((40, 0, 0, 3), 0.05, PASS),
        ((450, 5, 9, 36), 0.0, FAIL),
        ((90, 0, 3, 7), 0.01, FAIL),
        ((35, 1, 5, 2), 0.02, FAIL),
    ],
)
def test_as_many_more_images_decide_on_accuracy_and_a_fifth_fewer_do_not(cells, limit, outcome):
    images = sum(cells)
    found = judge_accuracy(accuracy_of(*cells), limit)
    assert (found.outcome, found.leaning) == (UNDECIDED, outcome)
    more = more_of(found.text)
    for part, expected in ((1.0, outcome), (0.8, UNDECIDED), (0.5, UNDECIDED)):
        total = images + round(part * more)
        scaled = tuple(round(cell / images * total) for cell in cells)
        assert judge_accuracy(accuracy_of(*scaled), limit).outcome == expected, part


@pytest.mark.parametrize(("cells", "limit"), [((80, 0, 10, 10), 0.1), ((48_000, 0, 6_000, 6_000), 0.1)])
def test_an_accuracy_that_fell_by_the_limit_leans_neither_way(cells, limit):
    found = judge_accuracy(accuracy_of(*cells), limit)
    assert (found.outcome, found.leaning) == (UNDECIDED, None)
    assert found.text.endswith(f"; {NEITHER}")


@pytest.mark.parametrize(
    ("cells", "outcome"),
    [
        ((40, 0, 0, 3), PASS),
        ((40, 2, 0, 3), PASS),
        ((800, 1, 1, 198), UNDECIDED),  # as many gained as lost
        ((700, 10, 120, 170), FAIL),  # a fall of 11 %
        ((700, 120, 10, 170), PASS),  # a proven gain, although ten are lost
    ],
)
def test_without_any_drop_allowed_no_image_may_be_newly_wrong(cells, outcome):
    found = judge_accuracy(accuracy_of(*cells), 0.0)
    assert found.outcome == outcome
    if not cells[2]:
        assert found.text == f"0 of {sum(cells)} labelled images are newly wrong, limit 0"


def test_only_labelled_images_count_for_accuracy():
    some = measured("int8", drift=replace(drift_of(0, 43, (30, 0, 0, 3)), images=10_000))
    (found,) = judge_results(results_of(some), Limits(max_accuracy_drop=0.05))
    assert found.reasons == (judge_accuracy(accuracy_of(30, 0, 0, 3), 0.05),)


@pytest.mark.parametrize(
    ("limit", "images", "gained", "both"),
    [
        (0.001, 170, 0.0, 0.9),
        (0.001, 170, 0.005, 0.9),
        (0.01, 500, 0.01, 0.9),
        (0.02, 1_000, 0.02, 0.7),
        (0.05, 43, 0.02, 0.7),
        (0.0, 500, 0.01, 0.7),
        # None flip, as they do in e^-2.5 = 8 % and 0.95^43 = 11 % of cases: no proof that less than so many would.
        (0.005, 500, 0.0, 0.5),
        (0.05, 43, 0.0, 0.5),
    ],
)
def test_a_verdict_on_accuracy_at_the_limit_is_wrong_in_5_percent_at_most(limit, images, gained, both, monkeypatch):
    monkeypatch.setattr(decisions, "MAX_IMAGES", 0)  # how many more is not asked here
    shares = (both, gained, gained + limit, 1 - both - 2 * gained - limit)
    found = {}
    drawn = [tuple(cells) for cells in np.random.default_rng(2).multinomial(images, shares, 2_000).tolist()]
    for cells in set(drawn):
        found[cells] = judge_accuracy(accuracy_of(*cells), limit).outcome
    said = [found[cells] for cells in drawn]
    assert said.count(FAIL) <= 0.05 * len(said)
    assert said.count(PASS) <= 0.05 * len(said)


# Speedup


@pytest.mark.parametrize(
    ("speedup", "limit", "outcome", "text"),
    [
        ((2.0, 1.9, 2.1), 1.5, PASS, "2.00x float32 (95% CI 1.90x to 2.10x) on 1 thread, limit 1.50x"),
        ((2.0, 1.5, 2.1), 1.5, PASS, "2.00x float32 (95% CI 1.50x to 2.10x) on 1 thread, limit 1.50x"),
        ((1.2, 1.1, 1.4), 1.5, FAIL, "1.20x float32 (95% CI 1.10x to 1.40x) on 1 thread, limit 1.50x"),
    ],
)
def test_speed_that_is_decided(speedup, limit, outcome, text):
    assert judge_speedup(with_speed(*speedup), "float32", limit) == Reason(outcome, text)


@pytest.mark.parametrize(
    ("speed", "limit", "more"),
    [
        # Intervals narrow as the root of the rounds: 0.2 has to become less than 0.1, so 4 times 20 and one.
        ((1.6, 1.4, 1.9), 1.5, 61),
        ((1.4, 1.3, 1.6), 1.5, 61),
        ((1.6, 1.4, 9.0), 1.5, 61),  # only the side of the limit counts
        # 0.02 to 0.01 of 2.01: still 60 and one.
        ((2.01, 1.99, 2.02), 2.0, 61),
    ],
)
def test_speed_that_is_not_decided_says_what_would(speed, limit, more):
    found = judge_speedup(with_speed(*speed, threads=2), "float32", limit)
    assert (found.outcome, found.leaning) == (UNDECIDED, PASS if speed[0] > limit else FAIL)
    assert found.text == (
        f"{speed[0]:.2f}x float32 (95% CI {speed[1]:.2f}x to {speed[2]:.2f}x) on 2 threads, limit {limit:.2f}x; leans "
        f"towards {found.leaning}: about {more} more rounds at this rate would prove it"
    )


def test_speed_that_would_take_too_many_rounds_only_leans():
    # 0.2 has to become less than 0.05: 16 times 20 rounds.
    found = judge_speedup(with_speed(1.55, 1.35, 1.8), "float32", 1.5)
    assert (found.outcome, found.leaning) == (UNDECIDED, PASS)
    assert found.text.endswith(", limit 1.50x; leans towards pass")


def test_speed_that_is_the_limit_leans_neither_way():
    found = judge_speedup(with_speed(1.5, 1.4, 1.6), "float32", 1.5)
    assert found.outcome == UNDECIDED
    assert found.text.endswith(f"; {NEITHER}")


def test_too_few_rounds_for_an_interval_of_speed():
    found = judge_speedup(timed(0.002, base=0.004, rounds=3), "float32", 1.5)
    assert found.outcome == UNDECIDED
    assert found.text == "only 3 rounds on 1 thread, limit 1.50x; measure 5 rounds or more"


def test_every_number_of_threads_counts():
    one = measured("int8", (with_speed(2.0, 1.9, 2.1), with_speed(1.2, 1.1, 1.3, threads=2)))
    found = outcomes(results_of(measured("float32"), one), Limits(min_speedup=1.5))
    assert found == {"float32": [], "int8": [PASS, FAIL]}


@pytest.mark.parametrize("speed", [(2.0, 1.9, 2.1), (1.2, 1.1, 1.4), (1.6, 1.4, 1.9)], ids=["pass", "fail", "open"])
def test_poor_latencies_prove_no_speed(speed):
    found = results_of(measured("float32"), measured("int8", (with_speed(*speed),)), grade="poor")
    (reason,) = judge_results(found, Limits(min_speedup=1.5), ("int8",))[0].reasons
    assert reason.outcome == UNDECIDED
    assert reason.text.startswith(f"{speed[0]:.2f}x float32 ")
    assert reason.text.endswith("; the timing quality is poor (it ran on its battery; plug it in), measure again")
    assert outcomes(found, Limits(max_size=10**9)) == {"float32": [PASS], "int8": [PASS]}  # sizes need no clock


@pytest.mark.parametrize("grade", ["good", "fair"])
def test_good_and_fair_latencies_prove_one(grade):
    found = results_of(measured("float32"), measured("int8", (with_speed(2.0, 1.9, 2.1),)), grade=grade)
    assert outcomes(found, Limits(min_speedup=1.5))["int8"] == [PASS]


# Size


@pytest.mark.parametrize(("size", "outcome"), [(1_200_000, PASS), (1_200_001, FAIL)])
def test_a_size_is_kept_to_the_byte(size, outcome):
    (found,) = judge_results(results_of(measured("int8", size=size)), Limits(max_size=1_200_000))
    assert found.reasons == (Reason(outcome, "1.200 MB, limit 1.200 MB"),)


# All of it


def test_a_reason_for_each_limit_in_their_order():
    (_, found) = judge_results(ALL, Limits(max_drift=0.05, max_accuracy_drop=0.03, min_speedup=1.5, max_size=1_000_000))
    assert found.variant == "int8"
    assert [reason.outcome for reason in found.reasons] == [PASS, PASS, PASS, FAIL]
    starts = ("drift 1.50% ", "accuracy change -1.00 points ", "2.00x float32 ", "1.200 MB, ")
    assert all(reason.text.startswith(start) for reason, start in zip(found.reasons, starts, strict=True))
    assert found.outcome == FAIL


def test_drift_counts_every_image_whether_it_has_a_label_or_not():
    few_labels = measured("int8", drift=drift_of(15, 1_000, (30, 0, 0, 3)))
    (found,) = judge_results(results_of(few_labels), Limits(max_drift=0.05))
    assert found.reasons == (judge_drift(15, 1_000, 0.05),)


def test_keras_is_not_judged():
    assert list(outcomes(ALL, Limits(max_size=1))) == ["float32", "int8"]


def test_nor_is_the_reference():
    files = [measured(name, (timed(0.002, base=0.004),), drift_of(1, 500)) for name in ("a.tflite", "b.tflite")]
    found = results_of(*files, reference="b.tflite", base="b.tflite")
    assert list(outcomes(found, Limits(max_drift=0.05))) == ["a.tflite"]


def test_the_base_need_not_be_faster_than_itself():
    found = judge_results(ALL, Limits(min_speedup=1.5))
    assert [(one.variant, one.outcome, len(one.reasons)) for one in found] == [
        ("float32", PASS, 0),
        ("int8", PASS, 1),
    ]


def test_the_variants_that_count_in_the_order_in_which_they_are_named():
    both = ("int8", "float32")
    assert list(outcomes(ALL, Limits(max_size=10), variants=both)) == list(both)
    assert list(outcomes(ALL, Limits(max_size=10), variants=("int8",))) == ["int8"]


@pytest.mark.parametrize("name", ["int4", "keras"])
def test_a_name_that_is_none_of_a_variant(name):
    text = rf"^variants: '{name}' is not in a\.json; choose from float32, int8$"
    with pytest.raises(EdgenetError, match=text):
        judge_results(ALL, Limits(max_size=1), ("int8", name), "a.json")


def test_no_variant_at_all():
    text = r"^a\.json: no variant was measured; run the benchmark again$"
    with pytest.raises(EdgenetError, match=text):
        judge_results(results_of(measured("keras")), Limits(max_size=1), where="a.json")


NO_DRIFT = r"^a\.json: max_drift= needs a measured drift; run the benchmark with reference=$"
NO_ACCURACY = (
    r"^a\.json: max_accuracy_drop= needs the accuracy of the variant and of the reference; "
    r"run the benchmark on labelled images$"
)
NO_SPEEDUP = r"^a\.json: min_speedup= needs a speedup relative to float32; benchmark float32 with the other variants$"


@pytest.mark.parametrize(
    ("measurement", "limits", "text"),
    [
        (measured("int8"), Limits(max_drift=0.1), NO_DRIFT),
        (measured("int8", drift=alone(drift_of(0, 43))), Limits(max_drift=0.1), NO_DRIFT),
        (measured("int8"), Limits(max_accuracy_drop=0.1), NO_ACCURACY),
        (measured("int8", drift=drift_of(0, 43)), Limits(max_accuracy_drop=0.1), NO_ACCURACY),
        (measured("int8", drift=alone(drift_of(0, 43, (40, 0, 0, 3)))), Limits(max_accuracy_drop=0.1), NO_ACCURACY),
        (measured("int8"), Limits(min_speedup=1.5), NO_SPEEDUP),
        (measured("int8", ()), Limits(min_speedup=1.5), NO_SPEEDUP),
    ],
)
def test_what_was_not_measured_cannot_be_judged(measurement, limits, text):
    with pytest.raises(EdgenetError, match=text):
        judge_results(results_of(measurement), limits, where="a.json")


def test_the_worst_outcome_counts():
    assert worst([PASS, FAIL, UNDECIDED]) == FAIL
    assert worst([PASS, UNDECIDED, PASS]) == UNDECIDED
    assert worst([PASS]) == worst([]) == PASS
    reasons = (Reason(PASS, ""), Reason(UNDECIDED, ""))
    assert (Verdict("a", reasons).outcome, Verdict("a", ()).outcome) == (UNDECIDED, PASS)


def test_limits_that_ask_for_nothing_are_none():
    assert not Limits()
    assert Limits(max_drift=0.0)
    assert Limits(max_size=1)


def test_the_verdicts_on_results_have_the_worst_outcome():
    (loaded,) = from_records([ALL])
    limits = Limits(max_size=2_000_000)
    found = judge(loaded, limits)
    assert (found.source, found.limits, len(found)) == (loaded, limits, 2)
    assert list(found) == judge_results(ALL, limits)
    assert (found.outcome, found.passed) == (FAIL, False)
    alone = judge(loaded, limits, ("int8",))
    assert (alone.outcome, alone.passed) == (PASS, True)


def test_errors_about_verdicts_name_the_results():
    (loaded,) = from_records([ALL])
    with pytest.raises(EdgenetError, match=r"^variants: 'int4' is not in tiny; choose from float32, int8$"):
        judge(loaded, Limits(max_size=1), ("int4",))
