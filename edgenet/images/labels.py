"""Class names, and which class each picture is of."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from edgenet import files
from edgenet.errors import EdgenetError

# The 1,000 classes of ImageNet's challenge (ILSVRC 2012) in the order of published weights: the WordNet identifier,
# after which its folders are named, and the name that Keras Applications gives.
_IMAGENET = Path(__file__).parent / "imagenet_classes.txt"

# Of a text file: a million images with paths of 60 characters.
MAX_BYTES, MAX_LINES = 64_000_000, 1_000_000


def read(path: Path) -> list[str]:
    """The class names, one a line, in the order of the model's output.

    Raises EdgenetError when the file is missing, not UTF-8 or empty, or has an empty line between others.
    """
    names = _lines(path, "a class name on each line")
    if not names or "" in names:
        raise EdgenetError(
            f"{path}: expected a class name on each line, found {'none' if not names else 'an empty one'}"
        )
    return names


def imagenet() -> list[str]:
    """The names of ImageNet's classes. Two of them come twice: crane, maillot."""
    return [name for _, name in _imagenet()]


def repeated(names: Sequence[str]) -> list[str]:
    """The names that several classes have, each once."""
    return [name for name, count in Counter(names).items() if count > 1]


def of_pictures(
    paths: Sequence[Path], folder: Path, names: Sequence[str], truth: Path | None = None
) -> Sequence[int | None]:
    """The class of each picture in `folder`: from the file `truth`, or, without one, by `of_folders`. Raises as they
    do."""
    return of_file(truth, paths, folder, names) if truth else of_folders(paths, names)


def of_folders(paths: Sequence[Path], names: Sequence[str]) -> list[int | None]:
    """The class of each picture by the folder that it lies in: named after a class, spaces written as underscores or
    not, or after the WordNet identifier of one of ImageNet's 1,000 classes, or after the number of a class.

    All None when no folder is. Raises EdgenetError when only some are, or when a folder's name is that of two classes.
    """
    classes = _Classes(names)
    meant = [classes.called(path.parent.name) for path in paths]
    if not any(meant):
        return [None] * len(paths)
    found = []
    for path, known in zip(paths, meant, strict=True):
        if not known:
            raise EdgenetError(
                f"{path}: expected a folder named after a class, as other images have, found {path.parent.name!r}; "
                "rename it, or keep all images in one folder to measure drift alone"
            )
        if len(known) > 1:
            raise EdgenetError(
                f"{path.parent}: expected the name of one class, found that of several; name it by number: "
                + " or ".join(map(str, known))
            )
        found.append(known[0])
    return found


def of_file(file: Path, paths: Sequence[Path], folder: Path, names: Sequence[str]) -> list[int]:
    """The class of each picture, from a text file.

    Either a line for each picture in `folder`, its path there and its class with a comma, tab or space between; or a
    line with a class for each picture, in the order of their paths. A class is a name, a WordNet identifier of
    ImageNet, or a number from 0 up.

    Raises EdgenetError when a picture has no line, a line no picture, or a class is not known.
    """
    lines = _lines(file, "the class of a picture on each line")
    classes = _Classes(names)
    places = {path.relative_to(folder).as_posix(): number for number, path in enumerate(paths)}
    split = [_picture_first(line, places) for line in lines]
    if not any(split):
        if len(lines) != len(paths):
            raise EdgenetError(
                f"{file}: expected a line for each of {len(paths):,} pictures in {folder}, found {len(lines):,}"
            )
        split = list(zip(places, lines, strict=True))
    found: list[int | None] = [None] * len(paths)
    for number, (line, parts) in enumerate(zip(lines, split, strict=True), start=1):
        if parts is None:
            raise EdgenetError(
                f"{file}, line {number}: expected a picture in {folder} and its class, found {_shown(line)}"
            )
        if found[places[parts[0]]] is not None:
            raise EdgenetError(f"{file}, line {number}: expected one line for each picture, found {parts[0]} again")
        known = classes.called(parts[1])
        if len(known) != 1:
            what = "that of several; write its number" if known else f"none of the {len(names):,}"
            raise EdgenetError(f"{file}, line {number}: expected a class, found {_shown(parts[1])}, {what}")
        found[places[parts[0]]] = known[0]
    if None in found:
        missing = paths[found.index(None)].relative_to(folder).as_posix()
        raise EdgenetError(
            f"{file}: expected a line for each of {len(paths):,} pictures in {folder}, found none for {missing}"
        )
    return found


class _Classes:
    """The ways to name a class."""

    def __init__(self, names: Sequence[str]):
        self._count = len(names)
        self._by_name: dict[str, list[int]] = {}
        for number, name in enumerate(names):
            self._by_name.setdefault(_plain(name), []).append(number)

    def called(self, text: str) -> list[int]:
        """The numbers of the classes of that name; else of that identifier; else of that number."""
        if named := self._by_name.get(_plain(text)):
            return named
        if self._count in (1000, 1001) and text in _identifiers():
            return [_identifiers()[text] + self._count - 1000]  # 1,001: a class for the background comes first
        return [int(text)] if re.fullmatch(r"[0-9]{1,9}", text) and int(text) < self._count else []


def _plain(name: str) -> str:
    return name.strip().replace("_", " ")


def _picture_first(line: str, places: dict[str, int]) -> tuple[str, str] | None:
    """A line as a known picture and what follows it."""
    for separator in re.finditer(r"[,\t ]+", line):
        if line[: separator.start()] in places:
            return line[: separator.start()], line[separator.end() :].strip()
    return None


def _lines(path: Path, expected: str) -> list[str]:
    """The lines of a text file, without empty ones at the end."""
    try:
        data = files.read(path, MAX_BYTES)
        if data.count(b"\n") > MAX_LINES:
            raise EdgenetError(f"{path}: more than {MAX_LINES:,} lines, which no such file has; name another")
        lines = [line.strip() for line in data.decode("utf-8-sig").split("\n")]
    except OSError as error:
        raise EdgenetError(f"{path}: expected a text file with {expected}, found {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EdgenetError(f"{path}: expected a text file with {expected}, found {error}") from error
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _shown(text: str) -> str:
    """A text in a message: quoted, and not longer than one can read."""
    return repr(text if len(text) <= 100 else f"{text[:100]}...")


@cache
def _imagenet() -> list[tuple[str, str]]:
    lines = _IMAGENET.read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(" ", 1)) for line in lines]


@cache
def _identifiers() -> dict[str, int]:
    return {identifier: number for number, (identifier, _) in enumerate(_imagenet())}
