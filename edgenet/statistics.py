"""Fractions of images: confidence intervals and tests.

All intervals have 95% confidence. Formulas: R. G. Newcombe, Two-sided confidence intervals for the single proportion
(Statistics in Medicine 17, 1998, 857-872), Improved confidence intervals for the difference between binomial
proportions based on paired data (the same volume, 2635-2650); Q. McNemar (Psychometrika 12, 1947, 153-157).
"""

import math
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

import numpy as np

from edgenet.records import Interval

CONFIDENCE = 0.95
# How often each end of an interval may be wrong.
TAIL = (1 - CONFIDENCE) / 2
Z = NormalDist().inv_cdf(1 - TAIL)
# Probabilities farther from the mean, in standard deviations, are 0 in double precision.
MAX_DEVIATIONS = 40


def wilson(count: float, total: float) -> Interval:
    """The fraction count / total with Wilson's score interval (Newcombe's method 3)."""
    fraction = count / total
    centre = fraction + Z**2 / (2 * total)
    margin = Z * math.sqrt(fraction * (1 - fraction) / total + (Z / (2 * total)) ** 2)
    low, high = ((centre + side) / (1 + Z**2 / total) for side in (-margin, margin))
    # Exact at the ends, where rounding errors would remain.
    return Interval(fraction, 0.0 if count == 0 else low, 1.0 if count == total else high)


def clopper_pearson(count: int, total: int) -> Interval:
    """The fraction count / total with its exact binomial interval, which never covers less than it says.

    Each end is the fraction under which a count as far away or farther has the probability TAIL: C. J. Clopper,
    E. S. Pearson, Biometrika 26, 1934, 404-413.
    """
    low = 0.0 if count == 0 else _bisect(lambda p: at_least(count, total, p) - TAIL)
    high = 1.0 if count == total else _bisect(lambda p: TAIL - at_most(count, total, p))
    return Interval(count / total, low, high)


def _bisect(increasing: Callable[[float], float]) -> float:
    """The zero of an increasing function between 0 and 1."""
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if increasing(middle) < 0 else (low, middle)
    return (low + high) / 2


def clustered(changed: int, squares: int, images: int, labels: int) -> Interval:
    """The fraction of decisions that are unchanged, where each image has one decision for each label.

    The decisions on one image are not independent, so images are the sampling units: Wilson's interval with the
    effective sample size (E. L. Korn, B. I. Graubard, Survey Methodology 24, 1998, 193-201; with Wilson's interval:
    N. Dean, M. Pagano, Journal of Survey Statistics and Methodology 3, 2015, 484-503). That is the number of decisions
    divided by the design effect: the variance of the number of changed decisions of an image, over what it would be if
    they were independent. A few changed images do not show how many decisions can change together, so it is taken of
    the images and of one more whose decisions all change, and is at least 1. Without any change it is the number of
    labels, and the interval is Wilson's of the images.

    Args:
        changed: Changed decisions of all images.
        squares: The sum over the images of the square of each image's changed decisions.
        images: The number of images.
        labels: Decisions of each image.
    """
    more, total = changed + labels, squares + labels**2
    fraction = more / (labels * (images + 1))
    independent = more * (1 - fraction)
    effect = (total - more**2 / (images + 1)) / independent if independent else labels
    decisions = images * labels
    sample = decisions / min(max(effect, 1.0), labels)
    unchanged = 1 - changed / decisions
    interval = wilson(unchanged * sample, sample)
    return Interval(unchanged, interval.low, interval.high)


def paired_difference(both: int, positive: int, negative: int, neither: int) -> Interval:
    """The difference of two fractions of the same images, such as the accuracies of two models.

    Newcombe's method 10: the intervals of both fractions, combined with the correlation of the pairs.

    Args:
        both: Images for which both models are correct.
        positive: Those for which only the second is (positive flips).
        negative: Those for which only the first is (negative flips).
        neither: Those for which none is.

    Returns:
        The second fraction minus the first, with its interval.
    """
    total = both + positive + negative + neither
    after, before = wilson(both + positive, total), wilson(both + negative, total)
    margins = (both + positive) * (negative + neither) * (both + negative) * (positive + neither)
    excess: float = both * neither - positive * negative
    if excess > 0:  # a continuity correction, without which an interval could have no width
        excess = max(excess - total / 2, 0)
    correlation = excess / math.sqrt(margins) if margins else 0.0
    change = (positive - negative) / total

    def margin(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))

    low = change - margin(after.value - after.low, before.high - before.value)
    high = change + margin(after.high - after.value, before.value - before.low)
    return Interval(change, max(-1.0, low), min(1.0, high))


def ratio(first: Interval, second: Interval) -> Interval:
    """The ratio first / second of two values above 0 that were measured independently.

    The intervals of the logarithms are combined, each end from those that it depends on: the method of variance
    estimates recovery (G. Y. Zou, A. Donner, Statistics in Medicine 27, 2008, 1693-1702).
    """
    # A median may lie outside its percentile interval by a little.
    logs = [
        tuple(max(0.0, math.log(q)) for q in (one.value / one.low, one.high / one.value)) for one in (first, second)
    ]
    value = first.value / second.value
    below, above = math.hypot(logs[0][0], logs[1][1]), math.hypot(logs[0][1], logs[1][0])
    return Interval(value, value * math.exp(-below), value * math.exp(above))


def mcnemar(positive: int, negative: int) -> float:
    """The p-value of McNemar's exact test: two-sided, binomial.

    How often positive + negative flips would split this unevenly or more so if both directions were equally likely.
    """
    return min(1.0, 2 * at_most(min(positive, negative), positive + negative, 0.5))


def tango(positive: int, negative: int, total: int, difference: float) -> float:
    """Tango's score test for paired fractions (Statistics in Medicine 17, 1998, 891-908).

    Args:
        positive: Positive flips.
        negative: Negative flips.
        total: All images.
        difference: The true difference under the null hypothesis.

    Returns:
        How many standard errors the measured difference is above `difference`.
    """
    linear = (2 * total - positive + negative) * difference - positive - negative
    constant = -negative * difference * (1 - difference)
    # The fraction of negative flips that is most likely under the null hypothesis.
    fraction = (math.sqrt(max(0.0, linear**2 - 8 * total * constant)) - linear) / (4 * total)
    variance = total * (2 * fraction + difference * (1 - difference))
    return (positive - negative - total * difference) / math.sqrt(variance) if variance > 0 else 0.0


def at_most(count: int, total: int, probability: float) -> float:
    """The probability of `count` or fewer of `total`, each with `probability`: the binomial distribution.

    As the end of an interval, that of Clopper and Pearson (Biometrika 26, 1934, 404-413), which is never too narrow.
    """
    return _binomial(0, count, total, probability)


def at_least(count: int, total: int, probability: float) -> float:
    """The probability of `count` or more of `total`, each with `probability`."""
    return _binomial(count, total, total, probability)


def _binomial(first: int, last: int, total: int, probability: float) -> float:
    """The probability of `first` to `last` of `total`."""
    if first <= 0 and last >= total:
        return 1.0
    if probability in (0, 1):
        return float(first <= probability * total <= last)
    mean = total * probability
    reach = MAX_DEVIATIONS * math.sqrt(mean * (1 - probability)) + 1_000
    first, last = max(first, 0, math.floor(mean - reach)), min(last, total, math.ceil(mean + reach))
    numbers, factorials = np.arange(first, last + 1), _log_factorials(total.bit_length())
    logs = factorials[total] - factorials[numbers] - factorials[total - numbers]
    logs = logs + numbers * math.log(probability) + (total - numbers) * math.log1p(-probability)
    return min(1.0, float(np.exp(logs).sum()))


@cache
def _log_factorials(bits: int) -> np.ndarray:
    """The logarithms of 0!, 1! and so on, for all numbers of `bits` bits: float64 (2**bits,)."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 2**bits)))])
