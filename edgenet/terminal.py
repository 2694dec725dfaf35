"""What the terminal shows while a command works: what is being done, and nothing of what libraries print."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edgenet.errors import EdgenetError

_CLEAR = "\r\x1b[K"

# What is being done at this moment, for whoever has to say what failed.
current_step = ""
# What libraries printed before the last error that nobody foresaw.
last_output = ""
# A file for what is held back, which a parent reads if this process crashes.
held_file: Path | None = None


class Progress:
    """Says on stderr what is being done: one line that changes in a terminal, a line for each step elsewhere."""

    def __init__(self):
        # A duplicate, so that progress still shows while `quiet` holds stderr back.
        number = _duplicate(2)
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


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to stdout and stderr until the block ends, by C++ libraries too.

    It is dropped, unless the block ends in an exception that nobody foresaw: then it may hold the reason, and is kept
    in `last_output`. Several threads may be in such blocks: stdout and stderr come back when the last one has left.
    """
    global last_output
    _held.enter()
    try:
        yield
    except Exception as error:
        if not isinstance(error, EdgenetError):
            last_output = _held.text()
        raise
    finally:
        _held.leave()


class _Held:
    """stdout and stderr of this process, turned into a file as long as somebody wants that."""

    def __init__(self):
        self._lock = threading.Lock()
        self._users = 0
        self._file: BinaryIO | None = None
        self._kept: dict[int, int] = {}

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                _flush()
                self._file = open(held_file, "w+b") if held_file else tempfile.TemporaryFile()  # noqa: SIM115
                for number in (1, 2):
                    if (kept := _duplicate(number)) is not None:
                        self._kept[number] = kept
                        os.dup2(self._file.fileno(), number)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                _flush()
                for number, kept in self._kept.items():
                    os.dup2(kept, number)
                    os.close(kept)
                self._kept.clear()
                self._file.close()
                if held_file:
                    held_file.unlink(missing_ok=True)

    def text(self) -> str:
        with self._lock:
            _flush()
            self._file.seek(0)
            text = self._file.read().decode(errors="replace")
            self._file.seek(0, os.SEEK_END)
            return text


_held = _Held()


def _duplicate(number: int) -> int | None:
    """A duplicate of a file descriptor; None where whoever started Python has closed it."""
    try:
        return os.dup(number)
    except OSError:
        return None


def _flush() -> None:
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by whoever started Python
        with suppress(OSError, ValueError):
            stream.flush()
