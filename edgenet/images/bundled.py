"""The model and the images that come with edgenet, so that every command works without any of the user's own.

DATA is the folder of the images; CALIBRATION, EVALUATION and LABELS are in it. In a clone of the repository it is next
to the package. A wheel contains it as one .zip, since 1,200 small images take five times their size on a disk; it is
unpacked into the user's cache when one of these names is used for the first time.
"""

import os
import secrets
import shutil
import zipfile
from functools import cache
from pathlib import Path

from edgenet import cache as user_cache
from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.records import ModelSpec

DATA: Path
CALIBRATION: Path
EVALUATION: Path
LABELS: Path

_PACKAGE = Path(__file__).parents[1]
_PARTS = {"DATA": "", "CALIBRATION": "calibration", "EVALUATION": "evaluation", "LABELS": "labels.txt"}

SPEC = ModelSpec(size=96, alpha=0.5, classes=10)
WEIGHTS = _PACKAGE / "model" / "bundled" / f"{SPEC.name}.npz"


def __getattr__(name: str) -> Path:  # PEP 562: unpacks on first use
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _data() / _PARTS[name]


@cache
def _data() -> Path:
    archive = _PACKAGE / "calibration_data.zip"
    return unpack(archive) if archive.is_file() else _PACKAGE.parent / "calibration_data"


def unpack(archive: Path) -> Path:
    """Unpack a .zip file into the user's cache, unless it is there and complete.

    Returns:
        The folder with its files.

    Raises:
        EdgenetError: The file is damaged, or there is no space.
    """
    folder = archive
    try:
        with zipfile.ZipFile(archive) as members:
            folder = user_cache.folder("bundled") / files.sha256(archive)[:16]
            if not _is_complete(folder, members):
                _unpack(members, folder)
            return folder
    except zipfile.BadZipFile as error:
        raise EdgenetError(f"{archive}: this file of edgenet is damaged; install edgenet again") from error
    except OSError as error:
        raise EdgenetError(
            f"{folder}: cannot unpack the bundled images into this folder ({error.strerror}); free some space, or "
            "choose another folder with the environment variable XDG_CACHE_HOME"
        ) from error


def _is_complete(folder: Path, members: zipfile.ZipFile) -> bool:
    try:
        return all((folder / member.filename).stat().st_size == member.file_size for member in members.infolist())
    except OSError:
        return False


def _unpack(members: zipfile.ZipFile, folder: Path) -> None:
    """Unpack beside the folder, then rename: other processes may do the same, or read, at any moment."""
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        members.extractall(temporary)
        if _is_complete(folder, members):  # another process was faster
            return
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.unlink(missing_ok=True)
        try:
            os.rename(temporary, folder)
        except OSError:
            if not _is_complete(folder, members):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
