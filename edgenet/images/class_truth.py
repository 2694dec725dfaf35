"""The class of each image: from a file, or from the names of folders."""

import re
from collections.abc import Sequence
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.images import class_folders, text_file
from edgenet.images.class_folders import ImageClasses
from edgenet.images.class_index import ClassIndex, one_class
from edgenet.images.text_file import shown


def image_classes(paths: Sequence[Path], folder: Path, names: Sequence[str], truth: Path | None = None) -> ImageClasses:
    """The class of each image in a folder: from the file `truth` or, without one, from the names of its folders.

    Args:
        paths: The images.
        folder: The folder that they are in; the paths in `truth` are relative to it.
        names: The class names, in the order of the model's output.
        truth: A file as in `from_file`.

    Raises:
        EdgenetError: As `from_file` and `class_folders.find`.
    """
    if truth:
        return ImageClasses(tuple(from_file(truth, paths, folder, names)))
    return class_folders.find(paths, folder, names)


def from_file(file: Path, paths: Sequence[Path], folder: Path, names: Sequence[str]) -> list[int]:
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
    lines, index = text_file.read(file).lines(), ClassIndex(names)
    positions = {path.relative_to(folder).as_posix(): number for number, path in enumerate(paths)}
    classes: dict[int, int] = {}
    for number, (line, entry) in enumerate(zip(lines, _entries(file, lines, positions, folder), strict=True), start=1):
        if entry is None:
            raise EdgenetError(f"{file}, line {number}: expected an image in {folder} and its class, got {shown(line)}")
        image, text = entry
        if positions[image] in classes:
            raise EdgenetError(f"{file}, line {number}: a second line for {image}; remove one of them")
        match = index.find(text)
        if not match:
            raise EdgenetError(f"{file}, line {number}: {shown(text)} is not one of the {len(names):,} classes")
        start = f"{file}, line {number}: several classes have the name {shown(text)}"
        classes[positions[image]] = one_class(match, index, start, "write the number of the class")
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


def _image_and_class(line: str, positions: dict[str, int]) -> tuple[str, str] | None:
    """Split a line into the path of an image and the text after it. Both may contain separators."""
    for separator in re.finditer(r"[,\t ]+", line):
        if line[: separator.start()] in positions:
            return line[: separator.start()], line[separator.end() :].strip()
    return None
