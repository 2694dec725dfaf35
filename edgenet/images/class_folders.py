"""Classes from folders: which folder names the class of an image, and which classes a model without labels has."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenet.images.class_index import ClassIndex, one_class
from edgenet.images.text_file import shown

# Folders and labels that a note names.
MAX_NAMED = 5
# Folders of parts of a data set, which are no classes.
PARTS = frozenset(
    [
        *("train", "training", "val", "valid", "validation", "test", "testing", "eval", "evaluation", "dev"),
        *("calibration", "images", "image", "img", "imgs", "photos", "pictures", "data", "dataset"),
    ]
)


@dataclass(frozen=True)
class ImageClasses:
    """The class of each image.

    Attributes:
        classes: A class index for each image; None if unknown.
        notes: What the user should know, one sentence each.
    """

    classes: tuple[int | None, ...]
    notes: tuple[str, ...] = ()


def find(paths: Sequence[Path], folder: Path, names: Sequence[str]) -> ImageClasses:
    """The class of each image by the name of a folder that it is in.

    Args:
        paths: The images, in `folder`. A folder may have the name of a class (case, spaces, "_" and "-" do not count),
            the WordNet identifier of one of ImageNet's classes, or the number of a class, from 0 up, or from 1 up if
            there is a folder with the number of classes. The folders that name classes may have others below or above:
            "n01443537/images", "train/cat". The level whose names fit most images counts. Hidden folders are none.
        folder: The folder that all images are in.
        names: The class names, in the order of the model's output.

    Returns:
        The classes. Notes name the folders that match no class, with their numbers of images.

    Raises:
        EdgenetError: A folder has the name of several classes.
    """
    index, best = ClassIndex(names), None
    for level in _levels(paths, folder):
        found = _matches(level, index, len(names))
        images = Counter(name for name in level if name is not None and found[name])
        fit = (images.total(), sum(count for name, count in images.items() if index.named(name)))
        if best is None or fit > best[0]:
            best = (fit, level, found)
    if best is None:
        return ImageClasses((None,) * len(paths))
    (fitting, _), level, found = best
    if not fitting:
        note = _without_accuracy(_levels(paths, folder)[0], folder, names)
        return ImageClasses((None,) * len(paths), (note,) if note else ())
    matches = {name: _one(name, numbers, index, folder) for name, numbers in found.items()}
    classes = tuple(None if name is None else matches[name] for name in level)
    notes = []
    if unknown := Counter(name for name, one in zip(level, classes, strict=True) if one is None):
        verb = "matches" if len(unknown) == 1 and (None not in unknown or unknown[None] == 1) else "match"
        rest = "image" if fitting == 1 else f"{fitting:,} images"
        notes.append(
            f"{folder}: {_counted(unknown)} {verb} none of the labels; accuracy is measured on the other {rest}"
        )
    if _counts_from_1(found, index, len(names)):
        notes.append(f"{folder}: the folders are numbered from 1 to {len(names):,}; 1 is taken for the first label")
    return ImageClasses(classes, tuple(notes))


def class_names(paths: Sequence[Path], folder: Path, count: int) -> list[str] | None:
    """The names of the class folders, sorted as Keras' loaders sort them.

    Args:
        paths: The images.
        folder: The folder that they are in.
        count: How many classes there are.

    Returns:
        Their names; None if on no level there are as many folders as classes.
    """
    inside = subfolders(folder)
    for level in (
        inside,
        *({name for name in level if name is not None} for level in reversed(_levels(paths, folder))),
    ):
        if len(level) == count and not {name.casefold() for name in level} <= PARTS:
            return sorted(level)
    return None


def subfolders(folder: Path) -> set[str]:
    """The folders in a folder: for Keras, one without images is a class, too."""
    try:
        return {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
    except OSError:
        return set()


def _levels(paths: Sequence[Path], folder: Path) -> list[list[str | None]]:
    """For each level of folders the name of each image's folder there: the innermost first, then the outermost inwards.

    None where an image has no folder on a level. Images that are all in `folder` itself have its name.
    """
    parents = [[part for part in path.relative_to(folder).parent.parts if not part.startswith(".")] for path in paths]
    depth = max(map(len, parents), default=0)
    if not depth:
        name = folder.resolve().name
        return [[name] * len(paths)] if paths and name and not name.startswith(".") else []
    innermost = [parts[-1] if parts else None for parts in parents]
    outer = [[parts[number] if number < len(parts) else None for parts in parents] for number in range(depth)]
    inner = [[parts[-number] if number <= len(parts) else None for parts in parents] for number in range(2, depth + 1)]
    return [innermost, *inner, *outer]


def _matches(level: Iterable[str | None], index: ClassIndex, count: int) -> dict[str, list[int]]:
    """The classes of each folder's name. Numbers are classes only if most names are of classes: they may be years."""
    names = dict.fromkeys(name for name in level if name is not None)
    found = {name: index.named(name) for name in names}
    numbered = {name: index.numbered(name) for name in names if not found[name]}
    if _counts_from_1(found, index, count):
        numbered = {name: [int(name) - 1] if name.isdecimal() and 0 < int(name) <= count else [] for name in numbered}
    if 2 * sum(map(bool, (found | numbered).values())) >= len(names):
        found |= numbered
    return found


def _counts_from_1(found: Iterable[str], index: ClassIndex, count: int) -> bool:
    """Whether folders are numbered from 1: one has the number of classes, and none has 0 or a larger one."""
    numbers = {int(name) for name in found if name.isascii() and name.isdecimal() and not index.named(name)}
    return count in numbers and 0 not in numbers and max(numbers) == count


def _one(name: str, found: Sequence[int], index: ClassIndex, folder: Path) -> int | None:
    start = f"{folder}: several classes have the name of the folder {shown(name)}"
    return one_class(found, index, start, "use the number of the class as the folder's name") if found else None


def _without_accuracy(level: Sequence[str | None], folder: Path, names: Sequence[str]) -> str | None:
    """That no folder is a class; None if there is one folder only, which needs no classes."""
    folders = Counter(level)
    if len(folders) < 2:
        return None
    labels = ", ".join(shown(name) for name in names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
    return (
        f"{folder}: accuracy is not measured, because {_counted(folders)} match none of the labels {labels}; give "
        "folders the names of classes, or the classes of the images with truth="
    )


def _counted(folders: Counter[str | None]) -> str:
    """Folders and their numbers of images, those with most images first; and images that are in none."""
    named = [(name, count) for name, count in folders.most_common() if name is not None]
    some = ", ".join(f"{shown(name)} ({_images(count)})" for name, count in named[:MAX_NAMED])
    more = f" and {len(named) - MAX_NAMED:,} more" if len(named) > MAX_NAMED else ""
    parts = [f"the folder{'s' * (len(named) != 1)} {some}{more}"] if named else []
    if None in folders:
        parts.append(f"{_images(folders[None])} in no folder")
    return " and ".join(parts)


def _images(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"
