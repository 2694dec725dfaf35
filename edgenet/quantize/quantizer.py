"""The quantizer: weights and biases of a float32 model, chosen so that its 8-bit forms drift little.

Rounding weights to 8 bits shifts the mean of each channel, layer after layer, and that bias, not the 8 bits, is most
of what the stock converter loses on MobileNet. Here each layer is rounded in the order in which they run, on what the
quantized layers before it really give for the calibration pictures, and its bias takes up what remains. No labels, no
training. The result is an ordinary float32 model whose weights lie on the grid that the converter uses.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from edgenet.errors import EdgenetError
from edgenet.quantize import gptq
from edgenet.quantize.activations import Activations
from edgenet.quantize.ranges import Statistics, measure
from edgenet.tflite.graph import CHANNEL_AXIS, WEIGHTED, Graph, Layer

# Pictures that weights and biases are chosen on; the ranges of activations are measured on all.
MOST_PICTURES = 200
# The logits' range ends this far below the smallest winning one: exp(-10) is a hundredth of an 8-bit score's step.
LOGIT_MARGIN = 10.0

# Gives normalized calibration pictures, float32 (batch, height, width, channels), from the beginning at each call.
Batches = Callable[[], Iterable[np.ndarray]]


@dataclass(frozen=True)
class Steps:
    """Which steps to take: all, but for an ablation.

    bias: bias correction. compensation: rounding that makes good its errors, instead of to the nearest. logits: a finer
    grid for the logits.
    """

    bias: bool = True
    compensation: bool = True
    logits: bool = True


@dataclass(frozen=True)
class Chosen:
    """A float32 model with chosen weights, biases and ranges, ready for the converter.

    weights: the integers chosen for each layer, by the name of its output and in order; None where none were chosen.
    left: layers that are not known here, left to the converter's own rounding.
    """

    model: bytes
    weights: dict[str, np.ndarray | None]
    left: tuple[str, ...]


def full_integer(data: bytes, batches: Batches, pixels: tuple[float, float], steps: Steps = Steps()) -> Chosen:
    """Choose for a model whose weights and activations will be 8-bit, and set the range of each tensor.

    pixels: what black and white become. They are the range of the input, whatever the calibration pictures happened to
    be: with a range of their own, raw pixels, as apps feed them to a uint8 input, would be too dark or too bright.

    Raises EdgenetError when a weight is not finite.
    """
    graph = Graph(data)
    _check_finite(graph)
    statistics = measure(graph, batches())
    statistics.low[graph.input], statistics.high[graph.input] = pixels
    activations = Activations(graph, statistics, islice(batches(), MOST_PICTURES))
    weights, left = _choose(graph, statistics, activations, steps, lambda layer: True)
    if steps.logits:
        _narrow_logits(graph, statistics)
    graph.set_ranges(statistics.low, statistics.high)
    return Chosen(graph.to_bytes(), weights, left)


def weights_only(data: bytes, batches: Batches, rounds: Callable[[Layer], bool], steps: Steps = Steps()) -> Chosen:
    """Choose for a model of which only the weights of some layers, those that `rounds` says, will be 8-bit.

    Raises EdgenetError when a weight is not finite.
    """
    graph = Graph(data)
    _check_finite(graph)
    activations = Activations(graph, None, islice(batches(), MOST_PICTURES))
    weights, left = _choose(graph, measure(graph, batches()), activations, steps, rounds)
    return Chosen(graph.to_bytes(), weights, left)


def _choose(graph, statistics, activations, steps, rounds) -> tuple[dict[str, np.ndarray | None], tuple[str, ...]]:
    weights, left = {}, []
    for op in graph.operators:
        layer = graph.layer(op)
        if layer and rounds(layer):
            if steps.compensation and gptq.can_compensate(layer, graph.tensor(op.inputs[0]).shape[-1]):
                options = op.builtinOptions
                moments = sum(gptq.second_moments(layer, options, x) for (x,) in activations.inputs(op))
                integers = gptq.compensated(layer, moments)
            else:
                integers = gptq.nearest(layer)
            weights[graph.full_name(op)] = integers
            graph.replace(op, gptq.values(layer, integers), layer.bias)
        elif graph.kind(op) in CHANNEL_AXIS:
            weights[graph.full_name(op)] = None
        if graph.kind(op) in WEIGHTED and not layer:
            left.append(f"{graph.kind(op)} {graph.name(op)}")
        if layer and steps.bias:
            # Empirical bias correction, layer after layer (Nagel et al., arXiv:1906.04721, section 4.2).
            shift = statistics.mean[layer.output] - activations.mean_output(op)
            graph.replace(op, graph.layer(op).weights, layer.bias + shift)
        activations.advance(op, layer)
    return weights, tuple(left)


def _narrow_logits(graph: Graph, statistics: Statistics) -> None:
    """Let the range of the logits begin LOGIT_MARGIN below the smallest winning one.

    What lies further down has no share in the softmax. A finer step tells close classes apart, and fewer pictures tie
    at the top.
    """
    softmax = graph.operators[-1]
    if graph.kind(softmax) != "SOFTMAX":
        return
    (number,) = graph.takes(softmax)
    low = statistics.winner[number] - LOGIT_MARGIN
    while True:
        statistics.low[number] = max(statistics.low[number], low)
        reshape = next((op for op in graph.operators if number in op.outputs and graph.kind(op) == "RESHAPE"), None)
        if reshape is None:
            return
        number = graph.takes(reshape)[0]


def _check_finite(graph: Graph) -> None:
    for op in graph.operators:
        layer = graph.layer(op)
        if layer and not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
            raise EdgenetError(f"{layer.name}: expected finite weights, found NaN or infinity; mend or train the model")
