"""What a model is trained on: labelled images in three parts, from photos in class folders or from Fashion-MNIST."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.progress import Progress
from edgenet.records import Finding, Preprocessing
from edgenet.records.enums import Level
from edgenet.records.training import DataCheck, ImageSizes, PhotoClass
from edgenet.training import check, fashion_mnist
from edgenet.training.checkpoint import Progressed
from edgenet.training.options import TrainOptions
from edgenet.training.pixels import ENDING, EnlargedImages, PixelFile, Pixels, decode_all, margin_side


@dataclass(frozen=True)
class TrainingData:
    """Labelled images.

    Attributes:
        names: Of the n images: a path below the folder of all, with slashes.
        paths: Their files; none where they are not in files of their own.
        labels: The class of each, int64 (n,).
        groups: The number of each image's group, int64 (n,): images of a group show nearly the same.
        parts: The images for training, validation and test, as indices.
        check: What is known of them; with the names of the classes.
        digest: Of everything of them that a model depends on.
        pixels: From a model's recipe, a place for files and a listener: the images at the size of the model's input,
            and larger ones to cut parts out of.
    """

    names: Sequence[str]
    paths: Sequence[Path]
    labels: np.ndarray
    groups: np.ndarray
    parts: tuple[np.ndarray, np.ndarray, np.ndarray]
    check: DataCheck
    digest: str
    pixels: Callable[[Preprocessing, Progressed, Progress], tuple[Pixels, Pixels]]

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the scores."""
        return tuple(one.name for one in self.check.classes)

    def labelled(self, part: np.ndarray) -> tuple[tuple[Path, int], ...]:
        """The files of some images, each with its class; none where they are not in files of their own."""
        return tuple((self.paths[image], int(self.labels[image])) for image in part) if self.paths else ()


def of_photos(folder: Path, options: TrainOptions, progress: Progress) -> TrainingData:
    """Photos in class folders, checked and split.

    Raises:
        EdgenetError: A model cannot be trained on them.
    """
    checked, split = check.prepare(folder, seed=options.seed, skip_broken=options.skip_broken, progress=progress)
    photos = checked.photos
    names = [photos.file(image) for image in range(len(photos.paths))]

    def pixels(recipe: Preprocessing, kept: Progressed, progress: Progress) -> tuple[Pixels, Pixels]:
        side = margin_side(recipe.height)
        plain, larger = (PixelFile(kept.file(f"{size}{ENDING}"), size) for size in (recipe.height, side))
        if not (plain.path.exists() and larger.path.exists()):
            progress.step(f"decoding {len(names):,} images")
            decode_all(photos.paths, recipe, plain.path, larger.path, progress)
        return plain, larger

    first, second, third = (np.array(part) for part in split.parts)
    return TrainingData(
        names=names,
        paths=photos.paths,
        labels=np.array(photos.labels, np.int64),
        groups=np.array(checked.groups.of),
        parts=(first, second, third),
        check=checked.check,
        digest=_digest([*zip(names, (one.file_digest for one in checked.prints), strict=True)], photos.classes),
        pixels=pixels,
    )


def of_fashion_mnist(folder: Path) -> TrainingData:
    """Fashion-MNIST: 5,000 of the official training images are for validation, the official test images for the test.

    Raises:
        EdgenetError: A file of the data set is missing or damaged.
    """
    images, labels = fashion_mnist.load(folder, "train")
    test_images, test_labels = fashion_mnist.load(folder, "t10k")
    if len(images) != len(labels) or len(test_images) != len(test_labels):
        raise EdgenetError(f"{folder}: not as many labels as images; install the data set again")
    count, everything = len(images), np.concatenate([labels, test_labels]).astype(np.int64)
    train, validation = fashion_mnist.validation_split(count)
    parts = (train, validation, np.arange(count, len(everything)))
    enlarged = np.concatenate([images, test_images])
    names = [f"train/{number}" for number in range(count)] + [f"t10k/{number}" for number in range(len(test_labels))]
    counts = [np.bincount(everything[part], minlength=len(fashion_mnist.LABELS)).tolist() for part in parts]
    side = images.shape[1]
    record = DataCheck(
        folder=str(folder),
        classes=tuple(
            PhotoClass(name, sum(of_parts), 0, 0, *of_parts)
            for name, *of_parts in zip(fashion_mnist.LABELS, *counts, strict=True)
        ),
        sizes=ImageSizes((side, side), (side, side), (side, side)),
        broken=(),
        shared=(),
        groups=0,
        largest_group=0,
        seed=fashion_mnist.SEED,
        findings=(
            Finding(Level.NOTE, "the split is the official one of Fashion-MNIST; copies were not looked for"),
            Finding(
                Level.NOTE,
                f"these are grey product photos on black, {side} x {side} pixels, enlarged: the model does not work on "
                "photos of people wearing clothes",
            ),
        ),
    )
    return TrainingData(
        names=names,
        paths=(),
        labels=everything,
        groups=np.arange(len(everything)),
        parts=parts,
        check=record,
        digest=_digest([(path.name, files.sha256(path)) for path in fashion_mnist.paths(folder)], fashion_mnist.LABELS),
        pixels=lambda recipe, kept, progress: (
            EnlargedImages(enlarged, recipe.height),
            EnlargedImages(enlarged, margin_side(recipe.height)),
        ),
    )


def _digest(digests: Sequence[tuple[str, str]], classes: Sequence[str]) -> str:
    text = json.dumps([digests, classes]).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()
