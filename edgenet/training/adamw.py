"""AdamW (Loshchilov and Hutter, arXiv:1711.05101) on all variables as one vector.

Keras' own has tens of operations for each variable: to build their graph takes longer than to train on a few photos.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

# Of Adam (arXiv:1412.6980).
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
# Variables that weight decay does not apply to: they do not grow with the number of weights.
WITHOUT_DECAY = ("gamma", "beta", "bias")


class AdamW:
    """The optimizer of some variables.

    Args:
        variables: What is trained.
        decay: Weight decay: in a step with learning rate r, weights lose decay * r of their value.
        clip_norm: The largest norm of the gradient of all variables together; a larger gradient is scaled down.
    """

    def __init__(self, variables: Sequence[keras.Variable], decay: float, clip_norm: float):
        self._variables, self._clip_norm = [variable.value for variable in variables], clip_norm
        self._sizes = [int(np.prod(variable.shape)) for variable in variables]
        decays = [0.0 if variable.name in WITHOUT_DECAY else decay for variable in variables]
        self._decay = tf.constant(np.repeat(decays, self._sizes).astype(np.float32))
        zeros = np.zeros(sum(self._sizes), np.float32)
        # The means of gradients and of their squares, and the number of steps.
        self.state = [tf.Variable(zeros), tf.Variable(zeros), tf.Variable(0.0)]

    def apply(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        """Take a step.

        Args:
            gradients: Of each variable.
            rate: The learning rate, float32 ().
        """
        mean, square, count = self.state
        gradient = _flat(gradients)
        gradient *= tf.minimum(1.0, self._clip_norm / (tf.norm(gradient) + 1e-12))
        steps = count.assign_add(1.0)
        new_mean = mean.assign(BETA_1 * mean + (1 - BETA_1) * gradient)
        new_square = square.assign(BETA_2 * square + (1 - BETA_2) * gradient * gradient)
        corrected = tf.sqrt(new_square / (1 - BETA_2**steps)) + EPSILON
        step = new_mean / (1 - BETA_1**steps) / corrected + self._decay * _flat(self._variables)
        for variable, part in zip(self._variables, tf.split(rate * step, self._sizes), strict=True):
            variable.assign_sub(tf.reshape(part, variable.shape))


def _flat(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(tensor, (-1,)) for tensor in tensors], axis=0)
