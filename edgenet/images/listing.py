"""Find the image files of a folder."""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from edgenet.errors import EdgenetError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
# The format of iPhones. Pillow reads it with the help of another package.
HEIC_SUFFIXES, HEIC_PACKAGE = (".heic", ".heif"), "pillow_heif"


@dataclass(frozen=True)
class ImageListing:
    """The image files of a folder.

    Attributes:
        paths: The image files, sorted by path.
        skipped: Number of other files, by the reason why they were skipped.
    """

    paths: list[Path]
    skipped: dict[str, int]

    def note(self) -> str | None:
        """A text such as "skipped 3 hidden files"; None if no file was skipped."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.items() if count)
        return f"skipped {reasons}" if reasons else None


def find_images(folder: Path) -> ImageListing:
    """List the image files in a folder and its subfolders. Links to folders are followed; each folder is read once.

    Args:
        folder: The folder to search. Files are recognized by their suffix; hidden files and folders are skipped.

    Returns:
        The image files, sorted by path.

    Raises:
        EdgenetError: There is no such folder, or no image in it; a folder cannot be read; a file name is not UTF-8.
    """
    try:
        if not folder.is_dir():
            if folder.exists():
                raise EdgenetError(f"{folder}: not a folder; give a folder of images")
            raise EdgenetError(f"{folder}: no such folder; give a folder of images")
        files = list(_walk(folder))
    except PermissionError as error:
        _raise_unreadable(error)
    listing = _by_suffix(folder, files)
    if not listing.paths:
        suffixes = ", ".join(_readable_suffixes())
        raise EdgenetError(
            f"{folder}: no images ({suffixes}) in this folder; {listing.note() or 'give a folder of images'}"
        )
    for path in listing.paths:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise EdgenetError(f"{path!r}: the file name is not UTF-8; rename the file") from error
    return listing


def _by_suffix(folder: Path, files: list[Path]) -> ImageListing:
    suffixes = _readable_suffixes()
    no_decoder = f"HEIC images (pip install {HEIC_PACKAGE.replace('_', '-')} to read them)"
    paths, skipped = [], {"hidden files": 0, "files that are not images": 0, no_decoder: 0}
    for path in files:
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            skipped["hidden files"] += 1
        elif path.suffix.lower() in suffixes:
            paths.append(path)
        elif path.suffix.lower() in HEIC_SUFFIXES:
            skipped[no_decoder] += 1
        else:
            skipped["files that are not images"] += 1
    return ImageListing(sorted(paths), skipped)


def _readable_suffixes() -> tuple[str, ...]:
    return (*SUFFIXES, *HEIC_SUFFIXES) if _can_read_heic() else SUFFIXES


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder. Real folders come before links to folders, and no folder comes twice."""
    visited: set[tuple[int, int]] = set()
    pending = deque([folder])
    while pending:
        for parent, folders, names in os.walk(pending.popleft(), onerror=_raise_unreadable):
            folders.sort()
            status = os.stat(parent)
            if (status.st_dev, status.st_ino) in visited:
                folders.clear()
                continue
            visited.add((status.st_dev, status.st_ino))
            pending.extend(Path(parent, name) for name in sorted(folders) if Path(parent, name).is_symlink())
            yield from (path for name in names if (path := Path(parent, name)).is_file())


def _raise_unreadable(error: OSError) -> NoReturn:
    raise EdgenetError(
        f"{error.filename}: cannot read this folder ({error.strerror}); check its permissions"
    ) from error


@cache
def _can_read_heic() -> bool:
    """Whether a decoder is installed. If so, it is registered with Pillow."""
    if not find_spec(HEIC_PACKAGE):
        return False
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return True
