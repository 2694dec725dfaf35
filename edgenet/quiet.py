"""Holding back what C++ libraries print to stdout and stderr."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edgenet.errors import EdgenetError

# What libraries printed before the last unexpected error.
last_output = ""
# A file for what is held back, which a parent process reads if this one crashes.
held_file: Path | None = None


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
                    if (kept := duplicate(number)) is not None:
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


def duplicate(number: int) -> int | None:
    """A duplicate of a file descriptor; None where whoever started Python has closed it."""
    try:
        return os.dup(number)
    except OSError:
        return None


def _flush() -> None:
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by whoever started Python
        with suppress(OSError, ValueError):
            stream.flush()
