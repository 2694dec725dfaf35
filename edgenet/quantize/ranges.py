"""Statistics of a float32 model's tensors on the calibration images: the ranges and means that quantization uses."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from edgenet.tflite.graph import Graph
from edgenet.tflite.operator_runner import OperatorRunner

# Returns the normalized calibration images, float32 (batch, height, width, channels), from the start at each call.
Batches = Callable[[], Iterable[np.ndarray]]

# The images are dealt out to so many parts, so that some can be held back, and the others compared by halves.
PARTS = 4
# The values of the outputs of the first layers are sampled: they are rounded before any averaging, and hurt most.
SAMPLED_LAYERS = 3
# The images, and the positions of each image, that are sampled.
SAMPLED_IMAGES, SAMPLED_POSITIONS = 64, 784


@dataclass
class ChannelRanges:
    """The ranges of the channels of tensors on some of the calibration images, by the index of the tensor.

    Attributes:
        low: The smallest value of each channel, float32 (channels,).
        high: The largest value of each channel, float32 (channels,).
    """

    low: dict[int, np.ndarray] = field(default_factory=dict)
    high: dict[int, np.ndarray] = field(default_factory=dict)

    def update(self, index: int, values: np.ndarray) -> None:
        """Widen a tensor's ranges to include some values, (..., channels)."""
        axes = tuple(range(values.ndim - 1))
        low, high = values.min(axis=axes), values.max(axis=axes)
        self.low[index] = np.minimum(self.low[index], low) if index in self.low else low
        self.high[index] = np.maximum(self.high[index], high) if index in self.high else high


@dataclass
class TensorStatistics:
    """Statistics over all calibration images, by the index of the tensor.

    Attributes:
        low: The smallest value of the tensor.
        high: The largest value of the tensor.
        mean: For the output of a layer, the mean of each channel before the activation, float64 (channels,).
        min_top_value: For a tensor of shape (batch, classes), the largest value of each image, and of these the
            smallest: the lowest logit with which a class was predicted.
        count: The number of images.
        parts: The ranges of the channels on each part of the images: the first image is of the first part, and so on.
        samples: Values of the outputs of the first layers, float32 (n, channels).
    """

    low: dict[int, float] = field(default_factory=dict)
    high: dict[int, float] = field(default_factory=dict)
    mean: dict[int, np.ndarray] = field(default_factory=dict)
    min_top_value: dict[int, float] = field(default_factory=dict)
    count: int = 0
    parts: list[ChannelRanges] = field(default_factory=lambda: [ChannelRanges() for _ in range(PARTS)])
    samples: dict[int, np.ndarray] = field(default_factory=dict)

    def copy(self) -> "TensorStatistics":
        """The same statistics, whose `low` and `high` can be changed."""
        return replace(self, low=dict(self.low), high=dict(self.high))

    def of_parts(self, indices: Iterable[int]) -> "TensorStatistics":
        """The ranges on some of the parts alone. The means and samples are the same."""
        parts = [self.parts[index] for index in indices]
        low = {index: float(min(part.low[index].min() for part in parts)) for index in self.low}
        high = {index: float(max(part.high[index].max() for part in parts)) for index in self.high}
        return replace(self, low=low, high=high, parts=parts)


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
    statistics, batch_count = TensorStatistics(), 0
    layers = [graph.layer(op) for op in graph.operators]
    runners = [
        OperatorRunner(graph, op, linear=layer is not None) for op, layer in zip(graph.operators, layers, strict=True)
    ]
    sampled = [layer.output for layer in layers if layer][:SAMPLED_LAYERS]
    samples: dict[int, list[np.ndarray]] = {}
    for batch in batches:
        values = {graph.input: batch}
        for op, layer, runner in zip(graph.operators, layers, runners, strict=True):
            outputs = runner(*(values[index] for index in graph.computed_inputs(op)))
            if layer:
                (linear,) = outputs
                statistics.mean[layer.output] = statistics.mean.get(layer.output, 0.0) + channel_mean(linear)
                outputs = [np.clip(linear, *layer.bounds)]
                if layer.output in sampled and statistics.count < SAMPLED_IMAGES:
                    samples.setdefault(layer.output, []).append(_sample(outputs[0]))
            values.update(zip(map(int, op.outputs), outputs, strict=True))
        for index, value in values.items():
            if value.dtype == np.float32:
                _update(statistics, index, value)
        statistics.count += len(batch)
        batch_count += 1
    statistics.samples = {index: np.concatenate(parts) for index, parts in samples.items()}
    statistics.mean = {index: total / batch_count for index, total in statistics.mean.items()}
    return statistics


def _update(statistics: TensorStatistics, index: int, values: np.ndarray) -> None:
    """Widen a tensor's ranges, and lower its smallest top value, to include the values of one batch."""
    for first in range(min(PARTS, len(values))):
        part = statistics.parts[(statistics.count + first) % PARTS]
        part.update(index, values[first::PARTS])
        statistics.low[index] = min(statistics.low.get(index, np.inf), float(part.low[index].min()))
        statistics.high[index] = max(statistics.high.get(index, -np.inf), float(part.high[index].max()))
    if values.ndim == 2:
        top = float(values.max(axis=1).min())
        statistics.min_top_value[index] = min(statistics.min_top_value.get(index, np.inf), top)


def _sample(values: np.ndarray) -> np.ndarray:
    """Return the channels at evenly spaced positions of each image, float32 (n, channels)."""
    rows = values.reshape(len(values), -1, values.shape[-1])
    count = rows.shape[1]
    positions = np.linspace(0, count - 1, min(count, SAMPLED_POSITIONS)).astype(int)
    return np.asarray(rows[:, positions].reshape(-1, rows.shape[-1]))
