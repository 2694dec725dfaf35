"""The statistics of the training images that a model's batch normalizations store.

Each batch normalization holds the mean and variance of its input during training, for each channel. Images of the same
kind, with the same preprocessing, have nearly the same statistics; with another preprocessing, they do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager.wrap_function import VariableHolder, WrappedFunction
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgenet.model.classifier import KerasClassifier

# The first layers show wrong preprocessing best; after them, everything has been normalized several times.
MAX_LAYERS = 7
# Channels whose variance is below this fraction of the layer's median were constant in training.
MIN_VARIANCE_FRACTION = 1e-3


@dataclass(frozen=True)
class BatchNorm:
    """One batch normalization.

    Attributes:
        tensor: The name of its input tensor.
        mean: The mean in training, float64 (channels,).
        variance: The variance in training, float64 (channels,).
    """

    tensor: str
    mean: np.ndarray
    variance: np.ndarray


class BatchNormStatistics:
    """The first batch normalizations of a classifier, found in its TensorFlow graph, whatever file it came from.

    Args:
        classifier: The Keras model.

    Attributes:
        layers: The batch normalizations of images, in execution order; empty if there are none.
    """

    def __init__(self, classifier: KerasClassifier) -> None:
        self._fixed_batch = classifier.fixed_batch
        function, variables = classifier.graph, _variables(classifier.graph)
        if any(op.type.endswith("PartitionedCall") for op in function.graph.get_operations()):
            # Functions in the graph become a part of it. This takes longer than all the rest.
            function, variables = convert_variables_to_constants_v2(function), {}
        found = (_batch_norm(op, variables) for op in function.graph.get_operations())
        self.layers = [layer for layer in found if layer][:MAX_LAYERS]
        if self.layers:
            fetches = [function.graph.get_tensor_by_name(layer.tensor) for layer in self.layers]
            wrapped = WrappedFunction(function.graph, variable_holder=VariableHolder())
            self._inputs = wrapped.prune(function.inputs[0], fetches)

    def moments(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the statistics of images at the inputs of the batch normalizations.

        Args:
            batch: Normalized images, float32 (n, height, width, channels).

        Returns:
            The mean and the mean square over all positions, each float64 (n, channels of all layers).
        """
        if self._fixed_batch is None:
            inputs = [values.numpy() for values in self._inputs(tf.constant(batch))]
        else:
            # The last images are filled up with copies of one of them, which are dropped.
            size = self._fixed_batch
            padded = np.pad(batch, [(0, -len(batch) % size), (0, 0), (0, 0), (0, 0)], mode="edge")
            parts = [self._inputs(tf.constant(part)) for part in np.split(padded, len(padded) // size)]
            inputs = [
                np.concatenate([values.numpy() for values in layer])[: len(batch)] for layer in zip(*parts, strict=True)
            ]
        means, squares = zip(*map(_moments, inputs), strict=True)
        return np.concatenate(means, axis=1), np.concatenate(squares, axis=1)

    def distance(self, means: np.ndarray, squares: np.ndarray) -> float:
        """Return the distance of images from the training images: 0 for the same statistics.

        It is the sum over the layers of the median over the channels of `divergences`.

        Args:
            means: The mean over all images, float64 (channels of all layers,).
            squares: The mean square over all images, of the same shape.
        """
        return sum(float(np.median(layer)) for layer in self.divergences(means, squares))

    def divergences(self, means: np.ndarray, squares: np.ndarray) -> list[np.ndarray]:
        """Return the Kullback-Leibler divergence KL(images || training) of two normal distributions.

        Args:
            means: The mean over all images, float64 (channels of all layers,).
            squares: The mean square over all images, of the same shape.

        Returns:
            For each layer, float64 (channels,) without the channels that were constant in training.
        """
        ends = np.cumsum([len(layer.mean) for layer in self.layers])[:-1]
        divergences = []
        for layer, mean, square in zip(self.layers, np.split(means, ends), np.split(squares, ends), strict=True):
            used = layer.variance > MIN_VARIANCE_FRACTION * np.median(layer.variance)
            variance = np.maximum(square - mean**2, 1e-12)[used]
            ratio = variance / layer.variance[used]
            shift = (mean - layer.mean)[used] ** 2 / layer.variance[used]
            divergences.append(0.5 * (ratio - 1 - np.log(ratio) + shift))
        return divergences


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the mean square over all positions, float64 (n, channels), of float32 (n, height, width, channels).

    Columns are summed in single precision, which is exact to 1e-6 and takes a tenth of the time.
    """
    rows = values.sum(axis=1), np.einsum("nhwc,nhwc->nwc", values, values)
    means, squares = (sums.mean(axis=1, dtype=np.float64) / values.shape[1] for sums in rows)
    return means, squares


def _variables(function: Any) -> dict[str, Any]:
    """The variables of a graph, by the name of the tensor that stands for each in it."""
    handles = {id(variable.handle): variable for variable in function.variables}
    captured = ((inner.name, handles.get(id(outer))) for outer, inner in function.graph.captures)
    return {name: variable for name, variable in captured if variable is not None}


def _batch_norm(op: tf.Operation, variables: Mapping[str, Any]) -> BatchNorm | None:
    """Return the batch normalization of images that an operation stands for.

    Keras 2 writes a batch normalization as a single operation, Keras 3 as several; of these, the Rsqrt stands for it.
    """
    if op.type.startswith("FusedBatchNorm"):
        x, _, _, mean, variance = op.inputs
        return _from_tensors(x, mean, variance, variables)
    if op.type != "Rsqrt":
        return None
    # tf.nn.batch_normalization: x * inv + (offset - mean * inv), inv = gamma * rsqrt(variance + epsilon)
    added = op.inputs[0].op
    inverse = op.outputs[0]
    scaled = [user for user in inverse.consumers() if user.type == "Mul"]
    if len(scaled) == 1:  # by gamma
        inverse = scaled[0].outputs[0]
    factors = [_other_input(user, inverse) for user in inverse.consumers() if user.type == "Mul"]
    images = [tensor for tensor in factors if tensor.shape.rank == 4]
    means = [tensor for tensor in factors if tensor.shape.rank == 1]
    if len(images) != 1 or len(means) != 1 or not added.type.startswith("Add"):
        return None
    return _from_tensors(images[0], means[0], added.inputs[0], variables)


def _other_input(op: tf.Operation, tensor: tf.Tensor) -> tf.Tensor:
    first, second = op.inputs
    return second if first is tensor else first


def _from_tensors(x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, variables: Mapping[str, Any]) -> BatchNorm | None:
    means, variances = _constant(mean, variables), _constant(variance, variables)
    if x.shape.rank != 4 or means is None or variances is None:
        return None
    return BatchNorm(x.name, means.astype(np.float64), variances.astype(np.float64))


def _constant(tensor: tf.Tensor, variables: Mapping[str, Any]) -> np.ndarray | None:
    while tensor.op.type in ("Identity", "Cast", "Reshape", "Squeeze", "Neg"):
        tensor = tensor.op.inputs[0]
    if tensor.op.type == "ReadVariableOp" and tensor.op.inputs[0].name in variables:
        return np.ravel(variables[tensor.op.inputs[0].name].numpy())
    value = tf.get_static_value(tensor)
    return None if value is None else np.ravel(value)
