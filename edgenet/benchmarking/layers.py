"""The cost of each operator of a .tflite file: multiply-adds, delegation and time.

LiteRT's Python interface has no profiler, so each operator is timed alone. Alone it starts with its input in no cache
and is not fused with its neighbours, so the times add up to more than the whole; their fractions show where time goes.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.benchmarking import latency
from edgenet.errors import EdgenetError, first_line
from edgenet.litert.delegate import inspect_delegation, load_interpreter
from edgenet.progress import SILENT, Progress
from edgenet.records import Arithmetic, Delegation, LayerTime
from edgenet.tflite.graph import CHANNEL_AXIS, Graph
from edgenet.tflite.operator_runner import OperatorRunner

ROUNDS, SECONDS = 5, 0.005
# Multiplied with int8 instructions.
_INT8_TYPES = (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT4)


def total_multiply_adds(path: Path, shape: tuple[int, int, int] | None = None) -> int:
    """The multiply-adds of one inference.

    Args:
        path: A .tflite file.
        shape: Height, width and channels of the input, for a file that leaves them free.
    """
    graph, interpreter = Graph(path.read_bytes()), load_interpreter(path, shape, delegate=False)
    shapes = {details["index"]: details["shape"] for details in interpreter.get_tensor_details()}
    for op in graph.operators:
        output = int(op.outputs[0])
        graph.tensor(output).shape = shapes[output]
    return sum(multiply_adds(graph))


def delegation(path: Path, shape: tuple[int, int, int] | None = None) -> Delegation:
    """How many operators the runtime hands to XNNPACK. Arguments as for `total_multiply_adds`."""
    count, undelegated = inspect_delegation(path, shape)
    return Delegation(count, count - len(undelegated))


def multiply_adds(graph: Graph) -> list[int]:
    """The multiply-adds of each operator, which are those of convolutions and fully connected layers."""
    return [_multiply_adds(graph, op) for op in graph.operators]


def arithmetic(graph: Graph) -> Arithmetic | None:
    """The data type of most multiply-adds of a file.

    int8 activations are multiplied as int8, and so are float ones that meet int8 weights, because the runtime quantizes
    them first. float16 weights become float32.

    Returns:
        None for a file without multiply-adds, or if most are of another type, such as int16 activations.
    """
    counts: Counter[Arithmetic | None] = Counter()
    for op, count in zip(graph.operators, multiply_adds(graph), strict=True):
        if graph.kind(op) in CHANNEL_AXIS:
            # Free dimensions are -1, so that a count may be negative.
            counts[_arithmetic(*(graph.tensor(int(index)).type for index in op.inputs[:2]))] += abs(count)
    return counts.most_common(1)[0][0] if counts else None


def _arithmetic(activations: int, weights: int) -> Arithmetic | None:
    if activations in _INT8_TYPES:
        return Arithmetic.INT8
    if activations != schema.TensorType.FLOAT32:
        return None
    return Arithmetic.INT8 if weights in _INT8_TYPES else Arithmetic.FLOAT32


def time_layers(path: Path, threads: int, progress: Progress = SILENT) -> tuple[LayerTime, ...]:
    """Time each operator of a file alone.

    Args:
        path: A .tflite file.
        threads: CPU threads.
        progress: Listens to the rounds.

    Returns:
        The operators in their order; the seconds are medians.

    Raises:
        EdgenetError: An operator does not run without the others.
    """
    graph = Graph(path.read_bytes())
    _widen_weights(graph)
    timers = {str(number): _timer(path, graph, op, threads) for number, op in enumerate(graph.operators)}
    samples = latency.interleave(timers, ROUNDS, SECONDS, lambda number: progress.count(number, ROUNDS))
    seconds = [float(np.median(np.concatenate([np.asarray(part) for part in samples[name]]))) for name in timers]
    return tuple(
        LayerTime(graph.name(op), graph.kind(op), cost, median)
        for op, cost, median in zip(graph.operators, multiply_adds(graph), seconds, strict=True)
    )


def _timer(path: Path, graph: Graph, op: schema.OperatorT, threads: int) -> latency.Timer:
    try:
        runner = OperatorRunner(graph, op, threads=threads)
        runner.set_inputs(*map(_noise, runner.inputs))
        runner.invoke()
    except (ValueError, RuntimeError) as error:
        raise EdgenetError(
            f"{path}: the operator {graph.name(op)} ({graph.kind(op)}) does not run alone ({first_line(error)}); "
            "leave layers=True out"
        ) from error
    return lambda count: latency.time_inferences(runner.invoke, count)


def _widen_weights(graph: Graph) -> None:
    """Convert float16 weights to float32, as the runtime does once, at the start."""
    for op in list(graph.operators):
        weights = graph.constant(int(op.inputs[0])) if graph.kind(op) == "DEQUANTIZE" else None
        if weights is not None and not graph.computed_inputs(op):
            graph.tensor(int(op.outputs[0])).buffer = graph.add_buffer(weights.astype(np.float32))
            graph.operators.remove(op)


def _noise(details: dict[str, Any]) -> np.ndarray:
    random = np.random.default_rng(0)
    dtype, shape = np.dtype(details["dtype"]), tuple(details["shape"])
    if dtype.kind == "f":
        return random.normal(size=shape).astype(dtype)
    # Larger integers are indices into another tensor, where 0 always exists.
    return random.integers(0, 100, shape).astype(dtype) if dtype.itemsize == 1 else np.zeros(shape, dtype)


def _multiply_adds(graph: Graph, op: schema.OperatorT) -> int:
    if graph.kind(op) not in CHANNEL_AXIS:
        return 0
    weights = graph.tensor(int(op.inputs[1])).shape
    positions = graph.tensor(int(op.outputs[0])).shape[:-1]  # batch, height, width
    return int(np.prod(weights)) * int(np.prod(positions))
