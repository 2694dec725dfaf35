"""A finished row of a sweep as a line, while the others run."""

from collections.abc import Sequence

from edgenet.machine.quality import threads
from edgenet.records import Grade, SweepEntry
from edgenet.reporting.numbers import milliseconds


def row_text(model: str, device: str | None, found: Sequence[SweepEntry] | str) -> str:
    """A row in a line.

    Args:
        model: The name of the model.
        device: The name of the device; None where the model has no bundle.
        found: The entries, or what went wrong.

    Example:
        >>> row_text("mobilenet_v1_0.5_96", "pi5", "its process crashed (SIGSEGV)")
        'mobilenet_v1_0.5_96 on pi5: failed: its process crashed (SIGSEGV)'
    """
    name = model if device is None else f"{model} on {device}"
    if isinstance(found, str):
        return f"{name}: failed: {found}"
    fewest = min(entry.threads for entry in found)
    latencies = [
        f"{entry.variant} {milliseconds(entry.latency.value)} ms" for entry in found if entry.threads == fewest
    ]
    quality = " (poor timing quality)" if any(entry.quality == Grade.POOR for entry in found) else ""
    return f"{name}: {', '.join(latencies)} on {threads(fewest)}{quality}"
