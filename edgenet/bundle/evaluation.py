"""The evaluation images of a bundle, with the Keras model's scores on them."""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenet.bundle.bundle import REFERENCE, Bundle
from edgenet.errors import EdgenetError, first_line
from edgenet.images import preprocess
from edgenet.records import EvaluationImage

# Images that are evaluated together: enough work for a thread to outweigh the cost of passing it on.
CHUNK_SIZE = 16


@dataclass(frozen=True)
class Chunk:
    """Some evaluation images.

    Attributes:
        pixels: uint8 (images, height, width, channels).
        reference: The reference model's scores, float32 (images, classes); None without a reference.
        images: Their paths and classes.
    """

    pixels: np.ndarray
    reference: np.ndarray | None
    images: tuple[EvaluationImage, ...]


def chunks(bundle: Bundle) -> Iterator[Chunk]:
    """The evaluation images with the Keras model's scores, CHUNK_SIZE images at a time.

    Raises:
        EdgenetError: An image cannot be read, or the scores do not fit the manifest.
    """
    images = bundle.manifest.evaluation
    loaded = preprocess.load_all((bundle.file(image.file) for image in images), bundle.manifest.preprocessing)
    batches = preprocess.batches(loaded, CHUNK_SIZE)
    shape = (len(images), bundle.manifest.classes)
    scores = read_scores(bundle.file(REFERENCE), shape)
    for number, (pixels, reference) in enumerate(zip(batches, scores, strict=True)):
        yield Chunk(pixels, reference, images[number * CHUNK_SIZE : (number + 1) * CHUNK_SIZE])


def reference_errors(bundle: Bundle) -> tuple[str, ...] | None:
    """The labelled images that the Keras model classifies wrongly, by file; the lowest class index wins among equals.

    None without labels, and for a multi-label model.

    Raises:
        EdgenetError: The scores do not fit the manifest.
    """
    manifest = bundle.manifest
    if manifest.multi_label or all(image.label is None for image in manifest.evaluation):
        return None
    shape = (len(manifest.evaluation), manifest.classes)
    predicted = (int(label) for rows in read_scores(bundle.file(REFERENCE), shape) for label in rows.argmax(axis=1))
    return tuple(
        image.file
        for image, label in zip(manifest.evaluation, predicted, strict=True)
        if image.label not in (None, label)
    )


def write_scores(path: Path, batches: Iterable[np.ndarray], shape: tuple[int, int]) -> None:
    """Write scores as an .npz file with one array `scores`, one batch after the other.

    Args:
        path: The file.
        batches: Scores, float (n, classes).
        shape: The number of images and of classes.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    # ZipInfo without a date: the same scores give the same bytes.
    with zipfile.ZipFile(path, "w") as archive, archive.open(zipfile.ZipInfo("scores.npy"), "w") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for batch in batches:
            file.write(batch.astype("<f4").tobytes())


def read_chosen_scores(path: Path, shape: tuple[int, int], chosen: Sequence[int] | np.ndarray) -> np.ndarray:
    """Read the scores of some images, float32 (chosen, classes); no others are kept in memory.

    Args:
        path, shape: As in `read_scores`, whose errors it raises.
        chosen: The numbers of the images, in ascending order.
    """
    rows, numbers = [], np.asarray(chosen, int)
    for start, scores in zip(range(0, shape[0], CHUNK_SIZE), read_scores(path, shape), strict=True):
        rows.append(scores[numbers[(numbers >= start) & (numbers < start + len(scores))] - start])
    return np.concatenate(rows)


def read_scores(path: Path, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    """Read what `write_scores` wrote.

    Args:
        path: The file.
        shape: The number of images and of classes that it must have.

    Yields:
        Scores, float32 (up to CHUNK_SIZE, classes).

    Raises:
        EdgenetError: The file is damaged, or has scores of another shape or dtype.
    """
    images, classes = shape
    try:
        with zipfile.ZipFile(path) as archive, archive.open("scores.npy") as file:
            np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0(file)
            if header != (shape, False, np.dtype("<f4")):
                raise ValueError(f"scores {header[0]} of {header[2]}")
            for start in range(0, images, CHUNK_SIZE):
                count = min(CHUNK_SIZE, images - start)
                data = file.read(4 * count * classes)
                yield np.frombuffer(data, "<f4").reshape(count, classes)
    except Exception as error:  # zipfile, zlib and numpy each have exceptions of their own for damaged files
        raise EdgenetError(
            f"{path}: expected float32 scores {shape}, got: {first_line(error)}; export the bundle again"
        ) from error
