"""Train models of the bundled family quickly, each from another random seed."""

import keras
import numpy as np
import tensorflow as tf

from edgenet.images import bundled, preprocess
from edgenet.images.input_range import InputRange
from edgenet.model import mobilenet
from edgenet.records import ModelSpec
from edgenet.training.pixels import EnlargedImages

BATCH = 16
# Of Adam, at most: it rises for the first 15 % of the steps, and falls with a cosine.
LEARNING_RATE = 1e-3


class Trainer:
    """Trains one architecture from several seeds. It is traced only once, which takes as long as 1,000 images.

    Args:
        alpha: The width multiplier.
    """

    def __init__(self, alpha: float) -> None:
        self._spec = ModelSpec(size=bundled.SPEC.size, alpha=alpha, classes=bundled.SPEC.classes)
        self._model = mobilenet.build(self._spec)
        for layer in self._model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.9  # 0.99 would remember the random start after so few steps
        self._optimizer = keras.optimizers.Adam(epsilon=1e-5)
        self._optimizer.build(self._model.trainable_variables)
        size = self._spec.size
        self._recipe = InputRange().recipe(size, size, 3)
        signature = [tf.TensorSpec((None, size, size, 3)), tf.TensorSpec((None, self._spec.classes))]
        self._step = tf.function(self._train, input_signature=signature)

    def train(
        self, images: np.ndarray, targets: np.ndarray, count: int, seed: int, larger: keras.Model | None = None
    ) -> keras.Model:
        """Train from random weights, or from those of random channels of a larger model, which takes less time.

        Args:
            images: uint8 (n, 28, 28).
            targets: The scores to be learned, float32 (n, classes).
            count: The number of images seen: fewer than there are, or some several times.
            seed: Of weights and channels, and of the order and mirroring of the images.
            larger: A trained model of the same family.

        Returns:
            The model, which the next call changes.
        """
        keras.utils.set_random_seed(seed)
        random = np.random.default_rng(seed)
        start = mobilenet.build(self._spec)
        if larger is not None:
            _cut_out(larger, start, random)
        self._model.set_weights(start.get_weights())
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        steps, epochs = count // BATCH, -(-count // len(images))
        order = np.concatenate([random.permutation(len(images)) for _ in range(epochs)])
        for step in range(steps):
            done = (step + 1) / steps
            self._optimizer.learning_rate.assign(LEARNING_RATE * min(1, done / 0.15) * (1 + np.cos(np.pi * done)) / 2)
            chosen = order[step * BATCH : (step + 1) * BATCH]
            mirrored = random.random(len(chosen)) < 0.5
            batch = np.where(mirrored[:, None, None], images[chosen, :, ::-1], images[chosen])
            enlarged = EnlargedImages(batch, self._recipe.height).read(np.arange(len(batch)))
            self._step(preprocess.normalize(enlarged, self._recipe), targets[chosen])
        return self._model

    def _train(self, images: tf.Tensor, targets: tf.Tensor) -> None:
        variables = [variable.value for variable in self._model.trainable_variables]
        with tf.GradientTape() as tape:
            scores = self._model(images, training=True)
            loss = tf.reduce_mean(keras.losses.categorical_crossentropy(targets, scores))
        self._optimizer.apply(tape.gradient(loss, variables))


def _cut_out(larger: keras.Model, smaller: keras.Model, random: np.random.Generator) -> None:
    """Take over the weights of randomly chosen channels, all layers from the same choice."""
    kept = np.arange(larger.input_shape[-1])
    for source, target in zip(larger.layers, smaller.layers, strict=True):
        values = source.get_weights()
        if isinstance(source, keras.layers.DepthwiseConv2D):
            values = [values[0][:, :, kept]]
        elif isinstance(source, keras.layers.Conv2D):
            # Fewer terms, each larger, so that the sums are about as large.
            kernel = values[0][:, :, kept] * (values[0].shape[2] / len(kept))
            kept = np.sort(random.permutation(kernel.shape[-1])[: target.filters])
            values = [kernel[..., kept], *(bias[kept] for bias in values[1:])]
        elif values:  # batch normalization
            values = [each[kept] for each in values]
        target.set_weights(values)
