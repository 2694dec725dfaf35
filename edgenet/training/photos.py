"""Photos in class folders: the images that a model is trained on, and the class of each."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.images import broken as broken_images
from edgenet.images import class_folders, listing
from edgenet.images.file_check import BrokenImageError
from edgenet.images.text_file import shown

# One for each part: training, validation, test.
MIN_IMAGES = 3
# Names in an error.
MAX_NAMED = 5


@dataclass(frozen=True)
class Photos:
    """Images in class folders.

    Attributes:
        folder: The folder with a folder for each class.
        classes: The names of the classes, sorted as Keras' loaders sort them. A class may have no images.
        paths: The images, sorted by path.
        labels: The index of each image's class.
        loose: Images in no class folder.
        notes: What the user should know, one sentence each.
    """

    folder: Path
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    loose: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    _counts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        counts = [0] * len(self.classes)
        for label in self.labels:
            counts[label] += 1
        object.__setattr__(self, "_counts", tuple(counts))

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of images of each class."""
        return self._counts

    def file(self, number: int) -> str:
        """The path of an image below the folder, with slashes."""
        return self.paths[number].relative_to(self.folder).as_posix()

    def without(self, broken: Mapping[Path, BrokenImageError]) -> "Photos":
        """The photos without those that cannot be read, and a note on these.

        Raises:
            EdgenetError: None can be read.
        """
        if not any(path in broken for path in self.paths):
            return self
        remaining, note = broken_images.without(self.paths, self.folder, broken)
        kept = set(remaining)
        labels = tuple(label for path, label in zip(self.paths, self.labels, strict=True) if path in kept)
        notes = (*self.notes, *([note] if note else []))
        return Photos(self.folder, self.classes, tuple(remaining), labels, self.loose, notes)


def find(folder: Path) -> Photos:
    """List the images in class folders, whether a model can be trained on them or not.

    The direct subfolders are the classes; they may have folders of their own. Hidden folders and files are skipped.

    Args:
        folder: The folder with the class folders.

    Raises:
        EdgenetError: There is no such folder, or no image in it; a folder cannot be read; a file name is not UTF-8.
    """
    listed = listing.find_images(folder)
    classes = sorted(class_folders.subfolders(folder))
    index = {name: number for number, name in enumerate(classes)}
    _check_names(folder, classes)
    paths, labels, loose = [], [], []
    for path in listed.paths:
        parts = path.relative_to(folder).parts
        if len(parts) > 1:
            paths.append(path)
            labels.append(index[parts[0]])
        else:
            loose.append(path)
    note = listed.note()
    notes = (f"{folder}: {note}",) if note else ()
    return Photos(folder, tuple(classes), tuple(paths), tuple(labels), tuple(loose), notes)


def read(folder: Path) -> Photos:
    """List the images in class folders, and check that a model can be trained on them.

    Args:
        folder: As in `find`.

    Raises:
        EdgenetError: As `find`, or what `problems` says.
    """
    photos = find(folder)
    check(photos)
    return photos


def check(photos: Photos) -> None:
    """Raise EdgenetError with the first of the `problems`, if there are any."""
    for problem in problems(photos):
        raise EdgenetError(problem)


def problems(photos: Photos) -> Iterator[str]:
    """What makes training impossible: images in no class, fewer than two classes, and too few images in a class."""
    folder, classes, counts = photos.folder, photos.classes, photos.counts
    if not photos.paths:
        yield (
            f"{folder}: all {len(photos.loose):,} images are in this folder itself, so their classes are not known; "
            "make a folder for each class in it, with the name of the class, and move each image into its own"
        )
        return
    if photos.loose:
        names = _named([path.name for path in photos.loose])
        are = "1 image is" if len(photos.loose) == 1 else f"{len(photos.loose):,} images are"
        yield f"{folder}: {are} in no class folder ({names}); move each into the folder of its class"
    parts = {name.casefold() for name in classes} <= class_folders.PARTS
    nested = [folder / name for name in classes if len(class_folders.subfolders(folder / name)) > 1]
    if parts and nested:
        are = "is a part of a data set, not a class" if len(classes) == 1 else "are parts of a data set, not classes"
        yield (
            f"{folder}: {_named(classes)} {are}; give one folder with the class folders, for instance "
            f"{nested[0]}, which is then split"
        )
        return
    if len(classes) == 1:
        yield (
            f"{folder}: only one class, {shown(classes[0])}; a classifier needs at least two: add a folder of images "
            "of something else"
        )
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        has = "the class folder {} has" if len(empty) == 1 else "the class folders {} have"
        yield f"{folder}: {has.format(_named(empty))} no readable images; add some, or remove the folder"
    few = [(name, count) for name, count in zip(classes, counts, strict=True) if 0 < count < MIN_IMAGES]
    if few:
        texts = [f"{shown(name)} has {count}" for name, count in few[:MAX_NAMED]]
        more = [f"and {len(few) - MAX_NAMED:,} more"] if len(few) > MAX_NAMED else []
        yield (
            f"{folder}: a class needs at least {MIN_IMAGES} images, one each for training, validation and test, but "
            f"{', '.join([*texts, *more])}; add images"
        )


def _check_names(folder: Path, classes: Collection[str]) -> None:
    """Labels are written as UTF-8 text, a line each."""
    for name in classes:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise EdgenetError(f"{str(folder / name)!r}: the folder's name is not UTF-8; rename it") from error
        if name.splitlines() != [name]:
            raise EdgenetError(f"{str(folder / name)!r}: the folder's name has a line break; rename it")


def _named(names: Collection[str]) -> str:
    """Some names, quoted."""
    some = [shown(name) for name in list(names)[:MAX_NAMED]]
    return ", ".join(some) + (f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else "")
