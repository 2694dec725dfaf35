"""The class names of a model: as given, or from whatever else says them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgenet.errors import EdgenetError
from edgenet.images import class_folders, label_file, label_json, listing
from edgenet.images import labels as class_names
from edgenet.images.label_file import LabelFile
from edgenet.progress import Progress

# What callers may give.
Labels = str | os.PathLike[str] | Sequence[str] | Mapping[Any, Any]


def choose(
    given: Labels | None, classes: int, name: str, sources: Sequence[Any], beside: Path | None, progress: Progress
) -> list[str]:
    """The class names of a model, in the order of its scores.

    Args:
        given: A file (`label_file.read`), the names, or indices by name (or names by index); None to find them: the
            file that came with the model, the `class_names` of a dataset, the folders of the images, the 1,000 classes
            of ImageNet, and otherwise the numbers of the classes. A note says which.
        classes: The number of classes.
        name: The name of the model, for messages.
        sources: The images, as callers give them.
        beside: A file of class names that came with the model.
        progress: Listens to notes.

    Raises:
        EdgenetError: There is not one name for each class, or one that cannot be written on a line.
    """
    if given is None:
        return _found(classes, name, sources, beside, progress)
    found = read(given)
    if len(found.names) != classes:
        where = given if isinstance(given, str | os.PathLike) else "labels"
        raise EdgenetError(
            f"{where}: expected {classes:,} names, one for each class of {name}, got {len(found.names):,}"
        )
    for note in found.notes:
        progress.note(note)
    return list(found.names)


def read(given: Labels) -> LabelFile:
    """The class names that a caller gives, and how they were understood.

    Args:
        given: As in `choose`.

    Raises:
        EdgenetError: As `label_file.read`; or a name cannot be written on a line.
    """
    where = str(given) if isinstance(given, str | os.PathLike) else "labels"
    if isinstance(given, str | os.PathLike):
        found = label_file.read(Path(given))
    elif isinstance(given, Mapping):
        found = LabelFile(tuple(label_json.from_value(where, given)))
    else:
        found = label_file.from_names([str(label).strip() for label in given])
        found = LabelFile(found.names, tuple(f"{where}: {note}" for note in found.notes))
    for number, label in enumerate(found.names):
        if len(label.splitlines()) != 1 or not label.strip():
            raise EdgenetError(f"{where}: the name of class {number} is {label!r}; give text on one line")
    return found


def _found(classes: int, name: str, sources: Sequence[Any], beside: Path | None, progress: Progress) -> list[str]:
    """The class names of a model for which none are given."""
    if beside is not None:
        found_names = read(beside)
        if len(found_names.names) == classes:
            progress.note(f"{name} comes with {beside.name}, which is used for the class names")
            for note in found_names.notes:
                progress.note(note)
            return list(found_names.names)
        progress.note(
            f"{beside.name}: not used, because it has {len(found_names.names):,} names for {classes:,} classes"
        )
    of_dataset = next(
        (found for source in sources if (found := getattr(source, "class_names", None)) is not None), None
    )
    if of_dataset is not None and len(of_dataset) == classes:
        return [str(label) for label in of_dataset]
    for paths, folder in _image_files(sources):
        if names := class_folders.class_names(paths, folder, classes):
            if classes == 1000 and set(names) <= class_names.identifiers().keys():
                break
            some = ", ".join(names[: class_folders.MAX_NAMED]) + (", ..." if classes > class_folders.MAX_NAMED else "")
            progress.note(
                f"{name} has no labels, so the names of the folders in {folder} are used, sorted as Keras sorts them: "
                f"{some}; give others with labels="
            )
            return names
    if classes == 1000:
        progress.note(f"{name} has no labels; assuming those of ImageNet (give others with labels=)")
        return class_names.imagenet()
    progress.note(
        f"{name} has no labels, so its classes are numbered from 0 to {classes - 1:,} (name them with labels=)"
    )
    return [str(number) for number in range(classes)]


def _image_files(sources: Sequence[Any]) -> Iterator[tuple[Sequence[Path], Path]]:
    """The image files of the sources that are files, and the folder that they are in."""
    for source in sources:
        if isinstance(source, str | os.PathLike):
            folder = Path(source)
            if folder.is_dir():
                yield listing.find_images(folder).paths, folder
        elif isinstance(source, list | tuple) and source and all(isinstance(one, str | os.PathLike) for one in source):
            paths = [Path(one).absolute() for one in source]
            try:
                yield paths, Path(os.path.commonpath([path.parent for path in paths]))
            except ValueError:  # on Windows, of two drives
                continue
