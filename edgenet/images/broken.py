"""Broken image files: all of them are found and listed, or left out on request."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.images import decode
from edgenet.images.file_check import BrokenImageError
from edgenet.images.preprocess import on_all_cores
from edgenet.progress import SILENT, Progress

# Files that an error and a note name.
MAX_LISTED, MAX_NOTED = 10, 5
# Characters of a name in them.
MAX_NAME = 60


def find(paths: Sequence[Path], progress: Progress = SILENT) -> dict[Path, BrokenImageError]:
    """Find the image files that cannot be read, on all cores.

    Args:
        paths: The image files. One that comes twice is read once.
        progress: Gets the count.

    Returns:
        What is wrong with each of them, in their order.
    """
    different = list(dict.fromkeys(paths))
    found: dict[Path, BrokenImageError] = {}
    if not different:
        return found
    progress.step(f"checking {len(different):,} images")
    checks = zip(different, on_all_cores(_problem, different), strict=True)
    for done, (path, error) in enumerate(checks, start=1):
        if error:
            found[path] = error
        progress.count(done, len(different))
    return found


def _problem(path: Path) -> BrokenImageError | None:
    try:
        decode.check(path)
    except BrokenImageError as error:
        return error
    return None


@contextmanager
def listed_together(paths: Sequence[Path], progress: Progress = SILENT) -> Iterator[None]:
    """Where a block fails because of a broken image, look for all others before that is reported.

    Nothing is read twice as long as all images are sound.

    Args:
        paths: All images that the block reads.
        progress: Gets the count.

    Raises:
        EdgenetError: The block came upon a broken image. The message lists all of them.
    """
    try:
        yield
    except BrokenImageError as error:
        found = find(paths, progress)
        if not found:  # out of memory, or the file has changed
            raise
        raise all_of(found, len(set(paths))) from error


def without(
    paths: Sequence[Path], folder: Path, broken: Mapping[Path, BrokenImageError]
) -> tuple[list[Path], str | None]:
    """Leave broken files out.

    Args:
        paths: Image files.
        folder: The folder that they are in.
        broken: What `find` returned for them, and maybe for others.

    Returns:
        The other files, and a note on those left out; None if there are none.

    Raises:
        EdgenetError: All files are broken.
    """
    found = {path: broken[path] for path in paths if path in broken}
    if not found:
        return list(paths), None
    remaining = [path for path in paths if path not in found]
    if not remaining:
        raise EdgenetError(f"{folder}: none of the {len(paths):,} images can be read: {_listed(found, folder)}")
    return remaining, (
        f"{folder}: skipped {len(found):,} of {len(paths):,} images, which cannot be read: "
        f"{_listed(found, folder, MAX_NOTED)}"
    )


def all_of(found: Mapping[Path, BrokenImageError], count: int) -> EdgenetError:
    """The error that lists broken files."""
    if len(found) == 1:
        (error,) = found.values()
        return EdgenetError(f"{error}, or leave it out with skip_broken=True")
    folder = _common_folder(list(found))
    where = "" if folder == Path() else f"{folder}: "
    return EdgenetError(
        f"{where}{len(found):,} of {count:,} images cannot be read: {_listed(found, folder)}; replace or remove "
        "them, or leave them out with skip_broken=True"
    )


def _common_folder(paths: Sequence[Path]) -> Path:
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # on two drives, or some paths are absolute
        return paths[0].parent


def _listed(found: Mapping[Path, BrokenImageError], folder: Path, limit: int = MAX_LISTED) -> str:
    """Some names, quoted, with what is wrong with each."""
    texts = [f"{_name(path, folder)} ({error.reason})" for path, error in list(found.items())[:limit]]
    if len(found) == limit + 1:  # the last one takes no more room than its count
        path, error = list(found.items())[-1]
        texts.append(f"{_name(path, folder)} ({error.reason})")
    elif len(found) > limit:
        texts.append(f"and {len(found) - limit:,} more")
    return ", ".join(texts)


def _name(path: Path, folder: Path) -> str:
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
    return repr(name if len(name) <= MAX_NAME else f"...{name[-MAX_NAME:]}")
