"""The calibration pictures on their way through the layers that are already quantized."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edgenet.quantize.ranges import Statistics, channel_mean
from edgenet.tflite.graph import Graph, Layer, Operator


@dataclass(frozen=True)
class Grid:
    """An 8-bit tensor: value = scale * (q - zero_point), q from 0 to 255."""

    scale: float
    zero_point: int

    @classmethod
    def of(cls, low: float, high: float) -> "Grid":
        """The grid that the converter makes of a range: zero lies on it (TFLite's quantization specification)."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max(high - low, 1e-6) / 255
        # Rounded half away from zero, on int8, as C++ does it: pixels of [-1, 1] get the zero point 127.
        return cls(scale, 128 - int(np.floor(128 + low / scale + 0.5)))

    def quantize(self, values: np.ndarray) -> np.ndarray:
        # Pixels lie half-way between two steps: all of them go up, as an app that feeds pixels gives them.
        steps = np.floor(values / np.float32(self.scale) + np.float32(self.zero_point + 0.5 + 1e-4))
        return np.clip(steps, 0, 255).astype(np.uint8)

    def dequantize(self, quantized: np.ndarray) -> np.ndarray:
        return (quantized.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


class Activations:
    """The values of every tensor that is still needed, for each batch of pictures.

    In 8 bits where the model will have 8 bits, which is also what lets hundreds of pictures wait in memory; in float32
    where `statistics` is None, for a model whose activations stay so.
    """

    def __init__(self, graph: Graph, statistics: Statistics | None, batches: Iterable[np.ndarray]):
        self._graph = graph
        ranges = {n: (statistics.low[n], statistics.high[n]) for n in statistics.low} if statistics else {}
        self._grids = {number: Grid.of(*both) for number, both in ranges.items()}
        self._last_use = {number: step for step, op in enumerate(graph.operators) for number in graph.takes(op)}
        self._step = 0
        self._values = {graph.input: [self._stored(graph.input, batch) for batch in batches]}

    def inputs(self, op) -> Iterator[list[np.ndarray]]:
        """What the next operator `op` takes, batch by batch."""
        taken = self._graph.takes(op)
        for values in zip(*(self._values[number] for number in taken), strict=True):
            yield [self._loaded(number, value) for number, value in zip(taken, values, strict=True)]

    def mean_output(self, op) -> np.ndarray:
        """The mean of a layer's output before its activation, float64 (channels,), with the weights that it has now."""
        program = Operator(self._graph, op, linear=True)
        return np.mean([channel_mean(*program(*inputs)) for inputs in self.inputs(op)], axis=0)

    def advance(self, op, layer: Layer | None) -> None:
        """Run the next operator with the weights it has now, keep what it gives, and drop what nobody needs now."""
        program = Operator(self._graph, op, linear=layer is not None)
        outputs = {int(number): [] for number in op.outputs}
        for inputs in self.inputs(op):
            for number, value in zip(outputs, program(*inputs), strict=True):
                outputs[number].append(self._stored(number, np.clip(value, *layer.bounds) if layer else value))
        self._values = {n: v for n, v in self._values.items() if self._last_use.get(n, -1) > self._step} | outputs
        self._step += 1

    def _stored(self, number: int, value: np.ndarray) -> np.ndarray:
        return self._grids[number].quantize(value) if number in self._grids else value

    def _loaded(self, number: int, value: np.ndarray) -> np.ndarray:
        return self._grids[number].dequantize(value) if number in self._grids else value
