"""What the calibration doctor found, for the terminal."""

from collections.abc import Sequence

from edgenet.records import Finding
from edgenet.reporting.columns import columns
from edgenet.reporting.findings import lines


def calibration_table(findings: Sequence[Finding], distances: dict[str, float]) -> str:
    """A line for each finding, then how far the images are from the training with each input range."""
    said = "\n".join(lines(findings))
    if not distances:
        return said
    nearest_first = sorted(distances.items(), key=lambda item: item[1])
    rows = [[option, f"{distance:,.{0 if distance >= 100 else 3}f}"] for option, distance in nearest_first]
    return f"{said}\n\n{columns([['input range', 'distance']], rows)}"
