"""Cross-layer equalization: scales the channels of a tensor so that each uses more of the tensor's 8 bits.

An 8-bit activation has one scale for all of its channels, and the channels of a MobileNet differ by factors of ten and
more. A channel can be multiplied by a factor if the weights that read it are divided by the same factor (Nagel et al.,
arXiv:1906.04721, section 4.1, for pairs of layers). Here each channel is raised towards the largest one of its tensor,
which costs nothing at run time:

- Linear bottlenecks, as those of MobileNetV2, keep the model's function exactly. Tensors that are added share a factor.
- After ReLU6, the factor moves the upper bound towards the values: what the calibration images do not exceed stays
  exact. Other images may exceed it, so that these factors leave headroom, and can do harm.

The outputs of the first layers are not averaged yet, so that their rounding hurts most. There, the channels' ranges end
where clipping the largest values costs as much as coarser steps do.
"""

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.quantize.ranges import ChannelRanges, TensorStatistics
from edgenet.tflite.graph import ACTIVATION_BOUNDS, Graph, Layer

# Factors are powers of 2 with exponents in steps of 1 / RESOLUTION, so that a byte stores one.
RESOLUTION = 32
# No factor is larger.
MAX_FACTOR = 64.0
# In front of layers other than depthwise ones, the factors after a rectifier are raised to this power: there they make
# the weights that belong to small channels small, too, beside others that share their scale.
RECTIFIED_EXPONENT = 0.25
# Other images exceed the maxima of the calibration images. How far is estimated from the ratio of the maximum over all
# images to that over half of them; for each channel, or this quantile over the channels if that is more.
HEADROOM_QUANTILE = 0.9
# Of the clipping: fractions of the largest value that are tried, and values that a channel must have.
FRACTIONS = np.linspace(0.3, 1, 29)
MIN_VALUES = 10

# The factor of each channel of a tensor, float64 (channels,), at least 1, by the index of the tensor.
Factors = dict[int, np.ndarray]


class Scope(IntEnum):
    """The tensors that are equalized; each includes those before."""

    NONE = 0
    LINEAR = 1  # those without a rectifier
    ALL = 2


@dataclass(frozen=True)
class Equalized:
    """A model with equalized channels.

    Attributes:
        graph: The model.
        statistics: Its statistics, computed from those of the model before.
        factors: The factors of the channels that are scaled.
        exponents: What `apply` needs to do the same to the float32 file; empty if nothing is scaled.
    """

    graph: Graph
    statistics: TensorStatistics
    factors: Factors = field(default_factory=dict)
    exponents: bytes = b""


def equalize(data: bytes, statistics: TensorStatistics, scope: Scope) -> Equalized:
    """Equalize the channels of a model.

    Args:
        data: The float32 .tflite file.
        statistics: Its statistics.
        scope: The tensors to equalize. None are if there are too few images for ranges of several parts of them.
    """
    graph = Graph(data)
    groups = [group for group in _Groups(graph).find() if scope >= group.scope]
    if not groups or not all(part.low for part in statistics.parts):
        return Equalized(graph, statistics)
    clipped = {tensor: _clip(values) for tensor, values in statistics.samples.items()}
    factors: Factors = {}
    for group in groups:
        factors |= dict.fromkeys(group.tensors, _factors(group, statistics.parts, clipped))
    if all((factor == 1).all() for factor in factors.values()):
        return Equalized(graph, statistics)
    _scale(graph, factors)
    return Equalized(graph, _scaled_statistics(statistics, factors, clipped), factors, _encode(graph, factors))


def apply(graph: Graph, exponents: bytes) -> None:
    """Scale the channels of a float32 model as those of an int8 file that was made from it.

    Args:
        graph: The model.
        exponents: The exponents of the outputs of its layers, as `Equalized` has them.

    Raises:
        ValueError: They are those of another model.
    """
    values = np.frombuffer(exponents, np.uint8)
    layers = [layer for op in graph.operators if (layer := graph.layer(op))]
    ends = np.cumsum([len(layer.bias) for layer in layers])
    if not len(ends) or ends[-1] != len(values):
        raise ValueError("the exponents are those of another model")
    of_layers = {layer.output: part for layer, part in zip(layers, np.split(values, ends[:-1]), strict=True)}
    factors: Factors = {}
    for group in _Groups(graph).find():
        source = next(tensor for tensor in group.tensors if tensor in of_layers)
        factors |= dict.fromkeys(group.tensors, 2.0 ** (of_layers[source] / RESOLUTION))
    _scale(graph, factors)


def _encode(graph: Graph, factors: Factors) -> bytes:
    exponents = []
    for op in graph.operators:
        if layer := graph.layer(op):
            exponents.append(np.round(RESOLUTION * np.log2(factors.get(layer.output, np.ones(len(layer.bias))))))
    return np.concatenate(exponents).astype(np.uint8).tobytes()


@dataclass(frozen=True)
class _Group:
    """Tensors whose channels must have the same factors.

    Attributes:
        tensors: Their indices, in ascending order.
        scope: The least scope that includes them.
        exponent: The power to which the factors are raised.
    """

    tensors: list[int]
    scope: Scope
    exponent: float


class _Groups:
    """Finds the tensors of a graph that can be scaled, in groups that must have the same factors.

    An operator allows factors if it computes the same for scaled channels, but for the factors: layers scale their
    outputs, and take back the factors of their input in their weights; additions, pooling and the like pass them on.
    All other operators need their tensors unscaled.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._parents: dict[int, int] = {}
        self._fixed = {graph.input, graph.output}
        self._produced: set[int] = set()
        self._bounds: dict[int, tuple[float, float]] = {}
        self._readers: dict[int, list[Layer]] = {}
        for op in graph.operators:
            self._add(op)

    def find(self) -> list[_Group]:
        """Return the groups that are computed by layers and read by layers, in the order of their first tensors."""
        members: dict[int, list[int]] = {}
        for tensor in sorted(self._parents):
            members.setdefault(self._root(tensor), []).append(tensor)
        fixed = {self._root(tensor) for tensor in self._fixed}
        return [
            self._group(tensors)
            for root, tensors in members.items()
            if root not in fixed
            and any(tensor in self._produced for tensor in tensors)
            and any(tensor in self._readers for tensor in tensors)
        ]

    def _group(self, tensors: list[int]) -> _Group:
        is_linear = all(self._bounds.get(tensor, (-np.inf, np.inf))[0] < 0 for tensor in tensors)
        readers = [layer for tensor in tensors for layer in self._readers.get(tensor, [])]
        is_depthwise = all(layer.kind == "DEPTHWISE_CONV_2D" for layer in readers)
        return _Group(
            tensors,
            Scope.LINEAR if is_linear else Scope.ALL,
            1.0 if is_linear or is_depthwise else RECTIFIED_EXPONENT,
        )

    def _add(self, op: schema.OperatorT) -> None:
        graph, kind = self._graph, self._graph.kind(op)
        inputs, outputs = graph.computed_inputs(op), [int(index) for index in op.outputs]
        layer, bounds = graph.layer(op), _bounds(graph, op)
        for tensor in (*inputs, *outputs):
            self._root(tensor)
        if layer and len(inputs) == 1:
            self._bounds[layer.output] = layer.bounds
            self._produced.add(layer.output)
            if _input_channels(layer) == graph.tensor(inputs[0]).shape[-1]:
                self._readers.setdefault(inputs[0], []).append(layer)
            else:  # grouped, or a dense layer of flattened channels
                self._fixed.add(inputs[0])
        elif bounds and _passes_channels_on(graph, kind, op):
            self._bounds[outputs[0]] = bounds
            for tensor in inputs:
                self._parents[self._root(tensor)] = self._root(outputs[0])
        else:
            self._fixed.update(inputs, outputs)

    def _root(self, tensor: int) -> int:
        self._parents.setdefault(tensor, tensor)
        while self._parents[tensor] != tensor:
            tensor = self._parents[tensor]
        return tensor


def _passes_channels_on(graph: Graph, kind: str, op: schema.OperatorT) -> bool:
    """Whether each output channel of an operator is scaled if that channel of all of its inputs is."""
    inputs, output = graph.computed_inputs(op), graph.tensor(int(op.outputs[0]))
    shapes = [list(graph.tensor(index).shape) for index in inputs]
    if kind == "ADD":
        return len(inputs) == 2 and shapes[0] == shapes[1] == list(output.shape)
    if len(inputs) != 1 or len(op.outputs) != 1 or shapes[0][-1:] != list(output.shape)[-1:]:
        return False
    if kind == "MEAN":
        axes = graph.constant(op.inputs[1])
        return axes is not None and not {-1, len(shapes[0]) - 1} & set(axes.ravel().tolist())
    if kind == "PAD":  # with zeros
        widths = graph.constant(op.inputs[1])
        return widths is not None and not widths[-1].any()
    return kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D", "RELU", "RELU6", "RESHAPE")


def _bounds(graph: Graph, op: schema.OperatorT) -> tuple[float, float] | None:
    """The range to which an operator clips, or None if it is not one that `clip` describes."""
    none = schema.ActivationFunctionType.NONE
    own = {"RELU": schema.ActivationFunctionType.RELU, "RELU6": schema.ActivationFunctionType.RELU6}.get(graph.kind(op))
    return ACTIVATION_BOUNDS.get(own or getattr(op.builtinOptions, "fusedActivationFunction", none))


def _input_channels(layer: Layer) -> int:
    """The number of channels that a layer's weights read; of a depthwise layer, if its multiplier is 1."""
    return int(layer.weights.shape[1 if layer.kind == "FULLY_CONNECTED" else 3])


def _factors(
    group: _Group, parts: list[ChannelRanges], clipped: dict[int, tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Return the factors with which no channel of a group exceeds the largest one of its tensor."""
    factors = np.full(len(parts[0].high[group.tensors[0]]), np.inf)
    for tensor in group.tensors:
        if tensor in clipped:
            low, high = clipped[tensor]
        else:
            low = -_with_headroom([-part.low[tensor] for part in parts])
            high = _with_headroom([part.high[tensor] for part in parts])
        for values in (high, -low):
            most = values.max()
            if most > 0:
                factors = np.minimum(
                    factors, np.where(values > 0, most / np.maximum(values, most / MAX_FACTOR), np.inf)
                )
    factors = np.where(np.isfinite(factors), factors, 1.0) ** group.exponent
    return np.asarray(2.0 ** (np.floor(RESOLUTION * np.log2(factors) + 1e-6) / RESOLUTION))


def _with_headroom(maxima: list[np.ndarray]) -> np.ndarray:
    """Return the maxima of the channels, with headroom for other images, up to that of the tensor.

    Args:
        maxima: Of each part of the images, float64 (channels,); those that are not positive are left alone.
    """
    most = np.max(maxima, axis=0)
    halves = [np.max(maxima[start::2], axis=0) for start in (0, 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(most > 0, most / np.maximum(np.min(halves, axis=0), 1e-9), 1.0)
    headroom = np.maximum(ratios, np.quantile(ratios, HEADROOM_QUANTILE))
    return np.where(most > 0, np.minimum(most * headroom, most.max()), most)


def _clip(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper limits of the channels with the least mean squared error in 8 bits.

    Args:
        values: Values of the tensor, float32 (n, channels).
    """
    return -np.array([_limit(-column) for column in values.T]), np.array([_limit(column) for column in values.T])


def _limit(values: np.ndarray) -> float:
    """Return the limit of positive values that minimizes what clipping and rounding to 8 bits cost together."""
    values = values[values > 0]
    if len(values) < MIN_VALUES:
        return float(values.max(initial=0.0))
    limits = values.max() * FRACTIONS
    errors = [np.square(np.maximum(values - limit, 0)).mean() + (limit / 255) ** 2 / 12 for limit in limits]
    return float(limits[int(np.argmin(errors))])


def _scale(graph: Graph, factors: Factors) -> None:
    """Multiply the channels of tensors by factors, in the weights and biases of the layers around them."""
    for op in graph.operators:
        layer = graph.layer(op)
        if not layer:
            continue
        before, after = factors.get(graph.computed_inputs(op)[0]), factors.get(layer.output)
        weights, bias = layer.weights.astype(np.float64), layer.bias.astype(np.float64)
        if before is not None:  # the input's channels are on the last axis of all kinds
            weights = weights / before
        if after is not None:
            weights, bias = weights * layer.by_channel(after), bias * after
        if before is not None or after is not None:
            graph.set_weights(op, weights, bias)


def _scaled_statistics(
    statistics: TensorStatistics, factors: Factors, clipped: dict[int, tuple[np.ndarray, np.ndarray]]
) -> TensorStatistics:
    """Return the statistics of the scaled model."""
    low, high = dict(statistics.low), dict(statistics.high)
    for tensor, factor in factors.items():
        limits = clipped.get(tensor)
        lows = [part.low[tensor] for part in statistics.parts]
        highs = [part.high[tensor] for part in statistics.parts]
        low[tensor] = float((np.min(lows, axis=0) * factor).min())
        high[tensor] = float((np.max(highs, axis=0) * factor).max())
        if limits:
            low[tensor] = max(low[tensor], min(0.0, float((limits[0] * factor).min())))
            high[tensor] = min(high[tensor], max(0.0, float((limits[1] * factor).max())))
    mean = {tensor: means * factors.get(tensor, 1.0) for tensor, means in statistics.mean.items()}
    return replace(statistics, low=low, high=high, mean=mean)
