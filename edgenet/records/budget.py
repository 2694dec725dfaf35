"""The search for the fastest file that keeps a budget of drift."""

from dataclasses import dataclass

from edgenet.records.drift import Interval


@dataclass(frozen=True)
class BudgetTrial:
    """A file that was tried, made of the calibration images that were not held back."""

    # float32, dynamic, int8, or mixed: with layers in float32.
    variant: str
    # Of a mixed file: the layers in float32, as an export keeps them on request, and how many with weights they are.
    layers: tuple[str, ...]
    float_layers: int
    # Root of the mean squared error of the five best logits, without what all of them have in common.
    logit_error: float
    # Fraction of the views with the float32 file's answer; exact binomial interval (Clopper and Pearson).
    agreement: Interval
    # On labelled views, minus the float32 file's; None without labels.
    accuracy_change: float | None
    # Whether the drift and the loss of accuracy of the views are within the budget, and how sure that makes it for all
    # images, from 0 to 1.
    keeps: bool
    confidence: float
    bytes: int
    # On one thread, in seconds; None for a file that was not timed, because another one is both faster by the times of
    # the operators and has a smaller logit error.
    latency: Interval | None = None
    # Relative to the float32 file, in the same rounds; None for that itself, too.
    speedup: Interval | None = None
    # What the other layers of a mixed file are: int8 or dynamic.
    others: str = ""


@dataclass(frozen=True)
class BudgetSearch:
    """What was tried to keep a budget, on calibration images that the quantizer did not get."""

    # None for no limit.
    max_drift: float | None
    max_accuracy_drop: float | None
    # Images that were held back, and views of them: other crops, brightness, and mirror images where that is sensible.
    images: int
    views: int
    mirrored: bool
    # In the order in which they were tried.
    trials: tuple[BudgetTrial, ...]
    # The index of the fastest file that keeps the budget among the trials; None if only float32 does.
    chosen: int | None
    # The outcome in a sentence or two.
    text: str
