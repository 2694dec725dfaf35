"""Verdicts as text for the terminal."""

from edgenet.analysis.verdict import Verdicts
from edgenet.reporting.table import MAX_NAME, MAX_WIDTH, shortened, wrapped

# For a variant without a limit to keep.
BASE = "the base of the speedups"


def verdict_table(verdicts: Verdicts) -> str:
    """A line for each limit of each variant, then those beside the baseline, and the overall outcome.

    The timing quality is shown where the speedup is limited or compared.
    """
    results = verdicts.source.results
    where, what = f"{verdicts.source.where}:", f"{results.model.name} on {results.machine.cpu}, {results.run.created}"
    # A long path has a line for itself, where it is whole.
    lines = [f"{where} {what}"] if len(where) + len(what) < MAX_WIDTH else [where, wrapped(f"  {what}", indent="  ")]
    if baseline := verdicts.baseline:
        earlier = baseline.source.results
        what = f"{earlier.model.name} on {earlier.machine.cpu}, {earlier.run.created}"
        lines.append(wrapped(f"baseline: {baseline.source.where}: {what}", indent="  "))
    if verdicts.limits.min_speedup is not None or (baseline and not baseline.other_device):
        lines.append(f"timing quality: {results.quality.grade}")
    names = [shortened(verdict.variant, MAX_NAME) for verdict in verdicts]
    width = max(map(len, names), default=0)
    for name, verdict in zip(names, verdicts, strict=True):
        reasons = [f"{reason.outcome}: {reason.text}" for reason in verdict.reasons] or [f"{verdict.outcome}: {BASE}"]
        lines += [wrapped(f"{name.ljust(width)}  {reason}", indent=" " * (width + 2)) for reason in reasons]
    return "\n".join([*lines, verdicts.outcome.value])
