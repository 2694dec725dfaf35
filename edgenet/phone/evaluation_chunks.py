"""The evaluation images and Keras' scores on them in chunks, in any order, as browsers request them."""

from functools import lru_cache

import numpy as np

from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import Bundle
from edgenet.bundle.evaluation import CHUNK_SIZE, Chunk
from edgenet.images import preprocess

# A phone may request a chunk twice, and other phones request the same ones a moment later.
MAX_CACHED_CHUNKS = 16


class EvaluationChunks:
    """The evaluation images of a bundle, CHUNK_SIZE at a time.

    The scores of all images are in memory, and the pixels of a few chunks.

    Attributes:
        images: The number of images.
        chunks: The number of chunks.

    Raises:
        EdgenetError: The scores do not fit the manifest.
    """

    def __init__(self, bundle: Bundle):
        self._bundle = bundle
        manifest = bundle.manifest
        shape = (len(manifest.evaluation), manifest.classes)
        self._scores = np.concatenate(list(evaluation.read_scores(bundle.file(bundles.REFERENCE), shape)))
        self.images = len(manifest.evaluation)
        self.chunks = -(-self.images // CHUNK_SIZE)
        self._load_cached = lru_cache(MAX_CACHED_CHUNKS)(self._load)

    def get(self, number: int) -> Chunk:
        """A chunk by its number, from 0."""
        return self._load_cached(number)

    def _load(self, number: int) -> Chunk:
        part = slice(number * CHUNK_SIZE, (number + 1) * CHUNK_SIZE)
        images = self._bundle.manifest.evaluation[part]
        paths = (self._bundle.file(image.file) for image in images)
        pixels = np.stack(list(preprocess.load_all(paths, self._bundle.manifest.preprocessing)))
        return Chunk(pixels, self._scores[part], images)
