"""Progress in a terminal."""

import os
from contextlib import suppress

from edgenet.quiet import duplicate

_CLEAR = "\r\x1b[K"

# What is being done at this moment, for whoever has to say what failed.
current_step = ""


class TerminalProgress:
    """Says on stderr what is being done: one line that changes in a terminal, a line for each step elsewhere."""

    def __init__(self):
        # A duplicate, so that progress still shows while `quiet` holds stderr back.
        number = duplicate(2)
        self._stream = open(  # noqa: SIM115  until it is closed
            os.devnull if number is None else number, "w", encoding="utf-8", errors="replace"
        )
        self._live = self._stream.isatty()
        self._step = ""

    def step(self, text: str) -> None:
        """Begin a step of the work."""
        global current_step
        self._step = current_step = text
        self._write(f"{_CLEAR}{text} ..." if self._live else f"{text} ...\n")

    def count(self, done: int, total: int) -> None:
        """Show how far the step is, where the line can change."""
        if self._live:
            self._write(f"{_CLEAR}{self._step}: {done} of {total}")

    def note(self, text: str) -> None:
        """Say something that stays."""
        self._write(f"{_CLEAR if self._live else ''}note: {text}\n")

    def close(self) -> None:
        """Clear the line that changes."""
        if self._live:
            self._write(_CLEAR)
        with suppress(OSError):
            self._stream.close()

    def _write(self, text: str) -> None:
        with suppress(OSError):  # a terminal that has gone, or a full disk: the work is worth more than its progress
            self._stream.write(text)
            self._stream.flush()
