"""Signs in the results themselves that a model, or what it was measured with, is wrong.

Each is a reason to ship nothing, however closely a variant follows the model: a faithful copy of a wrong model is
wrong.
"""

from collections.abc import Iterator

from edgenet.records import ClassDrift, Drift, Results
from edgenet.statistics import at_least

# One class for all of fewer images can be what they show.
MIN_IMAGES = 10
# Accuracy is above chance where guessing would reach it this rarely, by the exact binomial test.
SIGNIFICANCE = 0.05
# A working classifier has more than this fraction of its images right.
LOW_ACCURACY = 0.5

CAUSES = "a wrong input range or channel order, labels in another order, or an untrained model"


def problems(results: Results) -> Iterator[str]:
    """What is wrong with the model or the measurement as a whole, a sentence for each, without the full stop."""
    for finding in results.calibration:
        if finding.level == "wrong":
            yield f"The calibration images contradict the input range: {finding.text}"
    drift = reference_drift(results)
    if drift is None:
        return
    if (label := _only_class(drift, of_reference=True)) is not None and len(results.labels) != 1:
        yield (
            f"{results.reference_name} gives all {drift.images:,} images the same class, {class_name(results, label)}; "
            f"likely causes are {CAUSES}"
        )
    elif _is_chance(drift.reference_accuracy, drift, results):
        yield (
            f"The accuracy of {results.reference_name}, {drift.reference_accuracy:.1%}, cannot be told from chance on "
            f"{drift.labelled:,} labelled images; likely causes are {CAUSES}"
            + (", or too few images" if drift.labelled < 50 else "")
        )


def variant_problem(drift: Drift | None, results: Results) -> str | None:
    """Why a variant itself is not to be shipped, however the limits are; None where nothing speaks against it."""
    if drift is None:
        return None
    if (label := _only_class(drift, of_reference=False)) is not None and len(results.labels) != 1:
        return f"gives all {drift.images:,} images the same class, {class_name(results, label)}"
    if _is_chance(drift.accuracy, drift, results):
        return f"its accuracy, {drift.accuracy:.1%}, cannot be told from chance on {drift.labelled:,} labelled images"
    return None


def has_low_accuracy(drift: Drift) -> bool:
    """Whether the reference has most of the labelled images wrong, which quantization has no part in."""
    return drift.reference_accuracy is not None and drift.reference_accuracy < LOW_ACCURACY


def reference_drift(results: Results) -> Drift | None:
    """The drift of any variant that was compared: what it says of the reference is the same in all."""
    drifts = (measurement.drift for measurement in results.measurements)
    return next((drift for drift in drifts if drift and drift.agreement is not None), None)


def class_name(results: Results, label: int) -> str:
    """The name of a class, or its number."""
    return results.labels[label] if 0 <= label < len(results.labels) else str(label)


def _only_class(drift: Drift, of_reference: bool) -> int | None:
    """The class that the reference, or the variant, gives every image; None where it gives several.

    None, too, where all images are of that class, and where they are too few. `Drift.classes` has labelled images by
    their own class and the others by the reference's.
    """
    if drift.images < MIN_IMAGES or not drift.classes:
        return None
    if drift.labelled not in (0, drift.images):  # the rows are a mix of both kinds
        return None
    if drift.labelled:
        return _only_class_of_labelled(drift, of_reference)
    if of_reference:
        return drift.classes[0].label if len(drift.classes) == 1 else None
    # The images that agree have the reference's class, and the others have theirs on record.
    given = {row.label for row in drift.classes if row.agreeing} | {flip.variant[0].label for flip in drift.flips}
    return given.pop() if len(given) == 1 else None


def _only_class_of_labelled(drift: Drift, of_reference: bool) -> int | None:
    """Of labelled images: all of one class are right, all of the others are wrong, and no flip has another class."""

    def right(row: ClassDrift) -> int:
        return row.reference_right if of_reference else row.right

    named = [row for row in drift.classes if right(row)]
    if len(drift.classes) < 2 or len(named) != 1 or right(named[0]) != named[0].images:
        return None
    label = named[0].label
    flipped = {(flip.reference if of_reference else flip.variant)[0].label for flip in drift.flips}
    return label if flipped <= {label} else None


def _is_chance(accuracy: float | None, drift: Drift, results: Results) -> bool:
    """Whether guessing one of the classes would be as accurate: an exact binomial test of the images that are right."""
    classes = len(results.labels) or max((row.label + 1 for row in drift.classes), default=0)
    if accuracy is None or classes < 2:
        return False
    return at_least(round(accuracy * drift.labelled), drift.labelled, 1 / classes) > SIGNIFICANCE
