"""The quantizer: chooses the 8-bit weights and the biases of a float32 model so that its 8-bit form drifts little.

Rounding weights to 8 bits shifts the mean of each channel, layer after layer. On MobileNet, this bias, and not the
rounding noise, causes most of the accuracy loss of TensorFlow's converter. Here, the layers are quantized in execution
order. Each is rounded with GPTQ on the actual outputs of the quantized layers before it, for the calibration images,
and its bias is corrected for the remaining shift. Before that, channels are equalized where that helps. Neither labels
nor training are needed. The result is an ordinary float32 model whose weights are exact multiples of the scales that
the converter will choose.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from ai_edge_litert.schema_py_generated import OperatorT

from edgenet.errors import EdgenetError
from edgenet.quantize import gptq
from edgenet.quantize.activations import Activations
from edgenet.quantize.equalization import Scope, equalize
from edgenet.quantize.equalization_choice import choose_scope
from edgenet.quantize.ranges import Batches, TensorStatistics, measure_statistics
from edgenet.tflite.graph import CHANNEL_AXIS, WEIGHTED_KINDS, Graph, Layer

# Images that weights and biases are chosen on; the ranges of activations are measured on all images.
MAX_IMAGES = 200
# The range of the logits begins this far below the smallest top logit: exp(-10) is a hundredth of the step between
# two 8-bit scores.
LOGIT_MARGIN = 10.0
# The range of the logits ends this fraction of its width above the largest logit. Other images have larger ones: of 300
# photos, the three most certain ones caused a third of the squared error of MobileNetV1's logits.
LOGIT_HEADROOM = 0.1


@dataclass(frozen=True)
class Steps:
    """The steps that the quantizer takes: all of them, except in an ablation.

    Attributes:
        bias_correction: Correct each layer's bias for the mean shift of its output.
        gptq: Round weights with GPTQ instead of to the nearest integer.
        equalization: Scale channels towards the largest one of their tensor, where that helps this model.
        narrow_logits: Narrow the range of the logits from below, for a smaller scale, and give it headroom above.
    """

    bias_correction: bool = True
    gptq: bool = True
    equalization: bool = True
    narrow_logits: bool = True


@dataclass(frozen=True)
class QuantizedWeights:
    """A float32 model with the chosen weights, biases and ranges, ready for the converter.

    Attributes:
        model: The .tflite file.
        weights: The integers chosen for each layer, -127 to 127, by the full name of its operator and in execution
            order; None for a layer whose weights were not chosen.
        unquantized_layers: Layers of kinds that are not supported here, whose rounding is left to the converter.
        exponents: What `equalization.apply` needs to scale the channels of the float32 file like this model's.
    """

    model: bytes
    weights: dict[str, np.ndarray | None]
    unquantized_layers: tuple[str, ...]
    exponents: bytes = b""


def quantize_full_integer(
    data: bytes,
    batches: Batches,
    input_range: tuple[float, float],
    steps: Steps = Steps(),
    *,
    statistics: TensorStatistics | None = None,
    scope: Scope | None = None,
    kept: Collection[int] = (),
    float_input: bool = False,
) -> QuantizedWeights:
    """Choose weights and biases for a model with 8-bit weights and activations, and set the range of each tensor.

    Operators can be kept in float32: the weights and biases of the others are then chosen for the model of mixed
    precision that `edgenet.tflite.mixed_precision.in_float32` makes of the result. The biases of kept layers take up
    the shift that the 8-bit layers before them cause.

    Args:
        data: The float32 .tflite file.
        batches: Returns the normalized calibration images.
        input_range: The values of black and white pixels. They become the range of the input, whatever the calibration
            images contain: with the range of the images, a uint8 input would not be raw pixels.
        steps: The steps to take.
        statistics: What `measure_statistics` finds for these images, where it is known.
        scope: The tensors to equalize; None to try which are best for these images.
        kept: The operators that compute in float32, by their index among the file's operators.
        float_input: Whether kept operators get the input as float32, and not rounded to 8 bits.

    Returns:
        The weights, and a model with ranges. Kept layers have their float weights, and None in `weights`.

    Raises:
        EdgenetError: A weight or bias is NaN or infinite.
    """
    graph = Graph(data)
    _check_finite(graph)
    statistics = statistics or measure_statistics(graph, batches())
    if not steps.equalization:
        scope = Scope.NONE
    elif scope is None:
        scope = choose_scope(data, batches, statistics)
    equalized = equalize(data, statistics, scope)
    graph, statistics = equalized.graph, equalized.statistics.copy()
    statistics.low[graph.input], statistics.high[graph.input] = input_range
    activations = Activations(graph, statistics, islice(batches(), MAX_IMAGES), kept, float_input)
    in_float32 = graph.outputs(kept)
    choice = _choose(graph, statistics, activations, steps, lambda layer: layer.output not in in_float32)
    if steps.narrow_logits:
        _narrow_logits(graph, statistics)
    graph.set_ranges(statistics.low, statistics.high)
    return QuantizedWeights(graph.to_bytes(), choice.weights, tuple(choice.unquantized_layers), equalized.exponents)


def quantize_weights(
    data: bytes,
    batches: Batches,
    is_quantized: Callable[[Layer], bool],
    steps: Steps = Steps(),
    statistics: TensorStatistics | None = None,
    kept: Collection[int] = (),
) -> QuantizedWeights:
    """Choose weights and biases for a model with 8-bit weights in some layers, and float32 activations.

    Args:
        data: The float32 .tflite file.
        batches: Returns the normalized calibration images.
        is_quantized: Whether a layer's weights become 8-bit.
        steps: The steps to take.
        statistics, kept: As in `quantize_full_integer`.

    Returns:
        The weights, and a model without ranges.

    Raises:
        EdgenetError: A weight or bias is NaN or infinite.
    """
    graph = Graph(data)
    _check_finite(graph)
    activations = Activations(graph, None, islice(batches(), MAX_IMAGES))
    in_float32 = graph.outputs(kept)
    choice = _choose(
        graph,
        statistics or measure_statistics(graph, batches()),
        activations,
        steps,
        lambda layer: is_quantized(layer) and layer.output not in in_float32,
    )
    return QuantizedWeights(graph.to_bytes(), choice.weights, tuple(choice.unquantized_layers))


@dataclass
class _Choice:
    """What was chosen for the layers so far; the fields are those of QuantizedWeights."""

    weights: dict[str, np.ndarray | None] = field(default_factory=dict)
    unquantized_layers: list[str] = field(default_factory=list)


def _choose(
    graph: Graph,
    statistics: TensorStatistics,
    activations: Activations,
    steps: Steps,
    is_quantized: Callable[[Layer], bool],
) -> _Choice:
    """Replace the weights and biases of the graph's layers, in execution order."""
    choice = _Choice()
    for op in graph.operators:
        layer = graph.layer(op)
        if layer and is_quantized(layer):
            integers = _round(graph, op, layer, activations, steps)
            choice.weights[graph.full_name(op)] = integers
            graph.set_weights(op, gptq.dequantize(layer, integers), layer.bias)
        elif graph.kind(op) in CHANNEL_AXIS:
            choice.weights[graph.full_name(op)] = None
        if graph.kind(op) in WEIGHTED_KINDS and not layer:
            choice.unquantized_layers.append(f"{graph.kind(op)} {graph.name(op)}")
        if layer and steps.bias_correction:
            _correct_bias(graph, op, layer, activations, statistics.mean[layer.output])
        activations.advance(op, layer)
    return choice


def _round(graph: Graph, op: OperatorT, layer: Layer, activations: Activations, steps: Steps) -> np.ndarray:
    """Return a layer's weights as integers, -127 to 127."""
    if not steps.gptq or not gptq.supports(layer, graph.tensor(op.inputs[0]).shape[-1]):
        return gptq.round_to_nearest(layer)
    moments = gptq.sum_of_second_moments(layer, op.builtinOptions, (x for (x,) in activations.inputs(op)))
    return gptq.round_with_gptq(layer, moments)


def _correct_bias(graph: Graph, op: OperatorT, layer: Layer, activations: Activations, float_mean: np.ndarray) -> None:
    """Give the layer the bias with which the mean of its output, on quantized inputs, is that of the float model.

    This is sequential (empirical) bias correction: Nagel et al., arXiv:1906.04721, section 4.2.
    """
    weights = graph.constant(op.inputs[1])
    assert weights is not None  # `layer` has weights
    graph.set_weights(op, weights, layer.bias + (float_mean - activations.mean_output(op, layer)))


def _narrow_logits(graph: Graph, statistics: TensorStatistics) -> None:
    """Let the range of the logits begin at LOGIT_MARGIN below the smallest top logit, and end with LOGIT_HEADROOM.

    Lower logits contribute nothing to the softmax. A smaller scale distinguishes similar classes better, and fewer
    images have two top classes with equal scores.
    """
    softmax = graph.operators[-1]
    if graph.kind(softmax) != "SOFTMAX":
        return
    (index,) = graph.computed_inputs(softmax)
    low = max(statistics.min_top_value[index] - LOGIT_MARGIN, statistics.low[index])
    high = statistics.high[index] + LOGIT_HEADROOM * (statistics.high[index] - low)
    while True:
        statistics.low[index], statistics.high[index] = low, high
        reshape = next((op for op in graph.operators if index in op.outputs and graph.kind(op) == "RESHAPE"), None)
        if reshape is None:
            return
        index = graph.computed_inputs(reshape)[0]


def _check_finite(graph: Graph) -> None:
    for op in graph.operators:
        layer = graph.layer(op)
        if layer and not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
            raise EdgenetError(f"{layer.name}: the weights contain NaN or infinity; train the model again")
