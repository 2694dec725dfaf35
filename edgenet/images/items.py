"""Splits iterables, batches, pairs and dictionaries of images into single images with class indices."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgenet.errors import EdgenetError
from edgenet.images.class_index import ClassIndex
from edgenet.images.pixels import PixelConverter, as_array, from_pillow, is_batch

# An image file, or pixels (uint8), with a class index if known.
Pair = tuple[Path | np.ndarray, int | None]


class ItemReader:
    """Reads the items of a source.

    Args:
        labels: The class names, in the order of the model's output.
        parameter: The name of the argument that the images come from, for error messages.

    Attributes:
        notes: What the user should know, one sentence each.
    """

    def __init__(self, labels: Sequence[str], parameter: str):
        self.parameter = parameter
        self.pixels = PixelConverter(parameter)
        self._names, self._index = labels, ClassIndex(labels)
        self._number = 0
        self.notes: list[str] = []
        # For each class of a dataset that names its own, the class of the model.
        self._classes: Sequence[int] = range(len(labels))

    def pairs(self, source: Any) -> Iterator[Pair]:
        """Each image of a source with its class index; None without a label.

        Of a dataset with `class_names`, as Keras' loaders have them, numbers are those of these names.
        """
        if (names := getattr(source, "class_names", None)) is not None:
            self._name_classes([str(name) for name in names])
        if _is_item(source):
            yield from self._item(source)
            return
        try:
            items = iter(source)
        except TypeError:
            raise self._error(
                f"must be a folder, paths, arrays or an iterable of images, got {type(source).__name__}"
            ) from None
        for item in items:
            yield from self._item(item)

    def _item(self, item: Any) -> Iterator[Pair]:
        image, label = _parts(item)
        pixels = from_pillow(image) if isinstance(image, Image.Image) else as_array(image)
        if isinstance(image, os.PathLike) or (pixels.ndim == 0 and isinstance(pixels.item(), str | bytes)):
            yield Path(os.fsdecode(image if isinstance(image, os.PathLike) else pixels.item())), self._label(label)
            self._number += 1
            return
        if not is_batch(pixels):
            images, labels = [pixels], [label]
        else:
            images = list(pixels)
            labels = [None] * len(images) if label is None else list(as_array(label))
            if len(labels) != len(images):
                raise self._error(f"{len(images):,} images with {len(labels):,} labels; give one label for each image")
        self._check_layout(image, pixels)
        for one_image, one_label in zip(images, labels, strict=True):
            yield self.pixels.convert(one_image, self._number), self._label(one_label)
            self._number += 1

    def _check_layout(self, image: Any, pixels: np.ndarray) -> None:
        channels_last = pixels.ndim < 3 or pixels.shape[-1] in (1, 3, 4)
        is_torch = type(image).__module__.partition(".")[0] == "torch"
        if not channels_last and pixels.shape[-3] in (1, 3) and (pixels.ndim == 4 or is_torch):
            raise self._error(
                f"the shape {pixels.shape} has the channels first; move them to the end: (height, width, channels)"
            )

    def _label(self, label: Any) -> int | None:
        if label is None:
            return None
        value = as_array(label)
        if value.dtype.kind in "SUO" and value.size == 1:
            return self._class_by_name(value.reshape(-1)[0])
        if value.dtype.kind not in "biuf" or value.ndim > 1 or not value.size:
            raise self._error(f"the label of image {self._number:,} is not a class: {_shown(label)}")
        if value.size > 1:
            return self._class_by_scores(value)
        number = float(value.reshape(-1)[0])
        if not number.is_integer() or not 0 <= number < len(self._classes):
            last = len(self._classes) - 1
            raise self._error(f"the label of image {self._number:,} is {number:g}; expected a class from 0 to {last}")
        return self._classes[int(number)]

    def _name_classes(self, names: Sequence[str]) -> None:
        if names == list(self._names):
            return
        found = [self._index.named(name) for name in names]
        classes = [match[0] for match in found if len(match) == 1]
        if len(set(classes)) == len(names):
            self._classes = classes
            if classes != list(range(len(classes))):
                self.notes.append(f"{self.parameter}: its class_names are matched with the labels by name")
        elif names != [str(number) for number in range(len(names))]:
            other = next((name for name, match in zip(names, found, strict=True) if len(match) != 1), names[0])
            self.notes.append(
                f"{self.parameter}: its class_names do not match the labels ({_shown(other)}); its classes are taken "
                "for indices of the labels"
            )

    def _class_by_scores(self, scores: np.ndarray) -> int:
        if len(scores) != len(self._classes):
            raise self._error(
                f"the label of image {self._number:,} is a vector of {len(scores):,} values, but there are "
                f"{len(self._classes):,} classes"
            )
        best = int(np.argmax(scores))
        if not np.isfinite(scores.astype(np.float64)).all() or np.count_nonzero(scores == scores[best]) > 1:
            raise self._error(f"the label of image {self._number:,} is a vector without a single largest value")
        return self._classes[best]

    def _class_by_name(self, name: Any) -> int:
        text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        match = self._index.find(text)
        if len(match) != 1:
            reason = "several classes have this name" if match else "not a class name"
            raise self._error(f"the label of image {self._number:,} is {_shown(text)}: {reason}")
        return match[0]

    def _error(self, message: str) -> EdgenetError:
        return EdgenetError(message, parameter=self.parameter)


def _is_item(source: Any) -> bool:
    """Whether a source is itself an image, a batch, a pair or a dictionary of these, and not an iterable of them."""
    if isinstance(source, Mapping | Image.Image):
        return True
    if hasattr(source, "__array__"):
        return as_array(source).dtype.kind not in "SUO"  # an array of paths or of images is an iterable
    return isinstance(source, tuple) and not _has_paths(source) and _is_pair(source)


def _has_paths(source: tuple[Any, ...]) -> bool:
    return any(isinstance(item, str | os.PathLike) for item in source)


def _is_pair(value: Any) -> bool:
    """Whether a tuple or list is an image (or batch) and its label (or labels), not two images."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    image, label = value
    if isinstance(image, str | os.PathLike):
        return isinstance(value, tuple) and not isinstance(label, os.PathLike)
    if isinstance(label, Image.Image):
        return False
    if isinstance(image, Image.Image):
        return True
    pixels = as_array(image)
    return pixels.ndim >= 2 and (label is None or as_array(label).ndim <= (2 if is_batch(pixels) else 1))


def _parts(item: Any) -> tuple[Any, Any]:
    """The image (or batch) and the label (or labels, or None) of an item."""
    if isinstance(item, Mapping):
        if "image" not in item:
            keys = ", ".join(map(str, item))
            raise EdgenetError(f'a dictionary of images needs the key "image"; got {keys or "none"}')
        return item["image"], item.get("label")
    return (item[0], item[1]) if _is_pair(item) else (item, None)


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:100]}..."
