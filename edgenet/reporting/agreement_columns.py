"""The columns of tables that say how far variants agree with their reference, and their legend.

A multi-label model has label agreement; every other model has top-1 agreement and accuracy.
"""

from edgenet.records import Drift
from edgenet.reporting.numbers import accuracy_change, fraction
from edgenet.reporting.table import Column
from edgenet.scores import THRESHOLD


def agreement_columns(multi_label: bool) -> tuple[Column, ...]:
    """Agreement and, for a model with a top class, accuracy and its change."""
    if multi_label:
        return tuple(Column(title, "label agreement") for title in ("decisions", "images"))
    return tuple(Column(title, "top-1") for title in ("agreement", "accuracy", "change"))


def agreement_cells(drift: Drift | None, multi_label: bool) -> tuple[str, ...]:
    """The cells of `agreement_columns`."""
    if multi_label:
        labels = drift.label_agreement if drift else None
        return fraction(labels.decisions.value if labels else None), fraction(labels.images.value if labels else None)
    agreement, accuracy = (drift.agreement, drift.accuracy) if drift else (None, None)
    return (
        fraction(agreement.top1 if agreement else None),
        fraction(accuracy.top1 if accuracy else None),
        accuracy_change(accuracy),
    )


def agreement_legend(drift: Drift, reference: str) -> str:
    """What agreement is, and the reference's own accuracy where that is known.

    Args:
        drift: Of any variant.
        reference: The reference's name for print.
    """
    if drift.label_agreement:
        labels, images = len(drift.label_agreement.labels), drift.images
        return (
            f"decisions: fraction of {labels * images:,} ({labels:,} label{'s' * (labels > 1)} x {images:,} images; "
            f"present at a score of {THRESHOLD} or more) that are those of {reference}; images: fraction of {images:,} "
            f"with all labels as in {reference}"
        )
    text = f"agreement: fraction of {drift.images:,} images with the same top class as {reference}"
    if drift.accuracy and drift.accuracy.change:
        text += f" (accuracy {drift.accuracy.change.reference_top1:.3f})"
    return text
