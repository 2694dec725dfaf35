"""The folder of a sweep: what is done, and where its files are. It survives a crash at any moment.

plan.toml        the plan, as it was when the sweep last ran
sweep.json       all entries: the record that `edgenet choose` and `edgenet report` read
table.csv        the same for a spreadsheet; table.parquet where pyarrow is installed
bundles/         the bundles; packed/ has those that ssh copies to a device
scores/          the scores of `test` images, until all of a model's are there
results/         ordinary results files, a folder for each device
rows.sqlite      the finished jobs by their keys
"""

import json
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.sweep.job import Kind

DATABASE = "rows.sqlite"
BUNDLES, PACKED, RESULTS, SCORES = "bundles", "packed", "results", "scores"
# Changes with the meaning of the columns; a database of another version is not touched.
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS done (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    details TEXT NOT NULL
) WITHOUT ROWID
"""


class Store:
    """The finished jobs of a sweep, and their files. One process at a time can have a folder open.

    Args:
        folder: The folder of the sweep; made if it is not there.

    Raises:
        EdgenetError: The folder cannot be written to, is in use by another sweep, or has something else in it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        path = folder / DATABASE
        if folder.exists() and not path.exists() and any(folder.iterdir()):
            raise EdgenetError(f"{folder}: this folder has other files; give a new or empty one", parameter="out")
        files.check_writable(folder / "new")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._database = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
            # The first write takes a lock that is held until the end, or until the process dies.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            # A power failure may lose the last rows, which are then done again.
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise EdgenetError(f"{path}: made by another version of edgenet; give another folder", parameter="out")
            self._database.execute(_SCHEMA)
            self._database.execute(f"PRAGMA user_version = {_VERSION}")
        except sqlite3.DatabaseError as error:
            raise _error(folder, error) from error

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def details(self, key: str) -> dict[str, Any] | None:
        """What was saved with a finished job; None if it is not done, or its file is gone or of another size."""
        row = self._database.execute("SELECT path, bytes, details FROM done WHERE key = ?", (key,)).fetchone()
        if row is None or _size(self.folder / row[0]) != row[1]:
            return None
        details: dict[str, Any] = json.loads(row[2])
        return details

    def path(self, key: str) -> Path | None:
        """The file of a finished job, as it was saved; None if it is not done."""
        row = self._database.execute("SELECT path FROM done WHERE key = ?", (key,)).fetchone()
        return None if row is None else self.folder / row[0]

    def save_file(self, key: str, kind: Kind, name: str, path: str, data: bytes, details: Mapping[str, Any]) -> None:
        """Write the file of a finished job, and remember that it is done.

        Args:
            key, kind, name: Of the job.
            path: Of the file, below the folder of the sweep.
            data: Its contents.
            details: What `details` will return: JSON.

        Raises:
            EdgenetError: It cannot be written.
        """
        files.write_atomic(self.folder / path, data)
        self._remember(key, kind, name, path, details)

    def save_folder(self, key: str, kind: Kind, name: str, path: str, source: Path, details: Mapping[str, Any]) -> None:
        """Move a folder of a finished job to its place, and remember that it is done. Arguments as in `save_file`.

        Args:
            path: Of the file that shows that it is complete; its folder is the one that is moved.
            source: Where the folder is now.

        Raises:
            EdgenetError: It cannot be written.
        """
        # Already there: of a run that was ended before it could remember it. People may have added results to it.
        if not (self.folder / path).exists():
            with files.atomic_folder((self.folder / path).parent) as temporary:
                for entry in sorted(source.iterdir()):
                    shutil.move(entry, temporary / entry.name)
        self._remember(key, kind, name, path, details)

    def remove(self, keys: Sequence[str]) -> None:
        """Forget finished jobs, and remove their files."""
        for key in keys:
            if path := self.path(key):
                path.unlink(missing_ok=True)
        self._database.executemany("DELETE FROM done WHERE key = ?", [(key,) for key in keys])

    def _remember(self, key: str, kind: Kind, name: str, path: str, details: Mapping[str, Any]) -> None:
        row = (key, kind.value, name, path, _size(self.folder / path), json.dumps(details))
        try:
            self._database.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.DatabaseError as error:
            raise _error(self.folder, error) from error


def _error(folder: Path, error: sqlite3.DatabaseError) -> EdgenetError:
    if "locked" in str(error):
        return EdgenetError(
            f"{folder}: another sweep is running in this folder; wait for it, or give another folder", parameter="out"
        )
    return EdgenetError(f"{folder / DATABASE}: {error}; free some space, or give another folder", parameter="out")


def _size(path: Path) -> int:
    """The bytes of a file; -1 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
