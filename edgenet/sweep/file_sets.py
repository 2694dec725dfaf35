"""Files and folders as sets: named by the SHA-256 of their contents, and packed to travel."""

import errno
import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edgenet import files
from edgenet.errors import EdgenetError, first_line

_DAMAGED = (tarfile.TarError, EOFError, ValueError, TypeError, RecursionError)


def digest(path: Path) -> str:
    """The SHA-256 that names the contents of a file or folder, in hexadecimal.

    A folder's is that of its files: of their sorted relative paths, each with the SHA-256 of its contents. Empty
    folders do not count, and links count as what they lead to.

    Raises:
        EdgenetError: Something there cannot be read, or is neither a file nor a folder.
    """
    try:
        if not path.is_dir():
            files.check_is_file(path, "a file")
            return files.sha256(path)
        total = hashlib.sha256()
        for name, file in _members(path):
            total.update(f"{name}\0{files.sha256(file)}\n".encode("utf-8", "surrogateescape"))
        return total.hexdigest()
    except OSError as error:
        raise EdgenetError(f"{error.filename or path}: cannot be read ({error.strerror})") from error


def pack(folder: Path, path: Path) -> None:
    """Write the files of a folder to an uncompressed archive: the same bytes for the same files.

    Raises:
        EdgenetError: A file cannot be read, or `path` cannot be written.
    """
    try:
        with (
            files.atomic_file(path) as target,
            tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for name, file in _members(folder):
                member = tarfile.TarInfo(name)  # without date and owner, which would change the bytes
                member.size, member.mode = file.stat().st_size, 0o644
                with open(file, "rb") as contents:
                    archive.addfile(member, contents)
    except (OSError, UnicodeError) as error:
        raise EdgenetError(f"{folder}: cannot be packed ({first_line(error)})") from error


def unpack(path: Path, folder: Path) -> None:
    """Unpack an archive into a new folder.

    Raises:
        EdgenetError: The archive is damaged or has anything but regular files in it, or one whose path leads out.
        OSError: The folder cannot be written to.
    """
    folder.mkdir(parents=True)
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                target = folder / _checked_name(member)
                contents = archive.extractfile(member)
                assert contents is not None  # a regular file has contents
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "xb") as file:
                    shutil.copyfileobj(contents, file, 1 << 20)
    except FileExistsError as error:
        raise EdgenetError(f"{error.filename}: twice in an archive") from error
    except _DAMAGED as error:
        raise EdgenetError(f"an archive that has arrived is damaged ({first_line(error)})") from error


def check(path: Path, expected: str) -> None:
    """Check that something that has arrived is what was sent.

    Raises:
        EdgenetError: It has another digest.
    """
    if digest(path) != expected:
        raise EdgenetError("what has arrived is not what was sent; it was damaged or changed on its way")


def explain(error: OSError, folder: Path) -> str:
    """Why files could not be stored in a folder, and what to do."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return f"no space is left in {folder}; delete something there, and run the same command again"
    return f"{folder}: cannot be written to ({error.strerror or first_line(error)})"


def _members(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files below a folder, with their relative paths with slashes, sorted by them."""
    found = []
    for parent, _, names in os.walk(folder, followlinks=True, onerror=_fail):
        for name in names:
            path = Path(parent, name)
            files.check_is_file(path, "a file")
            found.append((path.relative_to(folder).as_posix(), path))
    return iter(sorted(found))


def _fail(error: OSError) -> None:
    raise error


def _checked_name(member: tarfile.TarInfo) -> str:
    """The path of a member. Backslashes and colons are for Windows, where they separate folders and drives."""
    if not member.isfile() or member.issparse():
        raise EdgenetError(f"{member.name[:200]!r}: only regular files may travel")
    path = PurePosixPath(member.name)
    if (
        path.is_absolute()
        or ".." in path.parts
        or not path.parts
        or (os.name == "nt" and set(member.name) & set("\\:"))
    ):
        raise EdgenetError(f"{member.name[:200]!r}: its path leads out of its folder")
    return member.name
