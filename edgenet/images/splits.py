"""Which pictures calibrate, and which are evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images import preprocess

# Of one folder for both, a quarter calibrates, at most 200 images, and at least 50 if that leaves as many.
MOST, LEAST, SHARE = 200, 50, 4


@dataclass(frozen=True)
class Sets:
    """calibration, evaluation: image files. folder: where the latter lie. truth: the class of each, None for unknown.
    notes: what there is to say of the choice."""

    calibration: tuple[Path, ...]
    evaluation: tuple[Path, ...]
    folder: Path
    truth: tuple[int | None, ...]
    notes: tuple[str, ...] = ()


def choose(calibration: Path, evaluation: Path | None, labels: Sequence[str], truth: Path | None = None) -> Sets:
    """The images of two folders, or, without `evaluation`, of one that is split by its files' contents.

    labels: the class names. truth: a file with the class of each evaluation picture; without, the folders' names tell
    it, or nothing does. Raises EdgenetError when a folder has no images, or one folder too few for both.
    """
    found = preprocess.find(calibration)
    notes = [f"{calibration}: {found.note()}"] if found.note() else []
    folder = evaluation or calibration
    if evaluation:
        calibrating, shown = found.paths, preprocess.find(evaluation)
        if shown.note():
            notes.append(f"{evaluation}: {shown.note()}")
        evaluated = shown.paths
        classes = class_names.of_pictures(evaluated, folder, labels, truth)
    else:
        calibrating, evaluated = _split(found.paths, calibration)
        classes = class_names.of_pictures(found.paths, folder, labels, truth)
        known = dict(zip(found.paths, classes, strict=True))
        classes = [known[path] for path in evaluated]
        notes.append(
            f"{calibration}: {len(calibrating):,} of {len(found.paths):,} images calibrate, the others are evaluated; "
            "to choose yourself, name another folder with --evaluation"
        )
    return Sets(tuple(calibrating), tuple(evaluated), folder, tuple(classes), tuple(notes))


def _split(paths: list[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """By the SHA-256 of each file, so that copies stay together and the choice is the same everywhere."""
    by_content: dict[str, list[Path]] = {}
    for path in paths:
        by_content.setdefault(files.sha256(path), []).append(path)
    digests = sorted(by_content)
    if len(digests) < 2:
        raise EdgenetError(
            f"{folder}: expected at least 2 different images, to calibrate with and to evaluate, found {len(digests)}; "
            "add some, or name another folder with --evaluation"
        )
    count = min(MOST, max(len(digests) // SHARE, min(LEAST, len(digests) // 2)))
    chosen = set(digests[:count])
    return (
        sorted(path for digest in chosen for path in by_content[digest]),
        sorted(path for digest in digests[count:] for path in by_content[digest]),
    )
