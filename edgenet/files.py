"""Files and folders that appear whole or not at all: written beside their place, then renamed.

Permissions are those that the umask leaves. Nothing here needs hard links, so that FAT, exFAT and network drives work.
"""

import errno
import hashlib
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edgenet.errors import EdgenetError

# Of a temporary file or folder. It says whose it is where a machine lost its power.
_PREFIX = ".edgenet-"
# What a file system answers that has no way to bring a file to the disk at once: its own way must do then.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}
# The signals that end a program, as far as this system has them.
_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)]

# Where the paths of temporary files and folders are written down, for a parent that removes them if this process dies.
journal: Path | None = None


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, or leave `path` as it was.

    Raises EdgenetError when the place cannot be written.
    """
    with written(path) as file:
        file.write(data)


def write_new(path: Path, data: bytes) -> bool:
    """Write `data` to `path` if there is no such file yet. Returns whether it was written.

    Of several processes that try at the same time, one writes. Raises EdgenetError when the place cannot be written.
    """
    # The temporary file has a name that follows from the path's: who makes it may write, all others may not.
    fresh = path.with_name(f".{path.name}.new")
    with _place(path):
        try:
            file = _create(fresh)
        except FileExistsError:
            return False
        with _removed_at_the_end(fresh), file:
            if path.exists():
                return False
            file.write(data)
            _finish(file)
            os.replace(fresh, path)
            return True


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of `path` when the block ends without an exception.

    Raises EdgenetError when the place cannot be written.
    """
    with _place(path):
        fresh = _unused(path)
        with _removed_at_the_end(fresh), _create(fresh) as file:
            yield file
            _finish(file)
            os.replace(fresh, path)


def check_writable(path: Path) -> None:
    """Raise EdgenetError when no file can be written at `path`: before long work, not after it."""
    with _place(path, keep=False):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder")
        fresh = _unused(path)
        with _removed_at_the_end(fresh), _create(fresh):
            pass


@contextmanager
def whole_folder(path: Path, replaced: Collection[str] = ()) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes the place of `path` when the block ends without an exception.

    replaced: what goes of a folder that is there: files, by their paths in it. All else in it stays, beside the new
    files. With an exception, Ctrl-C included, the new folder goes and `path` stays as it was.

    Raises EdgenetError when the place cannot be written, or when a file that would stay has the place of a new one.
    """
    with _place(path):
        fresh = _unused(path)
        _note(fresh)
        fresh.mkdir()
        try:
            yield fresh
            _replace_folder(fresh, path, replaced)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise


def others(folder: Path, known: Collection[str]) -> list[str]:
    """The files in `folder` and below that are not among `known`, by their paths in it; links are files."""
    found = []
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in (*names, *links):
            path = Path(place, name).relative_to(folder).as_posix()
            if path not in known:
                found.append(path)
    return sorted(found)


def collisions(staying: Collection[str], coming: Collection[str]) -> list[str]:
    """Those of `staying` whose place one of `coming` takes: the same path, or one above or below it."""
    above = {parent.as_posix() for path in coming for parent in Path(path).parents}
    taken = set(coming)
    return [
        path
        for path in staying
        if path in taken or path in above or any(parent.as_posix() in taken for parent in Path(path).parents)
    ]


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder, its files' contents alone: permissions are those that the umask leaves."""
    for place, folders, names in os.walk(source, followlinks=True):
        folders.sort()
        there = target / Path(place).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in sorted(names):
            shutil.copyfile(Path(place, name), there / name)


def read(path: Path, most: int) -> bytes:
    """The bytes of a file, at most `most`.

    Raises OSError when it cannot be read, and EdgenetError when it is larger, or no regular file: one would wait for a
    pipe, and a device has no end.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise EdgenetError(f"{path}: not a regular file; name another")
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise EdgenetError(f"{path}: larger than {most / 1e6:,.0f} MB, which no such file is; name another")
    return data


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def remove_temporaries(noted: Path) -> None:
    """Remove what a process that died has left, by its `journal`."""
    with suppress(OSError):
        for line in noted.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            path = Path(line)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _unused(path: Path) -> Path:
    """A path beside `path` for a temporary file or folder."""
    return path.with_name(f"{_PREFIX}{secrets.token_hex(8)}")


def _create(path: Path) -> BinaryIO:
    """Make a file that is not there yet."""
    file = open(path, "xb")  # noqa: SIM115  whoever asks for it closes it
    _note(path)
    return file


def _note(path: Path) -> None:
    if journal:
        with suppress(OSError), open(journal, "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{path.absolute()}\n")


@contextmanager
def _removed_at_the_end(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _finish(file: BinaryIO) -> None:
    """Bring a temporary file to the disk."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    file.close()  # Windows renames no open file


def _replace_folder(fresh: Path, path: Path, replaced: Collection[str]) -> None:
    if not path.exists():
        os.rename(fresh, path)
        return
    staying = others(path, replaced)
    if taken := collisions(staying, others(fresh, ())):
        raise EdgenetError(f"{path / taken[0]}: this file is in the way of a new one; move it to another folder")
    with _uninterrupted():
        # A folder cannot be renamed over a full one: the old one steps aside, and back if anything goes wrong.
        aside = _unused(path)
        os.rename(path, aside)
        try:
            os.rename(fresh, path)
        except BaseException:
            os.rename(aside, path)
            raise
        for name in staying:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            os.rename(aside / name, path / name)
        for name in replaced:
            with suppress(OSError):
                (aside / name).unlink()
        for place, _, _ in sorted(os.walk(aside), reverse=True):  # empty folders, the deepest first
            with suppress(OSError):
                os.rmdir(place)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and its relatives wait until the block has ended."""
    if threading.current_thread() is not threading.main_thread():  # which alone runs Python's handlers
        yield
        return
    waiting = []
    known = [number for number in _ENDING if signal.getsignal(number) is not None]  # None: not set by Python
    handlers = {number: signal.signal(number, lambda number, frame: waiting.append(number)) for number in known}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in waiting[:1]:
            signal.raise_signal(number)


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
            raise _refused(path, error) from error
        raise
    finally:
        if not keep:
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()


def _refused(path: Path, error: OSError) -> EdgenetError:
    taken = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), None)
    reason = "a file" if taken else error.strerror or str(error)
    if not taken and (other := _other_file(path, error)):
        return EdgenetError(f"{other}: {reason}")
    return EdgenetError(f"{taken or path}: expected a place to write to, found: {reason}; free it or name another")


def _other_file(path: Path, error: OSError) -> Path | None:
    """The file that an error is about, if that is neither `path` nor what is written for it."""
    if not isinstance(error.filename, str | os.PathLike):
        return None
    named = Path(error.filename).absolute()
    own = path.absolute()
    temporary = any(part.startswith((_PREFIX, f".{path.name}.")) for part in named.parts)
    return None if temporary or named == own or named in own.parents or own in named.parents else named
