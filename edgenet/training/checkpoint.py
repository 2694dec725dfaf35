"""What a training has finished, kept in its folder: the same command, run again after a crash, goes on from there."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgenet.errors import EdgenetError
from edgenet.files import atomic_file

FOLDER = ".progress"
_LOCK = "lock"
# The member of an .npz file with what is not an array.
_BODY = "body"


class Progressed:
    """The folder of one training, which no other process uses until the block is left.

    Args:
        out: The folder that the training writes to.
        key: A digest of everything that the training depends on. What another one left is removed.
    """

    def __init__(self, out: Path, key: str):
        self._out = out
        self.folder = out / FOLDER / key

    def __enter__(self) -> "Progressed":
        """Raises EdgenetError if another training uses the folder, or it cannot be written to."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.folder.parent / _LOCK)
        except OSError as error:
            raise EdgenetError(f"{self._out}: cannot be written to ({error.strerror or error})") from error
        if self._lock is None:
            raise EdgenetError(
                f"{self._out}: another training is running in this folder; wait for it, or give another folder",
                parameter="out",
            )
        for other in self.folder.parent.iterdir():
            if other != self.folder and other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock:
            self._lock.close()

    def file(self, name: str) -> Path:
        """The path of a file in it."""
        return self.folder / name

    def once(self, name: str, work: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The arrays that `work` returns: from the file of this name, if they were computed before."""
        path = self.file(name)
        if path.exists():
            return read_arrays(path)[0]
        arrays = work()
        write_arrays(path, arrays, {})
        return arrays

    def remove(self) -> None:
        """Remove all of it, since the training is done."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)


def _locked(path: Path) -> sqlite3.Connection | None:
    """Lock a file until the connection is closed, or the process ends; None if another process has locked it.

    SQLite knows how to lock files on all systems.
    """
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            connection.close()
            return None
        # A file system without locks.
    return connection


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], body: Mapping[str, Any]) -> None:
    """Write arrays and a JSON object into one file, which is complete or not there."""
    with atomic_file(path) as file:
        np.savez(file, **arrays, **{_BODY: np.frombuffer(json.dumps(body).encode(), np.uint8)})


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `write_arrays` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return arrays, json.loads(arrays.pop(_BODY).tobytes())
