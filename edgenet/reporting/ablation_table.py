"""The steps of the quantizer, as text for the terminal."""

from collections.abc import Sequence

from edgenet.records import Drift
from edgenet.reporting.agreement_columns import agreement_cells, agreement_columns, agreement_legend
from edgenet.reporting.numbers import fraction
from edgenet.reporting.table import Column, Table, as_text


def ablation_table(rows: Sequence[tuple[str, Drift, float]]) -> str:
    """A line for each way to quantize.

    Args:
        rows: For each, its name, the drift of its int8 file, and the seconds that the conversion took.
    """
    drift = rows[0][1]
    multi_label = drift.label_agreement is not None
    compared = agreement_columns(multi_label)
    # Without the change of accuracy.
    columns = compared if multi_label else (*compared[:2], Column("ties"))
    cells = tuple((name, *_cells(drift, multi_label), f"{seconds:.1f}") for name, drift, seconds in rows)
    columns = (Column("quantized by", is_text=True), *columns, Column("seconds"))
    return as_text(Table(columns, cells, (agreement_legend(drift, "Keras"),)))


def _cells(drift: Drift, multi_label: bool) -> tuple[str, ...]:
    compared = agreement_cells(drift, multi_label)
    return compared if multi_label else (*compared[:2], fraction(drift.ties))
