"""Signs in the results themselves that a model, or what it was measured with, is wrong.

Each is a reason not to ship any file, however closely it follows the model: a faithful copy of a wrong model is wrong.
"""

from collections.abc import Iterator

from edgenet.records import AccuracyChange, ClassDrift, Drift, Level, Results
from edgenet.statistics import at_least

# Fewer images may well all be of one class.
MIN_IMAGES = 10
# Accuracy is above chance where guessing would reach it this rarely, by the exact binomial test.
SIGNIFICANCE = 0.05
# A working classifier classifies more than this fraction of its images correctly.
LOW_ACCURACY = 0.5
# Fewer images may be too few to show that accuracy is above chance.
FEW_LABELLED_IMAGES = 50

CAUSES = "a wrong input range or channel order, labels in another order, or an untrained model"


def problems(results: Results) -> Iterator[str]:
    """What is wrong with the model or the measurement as a whole, a sentence for each, without the full stop."""
    for finding in results.model.calibration:
        if finding.level == Level.WRONG:
            yield f"The calibration images contradict the input range: {finding.text}"
    drift = reference_drift(results)
    if drift is None:
        return
    name, change = results.reference_name, accuracy_change(drift)
    if drift.label_agreement and _is_constant(drift, of_reference=True):
        yield (
            f"{name} decides every label the same way for all {drift.images:,} images; likely causes: {CAUSES}, or "
            "images of one kind"
        )
    if (label := _only_class(drift, of_reference=True)) is not None and len(results.model.labels) != 1:
        yield (
            f"{name} predicts the same class, {class_name(results, label)}, for all {drift.images:,} images; "
            f"likely causes: {CAUSES}"
        )
    elif drift.accuracy and change and _is_chance(change.reference_top1, drift, results):
        images = drift.accuracy.images
        yield (
            f"The accuracy of {name}, {change.reference_top1:.1%}, is not significantly above chance on {images:,} "
            f"labelled images; likely causes: {CAUSES}{', or too few images' if images < FEW_LABELLED_IMAGES else ''}"
        )


def variant_problem(drift: Drift | None, results: Results) -> str | None:
    """Why a variant itself must not be shipped, whatever the limits are; None where there is no reason."""
    if drift is None:
        return None
    if drift.label_agreement and _is_constant(drift, of_reference=False):
        return f"decides every label the same way for all {drift.images:,} images"
    if (label := _only_class(drift, of_reference=False)) is not None and len(results.model.labels) != 1:
        return f"predicts the same class, {class_name(results, label)}, for all {drift.images:,} images"
    accuracy = drift.accuracy
    if accuracy and _is_chance(accuracy.top1, drift, results):
        return (
            f"its accuracy, {accuracy.top1:.1%}, is not significantly above chance on {accuracy.images:,} labelled "
            "images"
        )
    return None


def accuracy_change(drift: Drift | None) -> AccuracyChange | None:
    """The change of accuracy, where there are labels and a reference."""
    return drift.accuracy.change if drift and drift.accuracy else None


def has_low_accuracy(change: AccuracyChange) -> bool:
    """Whether the reference classifies most of the labelled images wrongly, which no conversion can cause."""
    return change.reference_top1 < LOW_ACCURACY


def reference_drift(results: Results) -> Drift | None:
    """The drift of any variant that was compared: the reference is the same in all."""
    drifts = (measurement.drift for measurement in results.measurements)
    return next((drift for drift in drifts if drift and drift.image_agreement), None)


def class_name(results: Results, label: int) -> str:
    """The name of a class, or its index where the results have no name for it."""
    return results.model.labels[label] if 0 <= label < len(results.model.labels) else str(label)


def _is_constant(drift: Drift, of_reference: bool) -> bool:
    """Whether the reference, or the variant, gives all images of a multi-label model the same labels.

    False also where the images are too few.
    """
    if drift.images < MIN_IMAGES or not drift.label_agreement:
        return False
    added = (0 if of_reference else row.added - row.removed for row in drift.label_agreement.labels)
    counts = (row.reference_images + more for row, more in zip(drift.label_agreement.labels, added, strict=True))
    return all(count in (0, drift.images) for count in counts)


def _only_class(drift: Drift, of_reference: bool) -> int | None:
    """The class that the reference, or the variant, predicts for every image; None where it predicts several.

    None also where all images are of that class, and where they are too few. `Drift.classes` has labelled images by
    their own class and the others by the reference's.
    """
    if drift.images < MIN_IMAGES or not drift.classes:
        return None
    if drift.accuracy and drift.accuracy.images != drift.images:  # the rows are a mix of both kinds
        return None
    if drift.accuracy:
        return _only_class_of_labelled(drift, of_reference)
    if of_reference:
        return drift.classes[0].label if len(drift.classes) == 1 else None
    # Images that agree have the reference's class, and flips record the class of the others.
    predicted = {row.label for row in drift.classes if row.agreeing} | {flip.variant[0].label for flip in drift.flips}
    return predicted.pop() if len(predicted) == 1 else None


def _only_class_of_labelled(drift: Drift, of_reference: bool) -> int | None:
    """Of labelled images: all of one class are correct, all of the others are wrong, and no flip has another class."""

    def correct(row: ClassDrift) -> int:
        return row.reference_correct if of_reference else row.correct

    predicted = [row for row in drift.classes if correct(row)]
    if len(drift.classes) < 2 or len(predicted) != 1 or correct(predicted[0]) != predicted[0].images:
        return None
    label = predicted[0].label
    flipped = {(flip.reference if of_reference else flip.variant)[0].label for flip in drift.flips}
    return label if flipped <= {label} else None


def _is_chance(accuracy: float, drift: Drift, results: Results) -> bool:
    """Whether guessing a class could well be as accurate: an exact binomial test of the correct images."""
    classes = len(results.model.labels) or max((row.label + 1 for row in drift.classes), default=0)
    if not drift.accuracy or classes < 2:
        return False
    images = drift.accuracy.images
    return at_least(round(accuracy * images), images, 1 / classes) > SIGNIFICANCE
