"""Capturing what C++ libraries print to stdout and stderr."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from edgenet.errors import EdgenetError

# What libraries printed before the last unexpected error.
last_output = ""
# The file that the output goes to; a parent process reads it if this one crashes. None: a temporary file.
capture_file: Path | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Capture what is written to stdout and stderr in the block, by C++ libraries too.

    The output is dropped, unless the block ends in an unexpected exception: it may contain the reason, so it is kept in
    `last_output`. Several threads may be in such blocks; stdout and stderr are restored when the last one leaves.
    """
    global last_output
    _capture.enter()
    try:
        yield
    except Exception as error:
        if not isinstance(error, EdgenetError):
            last_output = _capture.text()
        raise
    finally:
        _capture.leave()


class _Capture:
    """stdout and stderr of this process, redirected to a file while any thread is in a block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._file: IO[bytes] | None = None
        # Duplicates of the descriptors 1 and 2, as far as they are open.
        self._originals: dict[int, int] = {}

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                _flush()
                file: IO[bytes] = open(capture_file, "w+b") if capture_file else tempfile.TemporaryFile()  # noqa: SIM115
                self._file = file
                for number in (1, 2):
                    if (original := duplicate(number)) is not None:
                        self._originals[number] = original
                        os.dup2(file.fileno(), number)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                _flush()
                for number, original in self._originals.items():
                    os.dup2(original, number)
                    os.close(original)
                self._originals.clear()
                if self._file:
                    self._file.close()
                if capture_file:
                    capture_file.unlink(missing_ok=True)

    def text(self) -> str:
        """What was captured so far."""
        with self._lock:
            if not self._file:
                return ""
            _flush()
            self._file.seek(0)
            text = self._file.read().decode(errors="replace")
            self._file.seek(0, os.SEEK_END)
            return text


_capture = _Capture()


def duplicate(number: int) -> int | None:
    """A duplicate of a file descriptor; None if it was closed before Python started."""
    try:
        return os.dup(number)
    except OSError:
        return None


def _flush() -> None:
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None if it was closed before Python started
        with suppress(OSError, ValueError):
            stream.flush()
