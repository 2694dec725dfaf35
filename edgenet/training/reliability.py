"""How well a model's best score tells how often it is right.

The expected calibration error: M. P. Naeini, G. F. Cooper, M. Hauskrecht, Obtaining Well Calibrated Probabilities
Using Bayesian Binning (AAAI 2015), with 15 bins as C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On Calibration of
Modern Neural Networks (ICML 2017, arXiv:1706.04599). Bins have equally many images instead of equal widths, as J. Nixon
et al., Measuring Calibration in Deep Learning (arXiv:1904.01685), which has less bias.
"""

import math

import numpy as np

from edgenet.records.training import Reliability, ReliabilityBin
from edgenet.statistics import wilson

MAX_BINS = 15
# The accuracy of fewer images would be little more than chance.
MIN_IMAGES = 10


def reliability(labels: np.ndarray, scores: np.ndarray) -> Reliability:
    """Compare the best scores with how often they are right.

    On few images accuracies differ from confidences by chance alone. What the error would be for a calibrated model is
    computed, too (the consistency bars of J. Bröcker, L. A. Smith, Increasing the Reliability of Reliability Diagrams,
    Weather and Forecasting 22, 2007, 651-661): the mean absolute deviation of a normal distribution with the variance
    of a sum of independent images, each right with the probability that its score says.

    Args:
        labels: Classes, int64 (n,), n above 0.
        scores: Probabilities, float (n, classes).
    """
    confidence = np.clip(scores.max(axis=1).astype(np.float64), 0, 1)
    correct = scores.argmax(axis=1) == labels
    order = np.argsort(confidence, kind="stable")
    count = min(MAX_BINS, max(1, len(labels) // MIN_IMAGES))
    error = expected = 0.0
    bins = []
    for images in np.array_split(order, count):
        sure, right = confidence[images], int(correct[images].sum())
        mean = float(sure.mean())
        bins.append(ReliabilityBin(len(images), mean, wilson(right, len(images))))
        error += abs(right - float(sure.sum())) / len(labels)
        expected += math.sqrt(2 / math.pi * float((sure * (1 - sure)).sum())) / len(labels)
    return Reliability(error, expected, tuple(bins))
