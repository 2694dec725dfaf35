"""The bundle: one folder that goes from the laptop to the device, with everything that a benchmark needs.

float32.tflite float16.tflite dynamic.tflite int8.tflite
model.keras      the source model; or saved_model/, a folder
labels.txt       the class names, one on each line, in the order of the scores
evaluation/      images
app/             code for Android, iOS and Python that uses the files
reference.npz    Keras' scores on them: `scores`, float32 (images, classes), in the manifest's order
manifest.json    the contents, with the SHA-256 of every other file
results/         results of benchmarks, one file for each run; not part of the manifest
"""

import json
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from edgenet import files, records
from edgenet.bundle import manifest_check
from edgenet.bundle.manifest_check import MANIFEST, RESULTS
from edgenet.errors import EdgenetError
from edgenet.records import FileHash, Manifest, VariantFile
from edgenet.records.serialization import MAX_BYTES
from edgenet.records.shown import Shown

__all__ = ["EVALUATION", "LABELS", "MANIFEST", "REFERENCE", "RESULTS", "Bundle"]

LABELS = "labels.txt"
REFERENCE = "reference.npz"
EVALUATION = "evaluation"


@dataclass(frozen=True)
class Bundle(Shown):
    """A bundle on disk whose manifest has been read.

    Attributes:
        folder: The folder.
        manifest: Its contents.
    """

    folder: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """The path of a file, given its path in the bundle."""
        return self.folder / name

    def variants(self, names: Iterable[str] | None = None) -> list[VariantFile]:
        """The variants of these names, in their order; all by default.

        Raises:
            EdgenetError: There is no name, or one that is not in the bundle.
        """
        present = {variant.name: variant for variant in self.manifest.variants}
        selected = list(present) if names is None else list(names)
        if not selected:
            raise EdgenetError(f"expected at least one of {', '.join(present)}", parameter="variants")
        for name in selected:
            if name not in present:
                raise EdgenetError(f"expected one of {', '.join(present)}, got {name!r}", parameter="variants")
        return [present[name] for name in selected]


def load(folder: Path) -> Bundle:
    """Read the manifest of a bundle. The other files are not read: see `verify`.

    Raises:
        EdgenetError: There is no valid manifest.
    """
    path = folder / MANIFEST
    try:
        data = files.read_limited(path, MAX_BYTES[Manifest])
    except OSError as error:
        if folder.is_file():
            reason = "it is a file"
        elif not folder.is_dir():
            reason = "no such folder"
        else:
            reason = f"no readable {MANIFEST} in it"
        raise EdgenetError(f"{folder}: not a bundle ({reason}); create one with `edgenet export`") from error
    manifest = records.from_json(Manifest, data, str(path))
    manifest_check.check(manifest, str(path))
    return Bundle(folder, manifest)


def verify(bundle: Bundle) -> int:
    """Check every file against the manifest.

    Returns:
        The number of files.

    Raises:
        EdgenetError: A file is missing, or differs in size or SHA-256.
    """
    hint = "copy the bundle again, or export it again"
    for name, expected in bundle.manifest.files.items():
        path = bundle.file(name)
        try:
            size = path.stat().st_size
            if size != expected.bytes:
                raise EdgenetError(f"{path}: expected {expected.bytes:,} bytes, got {size:,}; {hint}")
            digest = files.sha256(path)
        except OSError as error:
            raise EdgenetError(f"{path}: cannot read this file of the bundle ({error.strerror}); {hint}") from error
        if digest != expected.sha256:
            raise EdgenetError(f"{path}: expected SHA-256 {expected.sha256}, got {digest}; {hint}")
    return len(bundle.manifest.files)


def seal(folder: Path, manifest: Manifest) -> Bundle:
    """Write the manifest of a finished folder, with the size and SHA-256 of each file in it but the results."""
    paths = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] != RESULTS
    )
    hashes = {
        path.relative_to(folder).as_posix(): FileHash(files.sha256(path), path.stat().st_size)
        for path in paths
        if path != folder / MANIFEST
    }
    return write_manifest(folder, replace(manifest, files=hashes))


def write_manifest(folder: Path, manifest: Manifest) -> Bundle:
    """Write a manifest into its bundle. Raises EdgenetError when the folder cannot be written."""
    files.write_atomic(folder / MANIFEST, records.to_json(manifest))
    return Bundle(folder, manifest)


def check_replaceable(folder: Path, new: Collection[str] = (), force: bool = False) -> list[str]:
    """Check that a new bundle may be written to `folder`.

    Args:
        folder: The folder, which need not exist.
        new: The files of the new bundle as far as they are known, by their paths in it.
        force: Whether to replace files that are not part of an earlier bundle where a new file takes their place.

    Returns:
        The files in `folder` that will be replaced: those in the manifest of an earlier bundle, and with `force` those
        in the way. All others stay.

    Raises:
        EdgenetError: The folder is in use or contains something other than a bundle, or a file would be lost.
    """
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents) or os.path.ismount(folder):
        raise EdgenetError(f"{folder}: this folder is in use; give another with out=")
    if folder.exists() and not folder.is_dir():
        raise EdgenetError(f"{folder}: expected a folder, got a file; give another with out=")
    if not folder.is_dir() or not any(folder.iterdir()):
        return []
    listed = _listed_files(folder)
    if listed is None:
        raise EdgenetError(
            f"{folder}: the folder has other files and no bundle; give a new folder, or that of an earlier bundle, "
            "with out="
        )
    lost = files.collisions(files.unlisted_files(folder, listed), new)
    if lost and not force:
        more = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise EdgenetError(
            f"{folder / lost[0]}{more}: not part of the earlier bundle, but the new one would replace it; move it "
            "away, or replace it with force=True"
        )
    return [*listed, *lost]


def _listed_files(folder: Path) -> set[str] | None:
    """The manifest of a bundle of any format, and the files that it lists; None without a manifest."""
    try:
        body = json.loads(files.read_limited(folder / MANIFEST, MAX_BYTES[Manifest]))
        if body["kind"] != Manifest.KIND:
            return None
        names = {name for name in body["files"] if manifest_check.is_inside(name)}
    except (EdgenetError, OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return {MANIFEST, *names}
