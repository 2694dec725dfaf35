"""The report of a sweep as a self-contained HTML page that opens offline."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from edgenet.analysis.sweep_summary import DeviceSummary, summaries
from edgenet.quiet import quiet
from edgenet.records import Interval, Sweep, SweepEntry
from edgenet.reporting.numbers import megabytes, milliseconds
from edgenet.reporting.page import render
from edgenet.reporting.sweep_plots import family_plots
from edgenet.reporting.sweep_tables import MAX_DEVICES, failures_table, notes, summary_table, sweep_title

TEMPLATE = Path(__file__).parent / "sweep.html"
# Sorts and filters the table; the page shows the same without it.
SCRIPT = Path(__file__).parent / "sweep.js"
# Rows of the table; of more entries only those on the Pareto front of each device are shown.
MAX_ROWS = 2_000
# The columns of the table, and whether their text is aligned to the left.
COLUMNS = (
    *(("model", True), ("device", True), ("variant", True), ("threads", False), ("size", False), ("MB", False)),
    *(("ms", False), ("95% CI", False), ("p90, ms", False), ("speedup", False), ("quality", True)),
    *(("agreement", False), ("accuracy", False), ("95% CI", False), ("published", False), ("front", True)),
)


@dataclass(frozen=True)
class Cell:
    """A cell of the table."""

    text: str
    # What rows are sorted by; None for the text.
    value: float | None = None
    classes: str = ""


def page(sweep: Sweep) -> str:
    """The page of a sweep.

    Args:
        sweep: The sweep.
    """
    with quiet():  # Matplotlib prints about its caches
        found = summaries(sweep)
        few = len(found) <= MAX_DEVICES
        drawn = [(value, family_plots(found, value)) for value in ("accuracy", "agreement")] if few else []
        rows = _rows(found, len(sweep.entries))
        script = SCRIPT.read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        return render(
            TEMPLATE,
            title=sweep_title(sweep),
            sweep=sweep,
            notes=notes(found),
            summary=summary_table(found) if found else None,
            plots=[(value, plots) for value, plots in drawn if plots],
            models=len({entry.model for entry in sweep.entries}),
            has_published=any(entry.published_accuracy is not None for entry in sweep.entries),
            too_many_devices=not few,
            max_devices=MAX_DEVICES,
            columns=COLUMNS,
            rows=rows,
            shown=len(rows),
            total=len(sweep.entries),
            failed=failures_table(sweep),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
        )


def _rows(found: Sequence[DeviceSummary], total: int) -> list[list[Cell]]:
    rows = []
    for summary in found:
        front = set(summary.front)
        shown = summary.entries if total <= MAX_ROWS else summary.front
        rows += [_cells(entry, entry in front) for entry in shown]
    return rows[:MAX_ROWS]


def _cells(entry: SweepEntry, on_front: bool) -> list[Cell]:
    size = f"{entry.height}" if entry.height == entry.width else f"{entry.height}x{entry.width}"
    latency, accuracy = entry.latency, entry.accuracy
    return [
        *(Cell(text, classes="left") for text in (entry.model, entry.device, entry.variant)),
        Cell(str(entry.threads)),
        Cell(size, entry.height * entry.width),
        Cell(megabytes(entry.bytes), entry.bytes),
        Cell(milliseconds(latency.value), latency.value),
        Cell(f"{milliseconds(latency.low)} to {milliseconds(latency.high)}", latency.low),
        Cell(milliseconds(entry.p90), entry.p90),
        Cell(f"{entry.speedup.value:.2f}x", entry.speedup.value) if entry.speedup else Cell(""),
        Cell(entry.quality.value, classes=f"left {entry.quality}"),
        _fraction(entry.agreement),
        _fraction(accuracy),
        Cell(f"{accuracy.low:.3f} to {accuracy.high:.3f}", accuracy.low) if accuracy else Cell(""),
        Cell("" if entry.published_accuracy is None else f"{entry.published_accuracy:.3f}"),
        Cell("*" if on_front else "", classes="left"),
    ]


def _fraction(interval: Interval | None) -> Cell:
    return Cell(f"{interval.value:.3f}", interval.value) if interval else Cell("")
