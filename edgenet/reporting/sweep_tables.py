"""The tables of a sweep, the same for the terminal, the page, Markdown and notebooks."""

from collections.abc import Iterator, Sequence

from edgenet.analysis.significance import is_significant
from edgenet.analysis.sweep_summary import DeviceSummary
from edgenet.records import Grade, Interval, Sweep, SweepEntry
from edgenet.reporting.numbers import NONE, fraction, megabytes, milliseconds
from edgenet.reporting.table import Column, Table

# Rows of a device; of more entries only those on its Pareto front are shown.
MAX_ROWS = 40
# Devices with a table each.
MAX_DEVICES = 12


def sweep_title(sweep: Sweep) -> str:
    """What was measured, in a line."""
    models, devices = ({getattr(entry, name) for entry in sweep.entries} for name in ("model", "device"))
    files = {(entry.model, entry.variant) for entry in sweep.entries}
    parts = [f"{_count(len(files), 'file')} of {_count(len(models), 'model')} on {_count(len(devices), 'device')}"]
    parts += [f"{_count(sweep.missing, 'row')} not measured yet"] * bool(sweep.missing)
    parts += [f"{_count(len(sweep.failures), 'row')} failed"] * bool(sweep.failures)
    return f"{sweep.name}: {', '.join(parts)}"


def device_tables(summaries: Sequence[DeviceSummary]) -> list[Table]:
    """A table of the files of each device, the fastest first; of many files, only of those on the Pareto front."""
    tables = []
    for summary in summaries[:MAX_DEVICES]:
        few = len(summary.entries) <= MAX_ROWS
        shown = summary.entries if few else summary.front or summary.files[:MAX_ROWS]
        title = summary.device
        if not few:
            part = "on the Pareto front of latency and" if summary.front else "that are first, without"
            title += f": {len(shown)} of {len(summary.files):,} files, those {part} {_measure(summary)}"
        tables.append(entries_table(shown, summary.front if few else (), title))
    return tables


def entries_table(entries: Sequence[SweepEntry], front: Sequence[SweepEntry] = (), title: str = "") -> Table:
    """Entries of one device, the fastest first.

    Args:
        entries: What is shown.
        front: Those that get a mark; none for no such column.
        title: Of the table.
    """
    marked = set(map(_key, front))
    rows = []
    for entry in sorted(entries, key=lambda entry: entry.latency.value):
        mark = ("*" if _key(entry) in marked else "",) if front else ()
        rows.append((entry.model, entry.variant, *mark, *entry_cells(entry)))
    mark_column = (Column("", is_text=True),) if front else ()
    columns = (Column("model", is_text=True), Column("variant", is_text=True), *mark_column, *ENTRY_COLUMNS)
    legend = [*_legend(entries), *(["*: on the Pareto front: no file is both faster and better."] if front else [])]
    return _without_empty(Table(columns, tuple(rows), tuple(legend), keys=2, title=title))


ENTRY_COLUMNS = (
    *(Column("threads"), Column("MB"), Column("ms"), Column("speedup"), Column("agreement"), Column("accuracy")),
    Column("quality", is_text=True),
)


def entry_cells(entry: SweepEntry) -> tuple[str, ...]:
    """The cells of ENTRY_COLUMNS."""
    return (
        str(entry.threads),
        megabytes(entry.bytes),
        milliseconds(entry.latency.value),
        _speedup(entry.speedup, entry.quality),
        fraction(entry.agreement.value if entry.agreement else None),
        fraction(entry.accuracy.value if entry.accuracy else None),
        entry.quality.value,
    )


def summary_table(summaries: Sequence[DeviceSummary]) -> Table:
    """A row for each device: its fastest and its best file."""
    columns = [Column("device", is_text=True), Column("files")]
    columns += [Column(grade.value, "timing quality") for grade in Grade]
    columns.append(Column("ms", "fastest"))
    measure = _measure(summaries[0]) if summaries and summaries[0].ranking else ""
    if measure:
        columns += [Column("file", "best", is_text=True), Column("ms", "best"), Column(measure, "best")]
    rows = []
    for summary in summaries:
        cells = [summary.device, f"{len(summary.files):,}"]
        cells += [str(summary.grades.get(grade, 0)) for grade in Grade]
        cells.append(milliseconds(summary.fastest.latency.value))
        if measure:
            best = summary.front[-1] if summary.front else None
            cells += [file_name(best) if best else NONE, milliseconds(best.latency.value if best else None)]
            cells.append(fraction(summary.ranking.value(best) if best and summary.ranking else None))
        rows.append(tuple(cells))
    return Table(tuple(columns), tuple(rows), ("timing quality: numbers of models",), title="Devices")


def failures_table(sweep: Sweep) -> Table | None:
    """What failed, and why; None where nothing did."""
    rows = tuple((failure.model, failure.device or "all", failure.problem) for failure in sweep.failures)
    columns = Column("model", is_text=True), Column("device", is_text=True), Column("problem", is_text=True)
    return Table(columns, rows, title="Failed", keys=2) if rows else None


def file_name(entry: SweepEntry) -> str:
    """A file for people: its model and variant."""
    return f"{entry.model} {entry.variant}"


def notes(summaries: Sequence[DeviceSummary]) -> list[str]:
    """What should be known about the ranking."""
    found = next((summary.ranking for summary in summaries if summary.ranking), None)
    return list(found.notes) if found else []


def _measure(summary: DeviceSummary) -> str:
    return summary.ranking.measure.value if summary.ranking else "accuracy or agreement"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _key(entry: SweepEntry) -> tuple[str, str, str, int]:
    return entry.model, entry.device, entry.variant, entry.threads


def _speedup(interval: Interval | None, quality: Grade) -> str:
    if interval is None:
        return NONE
    text = f"{interval.value:.2f}x"
    return text if quality != Grade.POOR and is_significant(interval, 1.0) else f"({text})"


def _legend(entries: Sequence[SweepEntry]) -> Iterator[str]:
    images = sorted({entry.images for entry in entries if entry.images})
    if images:
        counted = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
        yield f"agreement: fraction of images with the same top class as Keras; {counted} images"
    if any(_speedup(entry.speedup, entry.quality).startswith("(") for entry in entries):
        yield "(parentheses): not significant"


def _without_empty(table: Table) -> Table:
    """A table without the columns that have no value at all."""
    kept = [
        number
        for number in range(len(table.columns))
        if number < table.keys or any(row[number] != NONE for row in table.rows)
    ]
    columns = tuple(table.columns[number] for number in kept)
    rows = tuple(tuple(row[number] for number in kept) for row in table.rows)
    return Table(columns, rows, table.legend, table.keys, table.title)
