"""The tables of a multi-label model: how far variants agree with the reference on all labels, and on each."""

from collections.abc import Sequence

from edgenet.analysis.soundness import class_name
from edgenet.records import LabelAgreement, LabelDrift, Measurement, Results
from edgenet.reporting.numbers import count, ends, fraction
from edgenet.reporting.table import Column, Table
from edgenet.scores import THRESHOLD

# Labels in a table, those that change in most images first.
MAX_LABELS = 30

# A variant with its label agreement.
Labelled = tuple[Measurement, LabelAgreement]


def label_tables(results: Results) -> list[Table]:
    """Tables of the agreement on all labels and on each label; none where drift is not of labels."""
    found = [(m, m.drift.label_agreement) for m in results.measurements if m.drift and m.drift.label_agreement]
    return [_all_labels(found, results), _each_label(found, results)] if found else []


def _all_labels(found: Sequence[Labelled], results: Results) -> Table:
    columns = (
        Column("variant", is_text=True),
        Column("flips"),
        Column("fraction", "decisions"),
        Column("95% CI", "decisions"),
        Column("fraction", "images"),
        Column("95% CI", "images"),
        Column("mean", "score change"),
        Column("max", "score change"),
    )
    rows = tuple(
        (
            measured.name,
            count(len(measured.drift.flips) if measured.drift else None),
            fraction(labels.decisions.value),
            ends(labels.decisions, ".3f"),
            fraction(labels.images.value),
            ends(labels.images, ".3f"),
            f"{labels.score_change_mean:.4f}",
            f"{labels.score_change_max:.3f}",
        )
        for measured, labels in found
    )
    name = results.reference_name
    legend = (
        f"decisions: fraction of all decisions, one for each label of each image, that are those of {name}; a label is "
        f"present at a score of {THRESHOLD} or more. images: fraction with all labels as in {name}. flips: images with "
        "another decision on any label.",
        "95% CI: of decisions, with images as the sampling units; of images, Wilson's.",
    )
    return Table(columns, rows, legend, title="Label agreement")


def _each_label(found: Sequence[Labelled], results: Results) -> Table:
    columns = [Column("label", is_text=True), Column("images", results.reference_name)]
    columns += [Column(title, measured.name) for measured, _ in found for title in ("agreement", "added", "removed")]
    images = {measured.name: measured.drift.images for measured, _ in found if measured.drift}
    by_label: dict[int, dict[str, LabelDrift]] = {}
    for measured, labels in found:
        for row in labels.labels:
            by_label.setdefault(row.label, {})[measured.name] = row
    # A label that not all variants have is not one of the same model.
    complete = [rows for rows in by_label.values() if len(rows) == len(found)]
    worst = sorted(complete, key=lambda rows: (-sum(row.changed for row in rows.values()), _first(rows).label))
    cells = tuple(
        (
            class_name(results, _first(rows).label),
            count(_first(rows).reference_images),
            *(cell for name, row in rows.items() for cell in _cells(row, images[name])),
        )
        for rows in worst[:MAX_LABELS]
    )
    legend = [
        f"{results.reference_name}, images: those with the label. agreement: fraction of the images with the same "
        "decision on the label. added, removed: images that have the label only in the variant, only in "
        f"{results.reference_name}."
    ]
    if (more := len(worst) - MAX_LABELS) > 0:
        legend.append(f"{more:,} more labels, with as many changes or fewer, are in the JSON file.")
    return Table(tuple(columns), cells, tuple(legend), title="Labels")


def _first(rows: dict[str, LabelDrift]) -> LabelDrift:
    return next(iter(rows.values()))


def _cells(row: LabelDrift, images: int) -> tuple[str, ...]:
    return fraction(1 - row.changed / images), count(row.added), count(row.removed)
