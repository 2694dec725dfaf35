"""Layers of a model that are its own pre-processing, such as Keras' Rescaling, and what to do with them."""

from dataclasses import dataclass

import numpy as np

from edgenet.records import ChannelOrder, Finding, Level, Preprocessing
from edgenet.tflite.graph import Graph
from edgenet.tflite.layer_names import LayerNames

_KINDS = ("MUL", "ADD", "SUB", "DIV")
# In the name of an operator of a batch normalization, whose numbers were learned.
_LEARNED = "/batchnorm/"


@dataclass(frozen=True)
class PreprocessingLayers:
    """The operators between a model's input and its first layer with weights that only scale and shift pixels.

    Attributes:
        positions: Their indices among the operators of the float32 file.
        factor: What they multiply each channel of the input by, float64 (channels,).
        offset: What they then add, float64 (channels,).
    """

    positions: tuple[int, ...]
    factor: np.ndarray
    offset: np.ndarray

    @classmethod
    def find(cls, float32: Graph, channels: int) -> "PreprocessingLayers":
        """Find them in a float32 file, whose input has so many channels."""
        index, positions = float32.input, list[int]()
        factor, offset = np.ones(channels), np.zeros(channels)
        while True:
            position = _only_consumer(float32, index)
            step = None if position is None else _affine(float32, position, index, channels)
            if position is None or step is None:
                return cls(tuple(positions), factor, offset)
            positions.append(position)
            factor, offset = factor * step[0], offset * step[0] + step[1]
            index = int(float32.operators[position].outputs[0])

    def finding(self, names: LayerNames, recipe: Preprocessing) -> Finding:
        """Say what these layers are, and what to do with them."""
        layers = list(dict.fromkeys(names.shown(position).split("/")[0] for position in self.positions))
        listed = " and ".join(layers)
        text = (
            f"{listed}: your model's own pre-processing, whose rounding to 8 bits adds noise before the first layer. "
            f"Leave {'it' if len(layers) == 1 else 'them'} out"
        )
        numbers = self._input_range(recipe)
        if numbers is None:
            return Finding(Level.NOTE, f"{text} of the model, and train or export it with the input range instead")
        return Finding(
            Level.NOTE,
            f"{text} (drop_layer={','.join(layers)}, or build the model without), and export with "
            f"input_range={numbers} instead: the same values, without operators and without that noise",
        )

    def _input_range(self, recipe: Preprocessing) -> str | None:
        """The input range that does the same, as text; None if there is none."""
        if (self.factor <= 0).any():
            return None
        step = -1 if recipe.order == ChannelOrder.BGR else 1
        factor, offset = self.factor[::step], self.offset[::step]
        std = np.asarray(recipe.std) / factor
        mean = np.asarray(recipe.mean) - offset * std
        low, high = ([f"{value:.5g}" for value in (pixel - mean) / std] for pixel in (0, 255))
        if len(set(low)) == len(set(high)) == 1:
            return f"{_zero(low[0])},{_zero(high[0])}"
        return ",".join(_zero(f"{value:.5g}") for value in (*mean, *std)) if len(mean) == 3 else None


def _zero(text: str) -> str:
    """A number without what float32 leaves of a difference of equal ones."""
    return "0" if abs(float(text)) < 1e-4 else text


def _only_consumer(graph: Graph, index: int) -> int | None:
    positions = [position for position, op in enumerate(graph.operators) if index in op.inputs]
    return positions[0] if len(positions) == 1 else None


def _affine(graph: Graph, position: int, index: int, channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """What an operator multiplies each channel by, and what it then adds; None if it does anything else."""
    op = graph.operators[position]
    kind = graph.kind(op)
    if kind not in _KINDS or _LEARNED in graph.full_name(op) or len(op.inputs) != 2:
        return None
    constants = [graph.constant(int(number)) for number in op.inputs if number != index]
    if len(constants) != 1 or constants[0] is None or constants[0].size not in (1, channels):
        return None
    value = np.broadcast_to(constants[0].astype(np.float64).ravel(), (channels,))
    ones, zeros, is_first = np.ones(channels), np.zeros(channels), int(op.inputs[0]) == index
    if kind == "MUL":
        return value, zeros
    if kind == "ADD":
        return ones, value
    if kind == "SUB":
        return (ones, -value) if is_first else (-ones, value)
    return (1 / value, zeros) if is_first and value.all() else None
