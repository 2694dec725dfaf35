"""Which layers may stay in float32: several ways from all layers in 8 bits to none, and what each step costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenet.benchmarking import layers as operators
from edgenet.budget.judge import Scorer
from edgenet.records import Preprocessing
from edgenet.records.diagnosis import FROM, UNTIL
from edgenet.tflite import mixed_precision
from edgenet.tflite.graph import CHANNEL_AXIS, Graph
from edgenet.tflite.layer_names import LayerNames
from edgenet.tflite.pairing import Pair, pair_operators

# Images that the noise of each layer is measured on.
MAX_NOISE_IMAGES = 16
# What it costs at least to compute one layer in float32 between 8-bit ones, of the mean time of an operator.
MIN_COST = 0.1
# What it costs at least to round one tensor less.
MIN_SECONDS = 1e-9


@dataclass(frozen=True)
class Candidate:
    """Layers that may stay in float32.

    Attributes:
        layers: Their names, as `edgenet.tflite.layer_names.LayerNames.select` takes them.
        kept: Their operators, by index.
        float_layers: How many of them have weights.
        seconds: The times of all operators, each measured alone, in the arithmetic that they have.
    """

    layers: tuple[str, ...]
    kept: tuple[int, ...]
    float_layers: int
    seconds: float


class Candidates:
    """The candidates of a model.

    Args:
        float32: The path of the float32 file.
        int8: The path of the full-integer file.

    Attributes:
        int8_seconds: The times of all operators of the full-integer file.
        float32_seconds: The same of the float32 file.
    """

    def __init__(self, float32: Path, int8: Path) -> None:
        self._data = float32.read_bytes()
        self._int8_data = int8.read_bytes()
        self._graph, self._int8 = Graph(self._data), Graph(self._int8_data)
        self._names = LayerNames(self._graph)
        positions = {id(op): position for position, op in enumerate(self._graph.operators)}
        self._pairs: dict[int, Pair] = {
            positions[id(pair.float_op)]: pair for pair in pair_operators(self._graph, self._int8)
        }
        self._weighted = [n for n, op in enumerate(self._graph.operators) if self._graph.kind(op) in CHANNEL_AXIS]
        float_times, int8_times = (
            [layer.seconds for layer in operators.time_layers(path, threads=1)] for path in (float32, int8)
        )
        self.float32_seconds, self.int8_seconds = sum(float_times), sum(int8_times)
        least = MIN_COST * self.int8_seconds / len(int8_times)
        self._added = {
            position: max(float_times[position] - int8_times[pair.position], least)
            for position, pair in self._pairs.items()
        }

    def until(self) -> list[Candidate]:
        """All layers up to one of those with weights."""
        return self._distinct([(UNTIL + self._names.shown(position),) for position in self._weighted])

    def both_ends(self) -> list[Candidate]:
        """The last layer with weights, and all layers up to another one: the logits are then not rounded."""
        end = FROM + self._names.shown(self._weighted[-1])
        return self._distinct([(UNTIL + self._names.shown(position), end) for position in self._weighted[:-1]])

    def from_on(self) -> list[Candidate]:
        """All layers from one of those with weights on."""
        return self._distinct([(FROM + self._names.shown(position),) for position in reversed(self._weighted)])

    def noisiest(self, images: np.ndarray, recipe: Preprocessing) -> list[Candidate]:
        """The layers that pay most: one tensor after the other is not rounded any more.

        That takes both the layer that computes it and those that use it in float32. Next is always the tensor whose
        rounding makes the most noise at the logits for the time of the layers that it takes. Biases take up the mean of
        what rounded weights do, so that the noise of activations is most of all.

        Args:
            images: Images, (n, height, width, channels), of which MAX_NOISE_IMAGES are used.
            recipe: The preprocessing.
        """
        gains = self._rounding_noise(images[:MAX_NOISE_IMAGES], recipe)
        needed = {position: self._around(position) for position in gains}
        kept: set[int] = set()
        choices = []
        while gains:
            costs = {n: max(sum(self._added.get(op, 0.0) for op in needed[n] - kept), MIN_SECONDS) for n in gains}
            _, best = max((gains[n] / cost, n) for n, cost in costs.items())
            kept |= needed[best]
            del gains[best]
            choices.append(tuple(self._names.shown(position) for position in sorted(kept)))
        return self._distinct(choices)

    def _rounding_noise(self, images: np.ndarray, recipe: Preprocessing) -> dict[int, float]:
        """The mean squared error of the logits if the output of one operator alone is rounded, where there is any."""
        expected, _ = Scorer(self._data, recipe)(images)
        noise = {}
        for position, pair in self._pairs.items():
            rounded = mixed_precision.in_int8(self._data, [pair], self._int8, weights=False)
            logits, _ = Scorer(rounded, recipe)(images)
            errors = logits - expected
            errors -= errors.mean(axis=1, keepdims=True)
            if errors.any():
                noise[position] = float(np.square(errors).mean())
        return noise

    def _around(self, position: int) -> set[int]:
        """An operator and those that use its output."""
        output = int(self._graph.operators[position].outputs[0])
        return {position} | {n for n, op in enumerate(self._graph.operators) if output in op.inputs}

    def _distinct(self, choices: Sequence[tuple[str, ...]]) -> list[Candidate]:
        """Candidates in the order of their cost that keep some layer with weights in 8 bits, and one in float32."""
        found: dict[tuple[int, ...], Candidate] = {}
        for layers in choices:
            kept = tuple(self._names.select(layers))
            float_layers = len(set(kept) & set(self._weighted))
            if float_layers < len(self._weighted):
                seconds = self.int8_seconds + sum(self._added.get(position, 0.0) for position in kept)
                found.setdefault(kept, Candidate(layers, kept, float_layers, seconds))
        return sorted(found.values(), key=lambda candidate: candidate.seconds)
