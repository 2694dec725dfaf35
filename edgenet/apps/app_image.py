"""The image that an app hands over to a mobile library, for a model trained with any resize: a re-enactment.

A library stretches what it gets to the model's input size, each in its own way; an image that already has that size is
passed on unchanged. So where the model was trained with another resize, the app does that resize itself. This module is
the arithmetic of the app code that edgenet recommends, step by step, in numpy: `rectangle` is the geometry of the
recipe (`preprocess.geometry`) in the photo's pixels, `weights` the kernel, `app_image` applies both, first along the
rows, then along the columns. It needs no image library, and is some 60 lines in any language.

The rectangle has fractions of pixels. With one that is rounded to whole pixels, as `Bitmap.createBitmap` needs it, the
app agreement of a crop was 0.950 instead of 1.000, and 0.93 to 0.945 where the library scaled the cut-out itself (200
photos, ImageNet weights, float32).

The kernels are those of Pillow (`src/libImaging/Resample.c`), of which TensorFlow's without antialiasing are the case
of a kernel that is never widened: at the edges both normalise the weights of the pixels that exist.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgenet import cores
from edgenet.apps.libraries import MEDIAPIPE_TASKS, TASK_LIBRARY, Library
from edgenet.images import preprocess
from edgenet.images.decode import decode
from edgenet.images.resampling import keys
from edgenet.images.resize_options import ANTIALIASED, MEDIAPIPE, describe
from edgenet.images.resize_options import TASK_LIBRARY as TASK_LIBRARY_RESIZE
from edgenet.records import Interpolation, Preprocessing, Resize

# What each library does to an image by itself.
OWN = {TASK_LIBRARY.package: TASK_LIBRARY_RESIZE, MEDIAPIPE_TASKS.package: MEDIAPIPE}
# In pixels.
EPSILON = 1e-6


@dataclass(frozen=True)
class Rectangle:
    """The part of a photo that fills a part of the model's input.

    Attributes:
        left, top, width, height: Of the photo, in pixels; fractions of pixels count.
        into_left, into_top, into_width, into_height: Of the input, in pixels.
    """

    left: float
    top: float
    width: float
    height: float
    into_left: int
    into_top: int
    into_width: int
    into_height: int


def needs_code(library: Library, resize: Resize) -> bool:
    """Whether an app must resize photos itself: the library's own way is not that of the training."""
    own = OWN.get(library.package, TASK_LIBRARY_RESIZE)
    fields = ("mode", "interpolation", "antialias", "half_pixel_centers")
    return any(getattr(own, name) != getattr(resize, name) for name in fields)


def code_in_words(library: Library, recipe: Preprocessing) -> str:
    """What the recommended code does with a photo: "resize to 224 x 224: crop 0.875, bilinear, antialiased".

    Empty where the library does it: the app hands over the whole photo.
    """
    if not needs_code(library, recipe.resize):
        return ""
    return f"resize to {recipe.height} x {recipe.width}: {describe(recipe.resize)}"


def write_all(paths: Sequence[Path], recipe: Preprocessing, file: Path) -> None:
    """Write the images that the recommended code hands over for photos, uint8 (n, height, width, 3), as an .npy file.

    EXIF and transparency count as in the recipe; JPEG files are decoded accurately, as phones do it.

    Raises:
        EdgenetError: As `preprocess.load`.
    """
    shape = (len(paths), recipe.height, recipe.width, 3)
    images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)

    how = replace(recipe.resize, fast_dct=False)

    def one(path: Path) -> np.ndarray:
        return decode(path, "RGB", lambda image: app_image(np.asarray(image), recipe), how=how)

    with ThreadPoolExecutor(cores.available()) as pool:
        for number, image in enumerate(pool.map(one, paths)):
            images[number] = image
    images.flush()


def rectangle(height: int, width: int, recipe: Preprocessing) -> Rectangle:
    """Which part of a photo fills which part of the model's input.

    Args:
        height, width: Of the photo, in pixels.
        recipe: The model's input size, and how to resize.
    """
    covered, (top, left, kept_height, kept_width) = preprocess.geometry(height, width, recipe)
    into_top, into_left = preprocess.margins(kept_height, kept_width, recipe)
    return Rectangle(
        left=left * width / covered[1],
        top=top * height / covered[0],
        width=kept_width * width / covered[1],
        height=kept_height * height / covered[0],
        into_left=into_left,
        into_top=into_top,
        into_width=kept_width,
        into_height=kept_height,
    )


def weights(size: int, start: float, length: float, count: int, resize: Resize) -> tuple[np.ndarray, np.ndarray]:
    """How pixels of a photo make up those of the input, in one direction.

    Args:
        size: Pixels of the photo in this direction.
        start, length: The part of them that is used, in pixels.
        count: Pixels that it becomes.
        resize: The interpolation.

    Returns:
        The first input pixel of each output pixel, int64 (count,), and the weights of the pixels from there on, float32
        (count, taps). They sum to 1; those beyond the edge of the photo are 0.
    """
    scale, numbers, kind = length / count, np.arange(count, dtype=np.float64), resize.interpolation
    # Of output pixels, in coordinates in which input pixel j is from j to j + 1.
    centers = start + (numbers + 0.5) * scale
    antialias = resize.antialias and kind in ANTIALIASED
    if not (resize.half_pixel_centers or antialias or kind == Interpolation.AREA):
        centers = start + numbers * scale + 0.5
    if kind == Interpolation.NEAREST:
        # Without half-pixel centers the left edge decides. EPSILON: what is an integer may have been rounded down.
        nearest = np.floor(centers - (0.0 if resize.half_pixel_centers else 0.5) + EPSILON)
        return np.clip(nearest, 0, size - 1).astype(np.int64), np.ones((count, 1), np.float32)
    wider = max(1.0, scale) if antialias else 1.0
    reach = {Interpolation.AREA: scale / 2, Interpolation.BILINEAR: wider, Interpolation.BICUBIC: 2 * wider}[kind]
    first = np.floor(centers - reach + (EPSILON if kind == Interpolation.AREA else 0.5))
    pixels = first[:, None] + np.arange(math.ceil(2 * reach) + 1)
    distances = np.abs(pixels + 0.5 - centers[:, None])
    if kind == Interpolation.AREA:  # how much of the input pixel the output pixel covers
        values = np.clip(np.minimum(reach + 0.5 - distances, min(1.0, scale)), 0, None)
    else:
        values = keys(distances / wider) if kind == Interpolation.BICUBIC else np.maximum(0, 1 - distances / wider)
    values *= (pixels >= 0) & (pixels < size)
    return first.astype(np.int64), (values / values.sum(axis=1, keepdims=True)).astype(np.float32)


def app_image(photo: np.ndarray, recipe: Preprocessing) -> np.ndarray:
    """The image that the recommended code hands over for a photo.

    Args:
        photo: The photo at its own size, uint8 RGB (height, width, 3).
        recipe: The model's input size, and how to resize.

    Returns:
        uint8 RGB (recipe.height, recipe.width, 3).
    """
    height, width, _ = photo.shape
    part, resize = rectangle(height, width, recipe), recipe.resize
    pixels = _weighted(photo, 1, *weights(width, part.left, part.width, part.into_width, resize))
    if resize.antialias:  # as Pillow does it, which made the training's pixels
        pixels = _rounded(pixels)
    pixels = _rounded(_weighted(pixels, 0, *weights(height, part.top, part.height, part.into_height, resize)))
    result = np.empty((recipe.height, recipe.width, 3), np.uint8)
    result[:] = resize.pad
    top, left = part.into_top, part.into_left
    result[top : top + part.into_height, left : left + part.into_width] = pixels
    return result


def _rounded(pixels: np.ndarray) -> np.ndarray:
    """To the nearest integers; halves are rounded up, as floor(x + 0.5) does it in every language."""
    return np.floor(np.clip(pixels, 0, 255) + np.float32(0.5)).astype(np.uint8)


def _weighted(pixels: np.ndarray, axis: int, first: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weighted means of the pixels of one direction, float32."""
    last, shape = pixels.shape[axis] - 1, [1, 1, 1]
    shape[axis] = len(first)
    result = np.zeros([1, 1, 1], np.float32)
    for tap in range(values.shape[1]):
        if values[:, tap].any():
            chosen = np.take(pixels, np.clip(first + tap, 0, last), axis=axis)
            result = result + chosen * values[:, tap].reshape(shape)
    return result
