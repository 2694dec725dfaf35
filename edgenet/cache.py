"""The user's cache: unpacked archives, results without a folder of their own, logs. All of it can be deleted."""

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path


def folder(name: str) -> Path:
    """A folder of this name in the cache, made if there is none.

    The cache is `$XDG_CACHE_HOME/edgenet`, by default ~/.cache/edgenet (macOS: ~/Library/Caches/edgenet, Windows:
    %LOCALAPPDATA%/edgenet). Where it cannot be written, the folder is a temporary one that goes when Python ends.
    """
    return permanent(name) or _temporary() / name


def permanent(name: str) -> Path | None:
    """As `folder`, but None where the cache cannot be written."""
    try:
        place = _root() / name
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return place
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return None


def is_temporary(path: Path) -> bool:
    """Whether a path lies in the temporary folder that stands for the cache, and goes when Python ends."""
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
    made = Path(tempfile.mkdtemp(prefix="edgenet-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
