"""Atomic writes: files and folders are written beside their destination and then renamed, so they are never incomplete.

New files have the permissions that the umask allows. Hard links are not needed, so FAT, exFAT and network drives work.
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

# Starts the name of each temporary file and folder, so that leftovers of a power failure can be recognized.
_PREFIX = ".edgenet-"
# Errors of a file system that cannot flush a single file to the disk; it flushes in its own time then.
_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}
# The signals that end a program, as far as this system has them.
_ENDING_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)
]

# A file that lists temporary files and folders, so that a parent process can remove them if this process crashes.
journal: Path | None = None


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`. If that fails, `path` stays as it was.

    Raises:
        EdgenetError: `path` cannot be written to.
    """
    with atomic_file(path) as file:
        file.write(data)


def write_if_missing(path: Path, data: bytes) -> bool:
    """Write `data` to `path` unless the file exists. Of several processes that try at the same time, one writes.

    Returns:
        Whether the file was written.

    Raises:
        EdgenetError: `path` cannot be written to.
    """
    # All processes use the same temporary name, and only one of them can create it.
    temporary = path.with_name(f".{path.name}.new")
    with _parent_folders(path):
        try:
            file = _create(temporary)
        except FileExistsError:
            return False
        with _removed_at_exit(temporary), file:
            if path.exists():
                return False
            file.write(data)
            _flush_and_close(file)
            os.replace(temporary, path)
            return True


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a temporary file that replaces `path` when the block ends without an exception.

    Raises:
        EdgenetError: `path` cannot be written to.
    """
    with _parent_folders(path):
        temporary = _temporary_path(path)
        with _removed_at_exit(temporary), _create(temporary) as file:
            yield file
            _flush_and_close(file)
            os.replace(temporary, path)


def check_writable(path: Path) -> None:
    """Check, before long work, that a file can be written at `path`.

    Raises:
        EdgenetError: `path` cannot be written to.
    """
    with _parent_folders(path, keep=False):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        temporary = _temporary_path(path)
        with _removed_at_exit(temporary), _create(temporary):
            pass


@contextmanager
def atomic_folder(path: Path, replaced: Collection[str] = ()) -> Iterator[Path]:
    """Yield an empty temporary folder that replaces `path` when the block ends without an exception.

    After an exception (also after Ctrl-C) the temporary folder is removed, and `path` stays as it was.

    Args:
        path: The folder to make.
        replaced: Files of an existing folder to remove, as paths relative to `path`. All its other files are kept.

    Raises:
        EdgenetError: `path` cannot be written to, or a file to keep has the same path as a new one.
    """
    with _parent_folders(path):
        temporary = _temporary_path(path)
        _record(temporary)
        temporary.mkdir()
        try:
            yield temporary
            _replace_folder(temporary, path, replaced)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def unlisted_files(folder: Path, listed: Collection[str]) -> list[str]:
    """Files below `folder` that are not in `listed`, as sorted relative paths with slashes. Links count as files."""
    found = []
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in (*names, *links):
            path = Path(parent, name).relative_to(folder).as_posix()
            if path not in listed:
                found.append(path)
    return sorted(found)


def collisions(kept: Collection[str], new: Collection[str]) -> list[str]:
    """The paths in `kept` that equal a path in `new`, or are a parent or child of one."""
    new_paths = set(new)
    new_parents = {parent.as_posix() for path in new for parent in Path(path).parents}
    return [
        path
        for path in kept
        if path in new_paths
        or path in new_parents
        or any(parent.as_posix() in new_paths for parent in Path(path).parents)
    ]


def copy_tree(source: Path, target: Path) -> None:
    """Copy the contents of a folder's files; their permissions are those that the umask allows."""
    for parent, folders, names in os.walk(source, followlinks=True):
        folders.sort()
        copy = target / Path(parent).relative_to(source)
        copy.mkdir(parents=True, exist_ok=True)
        for name in sorted(names):
            shutil.copyfile(Path(parent, name), copy / name)


def check_is_file(path: Path, expected: str) -> None:
    """Check that a path leads to a regular file, before it is opened: opening a pipe waits for a writer.

    Args:
        path: The path.
        expected: What kind of file it should be, for the error.

    Raises:
        EdgenetError: It leads to something else, or to nothing.
    """
    if path.is_dir():
        raise EdgenetError(f"{path}: a folder, not {expected}")
    if not path.is_file():
        raise EdgenetError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")


def read_limited(path: Path, max_bytes: int) -> bytes:
    """Read a file of at most `max_bytes`.

    Raises:
        OSError: The file cannot be read.
        EdgenetError: It is larger, or not a regular file: reading a pipe may block, and a device may never end.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise EdgenetError(f"{path}: not a regular file")
    with open(path, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise EdgenetError(f"{path}: too large; expected at most {max_bytes / 1e6:,.0f} MB")
    return data


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def remove_temporaries(journal: Path) -> None:
    """Remove the temporary files and folders that a crashed process listed in its journal."""
    with suppress(OSError):
        for line in journal.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            path = Path(line)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _temporary_path(path: Path) -> Path:
    """An unused path in the same folder as `path`."""
    return path.with_name(f"{_PREFIX}{secrets.token_hex(8)}")


def _create(path: Path) -> BinaryIO:
    """Create and open a file. Raises FileExistsError if it exists."""
    file = open(path, "xb")  # noqa: SIM115  the caller closes it
    _record(path)
    return file


def _record(path: Path) -> None:
    """Add a path to the journal."""
    if journal:
        with (
            suppress(OSError),
            open(journal, "a", encoding="utf-8", errors="surrogateescape", newline="\n") as file,
        ):
            file.write(f"{path.absolute()}\n")


@contextmanager
def _removed_at_exit(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _flush_and_close(file: BinaryIO) -> None:
    """Flush a temporary file to the disk, so that a power failure after its renaming cannot leave it empty."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
    file.close()  # Windows cannot rename an open file


def _replace_folder(temporary: Path, path: Path, replaced: Collection[str]) -> None:
    if not path.exists():
        os.rename(temporary, path)
        return
    kept = unlisted_files(path, replaced)
    if blocking := collisions(kept, unlisted_files(temporary, ())):
        raise EdgenetError(f"{path / blocking[0]}: this file would be overwritten; move it elsewhere")
    with _uninterrupted():
        # No system can rename a folder over one with files: move the old one away, and back if anything fails.
        old = _temporary_path(path)
        os.rename(path, old)
        try:
            os.rename(temporary, path)
        except BaseException:
            os.rename(old, path)
            raise
        for name in kept:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            os.rename(old / name, path / name)
        for name in replaced:
            with suppress(OSError):
                (old / name).unlink()
        for folder, _, _ in sorted(os.walk(old), reverse=True):  # the deepest first
            with suppress(OSError):
                os.rmdir(folder)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C and the other signals that end a program until the block has ended."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread runs signal handlers
        yield
        return
    delayed: list[int] = []
    known = [number for number in _ENDING_SIGNALS if signal.getsignal(number) is not None]  # None: not set by Python
    handlers = {number: signal.signal(number, lambda number, frame: delayed.append(number)) for number in known}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in delayed[:1]:
            signal.raise_signal(number)


@contextmanager
def _parent_folders(path: Path, keep: bool = True) -> Iterator[None]:
    """Make the folders above `path`. Remove them after an exception, or if they are not to be kept.

    Turns an OSError into an EdgenetError that names the path.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        keep = False
        if isinstance(error, OSError):
            raise _write_error(path, error) from error
        raise
    finally:
        if not keep:
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()


def _write_error(path: Path, error: OSError) -> EdgenetError:
    blocking = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), None)
    reason = "it is a file" if blocking else error.strerror or str(error)
    if not blocking and (other := _other_file(path, error)):
        return EdgenetError(f"{other}: {reason}")
    return EdgenetError(f"{blocking or path}: cannot be written to ({reason}); choose another path")


def _other_file(path: Path, error: OSError) -> Path | None:
    """The file that an error is about, unless that is `path`, a parent or child of it, or its temporary file."""
    if not isinstance(error.filename, str | os.PathLike):
        return None
    named = Path(error.filename).absolute()
    own = path.absolute()
    temporary = any(part.startswith((_PREFIX, f".{path.name}.")) for part in named.parts)
    return None if temporary or named == own or named in own.parents or own in named.parents else named
