"""Findings, of calibration pictures or of a machine, for the terminal."""

from collections.abc import Sequence

from edgenet.records import Finding


def lines(findings: Sequence[Finding]) -> list[str]:
    """A line for each finding, its level first."""
    width = max(len(finding.level) for finding in findings)
    return [f"{finding.level.ljust(width)}  {finding.text}" for finding in findings]
