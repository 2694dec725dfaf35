"""The only preprocessing code: image files become the pixels that every model gets.

Calibration, the Keras reference, the TFLite runners and training all use this module, so drift never measures a
difference in resizing. `edgenet.records.Preprocessing` describes the steps; a bundle stores it.
"""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from edgenet import cores
from edgenet.images import tensorflow_decoding
from edgenet.images.bit_depth import UsedBits
from edgenet.images.decode import BAND_PIXELS, decode
from edgenet.images.resampling import resample
from edgenet.records import Interpolation, Preprocessing, Resize, ResizeMode

Item = TypeVar("Item")
Result = TypeVar("Result")

# The interpolations that Pillow has.
PILLOW = {
    Interpolation.NEAREST: Image.Resampling.NEAREST,
    Interpolation.BILINEAR: Image.Resampling.BILINEAR,
    Interpolation.BICUBIC: Image.Resampling.BICUBIC,
}


def load(path: Path, recipe: Preprocessing, used_bits: UsedBits | None = None) -> np.ndarray:
    """Read one image file, resized and cropped for a model.

    Args:
        path: An image file of any format that `edgenet.images.decode` reads.
        recipe: The model's input size, number of channels (3: RGB, 1: grey), and how to resize.
        used_bits: Gets the image if it has 16 bits per channel.

    Returns:
        Pixels, uint8 or float32 (height, width, channels), as `recipe.dtype` says; always in the order RGB.

    Raises:
        EdgenetError: The file is not a readable image, not a regular file, or has too many pixels.
    """
    mode = "RGB" if recipe.channels == 3 else "L"
    return decode(path, mode, lambda image: resize(image, recipe), used_bits, recipe.resize)


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
        Pixels of each image, as in `load`.

    Raises:
        EdgenetError: As `load`, at the first file that cannot be read.
    """
    return on_all_cores(lambda path: load(path, recipe, used_bits), paths)


def decode_all(
    paths: Sequence[Path], recipe: Preprocessing, file: Path, used_bits: UsedBits | None = None
) -> np.ndarray:
    """Read many image files once, into a file, for work that needs their pixels several times.

    Args:
        paths: The image files.
        recipe: As in `load`.
        file: A .npy file to write, usually in a temporary folder: it takes height * width * channels values per image.
            It must exist as long as the result is used (on POSIX systems it may be deleted earlier).
        used_bits: As in `load`.

    Returns:
        Pixels (images, height, width, channels), as in `load`, read-only and memory-mapped from `file`: they are read
        from the disk (or from the system's cache) when they are used. The system counts those in use as memory of this
        process; `read_decoded` passes over all of them without that.

    Raises:
        EdgenetError: As `load`, at the first file that cannot be read. `file` is then deleted.
        OSError: `file` cannot be written.
    """
    shape = (len(paths), *recipe.shape)
    try:
        with file.open("wb") as out:
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(recipe.dtype)),
                "fortran_order": False,
                "shape": shape,
            }
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
        Pixels of each image (height, width, channels), read-only.

    Raises:
        OSError: `file` cannot be read.
    """
    with file.open("rb") as stored:
        np.lib.format.read_magic(stored)
        (count, *shape), _, dtype = np.lib.format.read_array_header_1_0(stored)
        for _ in range(count):
            yield np.frombuffer(stored.read(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)


def on_all_cores(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Apply a function to many items, on all cores. Only a few results are in memory at a time.

    Yields:
        The results, in the order of the items.
    """
    workers = cores.available()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in prefetch((pool.submit(function, item) for item in items), 4 * workers):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


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


def resize(image: Image.Image | np.ndarray, recipe: Preprocessing) -> np.ndarray:
    """Resize an image to the size of a model's input.

    Args:
        image: Mode RGB or L; or its pixels, uint8 (height, width, channels), with as many channels as `resample` takes.
        recipe: The size, and how to resize.

    Returns:
        Pixels, uint8 or float32 (height, width, channels), as `recipe.dtype` says.
    """
    how = recipe.resize
    height, width = (image.height, image.width) if isinstance(image, Image.Image) else image.shape[:2]
    covered, window = geometry(height, width, recipe)
    if _by_pillow(how):
        opened = image if isinstance(image, Image.Image) else tensorflow_decoding.as_image(image)
        pixels = _by_window(opened, covered, window, PILLOW[how.interpolation])
        pixels = pixels if how.rounded else pixels.astype(np.float32)
    else:
        values = _array(image) if isinstance(image, Image.Image) else image
        pixels = resample(values, covered, window, how.interpolation, how.half_pixel_centers, how.rounded)
    pixels = pixels.reshape(*window[2:], recipe.channels)
    return _padded(pixels, recipe) if how.mode == ResizeMode.PAD else pixels


def _by_pillow(how: Resize) -> bool:
    """Whether Pillow has the interpolation: it antialiases all but the nearest pixel, and rounds."""
    if how.interpolation == Interpolation.NEAREST:
        return how.rounded and how.half_pixel_centers
    return how.antialias and how.interpolation in PILLOW


def _array(image: Image.Image) -> np.ndarray:
    """The pixels of an image, uint8 (height, width, 1), or with 4 channels, of which the last does not count."""
    packed, channels = ("L", 1) if image.mode == "L" else ("RGBX", 4)
    result = np.empty((image.height, image.width, channels), np.uint8)
    rows = max(1, BAND_PIXELS // image.width)  # Pillow's copies of parts are freed at once
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        band = image if rows >= image.height else image.crop((0, top, image.width, bottom))
        data = band.tobytes("raw", packed)
        result[top:bottom] = np.frombuffer(data, np.uint8).reshape(bottom - top, image.width, channels)
    return result


def geometry(height: int, width: int, recipe: Preprocessing) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Where an image goes.

    Args:
        height: Of the image, in pixels.
        width: Likewise.
        recipe: The size of the model's input, and how to resize.

    Returns:
        The height and width of the whole image after resizing; and top, left, height and width of the part that is kept
        of it. With `pad`, that is all of it, and smaller than the input (see `margins`).
    """
    size = recipe.height, recipe.width
    if recipe.resize.mode == ResizeMode.STRETCH:
        return size, (0, 0, *size)
    if recipe.resize.mode == ResizeMode.PAD:
        scale = min(recipe.height / height, recipe.width / width)
        fitted = max(1, min(recipe.height, round(height * scale))), max(1, min(recipe.width, round(width * scale)))
        return fitted, (0, 0, *fitted)
    least_height, least_width = (round(side / recipe.resize.crop) for side in size)
    scale = max(least_height / height, least_width / width)
    # At least the covered size: rounding must not lose the last pixel.
    covered = max(least_height, round(height * scale)), max(least_width, round(width * scale))
    return covered, ((covered[0] - recipe.height) // 2, (covered[1] - recipe.width) // 2, *size)


def _by_window(
    image: Image.Image, covered: tuple[int, int], window: tuple[int, int, int, int], method: Image.Resampling
) -> np.ndarray:
    """Resize with Pillow, and keep a part. Only that is computed: a long thin image would become a huge one."""
    top, left, height, width = window
    down, across = image.height / covered[0], image.width / covered[1]
    box = (
        left * across,
        top * down,
        min((left + width) * across, image.width),
        min((top + height) * down, image.height),
    )
    return np.asarray(image.resize((width, height), method, box))


def _padded(pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
    """The image in the middle of a background."""
    height, width, _ = pixels.shape
    result = np.empty(recipe.shape, pixels.dtype)
    result[:] = pad_color(recipe)
    top, left = margins(height, width, recipe)
    result[top : top + height, left : left + width] = pixels
    return result


def margins(height: int, width: int, recipe: Preprocessing) -> tuple[int, int]:
    """The rows above a resized image of this size, and the columns in front of it, in the model's input."""
    return (recipe.height - height) // 2, (recipe.width - width) // 2


def pad_color(recipe: Preprocessing) -> tuple[int, ...]:
    """The colour around the image, for each channel of the input: as grey as Pillow converts images."""
    pad = recipe.resize.pad
    return pad if recipe.channels == 3 else (int(np.asarray(Image.new("RGB", (1, 1), pad).convert("L"))[0, 0]),)


def rounded(pixels: np.ndarray) -> np.ndarray:
    """Pixels as uint8: rounded to the nearest integer, of two to the even one, where they are not integers."""
    return pixels if pixels.dtype == np.uint8 else np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


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
