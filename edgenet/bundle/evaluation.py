"""The evaluation images of a bundle, with the scores that the Keras model gave them."""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenet.bundle.bundle import REFERENCE, Bundle
from edgenet.errors import EdgenetError, first_line
from edgenet.images import preprocess
from edgenet.records import Picture

# Images that are evaluated together: enough to make the work of a thread worth handing over.
CHUNK = 16


@dataclass(frozen=True)
class Chunk:
    """Some evaluation pictures: uint8 pixels (n, height, width, channels), their names, and the float32 scores
    (n, classes) that Keras, or whatever is the reference, gave them; None without a reference."""

    pixels: np.ndarray
    reference: np.ndarray | None
    pictures: tuple[Picture, ...]


def chunks(bundle: Bundle) -> Iterator[Chunk]:
    """The evaluation pictures with Keras' scores, a chunk at a time. Raises EdgenetError when they do not fit."""
    pictures = bundle.manifest.evaluation
    loaded = preprocess.load_all((bundle.file(picture.file) for picture in pictures), bundle.manifest.preprocessing)
    pixels = preprocess.batches(loaded, CHUNK)
    shape = (len(pictures), bundle.manifest.classes)
    for start, (some, reference) in enumerate(zip(pixels, read_scores(bundle.file(REFERENCE), shape), strict=True)):
        yield Chunk(some, reference, pictures[start * CHUNK : (start + 1) * CHUNK])


def write_scores(path: Path, batches: Iterable[np.ndarray], shape: tuple[int, int]) -> None:
    """Write float32 scores (pictures, classes) as an .npz with one array `scores`, as they come."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    # ZipInfo without a date: the same scores give the same bytes.
    with zipfile.ZipFile(path, "w") as archive, archive.open(zipfile.ZipInfo("scores.npy"), "w") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for batch in batches:
            file.write(batch.astype("<f4").tobytes())


def read_scores(path: Path, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    """Read what `write_scores` wrote, float32 (up to CHUNK, classes) at a time.

    Raises EdgenetError when the file does not hold `shape` scores.
    """
    pictures, classes = shape
    try:
        with zipfile.ZipFile(path) as archive, archive.open("scores.npy") as file:
            np.lib.format.read_magic(file)
            found = np.lib.format.read_array_header_1_0(file)
            if found != (shape, False, np.dtype("<f4")):
                raise ValueError(f"scores {found[0]}")
            for start in range(0, pictures, CHUNK):
                count = min(CHUNK, pictures - start)
                data = file.read(4 * count * classes)
                yield np.frombuffer(data, "<f4").reshape(count, classes)
    except Exception as error:  # zip, zlib and numpy each have exceptions of their own for damaged files
        reason = first_line(error)
        raise EdgenetError(f"{path}: expected {shape} scores, found {reason}; export the bundle again") from error
