"""Whether a path can be that of an image file, and the error of one that cannot be read."""

import errno
import os
import stat
from pathlib import Path

from edgenet.errors import EdgenetError

FILE_TYPES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class BrokenImageError(EdgenetError):
    """An image file that cannot be read.

    Attributes:
        reason: What the file is, or what is wrong with it, in a few words.
    """

    reason = ""

    @classmethod
    def of(cls, path: Path, reason: str, text: str = "", remedy: str = "replace or remove it") -> "BrokenImageError":
        """The error of a file. text: What is wrong with it, where that is not that it is not readable."""
        error = cls(f"{path}: {text or f'not a readable image ({reason})'}; {remedy}")
        error.reason = reason
        return error


def check_file(path: Path) -> None:
    """Raise BrokenImageError unless a path is a regular file that is not empty.

    Opening a pipe would wait forever, and reading a device might never end.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        reason = "no such file" if error.errno == errno.ENOENT else f"cannot be read ({error.strerror})"
        raise BrokenImageError.of(path, reason, reason, "check the path") from error
    except ValueError as error:  # a null character in the name
        reason = f"not a file name ({error})"
        raise BrokenImageError.of(path, reason, reason, "check the path") from error
    if not stat.S_ISREG(status.st_mode):
        kind = FILE_TYPES.get(stat.S_IFMT(status.st_mode), "a special file")
        raise BrokenImageError.of(path, kind, f"{kind}, not an image file", "give a regular file")
    if status.st_size == 0:
        raise BrokenImageError.of(path, "the file is empty")
