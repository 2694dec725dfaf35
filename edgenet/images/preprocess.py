"""The only pre-processing there is: an image file becomes the pixels that every model sees.

Calibration, the Keras and the TFLite runners and training all come through here, so that drift never measures a
resize. `edgenet.records.Preprocessing` is the recipe, as a bundle tells it too.
"""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from edgenet import cores
from edgenet.errors import EdgenetError
from edgenet.images.decode import decode
from edgenet.records import Preprocessing

Item = TypeVar("Item")

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
# What iPhones write. Pillow reads it with the help of another package.
HEIC, HEIC_DECODER = (".heic", ".heif"), "pillow_heif"


@dataclass(frozen=True)
class Found:
    """The image files of a folder, in order, and how many others were passed over, by the reason."""

    paths: list[Path]
    passed_over: dict[str, int]

    def note(self) -> str | None:
        """What was passed over, in words; None when nothing was."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.passed_over.items() if count)
        return f"passed over {reasons}" if reasons else None


def find(folder: Path) -> Found:
    """The image files in `folder` and below it, sorted by their path. Links to folders are followed, each folder once.

    Raises EdgenetError when there is no such folder or no image in it.
    """
    try:
        if not folder.is_dir():
            found = "a file" if folder.exists() else "nothing"
            raise EdgenetError(f"{folder}: expected a folder of images, found {found}")
        files = list(_walk(folder))
    except PermissionError as error:
        _refuse(error)
    suffixes = (*SUFFIXES, *HEIC) if _can_read_heic() else SUFFIXES
    undecodable = f"HEIC pictures (pip install {HEIC_DECODER.replace('_', '-')} to read them)"
    paths, passed_over = [], {"hidden files": 0, "files that are no images": 0, undecodable: 0}
    for path in files:
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            passed_over["hidden files"] += 1
        elif path.suffix.lower() in suffixes:
            paths.append(path)
        elif path.suffix.lower() in HEIC:
            passed_over[undecodable] += 1
        else:
            passed_over["files that are no images"] += 1
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise EdgenetError(f"{path!r}: expected a file name in UTF-8, found other bytes; rename it") from error
    found = Found(sorted(paths), passed_over)
    if not paths:
        raise EdgenetError(
            f"{folder}: expected images ({', '.join(suffixes)}), found none; "
            + (f"{found.note()}" if found.note() else "put some there")
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder. Real folders come before links to folders, and no folder comes twice."""
    seen, links = set(), deque([folder])
    while links:
        for place, folders, names in os.walk(links.popleft(), onerror=_refuse):
            folders.sort()
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            links.extend(Path(place, name) for name in sorted(folders) if Path(place, name).is_symlink())
            yield from (path for name in names if (path := Path(place, name)).is_file())


def _refuse(error: OSError) -> None:
    raise EdgenetError(f"{error.filename}: expected a folder to look into, found: {error.strerror}") from error


@cache
def _can_read_heic() -> bool:
    """Whether a decoder is installed; it is then ready."""
    if not find_spec(HEIC_DECODER):
        return False
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return True


def load(path: Path, recipe: Preprocessing) -> np.ndarray:
    """Read one image file as uint8 pixels (height, width, channels), RGB or grey.

    Raises EdgenetError, with the file's name, when it is not a whole image or no regular file, or has too many pixels.
    """
    return decode(path, "RGB" if recipe.channels == 3 else "L", lambda image: resize(image, recipe))


def photo(path: Path) -> np.ndarray:
    """Read one image file at its own size, upright, as uint8 RGB (height, width, 3). Raises as `load` does."""
    return decode(path, "RGB", np.asarray)


def load_all(paths: Iterable[Path], recipe: Preprocessing) -> Iterator[np.ndarray]:
    """Read many image files, in order, on all cores. Only a few are in memory at a time.

    Yields uint8 (height, width, channels). Raises as `load` does, at the first bad file.
    """
    workers = cores.available()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in ahead((pool.submit(load, path, recipe) for path in paths), 4 * workers):
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


def resize(image: Image.Image, recipe: Preprocessing) -> np.ndarray:
    """An upright 8-bit picture, RGB or grey, as the pixels (height, width, channels) that the recipe asks for."""
    covered = round(recipe.width / recipe.crop), round(recipe.height / recipe.crop)
    scale = max(wanted / there for wanted, there in zip(covered, image.size, strict=True))
    # At least what is to be covered: rounding may not take the last pixel away.
    size = tuple(max(wanted, round(there * scale)) for wanted, there in zip(covered, image.size, strict=True))
    left, top = (size[0] - recipe.width) // 2, (size[1] - recipe.height) // 2
    # The part that is cut out is all that is computed: a long thin picture would become a huge one.
    across, down = (there / here for there, here in zip(image.size, size, strict=True))
    box = left * across, top * down, (left + recipe.width) * across, (top + recipe.height) * down
    box = box[:2] + tuple(min(end, there) for end, there in zip(box[2:], image.size, strict=True))
    cut = image.resize((recipe.width, recipe.height), Image.Resampling.BILINEAR, box)
    return np.asarray(cut).reshape(recipe.shape)


def normalize(pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
    """Pixels of 0 to 255, (..., channels), as a model's float32 input: (pixel - mean) / std, in the recipe's order."""
    mean, std = np.float32(recipe.mean), np.float32(recipe.std)
    if len(set(recipe.mean)) == len(set(recipe.std)) == 1:
        mean, std = mean[0], std[0]  # numpy is several times as fast with single numbers
    values = pixels.astype(np.float32)
    values -= mean
    values /= std
    return values[..., ::-1] if recipe.order == "BGR" else values


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
