"""The report of a sweep in each format."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgenet import files
from edgenet.analysis.sweep_summary import summaries
from edgenet.analysis.verdict import Limits
from edgenet.errors import EdgenetError
from edgenet.records import Sweep
from edgenet.reporting.formats import CSV, MARKDOWN, check_format, format_of
from edgenet.reporting.sweep_table import as_csv
from edgenet.reporting.sweep_tables import MAX_DEVICES, device_tables, failures_table, notes, summary_table, sweep_title
from edgenet.reporting.table import Table, as_markdown, markdown_text


def write(sweep: Sweep, path: Path, limits: Limits | None = None, variants: Sequence[str] | None = None) -> None:
    """Write the report of a sweep to a file, in the format of its ending.

    Args:
        sweep: The sweep.
        path: The file: .html, .md or .csv.
        limits, variants: Those of a report of results; a sweep has no verdicts.

    Raises:
        EdgenetError: There are limits or variants, the ending is another, the page's packages are not installed, or
            the file cannot be written.
    """
    if limits or variants:
        raise EdgenetError(
            "the report of a sweep has no verdicts; leave the limits and variants= out, and ask `edgenet choose`"
        )
    check_format(path)
    files.check_writable(path)
    files.write_atomic(path, render(sweep, format_of(path)).encode("utf-8", "replace"))


def render(sweep: Sweep, format: str) -> str:
    """The report of a sweep.

    Args:
        sweep: The sweep.
        format: One of `formats.FORMATS`.
    """
    if format == CSV:
        return as_csv(sweep)
    if format == MARKDOWN:
        return "\n\n".join(_markdown(sweep)) + "\n"
    from edgenet.reporting.sweep_page import page

    return page(sweep)


def _markdown(sweep: Sweep) -> Iterator[str]:
    found = summaries(sweep)
    yield f"# {markdown_text(sweep_title(sweep))}"
    for note in notes(found):
        yield markdown_text(f"note: {note}")
    if len(found) > 1:
        yield from _table(summary_table(found))
    if len(found) <= MAX_DEVICES:
        for table in device_tables(found):
            yield from _table(table)
    if failed := failures_table(sweep):
        yield from _table(failed)
    versions = ", ".join(f"{name} {version}" for name, version in sweep.versions.items())
    yield markdown_text(f"plan {sweep.plan}; {versions}" if versions else f"plan {sweep.plan}")


def _table(table: Table) -> Iterator[str]:
    yield f"## {markdown_text(table.title)}"
    yield as_markdown(table)
    if table.legend:
        yield markdown_text(" ".join(table.legend))
