"""Which images are used for calibration, and which for evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images import sources
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
    """

    calibration: tuple[Path, ...]
    evaluation: tuple[Path, ...]
    folder: Path
    truth: tuple[int | None, ...]
    notes: tuple[str, ...] = ()


def from_folders(
    calibration: Path, evaluation: Path | None, labels: Sequence[str], truth: Path | None = None
) -> DataSplit:
    """Use two folders of images, or split one. Arguments and exceptions as in `choose`, with folders for image sets."""
    return choose(
        sources.from_folder(calibration), sources.from_folder(evaluation) if evaluation else None, labels, truth
    )


def choose(
    calibration: ImageSet, evaluation: ImageSet | None, labels: Sequence[str], truth: Path | None = None
) -> DataSplit:
    """Use two sets of images, or split one set by the contents of its files.

    Args:
        calibration: The calibration images; without `evaluation`, all images.
        evaluation: The evaluation images.
        labels: The class names, in the order of the model's output.
        truth: A file with the class of each evaluation image. Without one, and without classes in the image set, the
            names of the images' folders are used (`edgenet.images.labels.image_classes`).

    Raises:
        EdgenetError: There are too few images to split; the classes do not fit the images.
    """
    evaluated = evaluation or calibration
    if evaluated.classes is not None and truth:
        raise EdgenetError("the images have labels of their own; leave truth= out", parameter="truth")
    classes: tuple[int | None, ...] | None = evaluated.classes
    if classes is None:
        classes = tuple(class_names.image_classes(evaluated.paths, evaluated.folder, labels, truth))
    notes = calibration.notes
    if evaluation:
        return DataSplit(calibration.paths, evaluation.paths, evaluation.folder, classes, notes + evaluation.notes)
    calibrating, evaluating = _split(calibration.paths, calibration.folder)
    class_of = dict(zip(calibration.paths, classes, strict=True))
    notes += (
        f"{calibration.folder}: {len(calibrating):,} of {len(calibration.paths):,} images are used for calibration, "
        "the rest for evaluation; you can also give other images for evaluation",
    )
    truths = tuple(class_of[path] for path in evaluating)
    return DataSplit(tuple(calibrating), tuple(evaluating), calibration.folder, truths, notes)


def _split(paths: Sequence[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """Split by the SHA-256 of each file, so that copies stay together and the split is the same on every machine."""
    by_content: dict[str, list[Path]] = {}
    for path in paths:
        by_content.setdefault(files.sha256(path), []).append(path)
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
        sorted(path for digest in chosen for path in by_content[digest]),
        sorted(path for digest in digests[count:] for path in by_content[digest]),
    )
