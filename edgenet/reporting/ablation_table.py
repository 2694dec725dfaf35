"""The steps of the quantizer, as text for the terminal."""

from collections.abc import Sequence

from edgenet.records import Drift
from edgenet.reporting.numbers import fraction
from edgenet.reporting.table import Column, Table, as_text


def ablation_table(rows: Sequence[tuple[str, Drift, float]]) -> str:
    """A line for each way to quantize.

    Args:
        rows: For each, its name, the drift of its int8 file, and the seconds that the conversion took.
    """
    columns = (
        Column("quantized by", is_text=True),
        Column("agreement", "top-1"),
        Column("accuracy", "top-1"),
        Column("ties"),
        Column("seconds"),
    )
    cells = tuple(
        (
            name,
            fraction(drift.agreement.top1 if drift.agreement else None),
            fraction(drift.accuracy.top1 if drift.accuracy else None),
            fraction(drift.ties),
            f"{seconds:.1f}",
        )
        for name, drift, seconds in rows
    )
    drift = rows[0][1]
    legend = f"agreement: fraction of {drift.images:,} images with the same top class as Keras"
    if drift.accuracy and drift.accuracy.change:
        legend += f" (accuracy {drift.accuracy.change.reference_top1:.3f})"
    return as_text(Table(columns, cells, (legend,)))
