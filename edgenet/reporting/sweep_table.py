"""A sweep as text for the terminal, and as tables for other programs: CSV and Parquet."""

import csv
import io
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from edgenet import files
from edgenet.analysis.sweep_summary import summaries
from edgenet.records import Interval, Sweep, SweepEntry
from edgenet.reporting.spreadsheet import formula_free
from edgenet.reporting.sweep_tables import MAX_DEVICES, device_tables, failures_table, notes, summary_table, sweep_title
from edgenet.reporting.table import as_text, wrapped

# The columns of both tables, each with its type in Parquet.
COLUMNS = {
    **dict.fromkeys(("model", "device", "variant"), "string"),
    **{"threads": "int32", "alpha": "float64", "height": "int32", "width": "int32"},
    **{"bytes": "int64", "multiply_adds": "int64"},
    **dict.fromkeys(("latency_median_s", "latency_low_s", "latency_high_s", "latency_p90_s"), "float64"),
    **dict.fromkeys(("speedup", "speedup_low", "speedup_high"), "float64"),
    "quality": "string",
    **dict.fromkeys(("agreement", "agreement_low", "agreement_high"), "float64"),
    **dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), "float64"),
    **{"images": "int64", "published_accuracy": "float64", "file": "string", "results": "string"},
}
Cell = str | float | None


def sweep_table(sweep: Sweep) -> str:
    """A sweep as text, in lines of at most 100 characters: the files of each device, the fastest first."""
    found = summaries(sweep)
    parts = [wrapped(sweep_title(sweep))]
    if len(found) > MAX_DEVICES:
        parts.append(as_text(summary_table(found)))
    else:
        tables = device_tables(found)
        parts += [as_text(replace(table, legend=())) for table in tables]
        legend = dict.fromkeys(line for table in tables for line in table.legend)
        parts.append("\n".join(map(wrapped, legend)))
    parts += [wrapped(f"note: {note}") for note in notes(found)]
    if failed := failures_table(sweep):
        lines = [f"{model} on {device}: {problem}" for model, device, problem in failed.rows]
        parts.append("\n".join(wrapped(line, indent="  ") for line in ("failed:", *lines)))
    return "\n\n".join(filter(None, parts))


def write_csv(sweep: Sweep, path: Path) -> None:
    """Write a row for each entry as CSV (RFC 4180), empty where a value is not available.

    Args:
        sweep: The entries; the same ones give the same bytes.
        path: The file.

    Raises:
        EdgenetError: The file cannot be written.
    """
    files.write_atomic(path, as_csv(sweep).encode("utf-8", "replace"))


def as_csv(sweep: Sweep) -> str:
    """The content of the CSV file."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for entry in sweep.entries:
        writer.writerow([formula_free(cell) if isinstance(cell, str) else cell for cell in _cells(entry)])
    return file.getvalue()


def write_parquet(sweep: Sweep, path: Path) -> bool:
    """Write the same rows as Parquet, with null where a value is not available, if pyarrow is installed.

    Args:
        sweep: The entries; the same ones give the same bytes with the same version of pyarrow.
        path: The file.

    Returns:
        Whether it was written: not without pyarrow.

    Raises:
        EdgenetError: The file cannot be written.
    """
    if not find_spec("pyarrow"):
        return False
    import pyarrow
    from pyarrow import parquet

    columns = list(zip(*map(_cells, sweep.entries), strict=True)) or [()] * len(COLUMNS)
    schema = pyarrow.schema([(name, getattr(pyarrow, kind)()) for name, kind in COLUMNS.items()])
    arrays = [pyarrow.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays, schema=schema), buffer)
    files.write_atomic(path, buffer.getvalue())
    return True


def _cells(entry: SweepEntry) -> tuple[Cell, ...]:
    latency = entry.latency
    return (
        *(entry.model, entry.device, entry.variant, entry.threads, entry.alpha, entry.height, entry.width),
        *(entry.bytes, entry.multiply_adds, latency.value, latency.low, latency.high, entry.p90),
        *(*_interval(entry.speedup), entry.quality.value, *_interval(entry.agreement), *_interval(entry.accuracy)),
        *(entry.images, entry.published_accuracy, entry.file, entry.results),
    )


def _interval(interval: Interval | None) -> tuple[Cell, Cell, Cell]:
    return (interval.value, interval.low, interval.high) if interval else (None, None, None)
