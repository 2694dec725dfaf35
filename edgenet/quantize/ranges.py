"""What calibration pictures make of a float32 model: the ranges and means that quantization is built on."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from edgenet.tflite.graph import Graph, Operator


@dataclass
class Statistics:
    """By the number of a tensor: `low` and `high`, the range of its values; for a layer's output also `mean`, float64
    (channels,), that of the output before its activation. winner: for a tensor of (batch, classes), the smallest of
    the pictures' largest values."""

    low: dict[int, float] = field(default_factory=dict)
    high: dict[int, float] = field(default_factory=dict)
    mean: dict[int, np.ndarray] = field(default_factory=dict)
    winner: dict[int, float] = field(default_factory=dict)


def channel_mean(values: np.ndarray) -> np.ndarray:
    """The mean of each channel, the last axis, in double precision: there are thousands of positions."""
    return values.mean(axis=tuple(range(values.ndim - 1)), dtype=np.float64)


def measure(graph: Graph, batches: Iterable[np.ndarray]) -> Statistics:
    """Run a model on normalized pictures, float32 (batch, size, size, 3) at a time, and keep no activations."""
    found, pictures = Statistics(), 0
    layers = [graph.layer(op) for op in graph.operators]
    programs = [
        Operator(graph, op, linear=layer is not None) for op, layer in zip(graph.operators, layers, strict=True)
    ]
    for batch in batches:
        pictures += 1
        values = {graph.input: batch}
        for op, layer, program in zip(graph.operators, layers, programs, strict=True):
            outputs = program(*(values[number] for number in graph.takes(op)))
            if layer:
                (linear,) = outputs
                found.mean[layer.output] = found.mean.get(layer.output, 0.0) + channel_mean(linear)
                outputs = [np.clip(linear, *layer.bounds)]
            values.update(zip(map(int, op.outputs), outputs, strict=True))
        for number, value in values.items():
            if value.dtype == np.float32:
                found.low[number] = min(found.low.get(number, np.inf), float(value.min()))
                found.high[number] = max(found.high.get(number, -np.inf), float(value.max()))
                if value.ndim == 2:
                    found.winner[number] = min(found.winner.get(number, np.inf), float(value.max(axis=1).min()))
    found.mean = {number: total / pictures for number, total in found.mean.items()}
    return found
