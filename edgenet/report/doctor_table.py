"""What the doctor found about a machine, for the terminal."""

from collections.abc import Sequence

from edgenet.records import Finding


def doctor_table(findings: Sequence[Finding]) -> str:
    """A line for each finding, and what they come to."""
    levels = [finding.level for finding in findings]
    width = max(map(len, levels))
    lines = [f"{finding.level.ljust(width)}  {finding.text}" for finding in findings]
    return "\n".join([*lines, "", _verdict(levels)])


def _verdict(levels: Sequence[str]) -> str:
    if "wrong" in levels:
        return "Mend what is wrong, then edgenet runs here."
    if "warning" in levels:
        return "edgenet runs here. Mend the warnings before you trust its times."
    return "edgenet runs here, with no warning about its times."
