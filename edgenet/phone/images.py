"""The evaluation pictures and Keras' scores on them, any chunk at any time, as browsers ask for them."""

from functools import lru_cache

import numpy as np

from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import Bundle
from edgenet.bundle.evaluation import CHUNK, Chunk
from edgenet.images import preprocess

# Chunks that are held: what a phone asks for twice, and a neighbour a moment later.
HELD = 16


class Pictures:
    """Chunks of CHUNK pictures by their number, from 0. The scores of all pictures are held, and a few chunks' pixels.

    Raises EdgenetError when the scores do not fit.
    """

    def __init__(self, bundle: Bundle):
        self._bundle = bundle
        manifest = bundle.manifest
        shape = (len(manifest.evaluation), manifest.classes)
        self._scores = np.concatenate(list(evaluation.read_scores(bundle.file(bundles.REFERENCE), shape)))
        self.count = len(manifest.evaluation)
        self.chunks = -(-self.count // CHUNK)
        self.chunk = lru_cache(HELD)(self._chunk)

    def _chunk(self, number: int) -> Chunk:
        some = slice(number * CHUNK, (number + 1) * CHUNK)
        pictures = self._bundle.manifest.evaluation[some]
        paths = (self._bundle.file(picture.file) for picture in pictures)
        pixels = np.stack(list(preprocess.load_all(paths, self._bundle.manifest.preprocessing)))
        return Chunk(pixels, self._scores[some], pictures)
