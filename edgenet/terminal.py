"""What the terminal shows while a command works: what is being done, and nothing of what libraries print."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from edgenet.errors import EdgenetError

_CLEAR = "\r\x1b[K"


class Progress:
    """Says on stderr what is being done: one line that changes in a terminal, a line for each step elsewhere."""

    def __init__(self):
        # A duplicate, so that progress still shows while `quiet` holds stderr back.
        self._stream = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        self._live = self._stream.isatty()
        self._step = ""

    def step(self, text: str) -> None:
        """Begin a step of the work."""
        self._step = text
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
        self._stream.close()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _flush() -> None:
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by whoever started Python
        stream.flush()


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to stdout and stderr until the block ends, by C++ libraries too.

    It is dropped, unless the block ends in an exception that nobody foresaw: then it may hold the reason.
    """
    _flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 1)
        os.dup2(held.fileno(), 2)
        unforeseen = False
        try:
            yield
        except Exception as error:
            unforeseen = not isinstance(error, EdgenetError)
            raise
        finally:
            _flush()
            for kept_one, number in zip(kept, (1, 2), strict=True):
                os.dup2(kept_one, number)
                os.close(kept_one)
            if unforeseen:
                held.seek(0)
                os.write(2, held.read())
