"""What the doctor found about a machine, for the terminal."""

from collections.abc import Sequence

from edgenet.records import Finding
from edgenet.reporting.findings import lines


def doctor_table(findings: Sequence[Finding]) -> str:
    """A line for each finding, and what they come to."""
    return "\n".join([*lines(findings), "", _verdict([finding.level for finding in findings])])


def _verdict(levels: Sequence[str]) -> str:
    if "wrong" in levels:
        return "Mend what is wrong, then edgenet runs here."
    if "warning" in levels:
        return "edgenet runs here. Mend the warnings before you trust its times."
    return "edgenet runs here, with no warning about its times."
