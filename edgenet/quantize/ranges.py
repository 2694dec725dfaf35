"""Statistics of a float32 model's tensors on the calibration images: the ranges and means that quantization uses."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from edgenet.tflite.graph import Graph
from edgenet.tflite.operator_runner import OperatorRunner


@dataclass
class TensorStatistics:
    """Statistics over all calibration images, by the index of the tensor.

    Attributes:
        low: The smallest value of the tensor.
        high: The largest value of the tensor.
        mean: For the output of a layer, the mean of each channel before the activation, float64 (channels,).
        min_top_value: For a tensor of shape (batch, classes), the largest value of each image, and of these the
            smallest: the lowest logit with which a class was predicted.
    """

    low: dict[int, float] = field(default_factory=dict)
    high: dict[int, float] = field(default_factory=dict)
    mean: dict[int, np.ndarray] = field(default_factory=dict)
    min_top_value: dict[int, float] = field(default_factory=dict)

    def copy(self) -> "TensorStatistics":
        """The same statistics, whose ranges can be changed."""
        return TensorStatistics(dict(self.low), dict(self.high), dict(self.mean), dict(self.min_top_value))


def channel_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over all axes but the last, float64 (channels,).

    The sum is in double precision, since a channel has thousands of positions.
    """
    return values.mean(axis=tuple(range(values.ndim - 1)), dtype=np.float64)


def measure_statistics(graph: Graph, batches: Iterable[np.ndarray]) -> TensorStatistics:
    """Measure the statistics of every float32 tensor. Activations are not kept.

    Args:
        graph: A float32 model.
        batches: Normalized images, float32 (batch, height, width, channels), in batches of equal size.

    Returns:
        The statistics of the tensors.
    """
    statistics, count = TensorStatistics(), 0
    layers = [graph.layer(op) for op in graph.operators]
    runners = [
        OperatorRunner(graph, op, linear=layer is not None) for op, layer in zip(graph.operators, layers, strict=True)
    ]
    for batch in batches:
        count += 1
        values = {graph.input: batch}
        for op, layer, runner in zip(graph.operators, layers, runners, strict=True):
            outputs = runner(*(values[index] for index in graph.computed_inputs(op)))
            if layer:
                (linear,) = outputs
                statistics.mean[layer.output] = statistics.mean.get(layer.output, 0.0) + channel_mean(linear)
                outputs = [np.clip(linear, *layer.bounds)]
            values.update(zip(map(int, op.outputs), outputs, strict=True))
        for index, value in values.items():
            if value.dtype == np.float32:
                _update(statistics, index, value)
    statistics.mean = {index: total / count for index, total in statistics.mean.items()}
    return statistics


def _update(statistics: TensorStatistics, index: int, values: np.ndarray) -> None:
    """Widen a tensor's range, and lower its smallest top value, to include the values of one batch."""
    statistics.low[index] = min(statistics.low.get(index, np.inf), float(values.min()))
    statistics.high[index] = max(statistics.high.get(index, -np.inf), float(values.max()))
    if values.ndim == 2:
        top = float(values.max(axis=1).min())
        statistics.min_top_value[index] = min(statistics.min_top_value.get(index, np.inf), top)
