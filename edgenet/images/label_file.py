"""Files of class names as people have them: plain, with an index on each line, tables, JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.images import label_json, label_table, text_file
from edgenet.images.line_numbers import without_numbers
from edgenet.images.text_file import Text


@dataclass(frozen=True)
class LabelFile:
    """The class names of a file.

    Attributes:
        names: The names, in the order of the model's output.
        notes: How the file was understood where it is more than a name on each line, one sentence each.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read(path: Path) -> LabelFile:
    """Read a file of class names.

    Args:
        path: A text file (see `text_file.read`) with one of:

            - a name on each line, in the order of the model's output;
            - the index of the class before (or after) the name on every line: "0 cat", "0:cat", "0,cat", "cat,0". The
              indices are 0 to n - 1 or 1 to n, each once, in any order;
            - a table with a header, separated by commas, semicolons or tabs, with or without a column of indices;
            - JSON (or what Python prints) of names, of indices by name or of names by index, as it is or under a key
              such as "class_indices" or "labels".

    Raises:
        EdgenetError: The file is missing, no text or empty, has an empty line between others, or its indices do not
            count the names.
    """
    text = text_file.read(path)
    found = _parsed(path, text)
    notes = [f"{path.name}: {note}" for note in (text.note, *found.notes) if note]
    return LabelFile(found.names, tuple(notes))


def from_names(names: Sequence[str]) -> LabelFile:
    """Class names from Python: the same indices as in a file are taken off."""
    numbered = without_numbers(list(names))
    return LabelFile(tuple(numbered.names), (numbered.note,)) if numbered else LabelFile(tuple(names))


def _parsed(path: Path, text: Text) -> LabelFile:
    lines = text.lines()
    if not lines:
        raise EdgenetError(f"{path}: the file is empty; write a class name on each line")
    if (names := label_json.names(path, text.text)) is not None:
        return from_names(names)
    if table := label_table.names(path, lines):
        return LabelFile(tuple(table.names), (table.note,))
    if numbered := without_numbers([line for line in lines if line]):
        return LabelFile(tuple(numbered.names), (numbered.note,))
    if len(lines) == 1 and (separator := next((one for one in label_table.SEPARATORS if one in lines[0]), None)):
        return LabelFile(tuple(name.strip() for name in lines[0].split(separator)), ("the names are in one line",))
    if "" in lines:
        raise EdgenetError(f"{path}: line {lines.index('') + 1} is empty; write a class name on each line")
    return LabelFile(tuple(lines))
