"""Intervals and tests for counts, against published tables, exact sums, and what must hold of them."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from edgenet import statistics
from edgenet.records import Interval
from edgenet.statistics import at_least, at_most, clopper_pearson, clustered, mcnemar, paired_difference, ratio, wilson

# Printed to four places, and of 1.96 where ours is 1.959964: half a unit and 2e-5 of an end's reach, below 1.
PRINTED = 1e-4

# Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
SINGLE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]

# Newcombe, the same volume, 2635-2650, table III, method 10: both, first only, second only, neither; of the first's
# share less the second's.
PAIRED = [
    (36, 12, 2, 0, 0.0569, 0.3404),
    (20, 12, 2, 16, 0.0562, 0.3292),
    (18, 12, 2, 18, 0.0562, 0.3290),
    (36, 14, 0, 0, 0.1528, 0.4167),
    (35, 14, 0, 1, 0.1461, 0.4175),
    (18, 14, 0, 18, 0.1441, 0.3963),
    (2, 97, 1, 0, 0.8721, 0.9854),
    (1, 97, 1, 1, 0.8736, 0.9850),
    (0, 29, 1, 0, 0.6666, 0.9882),
    (2, 98, 0, 0, 0.9178, 0.9945),
    (1, 98, 0, 1, 0.9171, 0.9916),
    (0, 30, 0, 0, 0.8395, 1.0000),
    (54, 0, 0, 0, -0.0664, 0.0664),
    (53, 0, 0, 1, -0.0729, 0.0729),
    (30, 0, 0, 24, -0.0358, 0.0358),
    (29, 0, 0, 25, -0.0354, 0.0354),
    (28, 0, 0, 26, -0.0352, 0.0352),
    (27, 0, 0, 27, -0.0351, 0.0351),
]

# Every way to put up to so many images into four cells, but for none at all, and some larger ones.
CELLS = [cells for cells in itertools.product(range(5), repeat=4) if any(cells)]
CELLS += [(10**6, 3, 0, 7), (0, 0, 10**6, 1), (500_000, 250_000, 250_000, 500_000), (0, 10**5, 0, 0)]


# Wilson's interval


@pytest.mark.parametrize(("count", "total", "low", "high"), SINGLE)
def test_intervals_of_one_share_are_those_that_newcombe_printed(count, total, low, high):
    found = wilson(count, total)
    assert found.value == count / total
    assert (found.low, found.high) == pytest.approx((low, high), abs=PRINTED)


@pytest.mark.parametrize("total", [1, 2, 7, 43, 1_000, 100_000])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.5, 0.98, 1.0])
def test_the_ends_of_a_share_solve_the_score_equation(total, part):
    # An end is a share p0 that lies 1.96 of its own standard errors from what was found.
    count = round(part * total)
    found = wilson(count, total)
    for end in (found.low, found.high):
        error = 1.959963984540054 * math.sqrt(end * (1 - end) / total)
        # Both sides are below 1 and computed in a few operations, with 2e-16 each; the root of a share next to 0 or 1
        # makes 1e-8 of that. At 0 and at 1 themselves both sides are 0.
        assert abs(found.value - end) == pytest.approx(error, abs=1e-7)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@pytest.mark.parametrize("total", [1, 9, 43, 1_000])
def test_the_other_share_has_the_mirrored_interval(total):
    for count in range(0, total + 1, max(1, total // 20)):
        one, other = wilson(count, total), wilson(total - count, total)
        # A few operations on numbers up to 1, with 2e-16 each.
        assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-14)


def test_none_and_all_have_exact_ends():
    assert wilson(0, 43).low == 0.0
    assert wilson(43, 43).high == 1.0


# Paired shares


@pytest.mark.parametrize(("both", "first", "second", "neither", "low", "high"), PAIRED)
def test_intervals_of_a_change_are_those_that_newcombe_printed(both, first, second, neither, low, high):
    found = paired_difference(both, first, second, neither)
    assert found.value == (first - second) / (both + first + second + neither)
    assert (found.low, found.high) == pytest.approx((low, high), abs=PRINTED)


def test_what_is_gained_and_what_is_lost_mirror_each_other():
    for both, gained, lost, neither in CELLS:
        one, other = paired_difference(both, gained, lost, neither), paired_difference(both, lost, gained, neither)
        # The same sums in another order: a few times 2e-16.
        mirrored = (-other.value, -other.high, -other.low)
        assert (one.value, one.low, one.high) == pytest.approx(mirrored, abs=1e-14), (both, gained, lost, neither)


def test_right_and_wrong_can_be_exchanged():
    # What gains images in being right loses as many in being wrong.
    for both, gained, lost, neither in CELLS:
        one, other = paired_difference(both, gained, lost, neither), paired_difference(neither, lost, gained, both)
        assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low), abs=1e-14)


def test_the_interval_of_a_change_contains_it_has_a_width_and_stays_within_1():
    for cells in CELLS:
        found = paired_difference(*cells)
        assert -1 <= found.low <= found.value <= found.high <= 1, cells
        assert found.low < found.high, cells


def test_more_images_narrow_the_interval_of_a_change():
    widths = []
    for times in (1, 4, 16, 64):
        found = paired_difference(36 * times, 12 * times, 2 * times, 5 * times)
        widths.append(found.high - found.low)
    # Fourfold images halve it; 10 % for what is left of the corrections for few.
    for wide, narrow in itertools.pairwise(widths):
        assert narrow / wide == pytest.approx(0.5, rel=0.1)


# Binomial tails


def tail(counts: range, total: int, share: Fraction) -> Fraction:
    """How likely any of these counts is, without rounding."""
    return sum((math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in counts), Fraction(0))


@pytest.mark.parametrize(("count", "total"), [(0, 10), (1, 10), (7, 10), (10, 10), (990, 1_000), (3, 900)])
def test_the_ends_of_an_exact_interval_leave_equal_tails(count, total):
    def probability(first, last, p):
        return math.fsum(math.comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(first, last + 1))

    found = clopper_pearson(count, total)
    assert found.value == count / total
    # Bisection ends at 1e-12; the tails change by at most `total` times as much.
    assert found.low == 0.0 if count == 0 else probability(count, total, found.low) == pytest.approx(0.025, abs=1e-8)
    assert found.high == 1.0 if count == total else probability(0, count, found.high) == pytest.approx(0.025, abs=1e-8)


@pytest.mark.parametrize("total", [1, 2, 10, 43, 170])
@pytest.mark.parametrize(
    "share", [Fraction(1, 1024), Fraction(1, 64), Fraction(3, 8), Fraction(1, 2), Fraction(63, 64)]
)
def test_tails_are_exact_sums(total, share):
    # Shares that a float holds exactly. Logarithms of up to 1,000 in magnitude have an error of 1e-13.
    for count in sorted({0, 1, total // 10, total // 2, total - 1, total}):
        below, above = tail(range(count + 1), total, share), tail(range(count, total + 1), total, share)
        assert at_most(count, total, float(share)) == pytest.approx(float(below), rel=1e-10, abs=1e-300)
        assert at_least(count, total, float(share)) == pytest.approx(float(above), rel=1e-10, abs=1e-300)


def test_tails_of_many_images():
    # 20,000 at 1/64, near the expected 312.5 and far from it. Sums of 20,000 logarithms, 200,000 in all, with 2e-16
    # of that each time: 1e-9 of the whole is more than they add up to.
    for count in (200, 312, 400):
        exact = math.fsum(
            math.exp(
                math.lgamma(20_001) - math.lgamma(k + 1) - math.lgamma(20_001 - k)
                + k * math.log(1 / 64) + (20_000 - k) * math.log(63 / 64)
            )
            for k in range(count + 1)
        )  # fmt: skip
        assert at_most(count, 20_000, 1 / 64) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("total", [1, 43])
def test_tails_where_nothing_is_left_to_chance(total):
    assert [at_most(count, total, 0.0) for count in (-1, 0, total)][1:] == [1.0, 1.0]
    assert [at_most(count, total, 1.0) for count in (0, total - 1, total)] == [0.0, 0.0, 1.0]
    assert [at_least(count, total, 0.0) for count in (0, 1, total)] == [1.0, 0.0, 0.0]
    assert [at_least(count, total, 1.0) for count in (0, 1, total)] == [1.0, 1.0, 1.0]
    assert at_most(-1, total, 0.3) == 0.0
    assert at_most(total, total, 0.3) == at_least(0, total, 0.3) == 1.0


# McNemar's test


def test_mcnemar_is_twice_the_smaller_tail():
    for gained, lost in itertools.product(range(13), repeat=2):
        total = gained + lost
        exact = min(Fraction(1), 2 * tail(range(min(gained, lost) + 1), total, Fraction(1, 2)))
        assert mcnemar(gained, lost) == pytest.approx(float(exact), rel=1e-12)  # logarithms of up to 40, 2e-16 each
        assert mcnemar(gained, lost) == mcnemar(lost, gained)


def test_mcnemar_of_no_change_or_an_even_one():
    assert mcnemar(0, 0) == mcnemar(7, 7) == 1.0


@pytest.mark.parametrize(("lost", "likely"), [(5, 2 / 32), (6, 2 / 64)])
def test_six_changes_to_one_side_are_the_fewest_that_are_no_chance(lost, likely):
    # 2 / 2^n: above 5 % for five, below it for six.
    assert mcnemar(0, lost) == pytest.approx(likely, rel=1e-12)


def test_intervals_cover_95_percent():
    assert pytest.approx(0.025, abs=1e-15) == statistics.TAIL
    assert pytest.approx(1.959963984540054, abs=1e-12) == statistics.Z


@pytest.mark.parametrize(("gained", "lost", "total"), [(2, 12, 50), (12, 2, 50), (0, 3, 1_000), (5, 5, 20), (1, 0, 10)])
def test_tangos_score(gained, lost, total):
    # Of no change it is McNemar's statistic, without continuity correction.
    expected = (gained - lost) / math.sqrt(gained + lost)
    assert statistics.tango(gained, lost, total, 0.0) == pytest.approx(expected, rel=1e-12)
    assert statistics.tango(gained, lost, total, (gained - lost) / total) == pytest.approx(0, abs=1e-9)
    for change in (-0.2, -0.01, 0.005, 0.3):
        swapped = statistics.tango(lost, gained, total, -change)
        assert statistics.tango(gained, lost, total, change) == pytest.approx(-swapped, rel=1e-9)


def test_tangos_score_where_nothing_changed():
    assert statistics.tango(0, 0, 100, 0.0) == 0.0
    # By hand: with no image changed, the likeliest shares under a loss of 1 % are 0 gained and 1 % lost.
    assert statistics.tango(0, 0, 100, -0.01) == pytest.approx(1 / math.sqrt(100 * 0.01 * 0.99), rel=1e-9)


# Decisions on several labels of each image.


@pytest.mark.parametrize("images", [1, 10, 43, 1_000])
@pytest.mark.parametrize("labels", [1, 2, 20])
def test_without_changes_or_with_labels_that_change_together_images_are_what_counts(images, labels):
    for flipped in {0, 1, images // 3, images}:
        found = clustered(flipped * labels, flipped * labels**2, images, labels)
        expected = wilson(images - flipped, images)
        # A few roundings of numbers up to 1.
        assert (found.value, found.low, found.high) == pytest.approx(
            (expected.value, expected.low, expected.high), abs=1e-12
        )


def test_labels_that_change_alone_count_nearly_as_decisions_where_many_do():
    # 4,000 of 20,000 images change one of 5 labels. The design effect is (4,000 + 25 - 4,005^2 / 20,001) /
    # (4,005 (1 - 4,005 / 100,005)) = 0.84, and so 1: as many independent decisions.
    found, expected = clustered(4_000, 4_000, 20_000, 5), wilson(96_000, 100_000)
    assert (found.value, found.low, found.high) == pytest.approx((0.96, expected.low, expected.high), abs=1e-12)


def test_the_effective_sample_size_worked_out_by_hand():
    # 3 of 60 images change one of 5 labels. With one image more that changes all: 8 changes, squares of 28, 61 images.
    # The design effect is (28 - 64 / 61) / (8 (1 - 8 / 305)) = 3.4596; of 300 decisions, 86.7153 are left, 99% of them
    # unchanged.
    found, expected = clustered(3, 3, 60, 5), wilson(0.99 * 86.7153, 86.7153)
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.99, expected.low, expected.high), abs=1e-6
    )  # of six digits


@pytest.mark.parametrize("together", ["all labels", "one label", "independent", "a tenth of the images all labels"])
@pytest.mark.parametrize(("images", "fraction"), [(40, 0.2), (200, 0.03), (1_000, 0.03), (200, 0.6)])
def test_the_interval_of_clustered_decisions_covers(together, images, fraction):
    labels, trials = 10, 1_000
    random = np.random.default_rng(int(images * fraction))
    if together == "independent":
        changed, truth = random.binomial(labels, fraction / labels, (trials, images)), fraction / labels
    else:
        chance = {"all labels": 1.0, "one label": 0.0}.get(together, 0.1)
        sizes = np.where(random.random((trials, images)) < chance, labels, 1)
        changed = sizes * (random.random((trials, images)) < fraction)
        truth = fraction * (chance * labels + 1 - chance) / labels
    covered = 0
    for row in changed.tolist():
        found = clustered(sum(row), sum(one**2 for one in row), images, labels)
        covered += found.low <= 1 - truth <= found.high
    # Wilson's own interval of few images covers 93% at worst here; three standard errors of 1,000 trials are 2.4%.
    assert covered / trials >= 0.93 - 0.024


def test_a_ratio_has_the_widths_of_both_where_they_are_symmetric():
    # 3% and 4% of the logarithm make 5%.
    found = ratio(*(Interval(value, value / wide, value * wide) for value, wide in ((6, 1.03), (2, 1.04))))
    reach = math.exp(math.hypot(math.log(1.03), math.log(1.04)))
    assert (found.value, found.low, found.high) == pytest.approx((3, 3 / reach, 3 * reach))
    assert reach == pytest.approx(1.05, abs=1e-3)  # the logarithm of 1 + x is x to a few hundredths of x


def test_each_end_of_a_ratio_has_the_ends_that_move_it_there():
    certain = Interval(2, 2, 2)
    found = ratio(Interval(6, 5, 9), certain)
    assert (found.low, found.value, found.high) == pytest.approx((2.5, 3, 4.5))
    found = ratio(certain, Interval(4, 3.2, 5))
    assert (found.low, found.value, found.high) == pytest.approx((0.4, 0.5, 0.625))
    found = ratio(Interval(6, 6.1, 9), certain)  # a percentile interval beside its value
    assert (found.low, found.value) == pytest.approx((3, 3))


def test_the_interval_of_a_ratio_covers():
    random, covered, trials = np.random.default_rng(5), 0, 2_000
    for _ in range(trials):
        values = np.exp(random.normal(np.log((2.0, 2.5)), (0.02, 0.04)))
        wide = np.exp(statistics.Z * np.array((0.02, 0.04)))
        found = ratio(*(Interval(v, v / w, v * w) for v, w in zip(values.tolist(), wide.tolist(), strict=True)))
        covered += found.low <= 0.8 <= found.high
    # Exact for normal logarithms: 95%, with three standard errors of 2,000 trials, 1.5%.
    assert abs(covered / trials - 0.95) <= 0.015
