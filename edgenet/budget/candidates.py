"""Which layers may stay in float32: several ways from all layers in 8 bits to none, and what each step costs.

The other layers are as in the full-integer file, or as in the dynamic-range file. The latter have less noise, and no
values are converted between them and the layers in float32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.schema_py_generated import TensorType

from edgenet.benchmarking import layers as operators
from edgenet.budget.judge import Scorer
from edgenet.quantize import dynamic as dynamic_range
from edgenet.records import Preprocessing, Variant
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
        others: What the other layers are: Variant.INT8 or Variant.DYNAMIC.
    """

    layers: tuple[str, ...]
    kept: tuple[int, ...]
    float_layers: int
    seconds: float
    others: Variant = Variant.INT8


class Candidates:
    """The candidates of a model.

    Args:
        float32: The path of the float32 file.
        int8: The path of the full-integer file.
        dynamic: The path of the dynamic-range file; None if its layers cannot be kept in float32.

    Attributes:
        seconds: The times of all operators of each file, by its variant.
    """

    def __init__(self, float32: Path, int8: Path, dynamic: Path | None = None) -> None:
        self._data = float32.read_bytes()
        self._int8_data = int8.read_bytes()
        self._graph, self._int8 = Graph(self._data), Graph(self._int8_data)
        self._names = LayerNames(self._graph)
        positions = {id(op): position for position, op in enumerate(self._graph.operators)}
        self._pairs: dict[int, Pair] = {
            positions[id(pair.float_op)]: pair for pair in pair_operators(self._graph, self._int8)
        }
        self._weighted = [n for n, op in enumerate(self._graph.operators) if self._graph.kind(op) in CHANNEL_AXIS]
        float_times, int8_times = _times(float32), _times(int8)
        self.seconds = {Variant.FLOAT32: sum(float_times), Variant.INT8: sum(int8_times)}
        least = MIN_COST * sum(int8_times) / len(int8_times)
        eight_bit = {Variant.INT8: {n: int8_times[pair.position] for n, pair in self._pairs.items()}}
        self._dynamic: dict[int, np.ndarray] = {}
        if dynamic:
            eight_bit[Variant.DYNAMIC] = self._dynamic_layers(dynamic)
        # What it costs to compute each operator in float32.
        self._added = {
            variant: {position: max(float_times[position] - time, least) for position, time in times.items()}
            for variant, times in eight_bit.items()
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
        noise = self._noise(images, recipe, {n: self._rounded(pair) for n, pair in self._pairs.items()})
        return self._greedy(noise, {position: self._around(position) for position in noise}, Variant.INT8)

    def noisiest_dynamic(self, images: np.ndarray, recipe: Preprocessing) -> list[Candidate]:
        """The layers of a dynamic-range file that pay most: those whose weights make the most noise for their time.

        Args:
            images: As for `noisiest`.
            recipe: The preprocessing.
        """
        names = {n: self._graph.full_name(self._graph.operators[n]) for n in self._dynamic}
        files = {n: dynamic_range.store_weights(self._data, {names[n]: self._dynamic[n]}) for n in names}
        return self._greedy(self._noise(images, recipe, files), {n: {n} for n in names}, Variant.DYNAMIC)

    def _greedy(self, noise: dict[int, float], needed: dict[int, set[int]], others: Variant) -> list[Candidate]:
        """Keep in float32, one after the other, what makes the most noise for the time of the operators it needs."""
        added, kept, choices, left = self._added.get(others, {}), set[int](), [], dict(noise)
        while left:
            costs = {n: max(sum(added.get(op, 0.0) for op in needed[n] - kept), MIN_SECONDS) for n in left}
            _, best = max((left[n] / cost, n) for n, cost in costs.items())
            kept |= needed[best]
            del left[best]
            choices.append(tuple(self._names.shown(position) for position in sorted(kept)))
        return self._distinct(choices, others)

    def _noise(self, images: np.ndarray, recipe: Preprocessing, files: Mapping[int, bytes]) -> dict[int, float]:
        """The mean squared error of the logits of files, where there is any."""
        images = images[:MAX_NOISE_IMAGES]
        expected, _ = Scorer(self._data, recipe)(images)
        noise = {}
        for position, data in files.items():
            logits, _ = Scorer(data, recipe)(images)
            errors = logits - expected
            errors -= errors.mean(axis=1, keepdims=True)
            if errors.any():
                noise[position] = float(np.square(errors).mean())
        return noise

    def _rounded(self, pair: Pair) -> bytes:
        """The float32 file with the output of one operator rounded."""
        return mixed_precision.in_int8(self._data, [pair], self._int8, weights=False)

    def _dynamic_layers(self, path: Path) -> dict[int, float]:
        """The times of the layers with 8-bit weights, by their position in the float32 file; remember their integers.

        One may be several operators, of which the last has the output of the float32 file's.
        """
        graph, times = Graph(path.read_bytes()), _times(path)
        self.seconds[Variant.DYNAMIC] = sum(times)
        ends = {int(op.outputs[0]): position for position, op in enumerate(self._graph.operators)}
        found, seconds, integers = {}, 0.0, None
        for op, time in zip(graph.operators, times, strict=True):
            seconds += time
            if graph.kind(op) in CHANNEL_AXIS and graph.tensor(int(op.inputs[1])).type == TensorType.INT8:
                integers = graph.constant(int(op.inputs[1]))
            position = ends.get(int(op.outputs[0]))
            if position is not None:
                if integers is not None:
                    found[position], self._dynamic[position] = seconds, integers
                seconds, integers = 0.0, None
        return found

    def _around(self, position: int) -> set[int]:
        """An operator and those that use its output."""
        output = int(self._graph.operators[position].outputs[0])
        return {position} | {n for n, op in enumerate(self._graph.operators) if output in op.inputs}

    def _distinct(self, choices: Sequence[tuple[str, ...]], others: Variant = Variant.INT8) -> list[Candidate]:
        """Candidates in the order of their cost that keep some layer with weights in 8 bits, and one in float32."""
        added = self._added.get(others, {})
        eight_bit = set(self._dynamic if others == Variant.DYNAMIC else self._weighted)
        found: dict[tuple[int, ...], Candidate] = {}
        for layers in choices:
            kept = tuple(self._names.select(layers))
            float_layers = len(set(kept) & set(self._weighted))
            if eight_bit - set(kept):
                seconds = self.seconds[others] + sum(added.get(position, 0.0) for position in kept)
                found.setdefault(kept, Candidate(layers, kept, float_layers, seconds, others))
        return sorted(found.values(), key=lambda candidate: candidate.seconds)


def _times(path: Path) -> list[float]:
    """The seconds of each operator of a file, alone, on one thread."""
    return [layer.seconds for layer in operators.time_layers(path, threads=1)]
