"""Shares of images, with what is sure of them: intervals and tests for counts.

All intervals cover 95 %. Formulas: R. G. Newcombe, Two-sided confidence intervals for the single proportion (Statistics
in Medicine 17, 1998, 857-872), Improved confidence intervals for the difference between binomial proportions based on
paired data (the same volume, 2635-2650); Q. McNemar (Psychometrika 12, 1947, 153-157).
"""

import math
from functools import cache
from statistics import NormalDist

import numpy as np

from edgenet.records import Interval

# What an interval covers, and how often each of its ends may be wrong.
COVERED = 0.95
TAIL = (1 - COVERED) / 2
Z = NormalDist().inv_cdf(1 - TAIL)


def wilson(count: int, total: int) -> Interval:
    """The share count / total with Wilson's score interval (Newcombe's method 3)."""
    share = count / total
    centre = share + Z**2 / (2 * total)
    reach = Z * math.sqrt(share * (1 - share) / total + (Z / (2 * total)) ** 2)
    low, high = ((centre + side) / (1 + Z**2 / total) for side in (-reach, reach))
    # Exact at the ends, where rounding would leave them.
    return Interval(share, 0.0 if count == 0 else low, 1.0 if count == total else high)


def paired_difference(both: int, gained: int, lost: int, neither: int) -> Interval:
    """The change of a share between two tries on the same images, (gained - lost) / images.

    both: images that had it in each try; gained: only in the second; lost: only in the first. Newcombe's method 10 for
    pairs: the intervals of the two shares, squared and added, with the correlation of the tries.
    """
    total = both + gained + lost + neither
    after, before = wilson(both + gained, total), wilson(both + lost, total)
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    excess = both * neither - gained * lost
    # Positive correlation is corrected for continuity, lest an interval have no width.
    excess = max(excess - total / 2, 0) if excess > 0 else excess
    correlation = excess / math.sqrt(margins) if margins else 0.0
    change = (gained - lost) / total

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))

    low = change - reach(after.value - after.low, before.high - before.value)
    high = change + reach(after.high - after.value, before.value - before.low)
    return Interval(change, max(-1.0, low), min(1.0, high))


def mcnemar(gained: int, lost: int) -> float:
    """How likely it is that as many or more of gained + lost images change to one side, if both sides are alike.

    McNemar's test in its exact form: two-sided, binomial.
    """
    return min(1.0, 2 * at_most(min(gained, lost), gained + lost, 0.5))


def tango(gained: int, lost: int, total: int, change: float) -> float:
    """How many standard errors the change of a share is above `change`, if that is the true one.

    Tango's score test for pairs (Statistics in Medicine 17, 1998, 891-908).
    """
    linear = (2 * total - gained + lost) * change - gained - lost
    constant = -lost * change * (1 - change)
    losing = (math.sqrt(max(0.0, linear**2 - 8 * total * constant)) - linear) / (4 * total)
    variance = total * (2 * losing + change * (1 - change))
    return (gained - lost - total * change) / math.sqrt(variance) if variance > 0 else 0.0


def at_most(count: int, total: int, share: float) -> float:
    """How likely `count` or fewer of `total` are, when each comes with probability `share`: the binomial distribution.

    As an end of an interval: Clopper and Pearson's (Biometrika 26, 1934, 404-413), which is never too narrow.
    """
    return _binomial(0, count, total, share)


def at_least(count: int, total: int, share: float) -> float:
    """How likely `count` or more of `total` are."""
    return _binomial(count, total, total, share)


def _binomial(first: int, last: int, total: int, share: float) -> float:
    """How likely it is to have from `first` to `last` of `total`."""
    if first <= 0 and last >= total:
        return 1.0
    if share in (0, 1):
        return float(first <= share * total <= last)
    # Farther than that from the mean, there is nothing that a double could hold.
    reach = 40 * math.sqrt(total * share * (1 - share)) + 1_000
    first, last = max(first, 0, math.floor(total * share - reach)), min(last, total, math.ceil(total * share + reach))
    numbers, factorials = np.arange(first, last + 1), _log_factorials(total.bit_length())
    logs = factorials[total] - factorials[numbers] - factorials[total - numbers]
    logs = logs + numbers * math.log(share) + (total - numbers) * math.log1p(-share)
    return min(1.0, float(np.exp(logs).sum()))


@cache
def _log_factorials(bits: int) -> np.ndarray:
    """Logarithms of 0! and so on, of all numbers of so many bits."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 2**bits)))])
