"""Class names in a table: CSV with a header, separated by commas, semicolons or tabs."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.images.line_numbers import counting_order

SEPARATORS = (",", ";", "\t")
TABLE_SUFFIXES = (".csv", ".tsv")
# Headers of columns, without spaces, "_" and "-". The first of the names that a table has is taken.
NAMES = (
    *("displayname", "classname", "labelname", "categoryname", "classnames", "labelnames", "name", "names"),
    *("label", "labels", "class", "classes", "category", "categories", "title", "text", "species", "breed"),
)
INDICES = (
    *("index", "idx", "id", "classindex", "labelindex", "classid", "labelid", "categoryid", "classidx", "labelidx"),
    *("number", "classnumber", "no", "nr", "#", "key", "code", "value", "target", "unnamed:0", ""),
)
# In a text file with one column, these can be no name of a class.
CERTAIN = ("classname", "labelname", "classnames", "labelnames", "categoryname", "displayname")


@dataclass(frozen=True)
class LabelTable:
    """The names of a table, and a sentence that says which column they are."""

    names: list[str]
    note: str


def names(path: Path, lines: Sequence[str]) -> LabelTable | None:
    """The class names of a table with a header; None if the lines are no such table.

    Args:
        path: The file: with the suffix of a table, one column with a header is a table, too.
        lines: Its lines.
    """
    for separator in SEPARATORS:
        try:
            rows = list(csv.reader((line for line in lines if line), delimiter=separator, skipinitialspace=True))
        except csv.Error:  # a cell of more than 128 KB
            continue
        header, *others = [[cell.strip() for cell in row] for row in rows]
        if others and len(others[0]) == len(header) + 1:  # the column of indices may have no header
            header = ["", *header]
        is_table = bool(others) and len(header) > 1 and all(len(row) == len(header) for row in others)
        if is_table and (table := from_columns(path, header, others)):
            return table
    header_words = _plain(lines[0].strip("\"'"))
    is_header = header_words in NAMES if path.suffix.lower() in TABLE_SUFFIXES else header_words in CERTAIN
    if is_header and len(lines) > 2 and "" not in lines:
        return LabelTable([line.strip('"') for line in lines[1:]], f"{lines[0]} is the header of the names")
    return None


def from_columns(path: Path | str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> LabelTable | None:
    """The class names of a table.

    Args:
        path: The file, for errors.
        header: The names of the columns.
        rows: The cells of each class, as many as there are columns.

    Returns:
        The names, in the order of the column of indices if there is one, else in that of the rows. None if no column
        has a name of `NAMES`, or none is left beside the indices.

    Raises:
        EdgenetError: There is a column of indices, but they do not count the rows.
    """
    words = [_plain(cell) for cell in header]
    columns = [[row[number] for row in rows] for number in range(len(header))]
    orders = {number: order for number, column in enumerate(columns) if (order := _order(column))}
    # The names of numbered folders are numbers, too: the column that is called so is the index.
    index = min(orders, key=lambda number: (words[number] not in INDICES, number), default=None)
    candidates = [
        (all(map(str.isdecimal, columns[number])), NAMES.index(word), number)
        for number, word in enumerate(words)
        if word in NAMES and number != index and all(columns[number])
    ]
    is_known = all(word in (*NAMES, *INDICES) for word in words)
    if not candidates or not (is_known or index is not None) or any(map(str.isdecimal, header)):
        return None
    _, _, chosen = min(candidates)
    if index is None:
        for number, word in enumerate(words):
            if word in INDICES and all(map(str.isdecimal, columns[number])):
                raise EdgenetError(
                    f"{path}: the column {header[number]} is not 0 to {len(rows) - 1:,} or 1 to {len(rows):,}, each "
                    "once; give a row for each class, in the order of the model's scores"
                )
        return LabelTable(columns[chosen], f"the column {header[chosen]} has the names")
    by = f", the column {header[index]} their classes" if header[index] else ", the first column their classes"
    return LabelTable([columns[chosen][row] for row in orders[index]], f"the column {header[chosen]} has the names{by}")


def _order(column: Sequence[str]) -> list[int] | None:
    if not all(re.fullmatch(r"[0-9]{1,9}", cell) for cell in column):
        return None
    return counting_order([int(cell) for cell in column])


def _plain(header: str) -> str:
    return re.sub(r"[\s_-]+", "", header).casefold()
