"""Findings, about calibration images or about a machine, for the terminal."""

from collections.abc import Sequence

from edgenet.records import Finding
from edgenet.reporting.table import wrapped


def lines(findings: Sequence[Finding]) -> list[str]:
    """A line for each finding, its level first; long ones are wrapped."""
    width = max((len(finding.level) for finding in findings), default=0)
    return [wrapped(f"{finding.level.ljust(width)}  {finding.text}", " " * (width + 2)) for finding in findings]
