"""Checks of a manifest that may come from anywhere: safe paths, a hash for every file, values that an export writes.

`edgenet.records` checks the form of a manifest; this module checks what a reader of the bundle relies on.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edgenet.errors import EdgenetError
from edgenet.images.input_range import MIN_CROP
from edgenet.records import Manifest
from edgenet.records.values import MAX_SIDE

MANIFEST = "manifest.json"
RESULTS = "results"
# Of a file or folder, on the usual file systems.
MAX_NAME_BYTES = 255
MAX_CLASSES = 1_000_000
MAX_BATCH = 1_024


def check(manifest: Manifest, source: str) -> None:
    """Check the paths, hashes and values of a manifest.

    Args:
        manifest: The manifest.
        source: The start of error messages.

    Raises:
        EdgenetError: A path leads out of the bundle or cannot exist in a folder, a file has no hash, or a value is one
            that no export writes.
    """
    if problem := next(_problems(manifest), None):
        raise EdgenetError(f"{source}: {problem}; do not use this bundle")


def is_inside(name: str) -> bool:
    """Whether a path in a bundle is that of a file in its folder."""
    return str(PurePosixPath(name)) == name and not _leads_out(name) and "\0" not in name


def _problems(manifest: Manifest) -> Iterator[str]:
    yield from _invalid_paths(manifest)
    yield from _missing_hashes(manifest)
    yield from _invalid_values(manifest)


def _invalid_paths(manifest: Manifest) -> Iterator[str]:
    folders = {str(parent) for name in manifest.files for parent in PurePosixPath(name).parents}
    for name, file in manifest.files.items():
        path = PurePosixPath(name)
        if _leads_out(name):
            yield f"the path {name!r} leads out of the bundle"
        longest = max((len(os.fsencode(part)) for part in path.parts), default=MAX_NAME_BYTES + 1)
        impossible = str(path) != name or name in folders or "\0" in name or path.parts[0] in (MANIFEST, RESULTS)
        if impossible or longest > MAX_NAME_BYTES or file.bytes < 0:
            yield f"{name!r} cannot be a file of a bundle"


def _leads_out(name: str) -> bool:
    """Whether a path, joined to a folder, leads out of it: on Windows, backslashes and drives do so too."""
    return any(path.anchor or ".." in path.parts for path in (PurePosixPath(name), Path(name)))


def _missing_hashes(manifest: Manifest) -> Iterator[str]:
    """A file without a hash could be any file, anywhere; Keras executes a model."""
    used = (*(variant.file for variant in manifest.variants), *(image.file for image in manifest.evaluation))
    missing = [name for name in used if name not in manifest.files]
    if not any(name == manifest.model or name.startswith(f"{manifest.model}/") for name in manifest.files):
        missing.append(manifest.model)
    for name in missing:
        yield f"the file {name!r} has no hash"


def _invalid_values(manifest: Manifest) -> Iterator[str]:
    """Values that no export writes, and that later steps cannot use."""
    name = manifest.name
    if not name.isprintable() or not name.strip() or set(name) & set("/\\") or len(name) > MAX_NAME_BYTES:
        yield f"{name[:80]!r} is not a valid model name"
    recipe = manifest.preprocessing
    if not MIN_CROP <= recipe.resize.crop <= 1:
        yield f"the crop must be from {MIN_CROP} to 1, got {recipe.resize.crop:g}"
    if recipe.channels not in (1, 3) or not all(1 <= side <= MAX_SIDE for side in (recipe.height, recipe.width)):
        yield f"the input shape {recipe.shape} is not that of an image"
    if not all(len(values) == recipe.channels for values in (recipe.mean, recipe.std)) or min(recipe.std) <= 0:
        yield "the mean and standard deviation do not fit the channels"
    if not 1 <= manifest.batch <= MAX_BATCH:
        yield f"the batch must be from 1 to {MAX_BATCH:,}, got {manifest.batch:,}"
    if not 2 <= manifest.classes <= MAX_CLASSES:
        yield f"the number of classes must be from 2 to {MAX_CLASSES:,}, got {manifest.classes:,}"
