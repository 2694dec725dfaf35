"""Find the image files of a folder."""

import os
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from edgenet.errors import EdgenetError
from edgenet.images import formats

# What a note counts under other names than suffixes.
HIDDEN, NO_SUFFIX = "hidden files", "without a suffix"
HEIC = f"HEIC images ({formats.INSTALL_HEIC} to read them)"
AVIF = f"AVIF images ({formats.INSTALL_AVIF} to read them)"
# Suffixes that a note names.
MAX_SUFFIXES = 8
# Other endings belong to the name: "IMG_2024.05.12", "photo.1", "photo.jpg_large".
_SUFFIX = re.compile(r"\.(?=[0-9]*[a-z])[a-z0-9]{1,5}")


@dataclass(frozen=True)
class ImageListing:
    """The image files of a folder.

    Attributes:
        paths: The image files, sorted by path.
        skipped: Number of other files: hidden ones, those without a decoder, and others by their suffix.
    """

    paths: list[Path]
    skipped: dict[str, int]

    def note(self) -> str | None:
        """A text such as "skipped 3 hidden files, 2 .txt, 1 .mp4"; None if no file was skipped."""
        named = [_counted(count, reason) for reason, count in self.skipped.items() if count and reason[0] != "."]
        suffixes = Counter({reason: count for reason, count in self.skipped.items() if reason[0] == "."})
        common = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
        named += [_counted(count, suffix) for suffix, count in common[:MAX_SUFFIXES]]
        if others := sum(count for _, count in common[MAX_SUFFIXES:]):
            named.append(f"{others:,} other files")
        return f"skipped {', '.join(named)}" if named else None


def find_images(folder: Path) -> ImageListing:
    """List the image files in a folder and its subfolders. Links to folders are followed; each folder is read once.

    Args:
        folder: The folder to search. Files are recognized by their suffix; those without one by their first bytes.
            Hidden files and folders are skipped.

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
    listing = _listing(folder, files)
    if not listing.paths:
        suffixes = ", ".join(formats.readable_suffixes())
        raise EdgenetError(
            f"{folder}: no images ({suffixes}) in this folder; {listing.note() or 'give a folder of images'}"
        )
    for path in listing.paths:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise EdgenetError(f"{path!r}: the file name is not UTF-8; rename the file") from error
    return listing


def _listing(folder: Path, files: list[Path]) -> ImageListing:
    paths, skipped = [], Counter({HIDDEN: 0, HEIC: 0, AVIF: 0, NO_SUFFIX: 0})
    for path in files:
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            skipped[HIDDEN] += 1
        elif reason := _skip_reason(path):
            skipped[reason] += 1
        else:
            paths.append(path)
    return ImageListing(sorted(paths), dict(skipped))


def _skip_reason(path: Path) -> str | None:
    """Why a file is not taken for an image that can be read; None if it is."""
    suffix = path.suffix.lower()
    if suffix in formats.readable_suffixes():
        return None
    undecodable = HEIC if suffix in formats.HEIC_SUFFIXES else AVIF if suffix in formats.AVIF_SUFFIXES else None
    if undecodable is None and _SUFFIX.fullmatch(suffix):
        return suffix
    image_format = _image_format(path)
    if image_format is None:
        return undecodable or NO_SUFFIX
    if formats.install_hint(image_format):
        return HEIC if image_format == "HEIF" else AVIF
    return None


def _image_format(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return formats.image_format(file.read(formats.HEAD_BYTES))
    except OSError:
        return None


def _counted(count: int, what: str) -> str:
    singular = what.replace("files", "file").replace("images", "image").replace("them", "it") if count == 1 else what
    return f"{count:,} {singular}"


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
