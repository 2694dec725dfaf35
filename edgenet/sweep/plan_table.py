"""Reads the values of a plan's tables, and collects everything that is wrong with them, with its line."""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgenet.errors import EdgenetError
from edgenet.sweep.plan_lines import Lines, Place

# More are counted: they come from one mistake.
MAX_PROBLEMS = 15
# Beyond it, integers of TOML cannot be converted to floating point.
MAX_NUMBER = 1e300
# A parameter as the library's messages name it: keep_float=, resize=pad.
_PARAMETER = re.compile(r"(?<![\w/\\.'\"`-])([a-z][a-z_]*)=(\"[^\"]*\"|[\w.,:/-]*\w)?")
# Names become those of folders, on any file system.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?<!\.)")
NAME_RULE = "letters, digits, dots, underscores and hyphens, at most 100, with a letter or digit in front"


class Problems:
    """What is wrong with a plan.

    Args:
        source: The file.
        lines: The lines of its keys.
    """

    def __init__(self, source: Path, lines: Lines):
        self._source, self._lines = source, lines
        self._found: dict[tuple[int, str], None] = {}

    def add(self, place: Place, text: str, key: str | None = None) -> None:
        """Add a problem at a place; of a key, whose name then comes first."""
        self.add_at(self._lines.line(place), f"`{key}`: {text}" if key else text)

    def add_at(self, line: int, text: str) -> None:
        """Add a problem in a line."""
        self._found[line, text] = None

    def line(self, place: Place) -> int:
        """The line of a place."""
        return self._lines.line(place)

    def raise_any(self) -> None:
        """Raise EdgenetError with all problems, a line each in the order of the file, if there are any."""
        if not self._found:
            return
        texts = [f"{self._source}, line {line}: {text}" for line, text in sorted(self._found)]
        more = len(texts) - MAX_PROBLEMS
        raise EdgenetError("\n".join(texts[:MAX_PROBLEMS] + ([f"and {more:,} more problems"] if more > 0 else [])))


class Table:
    """A table of a plan. Each method reads a key; a value of the wrong type is a problem, and read as missing.

    Args:
        values: The table, as `tomllib` reads it.
        place: The way to it.
        problems: Collects what is wrong.
        folder: The folder that paths are relative to.
    """

    def __init__(self, values: Mapping[str, Any], place: Place, problems: Problems, folder: Path):
        self.values, self.place, self.problems, self.folder = values, place, problems, folder
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def add(self, key: str, text: str) -> None:
        """Add a problem of a key; of the table itself where it does not have it."""
        if key in self.values:
            self.problems.add((*self.place, key), text, key)
        else:
            self.problems.add(self.place, text)

    @contextmanager
    def check(self, about: str | None = None) -> Iterator[None]:
        """Add what a check of the library raises in the block, at the key that it is about.

        Args:
            about: The key, where the error does not have a parameter that the table has.
        """
        try:
            yield
        except EdgenetError as error:
            parameter, text = error.parameter, str(error)
            if parameter in self.values:
                about, text = parameter, text.removeprefix(f"{parameter}: ")
            if about:
                self.add(about, _as_toml(text))
            else:
                self.problems.add(self.place, _as_toml(text))

    def line(self, key: str) -> int:
        """The line of a key."""
        return self.problems.line((*self.place, key))

    def tables(self, key: str) -> list["Table"]:
        """An array of tables."""
        value = self._read(key, _is_tables, f"tables, each of which begins with [[{key}]]")
        return [Table(one, (*self.place, key, n), self.problems, self.folder) for n, one in enumerate(value or [])]

    def table(self, key: str) -> "Table":
        """A table; an empty one where there is none."""
        value = self._read(key, lambda value: isinstance(value, dict), f"a table, which begins with [{key}]")
        return Table(value or {}, (*self.place, key), self.problems, self.folder)

    def text(self, key: str) -> str | None:
        """A text of one line."""
        value: str | None = self._read(key, _is_text, "a text on one line")
        return value

    def name(self, key: str) -> str | None:
        """A name that a folder can have."""
        value = self.text(key)
        if value is not None and not is_name(value):
            self.add(key, f"expected {NAME_RULE}, got {shown(value)}")
            return None
        return value

    def flag(self, key: str) -> bool | None:
        value: bool | None = self._read(key, lambda value: isinstance(value, bool), "true or false")
        return value

    def integer(self, key: str) -> int | None:
        value: int | None = self._read(key, _is_integer, "an integer")
        return value

    def number(self, key: str) -> float | None:
        value: float | None = self._read(key, _is_number, "a number")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """An array of texts, or one."""
        return self._several(key, _is_text, "texts")

    def integers(self, key: str) -> tuple[int, ...] | None:
        """An array of integers, or one."""
        return self._several(key, _is_integer, "integers")

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """An array of numbers, or one."""
        return self._several(key, _is_number, "numbers")

    def text_or_numbers(self, key: str) -> str | tuple[float, ...] | None:
        """A text such as "0,255", or an array of numbers."""
        if isinstance(self.values.get(key), str):
            return self.text(key)
        return self._several(key, _is_number, "numbers, or a text of them")

    def path(self, key: str) -> Path | None:
        """A path, relative to the plan's folder or absolute; whether it exists is not checked."""
        value = self.text(key)
        return None if value is None else self.folder / Path(value).expanduser()

    def file(self, key: str, what: str) -> Path | None:
        """The path of a file, which must be there."""
        path = self.path(key)
        if path is not None and not path.is_file():
            fault = "a folder" if path.is_dir() else "no such file"
            self.add(key, f"{path}: {fault}; give {what}")
            return None
        return path

    def finish(self, where: str = "") -> None:
        """Add a problem for each key that nothing has read.

        Args:
            where: Words such as "with `file`", where other tables of the name have other keys.
        """
        for key in self.values:
            if key in self._known:
                continue
            close = difflib.get_close_matches(key, self._known, n=1)
            known = f"known are {', '.join(sorted(set(self._known)))}"
            self.add(key, f"unknown key{where and f' {where}'}; {f'did you mean `{close[0]}`?' if close else known}")

    def _read(self, key: str, fits: Callable[[Any], bool], expected: str) -> Any:
        self._known.append(key)
        value = self.values.get(key)
        if value is None or fits(value):
            return value
        self.add(key, f"expected {expected}, got {shown(value)}")
        return None

    def _several(self, key: str, fits: Callable[[Any], bool], what: str) -> tuple[Any, ...] | None:
        value = self._read(key, lambda value: True, "")
        if value is None:
            return None
        values = value if isinstance(value, list) else [value]
        for number, one in enumerate(values):
            if not fits(one):
                place = (*self.place, key, number) if isinstance(value, list) else (*self.place, key)
                self.problems.add(place, f"expected {what}, got {shown(one)}", key)
                return None
        if not values:
            self.add(key, f"expected {what}, got none; leave it out for the default")
            return None
        return tuple(values)


def is_name(text: str) -> bool:
    """Whether a folder can have this name on any file system."""
    return _NAME.fullmatch(text) is not None


def shown(value: Any) -> str:
    """A value, for a message."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _as_toml(text: str) -> str:
    """A text of the library with parameters as a plan has them: keep_float= is `keep_float`."""
    return _PARAMETER.sub(lambda found: f"`{found[1]} = {found[2]}`" if found[2] else f"`{found[1]}`", text)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value and len(value.splitlines()) == 1


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -MAX_NUMBER < value < MAX_NUMBER


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
