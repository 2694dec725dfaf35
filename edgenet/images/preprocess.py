"""The only preprocessing code: image files become the pixels that every model gets.

Calibration, the Keras reference, the TFLite runners and training all use this module, so drift never measures a
difference in resizing. `edgenet.records.Preprocessing` describes the steps; a bundle stores it.
"""

import hashlib
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from edgenet import cores
from edgenet.images.bit_depth import UsedBits
from edgenet.images.decode import decode
from edgenet.records import Preprocessing

Item = TypeVar("Item")


def load(path: Path, recipe: Preprocessing, used_bits: UsedBits | None = None) -> np.ndarray:
    """Read one image file, resized and cropped for a model.

    Args:
        path: An image file of any format that `edgenet.images.decode` reads.
        recipe: The model's input size, number of channels (3: RGB, 1: grey) and crop.
        used_bits: Gets the image if it has 16 bits per channel.

    Returns:
        Pixels, uint8 (height, width, channels), always in the order RGB.

    Raises:
        EdgenetError: The file is not a readable image, not a regular file, or has too many pixels.
    """
    return decode(path, "RGB" if recipe.channels == 3 else "L", lambda image: resize(image, recipe), used_bits)


def load_full_size(path: Path) -> np.ndarray:
    """Read one image file at its own size, upright.

    Returns:
        Pixels, uint8 RGB (height, width, 3).

    Raises:
        EdgenetError: As `load`.
    """
    return decode(path, "RGB", np.asarray)


def load_all(paths: Iterable[Path], recipe: Preprocessing, used_bits: UsedBits | None = None) -> Iterator[np.ndarray]:
    """Read many image files, in order, on all cores. Only a few of them are in memory at a time.

    Args:
        paths, recipe, used_bits: As in `load`.

    Yields:
        Pixels of each image, uint8 (height, width, channels).

    Raises:
        EdgenetError: As `load`, at the first file that cannot be read.
    """
    workers = cores.available()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in prefetch((pool.submit(load, path, recipe, used_bits) for path in paths), 4 * workers):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def decode_all(
    paths: Sequence[Path], recipe: Preprocessing, file: Path, used_bits: UsedBits | None = None
) -> np.ndarray:
    """Read many image files once, into a file, for work that needs their pixels several times.

    Args:
        paths: The image files.
        recipe: As in `load`.
        file: A .npy file to write, usually in a temporary folder: it takes height * width * channels bytes per image.
            It must exist as long as the result is used (on POSIX systems it may be deleted earlier).
        used_bits: As in `load`.

    Returns:
        Pixels, uint8 (images, height, width, channels), read-only and memory-mapped from `file`: they are read from the
        disk (or from the system's cache) when they are used. The system counts those in use as memory of this process;
        `read_decoded` passes over all of them without that.

    Raises:
        EdgenetError: As `load`, at the first file that cannot be read. `file` is then deleted.
        OSError: `file` cannot be written.
    """
    shape = (len(paths), *recipe.shape)
    try:
        with file.open("wb") as out:
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for pixels in load_all(paths, recipe, used_bits):
                out.write(np.ascontiguousarray(pixels).data)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return np.load(file, mmap_mode="r" if paths else None)  # an empty array cannot be mapped


def read_decoded(file: Path) -> Iterator[np.ndarray]:
    """Read the images in a file that `decode_all` wrote, in order. Only one of them is in memory at a time.

    Yields:
        Pixels of each image, uint8 (height, width, channels), read-only.

    Raises:
        OSError: `file` cannot be read.
    """
    with file.open("rb") as stored:
        np.lib.format.read_magic(stored)
        (count, *shape), _, _ = np.lib.format.read_array_header_1_0(stored)
        for _ in range(count):
            yield np.frombuffer(stored.read(math.prod(shape)), np.uint8).reshape(shape)


def prefetch(items: Iterable[Item], count: int) -> Iterator[Item]:
    """The same items, each taken from `items` before the `count` items in front of it are used.

    With items that are running work (futures), this starts work early and limits how many results wait.
    """
    queue: deque[Item] = deque()
    for item in items:
        queue.append(item)
        if len(queue) > count:
            yield queue.popleft()
    yield from queue


def resize(image: Image.Image, recipe: Preprocessing) -> np.ndarray:
    """Resize and crop an image.

    Args:
        image: Upright, mode RGB or L.
        recipe: The image is resized (bilinear, antialiased) until it just covers height / crop by width / crop pixels;
            the centre of height by width pixels is kept.

    Returns:
        Pixels, uint8 (height, width, channels).
    """
    covered_width, covered_height = round(recipe.width / recipe.crop), round(recipe.height / recipe.crop)
    scale = max(covered_width / image.width, covered_height / image.height)
    # At least the covered size: rounding must not lose the last pixel.
    width = max(covered_width, round(image.width * scale))
    height = max(covered_height, round(image.height * scale))
    left, top = (width - recipe.width) // 2, (height - recipe.height) // 2
    # Only the part that is kept is computed: a long thin image would become a huge one.
    across, down = image.width / width, image.height / height
    box = (
        left * across,
        top * down,
        min((left + recipe.width) * across, image.width),
        min((top + recipe.height) * down, image.height),
    )
    centre = image.resize((recipe.width, recipe.height), Image.Resampling.BILINEAR, box)
    return np.asarray(centre).reshape(recipe.shape)


def normalize(pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
    """Convert pixels to a model's input: (pixel - mean) / std.

    Args:
        pixels: Values from 0 to 255 of any dtype, RGB or grey (..., channels).
        recipe: Its mean and std, of pixels from 0 to 255, and the model's channel order.

    Returns:
        float32 (..., channels), in the model's channel order.
    """
    mean, std = np.array(recipe.mean, np.float32), np.array(recipe.std, np.float32)
    if len(set(recipe.mean)) == len(set(recipe.std)) == 1:
        mean, std = mean[0], std[0]  # numpy is several times faster with scalars
    values = pixels.astype(np.float32)
    values -= mean
    values /= std
    return values[..., ::-1] if recipe.order == "BGR" else values


def batches(images: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Stack images into arrays of `size` images; the last array may be shorter."""
    stack = []
    for image in images:
        stack.append(image)
        if len(stack) == size:
            yield np.stack(stack)
            stack = []
    if stack:
        yield np.stack(stack)


def digest(pixels: np.ndarray) -> str:
    """The SHA-256 of an image's pixels, in hexadecimal. Copies in another file or lossless format have the same."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
