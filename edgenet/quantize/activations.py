"""The activations of the calibration images, passed through the layers in order while these are quantized."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.schema_py_generated import OperatorT

from edgenet.quantize.ranges import TensorStatistics, channel_mean
from edgenet.tflite.graph import Graph, Layer
from edgenet.tflite.operator_runner import OperatorRunner

# The smallest width of a range, which the converter uses for a tensor that is always zero.
MIN_RANGE = 1e-6
# Rounds values up that are half-way between two integers except for rounding errors.
HALF_WAY_EPSILON = 1e-4


@dataclass(frozen=True)
class QuantizationParameters:
    """Scale and zero point of an 8-bit tensor: value = scale * (q - zero_point), with q from 0 to 255."""

    scale: float
    zero_point: int

    @classmethod
    def from_range(cls, low: float, high: float) -> "QuantizationParameters":
        """Return the parameters that the converter derives from a range.

        The range is widened to include zero, and zero is represented exactly (TFLite's 8-bit quantization
        specification, ai.google.dev/edge/litert/models/quantization_spec).

        Args:
            low: The smallest value.
            high: The largest value.
        """
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max(high - low, MIN_RANGE) / 255
        # The converter rounds the int8 zero point half away from zero, as C++ does: pixels in [-1, 1] get 127 here.
        return cls(scale, 128 - int(np.floor(128 + low / scale + 0.5)))

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Return float32 values as uint8, saturated at 0 and 255.

        Values half-way between two integers, where the pixels of an input range symmetric about zero are, are rounded
        up. The result is then the raw pixel, which is what an app puts into a uint8 input.
        """
        integers = np.floor(values / np.float32(self.scale) + np.float32(self.zero_point + 0.5 + HALF_WAY_EPSILON))
        return np.clip(integers, 0, 255).astype(np.uint8)

    def dequantize(self, quantized: np.ndarray) -> np.ndarray:
        """Return uint8 values as float32."""
        return (quantized.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


class Activations:
    """The values of every tensor that a later operator needs, for each batch of images.

    They are stored in 8 bits where the quantized model has 8 bits. This also keeps hundreds of images small enough for
    memory.

    Args:
        graph: The float32 model, whose weights are replaced while `advance` passes from operator to operator.
        statistics: The ranges of the tensors. None for a model whose activations stay float32.
        batches: Normalized images, float32 (batch, height, width, channels).
        kept: Operators that compute in float32, by their index in `graph.operators`. What one of them gives to another
            is not rounded.
        float_input: Whether operators that are kept get the input unrounded.
    """

    def __init__(
        self,
        graph: Graph,
        statistics: TensorStatistics | None,
        batches: Iterable[np.ndarray],
        kept: Collection[int] = (),
        float_input: bool = False,
    ) -> None:
        self._graph, self._kept = graph, frozenset(kept)
        ranges = {n: (statistics.low[n], statistics.high[n]) for n in statistics.low} if statistics else {}
        self._parameters = {index: QuantizationParameters.from_range(*limits) for index, limits in ranges.items()}
        self._last_use = {
            index: position for position, op in enumerate(graph.operators) for index in graph.computed_inputs(op)
        }
        self._position = 0
        operators = [graph.operators[position] for position in self._kept]
        sources = {int(index) for op in operators for index in op.outputs} | ({graph.input} if float_input else set())
        # Tensors of which some operators get the float values, and others the 8-bit ones.
        self._unrounded = sources & {index for op in operators for index in graph.computed_inputs(op)}
        self._values = {graph.input: [self._compress(graph.input, batch) for batch in batches]}

    def inputs(self, op: OperatorT) -> Iterator[list[np.ndarray]]:
        """Yield the computed inputs of the next operator, float32, for each batch."""
        indices = self._graph.computed_inputs(op)
        for values in zip(*(self._values[index] for index in indices), strict=True):
            yield [self._read(index, value) for index, value in zip(indices, values, strict=True)]

    def outputs(self, op: OperatorT, layer: Layer | None) -> Iterator[list[np.ndarray]]:
        """Yield the outputs of the next operator with its current weights, before its activation if it is a layer."""
        runner = OperatorRunner(self._graph, op, linear=layer is not None)
        for inputs in self.inputs(op):
            yield runner(*inputs)

    def values(self, index: int) -> list[np.ndarray]:
        """Return a tensor that was stored last, for each batch, as the next operator gets it."""
        return [self._read(index, value) for value in self._values[index]]

    def mean_output(self, op: OperatorT, layer: Layer) -> np.ndarray:
        """Return the mean of a layer's output before its activation, with its current weights, float64 (channels,)."""
        return np.asarray(np.mean([channel_mean(values) for (values,) in self.outputs(op, layer)], axis=0))

    def advance(self, op: OperatorT, layer: Layer | None, outputs: Iterable[list[np.ndarray]] | None = None) -> None:
        """Run the next operator with its current weights, store its outputs, and drop tensors without later use.

        Args:
            op: The operator.
            layer: The operator as a layer, or None for an operator that is not a layer.
            outputs: Its outputs, as `outputs` yields them, if they are known.
        """
        stored: dict[int, list[np.ndarray]] = {int(index): [] for index in op.outputs}
        for values in self.outputs(op, layer) if outputs is None else outputs:
            for index, value in zip(stored, values, strict=True):
                stored[index].append(self._compress(index, np.clip(value, *layer.bounds) if layer else value))
        needed = {n: v for n, v in self._values.items() if self._last_use.get(n, -1) > self._position}
        self._values = needed | stored
        self._position += 1

    def _compress(self, index: int, value: np.ndarray) -> np.ndarray:
        is_rounded = index in self._parameters and index not in self._unrounded
        return self._parameters[index].quantize(value) if is_rounded else value

    def _read(self, index: int, value: np.ndarray) -> np.ndarray:
        """Return a stored tensor as the next operator gets it."""
        if index not in self._parameters:
            return value
        if index in self._unrounded:
            if self._position in self._kept:
                return value
            value = self._parameters[index].quantize(value)
        return self._parameters[index].dequantize(value)
