"""Class names: read from files, and those of ImageNet."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.images import label_file, text_file

# The 1,000 classes of the ImageNet challenge (ILSVRC 2012), in the order of published weights: the WordNet identifier,
# which is the name of the class' folder in ImageNet, and the name in Keras Applications.
_IMAGENET = Path(__file__).parent / "imagenet_classes.txt"


def read(path: Path) -> list[str]:
    """Read a file of class names in any of the forms that people have.

    Args:
        path: As in `label_file.read`, which also says how the file was understood.

    Raises:
        EdgenetError: As `label_file.read`.
    """
    return list(label_file.read(path).names)


def read_lines(path: Path) -> list[str]:
    """Read a file that edgenet has written: a class name on each line, whatever it looks like.

    Raises:
        EdgenetError: The file is missing, no text or empty, or has an empty line between others.
    """
    names = text_file.read(path).lines()
    if not names:
        raise EdgenetError(f"{path}: the file is empty; write a class name on each line")
    if "" in names:
        raise EdgenetError(f"{path}: line {names.index('') + 1} is empty; write a class name on each line")
    return names


def imagenet() -> list[str]:
    """The names of ImageNet's 1,000 classes, in the order of published weights. Two names, crane and maillot, come
    twice."""
    return [name for _, name in _imagenet()]


@cache
def identifiers() -> dict[str, int]:
    """The WordNet identifier of each of ImageNet's classes, and its number."""
    return {identifier: number for number, (identifier, _) in enumerate(_imagenet())}


def duplicates(names: Sequence[str]) -> list[str]:
    """The names that several classes have, each once."""
    return [name for name, count in Counter(names).items() if count > 1]


@cache
def _imagenet() -> list[tuple[str, str]]:
    """Identifier and name of each class."""
    entries = (line.partition(" ") for line in _IMAGENET.read_text(encoding="utf-8").splitlines())
    return [(identifier, name) for identifier, _, name in entries]
