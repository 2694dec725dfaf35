"""What each operator of a .tflite file costs: LiteRT's Python interface has no profiler, so each is timed on its own.

An operator alone starts with its input in no cache and its neighbours unfused, so the sum is more than the whole; the
shares tell where the time goes.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.benchmarking import latency
from edgenet.errors import EdgenetError, first_line
from edgenet.litert.delegate import operators, ready
from edgenet.records import Delegation, LayerTime
from edgenet.tflite.graph import CHANNEL_AXIS, Graph, Operator

ROUNDS, SECONDS = 5, 0.005
# What is multiplied with int8 instructions.
_INT8 = (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT4)


def total(path: Path, shape: tuple[int, int, int] | None = None) -> int:
    """The multiply-adds of one inference. shape: height, width and channels where the file leaves them free."""
    graph, interpreter = Graph(path.read_bytes()), ready(path, shape, delegate=False)
    shapes = {details["index"]: details["shape"] for details in interpreter.get_tensor_details()}
    for op in graph.operators:
        number = int(op.outputs[0])
        graph.tensor(number).shape = shapes[number]
    return sum(multiply_adds(graph))


def delegation(path: Path, shape: tuple[int, int, int] | None = None) -> Delegation:
    """How many operators the runtime hands to XNNPACK."""
    count, left = operators(path, shape)
    return Delegation(count, count - len(left))


def multiply_adds(graph: Graph) -> list[int]:
    """Of each operator: those of convolutions and fully connected layers; the others have none to speak of."""
    return [_multiply_adds(graph, op) for op in graph.operators]


def arithmetic(graph: Graph) -> str | None:
    """The dtype in which most multiply-adds of a file are done: float32 or int8.

    int8 activations, and float ones that meet int8 weights (the runtime quantizes them as they come), are multiplied as
    int8; float16 weights become float32. None for a file without multiply-adds, or where most are done in another
    dtype, such as int16 activations.
    """
    done = Counter()
    for op, count in zip(graph.operators, multiply_adds(graph), strict=True):
        if graph.kind(op) in CHANNEL_AXIS:
            # Free dimensions are -1: the sign says nothing.
            done[_arithmetic(*(graph.tensor(int(number)).type for number in op.inputs[:2]))] += abs(count)
    return done.most_common(1)[0][0] if done else None


def _arithmetic(activations: int, weights: int) -> str | None:
    if activations in _INT8:
        return "int8"
    if activations != schema.TensorType.FLOAT32:
        return None
    return "int8" if weights in _INT8 else "float32"


def time_layers(
    path: Path, threads: int, counted: Callable[[int, int], None] = lambda done, total: None
) -> tuple[LayerTime, ...]:
    """Time each operator of a file on its own, in their order.

    Raises EdgenetError when one does not run without the others.
    """
    graph = Graph(path.read_bytes())
    _widen(graph)
    timers = {}
    for number, op in enumerate(graph.operators):
        try:
            program = Operator(graph, op, threads=threads)
            program.set(*map(_noise, program.inputs))
            program.invoke()
        except (ValueError, RuntimeError) as error:
            raise EdgenetError(
                f"{path}: expected operators that run alone, found {graph.kind(op)} {graph.name(op)} that does not "
                f"({first_line(error)}); leave --layers out"
            ) from error
        timers[str(number)] = lambda count, program=program: latency.time_inferences(program.invoke, count)
    samples = latency.interleave(timers, ROUNDS, SECONDS, lambda done: counted(done, ROUNDS))
    seconds = [float(np.median(np.concatenate([np.asarray(p) for p in samples[name]]))) for name in timers]
    return tuple(
        LayerTime(graph.name(op), graph.kind(op), cost, spent)
        for op, cost, spent in zip(graph.operators, multiply_adds(graph), seconds, strict=True)
    )


def _widen(graph: Graph) -> None:
    """Turn float16 weights into float32 ones, as the runtime does it once, at the start."""
    for op in list(graph.operators):
        if graph.kind(op) == "DEQUANTIZE" and not graph.takes(op):
            wide = graph.constant(int(op.inputs[0])).astype(np.float32)
            graph.tensor(int(op.outputs[0])).buffer = graph.add_buffer(wide)
            graph.operators.remove(op)


def _noise(details: dict) -> np.ndarray:
    random = np.random.default_rng(0)
    dtype, shape = np.dtype(details["dtype"]), tuple(details["shape"])
    if dtype.kind == "f":
        return random.normal(size=shape).astype(dtype)
    # Larger integers are places in another tensor, whose first one always exists.
    return random.integers(0, 100, shape).astype(dtype) if dtype.itemsize == 1 else np.zeros(shape, dtype)


def _multiply_adds(graph: Graph, op) -> int:
    if graph.kind(op) not in CHANNEL_AXIS:
        return 0
    weights = graph.tensor(int(op.inputs[1])).shape
    positions = graph.tensor(int(op.outputs[0])).shape[:-1]  # batch, height, width
    return int(np.prod(weights)) * int(np.prod(positions))
