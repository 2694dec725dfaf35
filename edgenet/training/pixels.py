"""The pixels of images, decoded once and kept in a file: memory does not grow with the number of images."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from edgenet.files import atomic_file
from edgenet.images import preprocess
from edgenet.images.decode import decode
from edgenet.progress import Progress
from edgenet.records import Preprocessing

# Images for augmentation are larger than the model's input, so that a part of one is not enlarged much.
MARGIN = 1.15
ENDING = ".pixels"


class Pixels(Protocol):
    """Square images of one size."""

    def read(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Some images, uint8 (n, side, side, 3)."""


class PixelFile:
    """Square images of one size, uint8, one after the other in a file.

    Args:
        path: The file.
        side: Height and width in pixels.
    """

    def __init__(self, path: Path, side: int):
        self.path, self.side = path, side
        self._bytes = side * side * 3

    def __len__(self) -> int:
        return self.path.stat().st_size // self._bytes

    def read(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Some images, uint8 (n, side, side, 3).

        A mapped file would count as this process's memory, as far as it was ever read.
        """
        result = np.empty((len(images), self.side, self.side, 3), np.uint8)
        with self.path.open("rb") as file:
            for row, image in zip(result, images, strict=True):
                file.seek(int(image) * self._bytes)
                file.readinto(memoryview(row).cast("B"))
        return result


class EnlargedImages:
    """Small grey images, enlarged when they are read, with the same result as `edgenet.images.preprocess` has.

    Bilinear resizing is linear along each axis, so a matrix product with Pillow's own weights resizes a whole batch.
    Pillow resizes rows first, in fixed point with 22 bits, and rounds to integers after each axis.

    Args:
        images: uint8 (n, small, small), grey.
        side: Height and width to enlarge them to, in pixels.
    """

    def __init__(self, images: np.ndarray, side: int):
        self._images = images
        small = images.shape[1]
        identity = Image.fromarray(np.eye(small, dtype=np.float32))
        weights = np.asarray(identity.resize((small, side), Image.Resampling.BILINEAR))
        self._taps = np.rint(weights.astype(np.float64) * (1 << 22)) / (1 << 22)

    def read(self, images: Sequence[int] | np.ndarray) -> np.ndarray:
        """Some images, uint8 (n, side, side, 3)."""
        rows = np.floor(self._images[np.asarray(images)] @ self._taps.T + 0.5)
        grey = np.floor(self._taps @ rows + 0.5).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)


def margin_side(size: int) -> int:
    """The side of the larger images, for a model's input of `size` pixels."""
    return round(size * MARGIN)


def decode_all(
    paths: Sequence[Path], recipe: Preprocessing, plain: Path, larger: Path | None, progress: Progress
) -> None:
    """Decode images, each once, into files of `PixelFile`.

    Args:
        paths: The images.
        recipe: Of the model: the pixels are those that `edgenet.images.preprocess` gives for it. They are uint8.
        plain: Gets the images at the size of the model's input.
        larger: Gets them at `margin_side`; None for no such file.
        progress: Gets the count.
    """
    side = margin_side(recipe.height)
    large = replace(recipe, height=side, width=side)

    def load(path: Path) -> list[np.ndarray]:
        def both(image: Image.Image | np.ndarray) -> list[np.ndarray]:
            return [np.array(preprocess.resize(image, how)) for how in ((recipe, large) if larger else (recipe,))]

        return decode(path, "RGB", both, None, recipe.resize)

    with ExitStack() as opened:
        files = [opened.enter_context(atomic_file(path)) for path in (plain, larger) if path]
        for number, images in enumerate(preprocess.on_all_cores(load, paths), start=1):
            for file, image in zip(files, images, strict=True):
                file.write(np.ascontiguousarray(image).data)
            progress.count(number, len(paths))
