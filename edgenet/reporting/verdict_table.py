"""Verdicts, for the terminal."""

from collections.abc import Sequence

from edgenet.analysis.loading import Loaded
from edgenet.analysis.verdict import Verdict, worst


def verdict_table(loaded: Loaded, verdicts: Sequence[Verdict], latency: bool = False) -> str:
    """A line for each limit of each variant, and what they come to. latency: whether its grade is told, too."""
    names = max(len(verdict.variant) for verdict in verdicts)
    results = loaded.results
    lines = [f"{loaded.path}: {results.bundle} on {results.machine.cpu}, {results.created}"]
    if latency:
        lines.append(f"latency: {results.condition.grade}")
    for verdict in verdicts:
        for reason in verdict.reasons:
            lines.append(f"{verdict.variant.ljust(names)}  {reason.outcome}: {reason.text}")
        if not verdict.reasons:
            lines.append(f"{verdict.variant.ljust(names)}  pass: it is what the others are compared with")
    return "\n".join([*lines, worst(verdict.outcome for verdict in verdicts)])
