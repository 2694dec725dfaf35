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
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from edgenet import cache, files, records
from edgenet.errors import EdgenetError
from edgenet.records import File, Manifest, Variant
from edgenet.records.serialization import MAX_BYTES

MANIFEST = "manifest.json"
LABELS = "labels.txt"
REFERENCE = "reference.npz"
EVALUATION = "evaluation"
RESULTS = "results"
# Bytes in the name of a file, on the usual file systems.
LONGEST_NAME = 255
# Of an input, in pixels; of the scores.
MAX_SIDE, MAX_CLASSES = 8_192, 1_000_000


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
        data = files.read(path, MAX_BYTES[Manifest])
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
    if problem := next(_nonsense(manifest), None):
        raise EdgenetError(f"{where}: {problem}; do not use it")
    if not any(name == manifest.model or name.startswith(f"{manifest.model}/") for name in manifest.files):
        raise EdgenetError(f"{where}: expected files with a hash, found {manifest.model!r} without; do not use it")


def _nonsense(manifest: Manifest) -> Iterator[str]:
    """What no export writes, and what later steps would stumble over."""
    if (
        not manifest.name.isprintable()
        or not manifest.name.strip()
        or set(manifest.name) & set("/\\")
        or (len(manifest.name) > LONGEST_NAME)
    ):
        yield f"{manifest.name[:80]!r} is no name of a model"
    recipe = manifest.preprocessing
    if not 0.1 <= recipe.crop <= 1:
        yield f"a crop of {recipe.crop:g} is not from 0.1 to 1"
    if recipe.channels not in (1, 3) or not all(1 <= side <= MAX_SIDE for side in (recipe.height, recipe.width)):
        yield f"an input of {recipe.shape} is no image"
    if not all(len(values) == recipe.channels for values in (recipe.mean, recipe.std)) or min(recipe.std) <= 0:
        yield "the mean and standard deviation do not fit the channels"
    if not 1 <= manifest.batch <= 1024:
        yield f"a batch of {manifest.batch:,} is not from 1 to 1024"
    if not 2 <= manifest.classes <= MAX_CLASSES:
        yield f"{manifest.classes:,} classes are not from 2 to {MAX_CLASSES:,}"


def check_replaceable(folder: Path, coming: Collection[str] = (), force: bool = False) -> list[str]:
    """The files in `folder` that a new bundle replaces: those that an earlier bundle's manifest names.

    coming: the files of the new bundle, as far as they are known, by their paths in it. All else in the folder stays;
    where one of these files has the place of a new one, it is replaced with `force`.

    Raises EdgenetError when the folder is in use or holds something else than a bundle, or when a file would be lost.
    """
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents) or os.path.ismount(folder):
        raise EdgenetError(
            f"{folder}: expected a folder of its own to write to, found one in use; name another with --out"
        )
    if folder.exists() and not folder.is_dir():
        raise EdgenetError(f"{folder}: expected a folder to write to, found a file; name another with --out")
    if not folder.is_dir() or not any(folder.iterdir()):
        return []
    named = _named_files(folder)
    if named is None:
        raise EdgenetError(
            f"{folder}: expected a new folder or an earlier bundle to write to, found a folder with other files; "
            "name another with --out"
        )
    lost = files.collisions(files.others(folder, named), coming)
    if lost and not force:
        more = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise EdgenetError(
            f"{folder / lost[0]}{more}: not part of the earlier bundle, and the new one would replace it; move it "
            "away, or replace it with --force"
        )
    return [*named, *lost]


def _named_files(folder: Path) -> set[str] | None:
    """The files of a bundle of any format: its manifest, and what that names. None where there is no manifest."""
    try:
        body = json.loads(files.read(folder / MANIFEST, MAX_BYTES[Manifest]))
        if body["kind"] != Manifest.KIND:
            return None
        names = {name for name in body["files"] if _is_inside(name)}
    except (EdgenetError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return {MANIFEST, *names}


def _is_inside(name: str) -> bool:
    """Whether a path leads to a file in a folder, and nowhere else."""
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and ".." not in path.parts and "\0" not in name


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
    """Write a file of its own, named after the time (UTC), into results/ in a folder. Returns where it lies.

    Raises EdgenetError when the place cannot be written, or when the folder has gone.
    """
    if not folder.is_dir():
        raise EdgenetError(f"{folder}: the folder has gone")
    return _write_dated(folder / RESULTS, data)


def keep_result(data: bytes) -> Path:
    """Write a file as `write_result` does, where there is room when the place that was meant has none.

    That is the user's cache, the working directory, or the folder of temporary files. Raises EdgenetError when none of
    them can be written.
    """
    *places, last = filter(None, (cache.permanent(RESULTS), Path.cwd(), Path(tempfile.gettempdir())))
    for place in places:
        with suppress(EdgenetError):
            return _write_dated(place, data)
    return _write_dated(last, data)


def _write_dated(folder: Path, data: bytes) -> Path:
    stem = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    names = (f"{stem}.json", *(f"{stem}-{number}.json" for number in range(2, 1_000)))
    return next(path for name in names if files.write_new(path := folder / name, data))
