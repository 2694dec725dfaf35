"""What the doctor found about a machine, for the terminal."""

from collections.abc import Collection, Sequence

from edgenet.records import Finding, Level
from edgenet.reporting.findings import lines


def doctor_table(findings: Sequence[Finding]) -> str:
    """A line for each finding, and a conclusion."""
    return "\n".join([*lines(findings), "", _conclusion({finding.level for finding in findings})])


def _conclusion(levels: Collection[Level]) -> str:
    if Level.WRONG in levels:
        return "Fix the errors above first."
    if Level.WARNING in levels:
        return "edgenet runs here. Fix the warnings before trusting the timings."
    return "edgenet runs here, and nothing should disturb its timings."
