"""Changes between two runs of one variant, image by image.

Results keep only the images that flipped. An image that flipped in neither run has the reference's top class in both,
or all of its labels, so only flipped images can differ.
"""

from collections.abc import Sequence

from edgenet.bundle.bundle import REFERENCE
from edgenet.records import KERAS, Accuracy, Drift, Flip, Interval, Results
from edgenet.statistics import paired_difference


def agreement_change(first: Results, other: Results, variant: str) -> Interval | None:
    """The change of the fraction of images with the reference's answer (`Drift.image_agreement`).

    Returns:
        The difference from the first results to the others, with its 95% confidence interval; None for the Keras model,
        without a reference, where one is of top classes and the other of labels, and where the images that flipped
        cannot be identified.
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
    return paired_difference(drifts[0].images - gained - lost - neither, gained, lost, neither)


def accuracy_change(first: Results, other: Results, variant: str) -> Interval | None:
    """The change of top-1 accuracy from the first results to the others.

    Returns:
        The difference with its 95% confidence interval; None for the Keras model, without labels, and where the two
        were not compared with the same reference scores, which only bundles have a digest of.
    """
    drifts = _drifts(first, other, variant)
    reference = first.model.files.get(REFERENCE)
    if drifts is None or reference is None or reference != other.model.files.get(REFERENCE):
        return None
    accuracies = [drift.accuracy for drift in drifts]
    before, after = (
        {results.model.files.get(flip.file, ""): flip for flip in drift.flips if flip.label is not None}
        for results, drift in zip((first, other), drifts, strict=True)
    )
    if accuracies[0] is None or accuracies[1] is None or accuracies[0].images != accuracies[1].images:
        return None
    if "" in before or "" in after:
        return None
    return _paired(accuracies[0], before, after)


def _paired(accuracy: Accuracy, before: dict[str, Flip], after: dict[str, Flip]) -> Interval:
    """The change of accuracy, from the flips of both runs by the images' digests. accuracy: that of the first run."""
    gained = lost = 0
    for digest in before.keys() | after.keys():
        was_correct = _is_correct(before.get(digest), after.get(digest))
        is_correct = _is_correct(after.get(digest), before.get(digest))
        gained += is_correct and not was_correct
        lost += was_correct and not is_correct
    both = round(accuracy.top1 * accuracy.images) - lost
    return paired_difference(both, gained, lost, accuracy.images - both - gained - lost)


def _is_correct(flip: Flip | None, flip_elsewhere: Flip | None) -> bool:
    """Whether a variant classifies an image correctly.

    Without a flip it has the reference's top class, which the flip in the other run names.
    """
    if flip:
        return flip.variant[0].label == flip.label
    return flip_elsewhere is not None and flip_elsewhere.reference[0].label == flip_elsewhere.label


def _drifts(first: Results, other: Results, variant: str) -> Sequence[Drift] | None:
    drifts = [m.drift for results in (first, other) for m in results.measurements if m.name == variant and m.drift]
    return drifts if len(drifts) == 2 and variant != KERAS else None
