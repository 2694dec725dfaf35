"""Writing results of benchmarks: into a bundle, or elsewhere if that fails."""

import tempfile
import time
from contextlib import suppress
from pathlib import Path

from edgenet import cache, files
from edgenet.bundle.bundle import RESULTS
from edgenet.errors import EdgenetError

# Results of the same second in one folder.
MAX_SAME_SECOND = 1_000


def write(folder: Path, data: bytes) -> Path:
    """Write a new file, named after the time (UTC), into results/ in a bundle's folder.

    Args:
        folder: The bundle's folder.
        data: Results as JSON.

    Returns:
        The path of the file.

    Raises:
        EdgenetError: The folder no longer exists, or cannot be written to.
    """
    if not folder.is_dir():
        raise EdgenetError(f"{folder}: the folder no longer exists")
    return _write_new(folder / RESULTS, data)


def write_elsewhere(data: bytes) -> Path:
    """Write a file as `write` does, for results that have no folder or whose folder cannot be written to.

    It goes into the user's cache; if that fails, into the working directory; if that fails, into the folder of
    temporary files: a long measurement must not be lost.

    Raises:
        EdgenetError: None of them can be written to.
    """
    *folders, last = filter(None, (cache.permanent(RESULTS), Path.cwd(), Path(tempfile.gettempdir())))
    for folder in folders:
        with suppress(EdgenetError):
            return _write_new(folder, data)
    return _write_new(last, data)


def _write_new(folder: Path, data: bytes) -> Path:
    stem = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    names = (f"{stem}.json", *(f"{stem}-{number}.json" for number in range(2, MAX_SAME_SECOND)))
    return next(path for name in names if files.write_if_missing(path := folder / name, data))
