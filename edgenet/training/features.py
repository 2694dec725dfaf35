"""What the frozen network sees in images: its pooled features, and the scores of the whole model."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from edgenet.images import preprocess
from edgenet.progress import Progress
from edgenet.records import Preprocessing
from edgenet.training.pixels import Pixels

BATCH = 32
# The layers whose outputs are the features, and the logits.
FEATURES, LOGITS = "pool", "flatten"


class Network:
    """A model in inference mode.

    Args:
        model: Its weights may change later.
        size: Height and width of its input in pixels.
    """

    def __init__(self, model: keras.Model, size: int):
        network = keras.Model(model.input, [model.get_layer(FEATURES).output, model.output])
        signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
        function = tf.function(lambda images: network(images, training=False), signature, autograph=False)
        self._call = function.get_concrete_function()

    def images(
        self, pixels: Pixels, images: Sequence[int] | np.ndarray, recipe: Preprocessing, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the model on images as they are.

        Args:
            pixels: At the size of the model's input.
            images: The images in the file.
            recipe: Of the model.
            progress: Gets the count.

        Returns:
            The features, float32 (n, features), and the probabilities, float32 (n, classes).
        """
        pooled, scores = [], []
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            some, others = self._call(tf.constant(preprocess.normalize(pixels.read(batch), recipe)))
            pooled.append(some.numpy()[:, 0, 0, :])
            scores.append(others.numpy())
            progress.count(start + len(batch), len(images))
        return np.concatenate(pooled), np.concatenate(scores)
