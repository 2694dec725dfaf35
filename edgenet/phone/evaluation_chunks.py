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
    """The evaluation images of a bundle, a few at a time: CHUNK_SIZE if pixels are uint8, fewer if they are float32.

    The scores of all images are in memory, and the pixels of a few chunks.

    Attributes:
        images: The number of images.
        size: The number of images in each chunk but the last.
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
        # Its pixels take as many bytes either way, here and on the phone.
        self.size = CHUNK_SIZE // np.dtype(manifest.preprocessing.dtype).itemsize
        self.chunks = -(-self.images // self.size)
        self._load_cached = lru_cache(MAX_CACHED_CHUNKS)(self._load)

    def get(self, number: int) -> Chunk:
        """A chunk by its number, from 0."""
        return self._load_cached(number)

    def _load(self, number: int) -> Chunk:
        part = slice(number * self.size, (number + 1) * self.size)
        images = self._bundle.manifest.evaluation[part]
        paths = (self._bundle.file(image.file) for image in images)
        pixels = np.stack(list(preprocess.load_all(paths, self._bundle.manifest.preprocessing)))
        return Chunk(pixels, self._scores[part], images)
