"""Tables as records, and as text of limited width, as HTML and as Markdown."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import groupby

# Characters in a line on the terminal.
MAX_WIDTH = 100
# Characters of a name, where a table would be too wide.
MAX_NAME = 28
GAP = "  "


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    # Adjacent columns of one group are under one heading.
    group: str = ""
    # Text is aligned to the left and may be shortened.
    is_text: bool = False


@dataclass(frozen=True)
class Table:
    """Cells of text under columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    # What the columns mean, a sentence or two for each line.
    legend: tuple[str, ...] = ()
    # Columns at the left that tell rows apart: a table that is split has them in each part.
    keys: int = 1
    title: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(self.columns)} columns: {row}")


def shortened(text: str, width: int) -> str:
    """Text of at most `width` characters, with "..." for its middle."""
    if len(text) <= width:
        return text
    end = (width - 3) // 2
    return f"{text[: width - 3 - end]}...{text[-end:]}"


def wrapped(text: str, indent: str = "") -> str:
    """Text in lines of at most MAX_WIDTH characters. A longer word, such as a path, keeps its line.

    Args:
        text: One or more lines.
        indent: In front of every line but the first of each line of `text`.
    """
    return "\n".join(
        textwrap.fill(line, MAX_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


def parts(table: Table, width: int = MAX_WIDTH) -> list[Table]:
    """A table whose text has at most `width` characters in a line: itself, or several that share its rows.

    Names are shortened first; then the table is split between groups of columns.
    """
    if _width(table) <= width:
        return [table]
    table = _with_short_names(table)
    keys = list(range(table.keys))
    split: list[list[int]] = [[]]
    for group in _groups(table):
        if split[-1] and _width(_selected(table, [*keys, *split[-1], *group])) > width:
            split.append([])
        split[-1].extend(group)
    legends = [()] * (len(split) - 1) + [table.legend]
    return [
        replace(_selected(table, [*keys, *chosen]), legend=legend)
        for chosen, legend in zip(split, legends, strict=True)
    ]


def as_text(table: Table, width: int = MAX_WIDTH) -> str:
    """A table for the terminal, with its title and legend."""
    blocks = [wrapped(table.title)] if table.title else []
    blocks += ["\n".join(_lines(part)) for part in parts(table, width)]
    if table.legend:
        blocks.append("\n".join(wrapped(line) for line in table.legend))
    return "\n\n".join(blocks)


def as_html(table: Table) -> str:
    """A table element; groups are headings over their columns."""
    classes = [' class="left"' if column.is_text else "" for column in table.columns]
    heads = list(_headings(table))
    if any(group for group, _ in heads):
        first = "".join(
            f'<th colspan="{len(columns)}" scope="colgroup"><span>{escape(group)}</span></th>'
            if group
            else "".join(
                f'<th rowspan="2" scope="col"{classes[c]}>{escape(table.columns[c].title)}</th>' for c in columns
            )
            for group, columns in heads
        )
        second = "".join(
            f'<th scope="col"{classes[c]}>{escape(table.columns[c].title)}</th>'
            for group, columns in heads
            if group
            for c in columns
        )
        head = f"<tr>{first}</tr><tr>{second}</tr>"
    else:
        titles = zip(table.columns, classes, strict=True)
        head = "".join(f'<th scope="col"{style}>{escape(column.title)}</th>' for column, style in titles)
        head = f"<tr>{head}</tr>"
    body = "".join(
        "<tr>" + "".join(f"<td{style}>{escape(cell)}</td>" for cell, style in zip(row, classes, strict=True)) + "</tr>"
        for row in table.rows
    )
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def as_markdown(table: Table) -> str:
    """A table in Markdown; a group stands in front of each of its columns' titles."""
    titles = [f"{column.group}: {column.title}" if column.group else column.title for column in table.columns]
    rules = [":---" if column.is_text else "---:" for column in table.columns]
    lines = [map(markdown_text, titles), rules, *(map(markdown_text, row) for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_text(text: str) -> str:
    """Text as itself in Markdown, on one line."""
    safe = re.sub(r"([\\`*_{}\[\]()#+!|~<>&$])", r"\\\1", " ".join(text.split(" ")))
    return "<br>".join(safe.splitlines())


def _headings(table: Table) -> Iterator[tuple[str, list[int]]]:
    """The groups of a table, each with the indices of its columns."""
    for group, columns in groupby(range(len(table.columns)), key=lambda c: table.columns[c].group):
        yield group, list(columns)


def _groups(table: Table) -> Iterator[list[int]]:
    """Columns that stay together: those of a group, and each of the others by itself."""
    for group, columns in _headings(table):
        rest = [column for column in columns if column >= table.keys]
        yield from ([rest] if group else [[column] for column in rest])


def _selected(table: Table, chosen: Sequence[int]) -> Table:
    columns = tuple(table.columns[c] for c in chosen)
    return replace(table, columns=columns, rows=tuple(tuple(row[c] for c in chosen) for row in table.rows))


def _with_short_names(table: Table) -> Table:
    rows = tuple(
        tuple(shortened(cell, MAX_NAME) if c.is_text else cell for cell, c in zip(row, table.columns, strict=True))
        for row in table.rows
    )
    return replace(table, rows=rows)


def _widths(table: Table) -> list[int]:
    widths = [max(map(len, (column.title, *cells))) for column, cells in zip(table.columns, _cells(table), strict=True)]
    for group, columns in _headings(table):
        # The first column of a group makes room for a long heading.
        span = sum(widths[c] for c in columns) + len(GAP) * (len(columns) - 1)
        widths[columns[0]] += max(0, len(group) - span)
    return widths


def _cells(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*table.rows, strict=True)) or [()] * len(table.columns)


def _width(table: Table) -> int:
    widths = _widths(table)
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _lines(table: Table) -> Iterator[str]:
    widths = _widths(table)

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.ljust(width) if column.is_text else cell.rjust(width)
            for cell, width, column in zip(cells, widths, table.columns, strict=True)
        )
        return GAP.join(aligned).rstrip()

    heads = list(_headings(table))
    if any(group for group, _ in heads):
        spans = [
            group.center(sum(widths[c] for c in columns) + len(GAP) * (len(columns) - 1)) for group, columns in heads
        ]
        yield GAP.join(spans).rstrip()
    yield line([column.title for column in table.columns])
    yield "-" * _width(table)
    yield from map(line, table.rows)
