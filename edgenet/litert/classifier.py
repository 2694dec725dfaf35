"""Classifies images with any .tflite image classifier.

The class names and the preprocessing come from the file's metadata, as far as it has them.
"""

import os
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from edgenet import cores
from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images import model_labels, preprocess
from edgenet.images.decode import convert
from edgenet.images.input_range import parse_input
from edgenet.images.resize_options import ResizeOptions
from edgenet.litert.remote import Local, ModelInfo, Remote
from edgenet.records import ChannelOrder, Preprocessing
from edgenet.scores import check_finite

if TYPE_CHECKING:
    from PIL import Image

    ImageLike = str | os.PathLike[str] | Image.Image | np.ndarray

Item = TypeVar("Item", bound="ImageLike")

MAX_THREADS = 1024


@dataclass(frozen=True)
class Prediction:
    """A class that a model predicts."""

    label: str
    # The model's output for the class: a probability, or a logit if the model ends without softmax.
    score: float
    # The number of the class, from 0.
    index: int


class Classifier:
    """An image classifier in a `.tflite` file.

    The file runs in a child process, so that a corrupt file can only crash that process. It ends with `close()`, with
    the `with` block, or when the object is garbage-collected.

    Args:
        path: The `.tflite` file.
        labels: The class names in the order of the scores, or a file of them (as in `export`). By default those in
            the file's metadata; without any, the names of ImageNet's classes for a model with 1,000 or 1,001 classes,
            and otherwise the class numbers.
        input_range: The values that black and white pixels map to, such as (-1, 1); or the means and then the standard
            deviations of red, green and blue. As text, too: "-1,1". By default that in the file's metadata; without
            any, [-1, 1] for a float input, and the file's own scale for an integer input.
        channel_order: "RGB" or "BGR". By default that in the file's metadata, or RGB.
        like: The name of a preset for resizing: keras-dataset, keras-generator, teachable-machine, imagenet, mediapipe
            or task-library. By default as the file's metadata say, or the central square.
        resize: The resize mode: crop, stretch or pad.
        crop: For crop: the fraction of the shorter side that is kept, from 0.1 to 1.
        interpolation: nearest, bilinear, bicubic or area.
        antialias: Whether bilinear and bicubic interpolation use a wider kernel where they reduce an image.
        pad_color: For pad: red, green and blue of what is around the image, 0 to 255.
        size: Height and width of the input in pixels, for a file that leaves them free.
        threads: CPU threads.

    Attributes:
        path: The file.
        labels: The class names.
        recipe: The preprocessing.
        notes: What had to be assumed because the file does not state it; may be empty.

    Raises:
        EdgenetError: The file cannot be run, or an argument does not fit it.

    Example:
        >>> classifier = edgenet.Classifier("int8.tflite")
        >>> classifier.classify("photo.jpg", top=1)
        [Prediction(label='Ankle boot', score=0.95..., index=9)]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        labels: model_labels.Labels | None = None,
        input_range: str | Sequence[float] | None = None,
        channel_order: str | None = None,
        like: str | None = None,
        resize: str | None = None,
        crop: float | None = None,
        interpolation: str | None = None,
        antialias: bool | None = None,
        pad_color: str | Sequence[int] | None = None,
        size: int | None = None,
        threads: int = 1,
    ):
        self.path = Path(path)
        declared, channel_order = parse_input(input_range, channel_order)
        how = ResizeOptions(like, resize, crop, interpolation, antialias, pad_color)
        if size is not None and size < 1:
            raise EdgenetError(f"must be a number of pixels, not {size}", parameter="size")
        if not 1 <= threads <= MAX_THREADS:
            raise EdgenetError(f"must be from 1 to {MAX_THREADS:,}, not {threads}", parameter="threads")
        given = None if labels is None else model_labels.read(labels)
        self._model = self._load((size, size) if size else None, threads)
        self._finalizer = weakref.finalize(self, self._model.close)
        self._lock = Lock()
        try:
            notes = list(given.notes) if given else []
            info = self._model.info
            self.labels = _labels(self.path, info, given.names if given else None, notes)
            recipe = info.recipe
            if declared:
                recipe = replace(declared.recipe(*recipe.shape, recipe.resize), order=recipe.order)
            elif info.range_assumed:
                notes.append(f"{self.path.name} has no input range; assuming -1,1 (set another with input_range=)")
            order = ChannelOrder(channel_order or recipe.order)
            recipe = replace(recipe, resize=how.applied_to(recipe.resize), order=order)
        except BaseException:
            self.close()
            raise
        self.recipe: Preprocessing = recipe
        self.notes: tuple[str, ...] = tuple(notes)

    def _load(self, size: tuple[int, int] | None, threads: int) -> Remote | Local:
        return Remote(self.path, size, threads=threads)

    def classify(self, image: "ImageLike", top: int = 5) -> list[Prediction]:
        """Classify one image.

        Args:
            image: The path of an image file, a PIL image, or a uint8 array (height, width, 3), RGB, or
                (height, width), greyscale. It is resized as during the export.
            top: The number of predictions.

        Returns:
            The classes with the highest scores, highest first; ties go to the lowest class index.

        Raises:
            EdgenetError: The image cannot be read, or the model gives no finite score.
        """
        _check_top(top)
        return self._predictions(image, self._pixels(image), top)

    def classify_all(self, images: "Iterable[Item]", top: int = 5) -> "Iterator[tuple[Item, list[Prediction]]]":
        """Classify many images, which are decoded ahead on all cores.

        Args:
            images: Images as `classify` takes them; only a few are held at a time.
            top: The number of predictions for each.

        Yields:
            Each image, as it was passed, with its predictions.

        Raises:
            EdgenetError: An image cannot be read, or the model gives no finite score for it.
        """
        _check_top(top)
        workers = cores.available()
        pending: deque[tuple[Item, Future[np.ndarray]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            try:
                for image in images:
                    pending.append((image, pool.submit(self._pixels, image)))
                    if len(pending) > 2 * workers:
                        first, pixels = pending.popleft()
                        yield first, self._predictions(first, pixels.result(), top)
                while pending:
                    first, pixels = pending.popleft()
                    yield first, self._predictions(first, pixels.result(), top)
            finally:
                pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """End the process of the file."""
        self._finalizer()

    def __enter__(self) -> "Classifier":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        height, width, channels = self.recipe.shape
        return f"Classifier({str(self.path)!r}: {len(self.labels):,} classes, input {height} x {width} x {channels})"

    def _pixels(self, image: "ImageLike") -> np.ndarray:
        """An image at the model's input size, (height, width, channels)."""
        if isinstance(image, str | os.PathLike):
            return preprocess.load(Path(image), self.recipe)
        from PIL import Image

        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,)):
                raise EdgenetError(
                    f"expected a uint8 image (height, width, 3), got {image.dtype.name} {tuple(image.shape)}"
                )
            image = Image.fromarray(image.reshape(image.shape[:2]) if image.shape[2:] == (1,) else image)
        elif not isinstance(image, Image.Image):
            raise EdgenetError(f"expected a path, a PIL image or a uint8 array, got {type(image).__name__}")
        mode = "RGB" if self.recipe.channels == 3 else "L"
        return preprocess.resize(convert(image, mode, self.recipe.resize), self.recipe)

    def _predictions(self, image: "ImageLike", pixels: np.ndarray, top: int) -> list[Prediction]:
        with self._lock:
            if not self._finalizer.alive:
                raise EdgenetError(f"{self.path}: this classifier is closed")
            scores = self._model.scores_with(pixels[None], self.recipe)
        name = str(image) if isinstance(image, str | os.PathLike) else "this image"
        check_finite(scores, self.path.name, [name], self.labels)
        best = np.argsort(-scores[0], kind="stable")[:top]
        return [Prediction(self.labels[index], float(scores[0][index]), int(index)) for index in best]


class LocalClassifier(Classifier):
    """A `Classifier` that runs the file in this process: for a child process that does nothing else."""

    def _load(self, size: tuple[int, int] | None, threads: int) -> Remote | Local:
        return Local(self.path, size, threads)


def _check_top(top: int) -> None:
    if top < 1:
        raise EdgenetError(f"must be 1 or more, not {top}", parameter="top")


def _labels(path: Path, info: ModelInfo, labels: Sequence[str] | None, notes: list[str]) -> list[str]:
    """The names of all classes of a file. A model may have one class more than there are names, for the background."""
    if labels is not None:
        names = list(labels)
        if len(names) not in (info.classes, info.classes - 1):
            raise EdgenetError(f"{path}: the model has {info.classes:,} classes, but labels= has {len(names):,} names")
    elif info.labels and len(info.labels) in (info.classes, info.classes - 1):
        names = info.labels
    else:
        if info.labels:
            notes.append(f"{path.name} has {len(info.labels):,} class names for {info.classes:,} classes; ignored")
        if info.classes in (1000, 1001):
            names = class_names.imagenet()
            notes.append(f"{path.name} has no class names; assuming those of ImageNet (set them with labels=)")
        else:
            names = [str(number) for number in range(info.classes)]
            notes.append(f"{path.name} has no class names; showing class numbers (set names with labels=)")
    return ["background", *names] if len(names) < info.classes else names
