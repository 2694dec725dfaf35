"""The intervals that benchmarks are judged by."""

import random
from math import comb

import pytest
from intervals import Interval, check, of_median, of_ratio


@pytest.mark.parametrize(("count", "place"), [(6, 1), (8, 1), (9, 2), (20, 6), (40, 14)])  # tables of the sign test
def test_the_order_statistics_are_those_of_the_tables(count, place):
    values = list(range(1, count + 1))
    random.Random(0).shuffle(values)
    assert of_median(values) == Interval((count + 1) / 2, place, count + 1 - place)


@pytest.mark.parametrize("count", range(6, 60))
def test_the_interval_holds_95_percent_and_no_narrower_one_does(count):
    def covered(place: int) -> float:
        """The probability that so many of the values lie below the median that the interval holds it."""
        return 1 - 2 * sum(comb(count, below) for below in range(place)) / 2**count

    place = int(of_median(range(1, count + 1)).low)
    assert covered(place) >= 0.95 > covered(place + 1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_too_few_values_prove_nothing_and_say_so(count):
    with pytest.raises(ValueError, match=f"{count} values give no interval of 95 %; take 6 or more"):
        of_median([1.0] * count)


@pytest.mark.parametrize("ratios", [[], [1.0], [1.0] * 11])
def test_numbers_of_ratios_that_are_refused(ratios):
    with pytest.raises(ValueError, match=f"expected 2 to 10 ratios, got {len(ratios)}"):
        of_ratio(ratios)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_the_t_interval_misses_as_often_as_it_says(count):
    draw, trials = random.Random(count), 4_000
    missed = 0
    for _ in range(trials):
        found = of_ratio([2 * draw.lognormvariate(0, 0.3) for _ in range(count)])
        missed += not found.low <= 2 <= found.high
    # 5 % of 4,000, within four standard errors: sqrt(0.05 * 0.95 / 4,000) = 0.0034.
    assert missed / trials == pytest.approx(0.05, abs=4 * 0.0034)


def test_equal_ratios_have_a_narrow_interval():
    found = of_ratio([2.0, 2.0, 2.0])
    assert (found.value, found.low, found.high) == pytest.approx((2, 2, 2))


@pytest.mark.parametrize(
    ("found", "limits", "ends"),
    [
        (Interval(1.0, 0.9, 1.1), {"most": 1.2}, "at most 1.2: proved"),
        (Interval(1.3, 1.1, 1.5), {"most": 1.2}, "at most 1.2: not decided"),
        (Interval(1.0, 0.9, 1.1), {"least": 0.8}, "at least 0.8: proved"),
        (Interval(0.7, 0.5, 0.9), {"least": 0.8}, "at least 0.8: not decided"),
        (Interval(1.0, 0.9, 1.1), {"least": 0.95, "most": 1.05}, "at least 0.95 and at most 1.05: not decided"),
    ],
)
def test_a_limit_holds_unless_the_interval_excludes_it(capsys, found, limits, ends):
    check("a ratio", found, **limits)
    assert capsys.readouterr().out.strip().endswith(ends)


@pytest.mark.parametrize("limits", [{"most": 1.2}, {"least": 1.6}, {"least": 1.0, "most": 1.2}])
def test_a_limit_that_the_interval_excludes_fails(limits):
    with pytest.raises(AssertionError, match=r"a ratio: 1\.4 \(95 %: 1\.3 to 1\.5\), wanted"):
        check("a ratio", Interval(1.4, 1.3, 1.5), **limits)


def test_a_busy_machine_fails_no_limit_that_is_kept():
    """A ratio of exactly the limit, timed with much noise: wrong at most as often as the interval says."""
    draw, failures = random.Random(1), 0
    for _ in range(1_000):
        values = [1.4 * draw.lognormvariate(0, 0.5) for _ in range(20)]
        failures += of_median(values).high < 1.4
    # 2.07 % by the binomial distribution of 20 signs; four standard errors: 4 * sqrt(0.0207 * 0.98 / 1,000) = 0.018.
    assert failures / 1_000 <= 0.0207 + 0.018
