"""The bundle: one folder that goes from the laptop to the device, and holds all that a benchmark needs.

float32.tflite float16.tflite dynamic.tflite int8.tflite
model.keras      the model that they were made of; or saved_model/, a folder
labels.txt       the class names, a line each, in the order of the scores
evaluation/      pictures
reference.npz    Keras' scores on them: `scores`, float32 (pictures, classes), in the manifest's order
manifest.json    what is what, and the SHA-256 of every other file
results/         what benchmarks found, one file a run; not part of the manifest
"""

import json
import os
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from edgenet import files, images, records
from edgenet.errors import EdgenetError
from edgenet.records import File, Manifest, Variant
from edgenet.runtime.drift import CHUNK, Chunk

MANIFEST = "manifest.json"
LABELS = "labels.txt"
REFERENCE = "reference.npz"
EVALUATION = "evaluation"
RESULTS = "results"
# Bytes in the name of a file, on the usual file systems.
LONGEST_NAME = 255


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose manifest has been read."""

    folder: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        return self.folder / name

    def variants(self, names: Iterable[str] | None = None) -> list[Variant]:
        """The variants of these names, all by default. Raises EdgenetError when one is not in the bundle."""
        present = {variant.name: variant for variant in self.manifest.variants}
        names = list(present) if names is None else list(names)
        if not names:
            raise EdgenetError(f"--variants: expected at least one name out of {', '.join(present)}, found none")
        for name in names:
            if name not in present:
                raise EdgenetError(f"--variants: expected names out of {', '.join(present)}, found {name!r}")
        return [present[name] for name in names]


def load(folder: Path) -> Bundle:
    """Read a bundle's manifest. Raises EdgenetError when there is none."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except OSError as error:
        found = (
            "a file" if folder.is_file() else "no folder" if not folder.is_dir() else f"no readable {MANIFEST} in it"
        )
        raise EdgenetError(f"{folder}: expected a bundle, found {found}; make one with `edgenet export`") from error
    manifest = records.from_json(Manifest, data, str(path))
    check(manifest, str(path))
    return Bundle(folder, manifest)


def check(manifest: Manifest, where: str) -> None:
    """Raise EdgenetError, with `where`, when a manifest names what cannot be in a bundle, or files without a hash."""
    folders = {str(parent) for name in manifest.files for parent in PurePosixPath(name).parents}
    for name, file in manifest.files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise EdgenetError(f"{where}: expected files inside the bundle, found {name!r}; do not use it")
        longest = max((len(os.fsencode(part)) for part in path.parts), default=LONGEST_NAME + 1)
        taken = str(path) != name or name in folders or "\0" in name or path.parts[0] in (MANIFEST, RESULTS)
        if taken or longest > LONGEST_NAME or file.bytes < 0:
            raise EdgenetError(f"{where}: expected files that a folder can hold, found {name!r}; do not use it")
    for name in (v.file for v in (*manifest.variants, *manifest.evaluation)):
        if name not in manifest.files:
            raise EdgenetError(f"{where}: expected files with a hash, found {name!r} without; do not use it")
    if not any(name == manifest.model or name.startswith(f"{manifest.model}/") for name in manifest.files):
        raise EdgenetError(f"{where}: expected files with a hash, found {manifest.model!r} without; do not use it")


def check_replaceable(folder: Path) -> None:
    """Raise EdgenetError unless `folder` is free, empty, or an earlier bundle, which a new one may replace."""
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents) or os.path.ismount(folder):
        raise EdgenetError(
            f"{folder}: expected a folder of its own to write to, found one in use; name another with --out"
        )
    if folder.is_dir() and any(folder.iterdir()) and not _is_bundle(folder):
        raise EdgenetError(
            f"{folder}: expected a new folder or an earlier bundle to write to, found a folder with other files; "
            "name another with --out"
        )
    if folder.exists() and not folder.is_dir():
        raise EdgenetError(f"{folder}: expected a folder to write to, found a file; name another with --out")


def _is_bundle(folder: Path) -> bool:
    """Whether it says that it is a bundle, of any format."""
    try:
        return json.loads((folder / MANIFEST).read_bytes())["kind"] == Manifest.KIND
    except (OSError, ValueError, TypeError, KeyError):
        return False


def verify(bundle: Bundle) -> int:
    """Check every file against the manifest. Returns their number. Raises EdgenetError at the first that differs."""
    for name, expected in bundle.manifest.files.items():
        path = bundle.file(name)
        again = "copy the bundle again, or export it again"
        try:
            size = path.stat().st_size
            if size != expected.bytes:
                raise EdgenetError(f"{path}: expected {expected.bytes} bytes, found {size}; {again}")
            found = files.sha256(path)
        except OSError as error:
            raise EdgenetError(f"{path}: expected a file of the bundle, found: {error.strerror}; {again}") from error
        if found != expected.sha256:
            raise EdgenetError(f"{path}: expected SHA-256 {expected.sha256}, found {found}; {again}")
    return len(bundle.manifest.files)


def seal(folder: Path, manifest: Manifest) -> Bundle:
    """Write the manifest of a finished folder, with every file's hash in it."""
    paths = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] != RESULTS
    )
    listed = {
        path.relative_to(folder).as_posix(): File(files.sha256(path), path.stat().st_size)
        for path in paths
        if path != folder / MANIFEST
    }
    manifest = replace(manifest, files=listed)
    files.write_whole(folder / MANIFEST, records.to_json(manifest))
    return Bundle(folder, manifest)


def write_result(folder: Path, data: bytes) -> Path:
    """Write a file of its own, named after the time (UTC), into results/ in a folder. Returns where it lies."""
    stem = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    names = (f"{stem}.json", *(f"{stem}-{number}.json" for number in range(2, 1_000)))
    return next(path for name in names if files.write_new(path := folder / RESULTS / name, data))


def chunks(bundle: Bundle) -> Iterator[Chunk]:
    """The evaluation pictures with Keras' scores, a chunk at a time. Raises EdgenetError when they do not fit."""
    pictures = bundle.manifest.evaluation
    loaded = images.load_all((bundle.file(picture.file) for picture in pictures), bundle.manifest.preprocessing)
    pixels = images.batches(loaded, CHUNK)
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
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise EdgenetError(f"{path}: expected {shape} scores, found {error}; export the bundle again") from error
