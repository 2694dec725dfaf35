"""Which images are used for calibration, and which for evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.images import broken as broken_images
from edgenet.images import class_folders, decode, sources
from edgenet.images.class_truth import image_classes
from edgenet.images.file_check import BrokenImageError
from edgenet.images.sources import ImageSet

# If one folder is split, a quarter of its images calibrate: at most 200, and at least 50 unless that is more than half.
CALIBRATION_FRACTION = 1 / 4
MAX_CALIBRATION_IMAGES = 200
MIN_CALIBRATION_IMAGES = 50


@dataclass(frozen=True)
class DataSplit:
    """The images of an export.

    Attributes:
        calibration: Image files for calibration.
        evaluation: Image files for evaluation.
        folder: The folder of the evaluation images.
        truth: The class index of each evaluation image; None if unknown.
        notes: What the user should know about the choice, one sentence each.
        calibration_truth: The class of each calibration image, likewise; empty if they have none.
        numbered: Whether the classes of the evaluation images came with them, usually as numbers, and not from folders
            or a file.
    """

    calibration: tuple[Path, ...]
    evaluation: tuple[Path, ...]
    folder: Path
    truth: tuple[int | None, ...]
    notes: tuple[str, ...] = ()
    calibration_truth: tuple[int | None, ...] = ()
    numbered: bool = False


def from_folders(
    calibration: Path, evaluation: Path | None, labels: Sequence[str], truth: Path | None = None
) -> DataSplit:
    """Use two folders of images, or split one. Arguments and exceptions as in `choose`, with folders for image sets."""
    return choose(
        sources.from_folder(calibration), sources.from_folder(evaluation) if evaluation else None, labels, truth
    )


def choose(
    calibration: ImageSet,
    evaluation: ImageSet | None,
    labels: Sequence[str],
    truth: Path | None = None,
    broken: Mapping[Path, BrokenImageError] = MappingProxyType({}),
) -> DataSplit:
    """Use two sets of images, or split one set by the contents of its files.

    Args:
        calibration: The calibration images; without `evaluation`, all images.
        evaluation: The evaluation images.
        labels: The class names, in the order of the model's output.
        truth: A file with the class of each evaluation image. Without one, and without classes in the image set, the
            names of the images' folders are used (`edgenet.images.class_truth.image_classes`).
        broken: Files to leave out, as `edgenet.images.broken.find` returns them. The split is that of the others.

    Raises:
        EdgenetError: There are too few images to split; the classes do not fit the images; all images are broken.
    """
    evaluated = evaluation or calibration
    if evaluated.classes is not None and truth:
        raise EdgenetError("the images have labels of their own; leave truth= out", parameter="truth")
    classes: tuple[int | None, ...] | None = evaluated.classes
    class_notes: tuple[str, ...] = ()
    if classes is None:
        found = image_classes(evaluated.paths, evaluated.folder, labels, truth)
        classes, class_notes = found.classes, found.notes
    class_of = dict(zip(evaluated.paths, classes, strict=True))
    usable, notes = _without(calibration, broken)
    if evaluation:
        evaluating, more = _without(evaluation, broken)
        truths = tuple(class_of[path] for path in evaluating)
        calibrated = calibration_classes(calibration, labels)
        known = tuple(calibrated[path] for path in usable) if calibrated else ()
        notes += (*more, *class_notes)
        return DataSplit(usable, evaluating, evaluation.folder, truths, notes, known, evaluated.classes is not None)
    calibrating, evaluating = _split(usable, calibration.folder)
    notes += (
        f"{calibration.folder}: {len(calibrating):,} of {len(usable):,} images are used for calibration, "
        "the rest for evaluation; you can also give other images for evaluation",
        *class_notes,
    )
    truths = tuple(class_of[path] for path in evaluating)
    known = tuple(class_of[path] for path in calibrating)
    return DataSplit(calibrating, evaluating, calibration.folder, truths, notes, known, evaluated.classes is not None)


def calibration_classes(images: ImageSet, labels: Sequence[str]) -> dict[Path, int | None]:
    """The class of each calibration image: its label, or by the name of its folder.

    Calibration images need no classes, so folders that are not named after classes are no mistake.

    Args:
        images: The calibration images.
        labels: The class names, in the order of the model's output.

    Returns:
        The class of each image, None where it is unknown; nothing if the folders' names do not fit the classes.
    """
    classes: Sequence[int | None] | None = images.classes
    if classes is None:
        try:
            classes = class_folders.find(images.paths, images.folder, labels).classes
        except EdgenetError:
            return {}
    return dict(zip(images.paths, classes, strict=True))


def _without(images: ImageSet, broken: Mapping[Path, BrokenImageError]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The images that are not broken, and the notes on all."""
    paths, note = broken_images.without(images.paths, images.folder, broken)
    return tuple(paths), images.notes + ((note,) if note else ())


def _digest(path: Path) -> str:
    try:
        return files.sha256(path)
    except OSError:
        decode.check(path)  # says what is wrong with the path
        raise


def _split(paths: Sequence[Path], folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Split by the SHA-256 of each file, so that copies stay together and the split is the same on every machine."""
    by_content: dict[str, list[Path]] = {}
    for path in paths:
        by_content.setdefault(_digest(path), []).append(path)
    digests = sorted(by_content)
    if len(digests) < 2:
        raise EdgenetError(
            f"{folder}: all images are the same, or there is only one; calibration and evaluation need at least 2 "
            "different images. Add some, or give evaluation images with evaluation="
        )
    at_least = min(MIN_CALIBRATION_IMAGES, len(digests) // 2)
    count = min(MAX_CALIBRATION_IMAGES, max(int(len(digests) * CALIBRATION_FRACTION), at_least))
    chosen = set(digests[:count])
    return (
        tuple(sorted(path for digest in chosen for path in by_content[digest])),
        tuple(sorted(path for digest in digests[count:] for path in by_content[digest])),
    )
