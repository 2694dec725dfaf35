"""Changes between two runs of one variant, image by image.

Results keep only the images that flipped. An image that flipped in neither run has the reference's top class in both,
or all of its labels, so only flipped images can differ in agreement. Which images a variant classifies correctly
follows from the flips and from the images that the reference gets wrong.
"""

from collections.abc import Sequence
from typing import NamedTuple

from edgenet.bundle.bundle import REFERENCE
from edgenet.records import KERAS, Accuracy, Drift, Flip, Interval, Results
from edgenet.statistics import paired_difference


class Pairs(NamedTuple):
    """Images by what is true of them in the first results and in the others."""

    both: int
    gained: int
    lost: int
    neither: int


def agreement_change(first: Results, other: Results, variant: str) -> Interval | None:
    """The change of the fraction of images with the reference's answer (`Drift.image_agreement`).

    Returns:
        The difference from the first results to the others, with its 95% confidence interval; None as for
        `paired_agreement`.
    """
    pairs = paired_agreement(first, other, variant)
    return pairs and paired_difference(*pairs)


def accuracy_change(first: Results, other: Results, variant: str) -> Interval | None:
    """The change of top-1 accuracy from the first results to the others.

    Returns:
        The difference with its 95% confidence interval; None as for `paired_accuracy`.
    """
    pairs = paired_accuracy(first, other, variant)
    return pairs and paired_difference(*pairs)


def paired_agreement(first: Results, other: Results, variant: str) -> Pairs | None:
    """The images with the reference's answer, each run's own reference's.

    None for the Keras model, without a reference, where one is of top classes and the other of labels, and where the
    images that flipped cannot be identified.
    """
    drifts = _drifts(first, other, variant)
    if drifts is None or not all(drift.image_agreement for drift in drifts):
        return None
    if (drifts[0].label_agreement is None) != (drifts[1].label_agreement is None):
        return None
    before, after = (
        {results.model.files.get(flip.file) for flip in drift.flips}
        for results, drift in zip((first, other), drifts, strict=True)
    )
    if None in before | after:
        return None
    gained, lost, neither = len(before - after), len(after - before), len(before & after)
    return Pairs(drifts[0].images - gained - lost - neither, gained, lost, neither)


def paired_accuracy(first: Results, other: Results, variant: str) -> Pairs | None:
    """The labelled images that are classified correctly.

    None for the Keras model, without labels, and where the images cannot be identified. That is so where two runs have
    neither the same reference scores, which only bundles have a digest of, nor the list of the images that their
    reference gets wrong, which older formats lack.
    """
    drifts = _drifts(first, other, variant)
    if drifts is None:
        return None
    accuracies = [drift.accuracy for drift in drifts]
    if accuracies[0] is None or accuracies[1] is None or accuracies[0].images != accuracies[1].images:
        return None
    before, after = (
        {results.model.files.get(flip.file, ""): flip for flip in drift.flips if flip.label is not None}
        for results, drift in zip((first, other), drifts, strict=True)
    )
    if "" in before or "" in after:
        return None
    reference = first.model.files.get(REFERENCE)
    if reference is not None and reference == other.model.files.get(REFERENCE):
        return _same_reference(accuracies[0], before, after)
    wrong = [_wrong(first, before), _wrong(other, after)]
    if wrong[0] is None or wrong[1] is None:
        return None
    gained, lost, neither = len(wrong[0] - wrong[1]), len(wrong[1] - wrong[0]), len(wrong[0] & wrong[1])
    return Pairs(accuracies[0].images - gained - lost - neither, gained, lost, neither)


def _same_reference(accuracy: Accuracy, before: dict[str, Flip], after: dict[str, Flip]) -> Pairs:
    """From the flips of both runs by the images' digests. accuracy: that of the first run."""
    gained = lost = 0
    for digest in before.keys() | after.keys():
        was_correct = _is_correct(before.get(digest), after.get(digest))
        is_correct = _is_correct(after.get(digest), before.get(digest))
        gained += is_correct and not was_correct
        lost += was_correct and not is_correct
    both = round(accuracy.top1 * accuracy.images) - lost
    return Pairs(both, gained, lost, accuracy.images - both - gained - lost)


def _is_correct(flip: Flip | None, flip_elsewhere: Flip | None) -> bool:
    """Whether a variant classifies an image correctly.

    Without a flip it has the reference's top class, which the flip in the other run names.
    """
    if flip:
        return flip.variant[0].label == flip.label
    return flip_elsewhere is not None and flip_elsewhere.reference[0].label == flip_elsewhere.label


def _wrong(results: Results, flips: dict[str, Flip]) -> set[str] | None:
    """The digests of the images that a variant classifies wrongly. flips: its own, by the images' digests."""
    if results.evaluation.reference_errors is None:
        return None
    errors = {results.model.files.get(file, "") for file in results.evaluation.reference_errors}
    if "" in errors:
        return None
    return errors - flips.keys() | {digest for digest, flip in flips.items() if not _is_correct(flip, None)}


def _drifts(first: Results, other: Results, variant: str) -> Sequence[Drift] | None:
    drifts = [m.drift for results in (first, other) for m in results.measurements if m.name == variant and m.drift]
    return drifts if len(drifts) == 2 and variant != KERAS else None
