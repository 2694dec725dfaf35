"""Images that flip in some variant, and drift class by class."""

from dataclasses import dataclass

from edgenet.analysis.soundness import class_name
from edgenet.records import Drift, Interval, Prediction, Results
from edgenet.statistics import wilson


@dataclass(frozen=True)
class FlippedImage:
    """An image whose top class, or any label of a multi-label model, differs from the reference's in some variant."""

    # Its path in the bundle.
    file: str
    # The name of its true class, where that is known.
    true_class: str | None
    # The reference's best predictions, the best first. Of a multi-label model those of the labels that change in any
    # variant.
    reference: tuple[Prediction, ...]
    # Those of each variant in which it flips, by the variant's name.
    variants: tuple[tuple[str, tuple[Prediction, ...]], ...]


@dataclass(frozen=True)
class ClassRow:
    """The images of one class."""

    name: str
    images: int
    # Images that the reference classifies correctly.
    reference_correct: int
    # For each variant the images that flip, and those that it classifies correctly.
    variants: tuple[tuple[int, int], ...]

    @property
    def flips(self) -> int:
        """Flips of all variants."""
        return sum(flips for flips, _ in self.variants)


def flipped_images(results: Results) -> list[FlippedImage]:
    """The flipped images of all variants.

    Those with the reference's highest top score are first; of a multi-label model, those with the largest change of a
    score.
    """
    images: dict[str, FlippedImage] = {}
    for measurement in results.measurements:
        for flip in measurement.drift.flips if measurement.drift else ():
            known = images.get(flip.file)
            images[flip.file] = FlippedImage(
                file=flip.file,
                true_class=None if flip.label is None else class_name(results, flip.label),
                reference=_joined(known.reference if known else (), flip.reference),
                variants=(*(known.variants if known else ()), (measurement.name, flip.variant)),
            )
    return sorted(images.values(), key=_largest_change if results.multi_label else _top_score, reverse=True)


def confident_flips(drift: Drift) -> Interval | None:
    """The fraction of images that are confident flips (`Drift.confident_flips`), with its interval (Wilson)."""
    count = drift.confident_flips
    return None if count is None else wilson(count, drift.images)


def negative_flips(drift: Drift) -> Interval | None:
    """The fraction of labelled images that are negative flips, with its interval (Wilson); None without any label."""
    change = drift.accuracy.change if drift.accuracy else None
    return wilson(change.negative_flips, drift.accuracy.images) if drift.accuracy and change else None


def _joined(known: tuple[Prediction, ...], more: tuple[Prediction, ...]) -> tuple[Prediction, ...]:
    """The reference's predictions from the flips of two variants. Its best ones are the same in both."""
    labels = {prediction.label for prediction in known}
    return (*known, *(prediction for prediction in more if prediction.label not in labels))


def _top_score(image: FlippedImage) -> float:
    return image.reference[0].score


def _largest_change(image: FlippedImage) -> float:
    before = {prediction.label: prediction.score for prediction in image.reference}
    changes = (
        abs(after.score - before.get(after.label, after.score)) for _, variant in image.variants for after in variant
    )
    return max(changes, default=0.0)


def class_rows(results: Results) -> tuple[list[str], list[ClassRow]]:
    """Drift class by class.

    Returns:
        The names of the variants, and a row for each class that has images, those with the most flips first.
    """
    compared = [(m.name, m.drift) for m in results.measurements if m.drift and m.drift.classes]
    if not compared:
        return [], []
    by_label = [{row.label: row for row in drift.classes} for _, drift in compared]
    rows = []
    for label, counts in by_label[0].items():
        found = [classes[label] for classes in by_label if label in classes]
        rows.append(
            ClassRow(
                name=class_name(results, label),
                images=counts.images,
                reference_correct=counts.reference_correct,
                variants=tuple((row.images - row.agreeing, row.correct) for row in found),
            )
        )
    return [name for name, _ in compared], sorted(rows, key=lambda row: (-row.flips, -row.images))
