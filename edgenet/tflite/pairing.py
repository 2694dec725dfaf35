"""Which operator of an int8 file is which operator of the float32 file that it was made from."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite.graph import Graph

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True, eq=False)
class Pair:
    """An operator of the float32 file and its counterpart in the int8 file.

    Attributes:
        float_op: The operator of the float32 file.
        int8_op: The operator of the int8 file.
        position: The index of `int8_op` among the operators of the int8 file.
        inputs: The indices of the computed input tensors, in the float32 and in the int8 file.
        outputs: The indices of the output tensors, in the float32 and in the int8 file.
    """

    float_op: schema.OperatorT
    int8_op: schema.OperatorT
    position: int
    inputs: tuple[list[int], list[int]]
    outputs: tuple[int, int]


def pair_operators(float32: Graph, int8: Graph) -> list[Pair]:
    """Find the operators that both files have and whose output is int8 in the int8 file.

    Counterparts have the same kind and shape of output, and the same name. Where the converter chose another name, as
    for input and output, they are at the same position among the operators of their kind and shape.

    Args:
        float32: The float32 file.
        int8: The int8 file.

    Returns:
        The pairs, in the order of the int8 file.
    """
    float_ops = {id(op): op for op in float32.operators if float32.kind(op) not in _CONVERSIONS}
    int8_ops = {id(op): op for op in int8.operators if int8.kind(op) not in _CONVERSIONS and is_int8(int8, op)}
    counterparts: dict[int, schema.OperatorT] = {}
    for key_of in (_key_with_name, _key):
        float_groups = _group(float32, float_ops.values(), key_of)
        int8_groups = _group(int8, int8_ops.values(), key_of)
        for key in float_groups.keys() & int8_groups.keys():
            if len(float_groups[key]) == len(int8_groups[key]):
                for float_op, int8_op in zip(float_groups[key], int8_groups[key], strict=True):
                    counterparts[id(int8_op)] = float_ops.pop(id(float_op))
                    del int8_ops[id(int8_op)]
    return [
        _pair(float32, int8, counterparts[id(op)], position)
        for position, op in enumerate(int8.operators)
        if id(op) in counterparts
    ]


def is_int8(graph: Graph, op: schema.OperatorT) -> bool:
    """Whether the output of an operator is int8 with a single scale, as activations are."""
    tensor = graph.tensor(int(op.outputs[0]))
    scales = tensor.quantization.scale if tensor.quantization is not None else None
    return tensor.type == schema.TensorType.INT8 and scales is not None and len(scales) == 1


def _pair(float32: Graph, int8: Graph, float_op: schema.OperatorT, position: int) -> Pair:
    int8_op = int8.operators[position]
    return Pair(
        float_op,
        int8_op,
        position,
        (float32.computed_inputs(float_op), int8.computed_inputs(int8_op)),
        (int(float_op.outputs[0]), int(int8_op.outputs[0])),
    )


def _key(graph: Graph, op: schema.OperatorT) -> tuple[Hashable, ...]:
    shape = tuple(int(side) for side in graph.tensor(int(op.outputs[0])).shape)
    return graph.kind(op), shape, len(graph.computed_inputs(op))


def _key_with_name(graph: Graph, op: schema.OperatorT) -> tuple[Hashable, ...]:
    return (graph.full_name(op), *_key(graph, op))


def _group(
    graph: Graph,
    operators: Iterable[schema.OperatorT],
    key_of: Callable[[Graph, schema.OperatorT], tuple[Hashable, ...]],
) -> dict[tuple[Hashable, ...], list[schema.OperatorT]]:
    groups = defaultdict(list)
    for op in operators:
        groups[key_of(graph, op)].append(op)
    return groups
