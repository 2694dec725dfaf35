"""What a few timings prove: 95 % intervals, and limits that fail only where the whole interval breaks them.

On a machine that others use, a ratio of two times scatters. A limit that fails on its value alone fails by chance; one
that fails where the interval excludes it fails in at most 2.5 % of runs of code that just keeps it.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# The error on either side: what an interval of 95 % leaves.
TAIL = 0.025
# Student's t at 1 - TAIL, for 1 to 9 degrees of freedom (any table; more rounds than 10 are for the sign test).
T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Interval:
    """A value, and the ends between which it lies with 95 % or more."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} (95 %: {self.low:.4g} to {self.high:.4g})"


def of_median(values: Sequence[float]) -> Interval:
    """The median of independent values of any distribution: two order statistics, by the sign test.

    Raises ValueError for fewer than 6 values: no two of them hold the median with 95 %.
    """
    ordered, place = sorted(values), _place(len(values))
    if not place:
        raise ValueError(f"{len(values)} values give no interval of 95 %; take 6 or more")
    return Interval(statistics.median(ordered), ordered[place - 1], ordered[-place])


def _place(count: int) -> int:
    """The largest k for which fewer than k of `count` values are below their median with at most TAIL; 0 for none."""
    below, place = 0, 0
    while (below := below + math.comb(count, place)) <= TAIL * 2**count:
        place += 1
    return place


def of_ratio(ratios: Sequence[float]) -> Interval:
    """The geometric mean of 2 to 10 independent ratios, such as of two times of one round: by `of_mean`.

    For what takes too long to be repeated as often as `of_median` needs. Raises ValueError for other numbers of ratios.
    """
    found = of_mean([math.log(ratio) for ratio in ratios], "ratios")
    return Interval(*map(math.exp, (found.value, found.low, found.high)))


def of_mean(values: Sequence[float], what: str = "values") -> Interval:
    """The mean of 2 to 10 independent values: Student's t. Raises ValueError for other numbers of values."""
    freedom = len(values) - 1
    if not 1 <= freedom <= len(T_QUANTILES):
        raise ValueError(f"expected 2 to {len(T_QUANTILES) + 1} {what}, got {len(values)}")
    mean = statistics.mean(values)
    reach = T_QUANTILES[freedom - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - reach, mean + reach)


def check(what: str, found: Interval, *, least: float = -math.inf, most: float = math.inf) -> None:
    """Print a value, its interval and its limits, and whether they are proved to be kept.

    Raises AssertionError where the whole interval lies outside of the limits.
    """
    proved = least <= found.low and found.high <= most
    limits = [f"at least {least:g}"] * (least > -math.inf) + [f"at most {most:g}"] * (most < math.inf)
    line = f"{what}: {found}, wanted {' and '.join(limits)}"
    print(f"\n{line}: {'proved' if proved else 'not decided'}")
    assert found.high >= least and found.low <= most, line
