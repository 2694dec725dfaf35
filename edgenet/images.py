"""The only pre-processing there is: an image file becomes the pixels that every model sees.

Calibration, the Keras and the TFLite runners and training all come through here, so that drift never measures a
resize. A picture is decoded to RGB, and its central square is resized to the model's input with Pillow's bilinear
filter, which is antialiased when it shrinks. `edgenet.records.Preprocessing` is the recipe as the bundle tells it.
"""

import hashlib
import os
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from edgenet.errors import EdgenetError

# What Pillow has to say of odd but readable files; what is unreadable raises.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

Item = TypeVar("Item")

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def find(folder: Path) -> list[Path]:
    """The image files in `folder` and below it, hidden ones passed over, sorted by their path.

    Raises EdgenetError when there is no such folder or no image in it.
    """
    if not folder.is_dir():
        raise EdgenetError(f"{folder}: expected a folder of images, found {'a file' if folder.exists() else 'nothing'}")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    for path in found:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise EdgenetError(f"{path!r}: expected a file name in UTF-8, found other bytes; rename it") from error
    if not found:
        raise EdgenetError(f"{folder}: expected images ({', '.join(SUFFIXES)}), found none; put some there")
    return found


def labels_by_folder(paths: Iterable[Path], labels: list[str]) -> list[int | None]:
    """The class of each image by the name of the folder that it lies in, spaces written as underscores.

    All None when no folder is named after a class. Raises EdgenetError when only some are, or when two classes have
    the name of a folder (ImageNet has two cranes: the bird and the machine).
    """
    names = [label.replace(" ", "_") for label in labels]
    index = {name: number for number, name in enumerate(names)}
    repeated = {name for name, count in Counter(names).items() if count > 1}
    paths = list(paths)
    found = []
    for path in paths:
        name = path.parent.name.replace(" ", "_")
        if name in repeated:
            raise EdgenetError(
                f"{path.parent}: expected the name of one class, found that of several; rename them apart"
            )
        found.append(index.get(name))
    unlabelled = [path for path, label in zip(paths, found, strict=True) if label is None]
    if unlabelled and len(unlabelled) < len(paths):
        raise EdgenetError(
            f"{unlabelled[0]}: expected a folder named after a class, as other images have, "
            f"found {unlabelled[0].parent.name!r}; rename it, or keep all images in one folder to measure drift alone"
        )
    return found


def read_labels(path: Path) -> list[str]:
    """The class names, one a line, in the order of the model's output.

    Raises EdgenetError when the file is missing, not UTF-8 or empty, or has an empty line between others.
    """
    try:
        labels = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EdgenetError(f"{path}: expected a text file with a class name on each line, found {error}") from error
    labels = [label.strip() for label in labels]
    while labels and not labels[-1]:
        labels.pop()
    if not labels or "" in labels:
        raise EdgenetError(
            f"{path}: expected a class name on each line, found {'none' if not labels else 'an empty one'}"
        )
    return labels


def load(path: Path, size: int) -> np.ndarray:
    """Read one image file as uint8 (size, size, 3), RGB.

    Raises EdgenetError, with the file's name, when it is not a whole image.
    """
    try:
        with Image.open(path) as image:
            return resize(_rgb(_upright(image)), size)
    except Exception as error:  # each of Pillow's decoders has exceptions of its own for damaged files
        reason = "an empty file" if path.is_file() and path.stat().st_size == 0 else f"none ({error})"
        raise EdgenetError(f"{path}: expected a whole image, found {reason}; replace or remove it") from error


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data say; damaged ones say nothing."""
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would cut 16 bits off at 255 instead of scaling them
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def load_all(paths: Iterable[Path], size: int) -> Iterator[np.ndarray]:
    """Read many image files, in order, on all cores. Only a few are in memory at a time.

    Yields uint8 (size, size, 3). Raises as `load` does, at the first bad file.
    """
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in ahead((pool.submit(load, path, size) for path in paths), 4 * workers):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """The same items, each drawn `count` places before its turn: work begun early, with a bound on what is held."""
    drawn = deque()
    for item in items:
        drawn.append(item)
        if len(drawn) > count:
            yield drawn.popleft()
    yield from drawn


def resize(image: Image.Image, size: int) -> np.ndarray:
    """The central square of a picture as an array (size, size) or (size, size, channels)."""
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))


def normalize(pixels: np.ndarray) -> np.ndarray:
    """Pixels of 0 to 255, of any shape, to float32 in [-1, 1], as MobileNet is trained (x / 127.5 - 1)."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1.0)


def batches(pictures: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Stack pictures into arrays of `count`; the last one may be shorter."""
    stack = []
    for picture in pictures:
        stack.append(picture)
        if len(stack) == count:
            yield np.stack(stack)
            stack = []
    if stack:
        yield np.stack(stack)


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of a picture's pixels, in hexadecimal: the same for copies under another name or in another format."""
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()
