"""Progress in a terminal, a log or a notebook."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from edgenet.quiet import duplicate

_CLEAR_TERMINAL = "\r\x1b[K"
# Notebooks know the carriage return alone: blanks cover the longest line.
_CLEAR_NOTEBOOK = "\r" + 100 * " " + "\r"

# What is being done at this moment, for error messages.
current_step = ""


class TerminalProgress:
    """Writes to stderr: one line that changes in a terminal or notebook, a line for each step elsewhere.

    Args:
        rephrase: Applied to notes.
    """

    def __init__(self, rephrase: Callable[[str], str] = str) -> None:
        self._rephrase = rephrase
        self._is_notebook = _is_notebook()
        self._stream = sys.stderr if self._is_notebook else _stderr()
        self._live = self._is_notebook or self._stream.isatty()
        self._clear = _CLEAR_NOTEBOOK if self._is_notebook else _CLEAR_TERMINAL if self._live else ""
        self._step = self._left = ""

    def step(self, text: str) -> None:
        """Begin a step of the work."""
        global current_step
        self._step = current_step = text
        self._write(f"{self._clear}{text}{self._left} ..." if self._live else f"{text} ...\n")

    def count(self, done: int, total: int) -> None:
        """Show how far the step is, where the line can change."""
        if self._live:
            self._write(f"{self._clear}{self._step}: {done:,} of {total:,}{self._left}")

    def left(self, seconds: float) -> None:
        """Show from now on how long the work will still take, where the line can change."""
        self._left = f", about {duration(seconds)} left" if seconds > 0 else ""

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self._write(f"{self._clear}note: {self._rephrase(text)}\n")

    def line(self, text: str) -> None:
        """Write lines of results that stay, to stdout."""
        self._write(self._clear)
        print(text, flush=True)

    def close(self) -> None:
        """Clear the line that changes."""
        self._write(self._clear)
        if not self._is_notebook:
            with suppress(OSError):
                self._stream.close()

    def _write(self, text: str) -> None:
        with suppress(OSError):  # a closed terminal or a full disk: the work is worth more than its progress
            self._stream.write(text)
            self._stream.flush()


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(7), duration(95), duration(8_000)
        ('7 s', '2 min', '2 h 13 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _is_notebook() -> bool:
    """Whether stderr is a Jupyter kernel's, which shows it below the cell."""
    return type(sys.stderr).__module__.startswith("ipykernel.")


def _stderr() -> TextIO:
    """A duplicate of stderr, so that progress still shows while `quiet` holds stderr back."""
    number = duplicate(2)
    return open(os.devnull if number is None else number, "w", encoding="utf-8", errors="replace")
