"""Whether calibration images match a model, as text for the terminal."""

from collections.abc import Mapping, Sequence

from edgenet.records import Finding
from edgenet.reporting.findings import lines
from edgenet.reporting.table import Column, Table, as_text


def calibration_table(findings: Sequence[Finding], distances: Mapping[str, float]) -> str:
    """A line for each finding, then the distance to the training data with each input range, the nearest first."""
    text = "\n".join(lines(findings))
    if not distances:
        return text
    nearest_first = sorted(distances.items(), key=lambda item: item[1])
    rows = tuple((name, f"{distance:,.{0 if distance >= 100 else 3}f}") for name, distance in nearest_first)
    columns = Column("input range", is_text=True), Column("distance")
    return f"{text}\n\n{as_text(Table(columns, rows, ('distance: to the training data (good: below 1)',)))}"
