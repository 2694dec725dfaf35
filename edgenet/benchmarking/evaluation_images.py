"""Evaluation images in a folder, with the class of each if that is known."""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from edgenet.benchmarking.drift import Scorer
from edgenet.bundle.evaluation import CHUNK_SIZE, Chunk
from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.images.broken import listed_together
from edgenet.images.class_truth import image_classes
from edgenet.records import EvaluationImage, Preprocessing

# Images of a sample.
SAMPLE_IMAGES = 64


class Reference(Protocol):
    """What chunks need of a reference model."""

    def scorers(self) -> list[Scorer]: ...


class EvaluationImages:
    """The evaluation images of a single file.

    Args:
        paths: The image files, sorted.
        folder: The folder that they are in.
        labels: The class names.
        truth: As in `SingleFileOptions`.
        broken: Files to leave out; `truth` may have their classes.

    Attributes:
        labelled: Whether the class of any image is known.
        notes: What the user should know about the classes, one sentence each.

    Raises:
        EdgenetError: The classes do not fit the images or the labels.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        folder: Path,
        labels: Sequence[str],
        truth: Path | Sequence[int | None] | None = None,
        broken: Container[Path] = (),
    ):
        self.notes: tuple[str, ...] = ()
        classes: Sequence[int | None]
        if truth is None or isinstance(truth, Path):
            found = image_classes(paths, folder, labels, truth)
            classes, self.notes = found.classes, found.notes
        else:
            classes = _checked_classes(truth, len(paths), len(labels))
        known = [(path, label) for path, label in zip(paths, classes, strict=True) if path not in broken]
        self._paths = [path for path, _ in known]
        self._images = tuple(EvaluationImage(path.relative_to(folder).as_posix(), label) for path, label in known)
        self.labelled = any(label is not None for _, label in known)

    def chunks(self, recipe: Preprocessing, reference: Reference | None) -> Iterator[Chunk]:
        """All images, with the scores of the reference.

        Args:
            recipe: From an image to the pixels.
            reference: The reference model; None for none.
        """
        scorer = reference.scorers()[0] if reference else None
        for pixels, images in self._load(recipe, range(len(self._paths))):
            yield Chunk(pixels, scorer(pixels) if scorer else None, images)

    def sample(self, recipe: Preprocessing) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """SAMPLE_IMAGES images, spread evenly over a folder that may be sorted by class.

        Yields:
            Pixels, uint8 (n, height, width, channels), and classes, int64 (n,): -1 if unknown.
        """
        indices = np.unique(np.linspace(0, len(self._paths) - 1, SAMPLE_IMAGES).round().astype(int))
        for pixels, images in self._load(recipe, indices.tolist()):
            yield pixels, np.array([-1 if image.label is None else image.label for image in images])

    def _load(
        self, recipe: Preprocessing, indices: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, tuple[EvaluationImage, ...]]]:
        loaded = preprocess.load_all((self._paths[index] for index in indices), recipe)
        with listed_together(self._paths):
            for number, pixels in enumerate(preprocess.batches(loaded, CHUNK_SIZE)):
                chunk = indices[number * CHUNK_SIZE : (number + 1) * CHUNK_SIZE]
                yield pixels, tuple(self._images[index] for index in chunk)


def _checked_classes(truth: Sequence[int | None], images: int, classes: int) -> list[int | None]:
    if len(truth) != images:
        raise EdgenetError(f"expected a class for each of {images:,} images, got {len(truth):,}", parameter="truth")
    for label in truth:
        if label is not None and not 0 <= label < classes:
            raise EdgenetError(f"expected class indices from 0 to {classes - 1:,}, got {label}", parameter="truth")
    return [None if label is None else int(label) for label in truth]
