"""Files and folders that appear whole or not at all: written beside their place, then renamed."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edgenet.errors import EdgenetError


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, or leave `path` as it was.

    Raises EdgenetError when the place cannot be written.
    """
    with written(path) as file:
        file.write(data)


def write_new(path: Path, data: bytes) -> bool:
    """Write `data` to `path` if there is no such file yet, whoever else tries. Returns whether it was written.

    Raises EdgenetError when the place cannot be written.
    """
    with _place(path), _temporary(path) as file:
        file.write(data)
        _finish(file)
        try:
            os.link(file.name, path)
        except FileExistsError:
            return False
        return True


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of `path` when the block ends without an exception.

    Raises EdgenetError when the place cannot be written.
    """
    with _place(path), _temporary(path) as file:
        yield file
        _finish(file)
        os.replace(file.name, path)


@contextmanager
def _temporary(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path`, gone at the end if it is still there."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)


def _finish(file: BinaryIO) -> None:
    """Bring a temporary file to the disk."""
    file.flush()
    os.fsync(file.fileno())
    os.chmod(file.name, 0o644)  # it is private to its maker; from now on it is to be shared


def check_writable(path: Path) -> None:
    """Raise EdgenetError when no file can be written at `path`: before long work, not after it."""
    with _place(path, keep=False):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes the place of `path` when the block ends without an exception.

    With an exception, Ctrl-C included, the new folder goes and `path` stays as it was. Raises EdgenetError when the
    place cannot be written.
    """
    with _place(path):
        fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        fresh.chmod(0o755)
        try:
            yield fresh
            _replace_folder(fresh, path)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _replace_folder(fresh: Path, path: Path) -> None:
    if not path.exists():
        os.rename(fresh, path)
        return
    # A folder cannot be renamed over a full one: the old one steps aside, and back if anything goes wrong.
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
    old = aside / path.name
    try:
        os.rename(path, old)
        try:
            os.rename(fresh, path)
        except BaseException:
            os.rename(old, path)
            raise
    finally:
        if path.exists():  # else the old folder could not go back, and what is aside is all there is
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _place(path: Path, keep: bool = True) -> Iterator[None]:
    """Make the folders above `path`; take them away again after an exception, or when they are not to be kept.

    Turns what the file system refuses into an error that names the place.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        keep = False
        if isinstance(error, OSError):
            taken = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), None)
            reason = "a file" if taken else error.strerror or str(error)
            raise EdgenetError(
                f"{taken or path}: expected a place to write to, found: {reason}; free it or name another"
            ) from error
        raise
    finally:
        if not keep:
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()
