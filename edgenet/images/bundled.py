"""What comes with edgenet: a trained model and images, so that every command works at once.

DATA is the folder of the images, with CALIBRATION, EVALUATION and LABELS in it. In a clone it lies beside the package.
A wheel holds it as one file, since 1,200 small images take five times their size on a disk; it is unpacked into the
user's cache when one of these is first asked for.
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


def __getattr__(name: str) -> Path:  # PEP 562: what is not asked for is not unpacked
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _data() / _PARTS[name]


@cache
def _data() -> Path:
    packed = _PACKAGE / "calibration_data.zip"
    return unpacked(packed) if packed.is_file() else _PACKAGE.parent / "calibration_data"


def unpacked(packed: Path) -> Path:
    """The folder in the user's cache that holds the files of a .zip, unpacked if it is not there, or not whole.

    Raises EdgenetError when the file is damaged or there is no space.
    """
    try:
        with zipfile.ZipFile(packed) as archive:
            folder = user_cache.folder("bundled") / files.sha256(packed)[:16]
            if not _is_whole(folder, archive):
                _unpack(archive, folder)
            return folder
    except zipfile.BadZipFile as error:
        raise EdgenetError(f"{packed}: this file of edgenet is damaged; install edgenet again") from error
    except OSError as error:
        raise EdgenetError(
            f"the bundled images cannot be unpacked into {folder}: {error.strerror}; free some space, or name another "
            "folder by XDG_CACHE_HOME"
        ) from error


def _is_whole(folder: Path, archive: zipfile.ZipFile) -> bool:
    try:
        return all((folder / entry.filename).stat().st_size == entry.file_size for entry in archive.infolist())
    except OSError:
        return False


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    """Beside its place, then renamed: another process may do the same, or look, at any moment."""
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    fresh.mkdir()
    try:
        archive.extractall(fresh)
        if _is_whole(folder, archive):  # the other process was faster
            return
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.unlink(missing_ok=True)
        try:
            os.rename(fresh, folder)
        except OSError:
            if not _is_whole(folder, archive):
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
