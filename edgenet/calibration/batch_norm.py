"""What a model remembers of the pictures that it was trained on: the statistics of its batch normalizations.

Each one holds the mean and variance that its input had in training, channel by channel. Pictures of the same kind, with
the same pre-processing, have nearly the same; with another pre-processing, they have not.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgenet.model.classifier import Classifier

# The layers that show a wrong pre-processing best: further down, everything has been normalized several times.
FIRST = 7


@dataclass(frozen=True)
class Norm:
    """The input of one batch normalization (its tensor's name), with the mean and variance of training, (channels,)."""

    tensor: str
    mean: np.ndarray
    variance: np.ndarray


class Norms:
    """The first batch normalizations of a classifier. Works on its graph, so on whatever file it came from."""

    def __init__(self, classifier: Classifier):
        frozen = convert_variables_to_constants_v2(classifier.trace(None))
        self.norms = [norm for norm in map(_norm, frozen.graph.get_operations()) if norm][:FIRST]
        if self.norms:
            fetches = [frozen.graph.get_tensor_by_name(norm.tensor) for norm in self.norms]
            self._inputs = frozen.prune(frozen.inputs[0], fetches)

    def moments(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and mean square of each channel, float64 (n, channels of all norms), for inputs (n, h, w, c)."""
        found = [values.numpy().astype(np.float64) for values in self._inputs(tf.constant(batch))]
        return (
            np.concatenate([values.mean(axis=(1, 2)) for values in found], axis=1),
            np.concatenate([(values**2).mean(axis=(1, 2)) for values in found], axis=1),
        )

    def distance(self, means: np.ndarray, squares: np.ndarray) -> float:
        """How far pictures are from those of training: 0 is the same.

        The divergence KL(pictures || training) of two normal distributions, the median over the channels of a layer,
        summed over the layers. means, squares: of all pictures, (channels of all norms,).
        """
        return sum(float(np.median(found)) for found in self.divergences(means, squares))

    def divergences(self, means: np.ndarray, squares: np.ndarray) -> list[np.ndarray]:
        """That divergence for each channel of each norm; channels that were always the same are left out."""
        sizes = np.cumsum([len(norm.mean) for norm in self.norms])[:-1]
        found = []
        for norm, mean, square in zip(self.norms, np.split(means, sizes), np.split(squares, sizes), strict=True):
            alive = norm.variance > 1e-3 * np.median(norm.variance)
            variance = np.maximum(square - mean**2, 1e-12)[alive]
            ratio = variance / norm.variance[alive]
            shift = (mean - norm.mean)[alive] ** 2 / norm.variance[alive]
            found.append(0.5 * (ratio - 1 - np.log(ratio) + shift))
        return found


def _norm(op) -> Norm | None:
    """A batch normalization of pictures, as Keras 2 writes it (one operation) and as Keras 3 does (several)."""
    if op.type.startswith("FusedBatchNorm"):
        x, _, _, mean, variance = op.inputs
        return _made(x, mean, variance)
    if op.type != "Rsqrt":
        return None
    # tf.nn.batch_normalization: x * inv + (offset - mean * inv), inv = gamma * rsqrt(variance + epsilon)
    added = op.inputs[0].op
    inverse = op.outputs[0]
    scaled = [user for user in inverse.consumers() if user.type == "Mul"]
    if len(scaled) == 1:  # by gamma
        inverse = scaled[0].outputs[0]
    others = [_other(user, inverse) for user in inverse.consumers() if user.type == "Mul"]
    pictures = [tensor for tensor in others if tensor.shape.rank == 4]
    means = [tensor for tensor in others if tensor.shape.rank == 1]
    if len(pictures) != 1 or len(means) != 1 or not added.type.startswith("Add"):
        return None
    return _made(pictures[0], means[0], added.inputs[0])


def _other(op, tensor):
    first, second = op.inputs
    return second if first is tensor else first


def _made(x, mean, variance) -> Norm | None:
    mean, variance = _constant(mean), _constant(variance)
    if x.shape.rank != 4 or mean is None or variance is None:
        return None
    return Norm(x.name, mean.astype(np.float64), variance.astype(np.float64))


def _constant(tensor) -> np.ndarray | None:
    while tensor.op.type in ("Identity", "Cast", "Reshape", "Squeeze", "Neg"):
        tensor = tensor.op.inputs[0]
    value = tf.get_static_value(tensor)
    return None if value is None else np.ravel(value)
