"""Accuracy and agreement on many images: their scores are computed in chunks, and counted in the order of the images.

The sums are exact, so the numbers are the same whatever the number of workers, and in whatever order they finish.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from edgenet import files
from edgenet.benchmarking.benchmark import drift_results
from edgenet.benchmarking.subject import Subject, evaluation_digest
from edgenet.benchmarking.tally import Tally
from edgenet.bundle.bundle import LABELS, MANIFEST, Bundle
from edgenet.bundle.evaluation import CHUNK_SIZE
from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images import listing
from edgenet.images.class_truth import image_classes
from edgenet.records import KERAS, EvaluationImage, Results, ScoreKind
from edgenet.sweep import file_sets, keys
from edgenet.sweep.job import Input, Job, Kind

# The file that a job makes.
SCORES = "scores.npz"
# Images of a job: enough to outweigh the start of TensorFlow, and a multiple of the batch of the Keras model.
CHUNK_IMAGES = 1_024
# Seconds for a chunk, on the slowest machine: several for each image.
TIMEOUT_SECONDS = 4 * 3_600.0


@dataclass(frozen=True)
class ImageFolder:
    """Many images with classes.

    Attributes:
        folder: The folder.
        names: Their paths in it, sorted.
        digests: The SHA-256 of each file.
        truth: A file with the class of each image; None for the names of folders.
    """

    folder: Path
    names: tuple[str, ...]
    digests: tuple[str, ...]
    truth: Path | None = None

    @classmethod
    def read(cls, folder: Path, truth: Path | None = None) -> "ImageFolder":
        """List the images of a folder, and read all of them once.

        Raises:
            EdgenetError: There are none, or one cannot be read.
        """
        paths = listing.find_images(folder).paths
        try:
            digests = tuple(files.sha256(path) for path in paths)
        except OSError as error:
            raise EdgenetError(f"{error.filename}: cannot be read ({error.strerror})") from error
        return cls(folder, tuple(path.relative_to(folder).as_posix() for path in paths), digests, truth)

    @cached_property
    def input(self) -> Input:
        """The folder as jobs get it: the same for all models."""
        return Input(self.folder, file_sets.digest(self.folder))

    def labelled(self, labels: Sequence[str]) -> tuple[EvaluationImage, ...]:
        """The images with their classes. Raises EdgenetError if these do not fit the labels."""
        paths = [self.folder / name for name in self.names]
        classes = image_classes(paths, self.folder, labels, self.truth).classes
        return tuple(EvaluationImage(name, label) for name, label in zip(self.names, classes, strict=True))


def jobs(bundle: Bundle, images: ImageFolder, variants: Sequence[str]) -> list[Job]:
    """The jobs that score the images, in their order.

    Args:
        bundle: The models.
        images: The images.
        variants: The names of the bundle's variants.

    Raises:
        EdgenetError: Classes do not fit the labels, or a file cannot be read.
    """
    images.labelled(class_names.read_lines(bundle.file(LABELS)))  # before the work, not after it
    manifest = files.sha256(bundle.file(MANIFEST))
    inputs = {"bundle": Input(bundle.folder, file_sets.digest(bundle.folder)), "images": images.input}
    made = []
    for start in range(0, len(images.names), CHUNK_IMAGES):
        part = slice(start, start + CHUNK_IMAGES)
        request = {"images": list(images.names[part]), "variants": list(variants)}
        made.append(
            Job(
                key=keys.key(Kind.EVALUATE, bundle=manifest, images=images.digests[part], request=request),
                kind=Kind.EVALUATE,
                name=f"{bundle.manifest.name}, images {start + 1:,} to {start + len(request['images']):,}",
                request=request,
                inputs=inputs,
                makes_files=True,
                timeout=TIMEOUT_SECONDS,
            )
        )
    return made


def results(bundle: Bundle, images: ImageFolder, variants: Sequence[str], scores: Sequence[Path]) -> Results:
    """Count the scores of all chunks.

    Args:
        bundle, images, variants: As in `jobs`.
        scores: The files that the jobs made, in the order of the jobs.

    Raises:
        EdgenetError: Classes do not fit the labels, or a score is NaN or infinite.
    """
    labels = class_names.read_lines(bundle.file(LABELS))
    known = images.labelled(labels)
    manifest = bundle.manifest
    multi_label = manifest.scores == ScoreKind.SIGMOID and all(image.label is None for image in known)
    tallies = {
        name: Tally(manifest.scores, multi_label=multi_label, model=name, reference="Keras", labels=labels)
        for name in variants
    }
    wrong: list[str] = []
    done = 0
    for arrays in map(_read, scores):
        # In the steps of a benchmark, so that sums are rounded as there.
        for start in range(0, len(arrays[KERAS]), CHUNK_SIZE):
            step = slice(start, start + CHUNK_SIZE)
            expected = arrays[KERAS][step]
            part = known[done : done + len(expected)]
            for name, tally in tallies.items():
                tally.add(expected, arrays[name][step], part)
            best = expected.argmax(axis=1)
            wrong += [i.file for i, top in zip(part, best, strict=True) if i.label is not None and i.label != top]
            done += len(expected)
    if done != len(known):
        raise EdgenetError(f"{bundle.folder}: expected scores of {len(known):,} images, got {done:,}; run it again")
    is_labelled = any(image.label is not None for image in known) and not multi_label
    subject = Subject.from_bundle(bundle, bundle.variants(variants), keras=False, drift=False)
    data = replace(
        subject.evaluation,
        images=len(known),
        sha256=evaluation_digest(images.digests),
        reference_errors=tuple(wrong) if is_labelled else None,
    )
    return drift_results(replace(subject, evaluation=data), {name: tally.drift() for name, tally in tallies.items()})


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)
