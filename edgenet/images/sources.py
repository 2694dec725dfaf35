"""Images from Python: a folder, paths, arrays, a dataset or any iterable become image files with known classes.

Everything after this module works with files: a bundle contains its evaluation images, and results name them. Arrays
are written as PNG files, which are lossless, one at a time, so a dataset may be larger than memory. Nothing here
imports TensorFlow; its tensors are converted by their method `numpy`.
"""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image

from edgenet.errors import EdgenetError
from edgenet.images import listing
from edgenet.images.items import ItemReader, Pair

# Datasets may be infinite (`repeat`): more images are not read.
MAX_IMAGES = 10_000
# If no value of this many images is above 1, they are not pixels from 0 to 255. A few images may be dark.
MAX_DARK_IMAGES = 100


@dataclass(frozen=True)
class ImageSet:
    """Image files and, if known, their classes.

    Attributes:
        paths: The image files.
        folder: A folder that contains all of them.
        classes: The class index of each image; None if the source has no labels.
        notes: What the user should know, one sentence each.
        is_new: Whether `from_any` has written the files, from arrays.
    """

    paths: tuple[Path, ...]
    folder: Path
    classes: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    is_new: bool = False


def from_folder(folder: Path) -> ImageSet:
    """The image files in a folder and its subfolders. Raises EdgenetError as `listing.find_images`."""
    found = listing.find_images(folder)
    note = found.note()
    return ImageSet(tuple(found.paths), folder, notes=(f"{folder}: {note}",) if note else ())


def from_any(
    source: Any,
    folder: Path,
    *,
    labels: Sequence[str],
    parameter: str = "images",
    max_images: int = MAX_IMAGES,
) -> ImageSet:
    """Turn images of any form that Python code may have into image files.

    Args:
        source: One of:

            - a folder or an image file (str or Path), or an iterable of image files: used where they are;
            - an array: one image (height, width, channels) or (height, width), or a batch of them (n, height, width,
              channels) or (n, height, width), with 1 (grey), 3 (RGB) or 4 (RGBA) channels;
            - a pair (images, labels) of such arrays;
            - a Pillow image;
            - a `tf.data.Dataset` or any other iterable of images or batches, of pairs (image, label), or of
              dictionaries with the keys "image" and "label".

            Values are uint8, or other numbers from 0 to 255; fractions are rounded. A label is a class index, a vector
            with a score for each class (one-hot or probabilities), or a class name.
        folder: Where to write images that are not files yet, usually a temporary folder. Made if it does not exist.
        labels: The class names, in the order of the model's output.
        parameter: The name of the argument, for error messages.
        max_images: Stop after this many images, with a note.

    Returns:
        The image files in the order of the source. Files written here are named 000000.png and so on.

    Raises:
        EdgenetError: There are no images; an array has another shape or other values, such as normalized ones (0 to 1,
            -1 to 1); a label is not a class; some images have labels and others do not.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return ImageSet((path,), path.parent) if path.is_file() else from_folder(path)
    reader = ItemReader(labels, parameter)
    pairs = reader.pairs(source)
    first = next(pairs, None)
    if first is None:
        raise EdgenetError("there are no images; give at least one", parameter=parameter)
    pairs = chain([first], pairs)
    if isinstance(first[0], Path):
        found = _from_paths(pairs, parameter, max_images)
    else:
        found = _written(pairs, folder, reader, max_images)
    return replace(found, notes=(*reader.notes, *found.notes))


def in_one_folder(images: ImageSet, folder: Path) -> ImageSet:
    """Copy image files into a folder that has no others, in their order, for code that takes a whole folder.

    Args:
        images: The images. Those that `from_any` has written into `folder` stay where they are.
        folder: The folder. Made if it does not exist.
    """
    if images.folder == folder:
        return images
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{number:06d}_{path.name}" for number, path in enumerate(images.paths))
    for path, copy in zip(images.paths, paths, strict=True):
        shutil.copyfile(path, copy)
    return ImageSet(paths, folder, images.classes, images.notes)


def _from_paths(pairs: Iterable[Pair], parameter: str, max_images: int) -> ImageSet:
    paths: dict[Path, int | None] = {}
    count = 0
    for path, label in pairs:
        if not isinstance(path, Path):
            raise EdgenetError("must be either paths or arrays, got both", parameter=parameter)
        if len(paths) == max_images:
            return _file_set(paths, parameter, (_limit_note(parameter, max_images),))
        paths.setdefault(path, label)
        count += 1
    repeated = count - len(paths)
    notes = (f"{parameter}: {repeated:,} paths are given more than once and used once",) if repeated else ()
    return _file_set(paths, parameter, notes)


def _file_set(paths: Mapping[Path, int | None], parameter: str, notes: tuple[str, ...]) -> ImageSet:
    try:
        folder = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    except ValueError as error:  # on Windows, of two drives
        raise EdgenetError("the images must be on one drive", parameter=parameter) from error
    absolute = tuple(path.absolute() for path in paths)
    return ImageSet(absolute, folder, _classes(list(paths.values()), parameter), notes)


def _written(pairs: Iterable[Pair], folder: Path, reader: ItemReader, max_images: int) -> ImageSet:
    """Write images to the folder, one at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    labels: list[int | None] = []
    notes: list[str] = []
    for pixels, label in pairs:
        if isinstance(pixels, Path):
            raise EdgenetError("must be either paths or arrays, got both", parameter=reader.parameter)
        if len(paths) == max_images:
            notes.append(_limit_note(reader.parameter, max_images))
            break
        path = folder / f"{len(paths):06d}.png"
        Image.fromarray(pixels).save(path, compress_level=1)
        paths.append(path)
        labels.append(label)
        if len(paths) == MAX_DARK_IMAGES:
            reader.pixels.check_scale()
    reader.pixels.check_scale()
    if reader.pixels.rounded:
        notes.append(
            f"{reader.parameter}: {reader.pixels.rounded:,} of {len(paths):,} images have fractional pixel values (as "
            "after resizing), which are rounded"
        )
    return ImageSet(tuple(paths), folder, _classes(labels, reader.parameter), tuple(notes), is_new=True)


def _limit_note(parameter: str, max_images: int) -> str:
    return f"{parameter}: there are more images; the first {max_images:,} are used"


def _classes(labels: Sequence[int | None], parameter: str) -> tuple[int, ...] | None:
    known = [label for label in labels if label is not None]
    if known and len(known) < len(labels):
        raise EdgenetError(
            f"image {list(labels).index(None)} has no label, but other images have; give all of them labels, or none",
            parameter=parameter,
        )
    return tuple(known) if known else None
