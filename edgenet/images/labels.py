"""Class names, and the class of each image."""

import errno
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from edgenet import files
from edgenet.errors import EdgenetError

# The 1,000 classes of the ImageNet challenge (ILSVRC 2012), in the order of published weights: the WordNet identifier,
# which is the name of the class' folder in ImageNet, and the name in Keras Applications.
_IMAGENET = Path(__file__).parent / "imagenet_classes.txt"

# Limits of a text file: a million images with paths of 60 characters.
MAX_BYTES, MAX_LINES = 64_000_000, 1_000_000
# Characters of a text in an error message.
MAX_SHOWN = 100


def read(path: Path) -> list[str]:
    """Read a file of class names.

    Args:
        path: A UTF-8 text file with one name on each line, in the order of the model's output.

    Raises:
        EdgenetError: The file is missing, not UTF-8 or empty, or has an empty line between others.
    """
    names = _lines(path)
    if not names:
        raise EdgenetError(f"{path}: the file is empty; write a class name on each line")
    if "" in names:
        raise EdgenetError(f"{path}: line {names.index('') + 1} is empty; write a class name on each line")
    return names


def imagenet() -> list[str]:
    """The names of ImageNet's 1,000 classes, in the order of published weights. Two names, crane and maillot, come
    twice."""
    return [name for _, name in _imagenet()]


def duplicates(names: Sequence[str]) -> list[str]:
    """The names that several classes have, each once."""
    return [name for name, count in Counter(names).items() if count > 1]


def image_classes(
    paths: Sequence[Path], folder: Path, names: Sequence[str], truth: Path | None = None
) -> Sequence[int | None]:
    """The class of each image in a folder: from the file `truth` or, without one, from the names of its folders.

    Args:
        paths: The images.
        folder: The folder that they are in; the paths in `truth` are relative to it.
        names: The class names, in the order of the model's output.
        truth: A file as in `classes_from_file`.

    Returns:
        A class index for each image; None if unknown.

    Raises:
        EdgenetError: As `classes_from_file` and `classes_from_folders`.
    """
    return classes_from_file(truth, paths, folder, names) if truth else classes_from_folders(paths, names)


def classes_from_folders(paths: Sequence[Path], names: Sequence[str]) -> list[int | None]:
    """The class of each image by the name of its folder.

    Args:
        paths: The images. A folder may have the name of a class (spaces may be underscores), the WordNet identifier of
            one of ImageNet's 1,000 classes, or the number of a class, from 0 up.
        names: The class names, in the order of the model's output.

    Returns:
        A class index for each image; None for all if no folder is named after a class.

    Raises:
        EdgenetError: Only some folders are named after classes, or several classes have the name of a folder.
    """
    index = ClassIndex(names)
    matches = [index.find(path.parent.name) for path in paths]
    if not any(matches):
        return [None] * len(paths)
    classes: list[int | None] = []
    for path, match in zip(paths, matches, strict=True):
        if not match:
            raise EdgenetError(
                f"{path}: its folder {path.parent.name!r} is not named after a class, but other folders are; rename "
                "it, or put all images into one folder to measure drift only"
            )
        if len(match) > 1:
            raise EdgenetError(
                f"{path.parent}: several classes have this name; use the number of the class as the folder's name: "
                + " or ".join(map(str, match))
            )
        classes.append(match[0])
    return classes


def classes_from_file(file: Path, paths: Sequence[Path], folder: Path, names: Sequence[str]) -> list[int]:
    """The class of each image from a text file.

    Args:
        file: Either a line for each image: its path in `folder` and its class, separated by a comma, tab or space. Or
            a class on each line, in the order of `paths`. A class is a name, a WordNet identifier of ImageNet, or a
            number from 0 up.
        paths: The images.
        folder: The folder that they are in.
        names: The class names, in the order of the model's output.

    Returns:
        A class index for each image.

    Raises:
        EdgenetError: An image has no line, a line is about no image, or a class is unknown.
    """
    lines, index = _lines(file), ClassIndex(names)
    positions = {path.relative_to(folder).as_posix(): number for number, path in enumerate(paths)}
    classes: dict[int, int] = {}
    for number, (line, entry) in enumerate(zip(lines, _entries(file, lines, positions, folder), strict=True), start=1):
        if entry is None:
            raise EdgenetError(
                f"{file}, line {number}: expected an image in {folder} and its class, got {_shown(line)}"
            )
        image, text = entry
        if positions[image] in classes:
            raise EdgenetError(f"{file}, line {number}: a second line for {image}; remove one of them")
        match = index.find(text)
        if not match:
            raise EdgenetError(f"{file}, line {number}: {_shown(text)} is not one of the {len(names):,} classes")
        if len(match) > 1:
            raise EdgenetError(
                f"{file}, line {number}: several classes have the name {_shown(text)}; write the number of the class: "
                + " or ".join(map(str, match))
            )
        classes[positions[image]] = match[0]
    if missing := [image for image, position in positions.items() if position not in classes]:
        raise EdgenetError(f"{file}: no line for {missing[0]}; add its class")
    return [classes[position] for position in range(len(paths))]


def _entries(
    file: Path, lines: Sequence[str], positions: dict[str, int], folder: Path
) -> Sequence[tuple[str, str] | None]:
    """The image and class of each line; None for a line that is about no image."""
    entries = [_image_and_class(line, positions) for line in lines]
    if any(entries):
        return entries
    if len(lines) != len(positions):
        raise EdgenetError(
            f"{file}: {len(lines):,} lines for the {len(positions):,} images in {folder}; write one for each image"
        )
    return list(zip(positions, lines, strict=True))


class ClassIndex:
    """Finds classes by their name, WordNet identifier or number.

    Args:
        names: The class names, in the order of the model's output.
    """

    def __init__(self, names: Sequence[str]):
        self._count = len(names)
        self._by_name: dict[str, list[int]] = {}
        for number, name in enumerate(names):
            self._by_name.setdefault(_normalized(name), []).append(number)

    def find(self, text: str) -> list[int]:
        """The numbers of the classes with this name; if there are none, with this identifier or number."""
        if named := self._by_name.get(_normalized(text)):
            return named
        if self._count in (1000, 1001) and text in _identifiers():
            return [_identifiers()[text] + self._count - 1000]  # of 1,001 classes, the first is the background
        return [int(text)] if re.fullmatch(r"[0-9]{1,9}", text) and int(text) < self._count else []


def _normalized(name: str) -> str:
    return name.strip().replace("_", " ")


def _image_and_class(line: str, positions: dict[str, int]) -> tuple[str, str] | None:
    """Split a line into the path of an image and the text after it. Both may contain separators."""
    for separator in re.finditer(r"[,\t ]+", line):
        if line[: separator.start()] in positions:
            return line[: separator.start()], line[separator.end() :].strip()
    return None


def _lines(path: Path) -> list[str]:
    """The lines of a text file, without empty ones at the end."""
    try:
        data = files.read_limited(path, MAX_BYTES)
        text = data.decode("utf-8-sig")
    except OSError as error:
        reason = "no such file" if error.errno == errno.ENOENT else f"cannot be read ({error.strerror})"
        raise EdgenetError(f"{path}: {reason}; give a text file") from error
    except UnicodeDecodeError as error:
        raise EdgenetError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from error
    if text.count("\n") > MAX_LINES:
        raise EdgenetError(
            f"{path}: more than {MAX_LINES:,} lines; give a text file with a line for each class or image"
        )
    lines = [line.strip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _shown(text: str) -> str:
    """A text for a message: quoted and shortened."""
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}...")


@cache
def _imagenet() -> list[tuple[str, str]]:
    """Identifier and name of each class."""
    entries = (line.partition(" ") for line in _IMAGENET.read_text(encoding="utf-8").splitlines())
    return [(identifier, name) for identifier, _, name in entries]


@cache
def _identifiers() -> dict[str, int]:
    return {identifier: number for number, (identifier, _) in enumerate(_imagenet())}
