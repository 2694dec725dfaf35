"""Bundles whose files have metadata, right or wrong."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.convert import metadata
from edgenet.images import labels as class_names
from edgenet.records import Preprocessing
from edgenet.tflite import flatbuffer


def with_metadata(
    bundle: Bundle, folder: Path, labels: Sequence[str] | None = None, recipe: Preprocessing | None = None
) -> Bundle:
    """A copy of a bundle whose files have metadata with these labels and this recipe; by default, the bundle's own."""
    labels = labels or class_names.read(bundle.file(bundles.LABELS))
    about, kind = metadata.About("tiny", "for tests"), bundle.manifest.scores
    return changed(
        bundle,
        folder,
        lambda data: metadata.write(data, about, recipe or bundle.manifest.preprocessing, labels, kind, {}),
    )


def without_metadata(bundle: Bundle, folder: Path) -> Bundle:
    """A copy of a bundle whose files have no metadata."""

    def strip(data: bytes) -> bytes:
        model = flatbuffer.read(data)
        model.metadata = []
        return flatbuffer.write(model)

    return changed(bundle, folder, strip)


def changed(bundle: Bundle, folder: Path, change: Callable[[bytes], bytes]) -> Bundle:
    """A copy of a bundle, with every .tflite file changed, sealed."""
    shutil.copytree(bundle.folder, folder)
    for variant in bundle.manifest.variants:
        path = folder / variant.file
        path.write_bytes(change(path.read_bytes()))
    return bundles.seal(folder, bundle.manifest)
