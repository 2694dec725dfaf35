"""The scores of a bundle's Keras model, and of its variants, on some images.

The request has `images`, the paths of the images in their folder, and `variants`, names. Inputs: `bundle`, a folder,
and `images`, a folder. The file SCORES has an array for the Keras model and each variant, float32 (images, classes).

Images are scored in batches of the same size wherever the chunk begins, so the scores do not depend on the workers.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenet.bundle import bundle as bundles
from edgenet.images import preprocess
from edgenet.images.broken import listed_together
from edgenet.litert.runner import Runner
from edgenet.quiet import quiet
from edgenet.records import KERAS, Preprocessing
from edgenet.sweep.evaluation import SCORES


def run(request: Mapping[str, Any], paths: Mapping[str, Path], files: Path | None) -> dict[str, Any]:
    """Score the images.

    Raises:
        EdgenetError: An image is broken, the bundle was changed, or TensorFlow is not installed.
    """
    assert files is not None  # since a job of this kind makes files
    bundle = bundles.load(paths["bundle"])
    bundles.verify(bundle)
    manifest = bundle.manifest
    recipe = manifest.preprocessing
    with quiet():
        from edgenet.exporter import KERAS_BATCH
        from edgenet.model import keras_model

        classifier = keras_model.reload(bundle.file(manifest.model), recipe, manifest.output)
    runners = {
        variant.name: Runner(bundle.file(variant.file), recipe) for variant in bundle.variants(request["variants"])
    }
    images = [paths["images"] / name for name in request["images"]]
    found: dict[str, list[np.ndarray]] = {name: [] for name in (KERAS, *runners)}
    for pixels in _batches(images, recipe, KERAS_BATCH):
        found[KERAS].extend(classifier.scores([pixels]))
        for name, runner in runners.items():
            found[name].append(runner.scores(pixels))
    np.savez(files / SCORES, **{name: np.concatenate(scores).astype(np.float32) for name, scores in found.items()})
    return {}


def _batches(images: Sequence[Path], recipe: Preprocessing, size: int) -> Iterator[np.ndarray]:
    with listed_together(images):
        yield from preprocess.batches(preprocess.load_all(images, recipe), size)
