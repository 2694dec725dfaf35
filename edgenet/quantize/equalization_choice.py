"""Which tensors to equalize: decided for each model by the error of its logits on calibration images held back.

Equalization helps most models and harms some: where channels belong to few classes, other images exceed what the
calibration images need. So each scope is tried on a part of the calibration images, with weights rounded to the nearest
integer and biases corrected, and judged on another part.
"""

from dataclasses import dataclass

import numpy as np

from edgenet.quantize import gptq
from edgenet.quantize.activations import Activations
from edgenet.quantize.equalization import Scope, equalize
from edgenet.quantize.ranges import PARTS, Batches, TensorStatistics, channel_mean
from edgenet.scores import LOGITS, logit_errors, top_classes
from edgenet.tflite.graph import Graph
from edgenet.tflite.logits import find_logits, has_softmax, through_reshapes

# So many images are used, half of them held back.
IMAGES = 64
# The fraction by which a scope must lower the error to be chosen. Repeated trials of a model differ by 5% and more, and
# what exceeds the headroom behind a rectifier shows on few images.
MIN_GAINS = {Scope.LINEAR: 0.0, Scope.ALL: 0.05}


def choose_scope(data: bytes, batches: Batches, statistics: TensorStatistics) -> Scope:
    """Try each scope, and return the one with the least error of the logits, but for MIN_GAINS.

    Args:
        data: The float32 .tflite file.
        batches: Returns the normalized calibration images.
        statistics: What was measured on them.

    Returns:
        Scope.NONE, too, if there are too few images to tell, or nothing to equalize.
    """
    trial = _choose_images(batches, statistics.count)
    if not trial:
        return Scope.NONE
    known = statistics.of_parts(range(1, PARTS, 2))
    candidates = {scope: equalize(data, known, scope) for scope in Scope}
    distinct = {candidates[scope].exponents: scope for scope in reversed(Scope)}
    if len(distinct) < 2:
        return Scope.NONE
    graph = Graph(data)
    means, expected = _pass_through(graph, None, trial, {})
    best, least = Scope.NONE, np.inf
    for scope in sorted(distinct.values()):
        equalized = candidates[scope]
        scaled = {index: mean * equalized.factors.get(index, 1.0) for index, mean in means.items()}
        _, logits = _pass_through(equalized.graph, equalized.statistics, trial, scaled)
        error = _error(logits, expected, before_softmax=has_softmax(graph))
        if error < (1 - MIN_GAINS.get(scope, 0.0)) * least:
            best, least = scope, error
    return best


@dataclass(frozen=True)
class _Batch:
    """Normalized images, float32 (batch, height, width, channels), and which of them are fitted and held back."""

    images: np.ndarray
    fitted: np.ndarray
    held_back: np.ndarray


def _choose_images(batches: Batches, count: int) -> list[_Batch]:
    """Return images that are spread evenly over the calibration images: blocks of one image of each part."""
    blocks = np.linspace(0, count // PARTS - 1, min(IMAGES, count) // PARTS).astype(int)
    chosen, start = [], 0
    for images in batches():
        indices = np.arange(start, start := start + len(images))
        used = np.isin(indices // PARTS, blocks)
        if used.any():
            chosen.append(_Batch(images, used & (indices % 2 == 1), used & (indices % 2 == 0)))
    return chosen


def _pass_through(
    graph: Graph, statistics: TensorStatistics | None, batches: list[_Batch], means: dict[int, np.ndarray]
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Pass images through a model: through its 8-bit form if there are statistics.

    Args:
        graph: The model; its weights are replaced.
        statistics: The ranges of the tensors.
        batches: The images. Biases are corrected on those that are fitted.
        means: The mean of each channel that biases are corrected to.

    Returns:
        The mean of each channel before the activation on the fitted images, and the logits of those that are held back,
        (n, classes).
    """
    logits, found = find_logits(graph), {}
    if statistics:
        statistics = statistics.copy()
        for index in through_reshapes(graph, logits):  # their range is not what is to be compared
            del statistics.low[index], statistics.high[index]
    activations = Activations(graph, statistics, [batch.images for batch in batches])
    for op in graph.operators:
        layer = graph.layer(op)
        if layer and statistics:
            graph.set_weights(op, gptq.dequantize(layer, gptq.round_to_nearest(layer)), layer.bias)
        outputs = list(activations.outputs(op, layer))
        if layer:
            fitted = [values[batch.fitted] for batch, (values,) in zip(batches, outputs, strict=True)]
            found[layer.output] = channel_mean(np.concatenate(fitted))
            if layer.output in means:
                shift = (means[layer.output] - found[layer.output]).astype(np.float32)
                outputs = [[values + shift] for (values,) in outputs]
        activations.advance(op, layer, outputs)
        if logits in op.outputs:
            break
    rows = [v.reshape(len(v), -1)[b.held_back] for b, v in zip(batches, activations.values(logits), strict=True)]
    return found, np.concatenate(rows)


def _error(logits: np.ndarray, expected: np.ndarray, *, before_softmax: bool) -> float:
    """The root of the mean squared error of the best classes' logits."""
    top = top_classes(expected, LOGITS)
    values = (np.take_along_axis(part, top, axis=1) for part in (logits, expected))
    errors = logit_errors(*values, before_softmax=before_softmax)
    return float(np.sqrt(np.square(errors, dtype=np.float64).mean()))
