"""The user's cache: unpacked archives, results without a folder of their own, logs. All of it can be deleted."""

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path


def folder(name: str) -> Path:
    """Make a folder in the cache, unless it exists, and return its path.

    The cache is `$XDG_CACHE_HOME/edgenet`, by default ~/.cache/edgenet (macOS: ~/Library/Caches/edgenet, Windows:
    %LOCALAPPDATA%/edgenet). If it is not writable, the folder is a temporary one, removed when Python exits.
    """
    return permanent(name) or _temporary() / name


def permanent(name: str) -> Path | None:
    """As `folder`, but None if the cache is not writable."""
    try:
        path = _root() / name
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return None


def is_temporary(path: Path) -> bool:
    """Whether a path is in the temporary folder that replaces a cache that is not writable."""
    return bool(_temporary.cache_info().currsize) and path.is_relative_to(_temporary())


def _root() -> Path:
    if named := os.environ.get("XDG_CACHE_HOME"):
        root = Path(named)
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        root = Path.home() / ".cache"
    return root.absolute() / "edgenet"


@cache
def _temporary() -> Path:
    path = Path(tempfile.mkdtemp(prefix="edgenet-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
