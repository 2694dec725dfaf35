"""An int8 file beside the float32 file that it was made of: which operator is which, and files mixed of both."""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite.graph import Graph

# The steps of an int16 tensor in one of the int8 tensor whose values it takes over: 255 of these stay below 2^15.
FINER = 128

_CHANGES = {"QUANTIZE": schema.BuiltinOperator.QUANTIZE, "DEQUANTIZE": schema.BuiltinOperator.DEQUANTIZE}
_OPTIONS = {
    "QUANTIZE": (schema.BuiltinOptions.QuantizeOptions, schema.QuantizeOptionsT),
    "DEQUANTIZE": (schema.BuiltinOptions.DequantizeOptions, schema.DequantizeOptionsT),
}


@dataclass(frozen=True, eq=False)
class Pair:
    """An operator of the float32 file, and what became of it in the int8 file, where it is number `place`.

    takes, gives: the numbers of the tensors that they get from other operators, and of their output, in both files.
    """

    floating: schema.OperatorT
    integer: schema.OperatorT
    place: int
    takes: tuple[list[int], list[int]]
    gives: tuple[int, int]


def pairs(floating: Graph, integer: Graph) -> list[Pair]:
    """The operators that both files have and whose output is int8 in one of them, in the order of that one.

    They have the same kind and shape of output, and the same name; where the converter chose another name, as it does
    at the ends, the same place among those of their kind and shape.
    """
    left = {id(op): op for op in floating.operators if floating.kind(op) not in _CHANGES}
    right = {id(op): op for op in integer.operators if integer.kind(op) not in _CHANGES and is_int8(integer, op)}
    found = {}
    for described in (_with_name, _without_name):
        ours, theirs = _grouped(floating, left.values(), described), _grouped(integer, right.values(), described)
        for key in ours.keys() & theirs.keys():
            if len(ours[key]) == len(theirs[key]):
                for op, became in zip(ours[key], theirs[key], strict=True):
                    found[id(became)] = left.pop(id(op))
                    del right[id(became)]
    return [
        Pair(
            found[id(op)],
            op,
            place,
            (floating.takes(found[id(op)]), integer.takes(op)),
            (int(found[id(op)].outputs[0]), int(op.outputs[0])),
        )
        for place, op in enumerate(integer.operators)
        if id(op) in found
    ]


def is_int8(graph: Graph, op: schema.OperatorT) -> bool:
    """Whether the output of `op` is int8 with a single scale, as activations are."""
    tensor = graph.tensor(int(op.outputs[0]))
    grid = tensor.quantization
    return (
        tensor.type == schema.TensorType.INT8 and grid is not None and grid.scale is not None and len(grid.scale) == 1
    )


def _without_name(graph: Graph, op: schema.OperatorT) -> tuple:
    shape = tuple(int(side) for side in graph.tensor(int(op.outputs[0])).shape)
    return graph.kind(op), shape, len(graph.takes(op))


def _with_name(graph: Graph, op: schema.OperatorT) -> tuple:
    return (graph.full_name(op), *_without_name(graph, op))


def _grouped(graph: Graph, operators, described: Callable) -> dict[tuple, list]:
    groups = defaultdict(list)
    for op in operators:
        groups[described(graph, op)].append(op)
    return groups


def in_float32(integer: bytes, place: int, floating: Graph, op: schema.OperatorT) -> bytes:
    """An int8 file in which operator `place` is `op` of the float32 file, with its float weights and bias.

    Its inputs are dequantized in front of it and its output is quantized behind it, on the grids that they have.
    """
    graph = Graph(integer)
    _put_float32(graph, place, floating, op)
    return graph.to_bytes()


def in_float32_until(integer: bytes, paired: list[Pair], floating: Graph) -> bytes:
    """An int8 file in which these operators, the first ones of the file, are those of the float32 file.

    What one gives another of them is not rounded.
    """
    graph = Graph(integer)
    for pair in reversed(paired):
        _put_float32(graph, pair.place, floating, pair.floating)
    operators = graph.model.subgraphs[0].operators
    given = {int(op.outputs[0]): op for op in operators if graph.kind(op) == "QUANTIZE"}
    for op in [op for op in operators if graph.kind(op) == "DEQUANTIZE"]:
        rounding = given.get(int(op.inputs[0]))
        if rounding and graph.tensor(int(rounding.inputs[0])).type == schema.TensorType.FLOAT32:
            for other in operators:
                other.inputs = [int(rounding.inputs[0] if n == op.outputs[0] else n) for n in other.inputs]
            operators.remove(op)
    needed = {int(number) for op in operators for number in op.inputs} | {graph.output}
    operators[:] = [op for op in operators if needed.intersection(map(int, op.outputs))]
    return graph.to_bytes()


def _put_float32(graph: Graph, place: int, floating: Graph, op: schema.OperatorT) -> None:
    """Put `op` of a float32 file in the place of an int8 operator, between a DEQUANTIZE and a QUANTIZE."""
    operators = graph.model.subgraphs[0].operators
    old = operators[place]
    computed, spare = iter(graph.takes(old)), _own_constants(graph, old)
    new, before = copy.copy(op), []
    new.opcodeIndex = _code(graph, floating.model.operatorCodes[op.opcodeIndex])
    new.inputs = []
    for number in map(int, op.inputs):
        values = floating.constant(number) if number >= 0 else None
        if number < 0:
            new.inputs.append(number)
        elif values is not None:
            tensor = copy.copy(floating.tensor(number))
            tensor.buffer = graph.add_buffer(values)
            new.inputs.append(_add(graph, tensor, spare))
        else:
            taken = next(computed)
            new.inputs.append(_add(graph, _other(graph, taken, schema.TensorType.FLOAT32)))
            before.append(_change(graph, "DEQUANTIZE", taken, new.inputs[-1]))
    new.outputs = [_add(graph, _other(graph, int(old.outputs[0]), schema.TensorType.FLOAT32))]
    after = _change(graph, "QUANTIZE", new.outputs[0], int(old.outputs[0]))
    operators[place : place + 1] = [*before, new, after]


def in_int16(integer: bytes, place: int) -> bytes:
    """An int8 file in which operator `place`, one with weights, has int16 input and output.

    Its weights stay as they are. The int16 grids have zero point 0 and FINER steps in a step of the int8 ones, so they
    hold each int8 value exactly; the bias, int64, is FINER times the int32 one, exactly too. This is TFLite's 16x8
    quantization (ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant_16x8).
    """
    graph = Graph(integer)
    old = graph.operators[place]
    new, (taken,), given = copy.copy(old), graph.takes(old), int(old.outputs[0])
    new.inputs = [int(number) for number in old.inputs]
    new.inputs[0] = _add(graph, _other(graph, taken, schema.TensorType.INT16))
    new.outputs = [_add(graph, _other(graph, given, schema.TensorType.INT16))]
    if hasattr(new.builtinOptions, "quantizedBiasType"):
        new.builtinOptions = copy.copy(new.builtinOptions)
        new.builtinOptions.quantizedBiasType = schema.TensorType.INT64
    if len(old.inputs) > 2 and old.inputs[2] >= 0:
        number = int(old.inputs[2])
        bias = copy.copy(graph.tensor(number))
        bias.type = schema.TensorType.INT64
        bias.buffer = graph.add_buffer(graph.constant(number).astype(np.int64) * FINER)
        bias.quantization = copy.copy(bias.quantization)
        bias.quantization.scale = np.asarray(bias.quantization.scale) / np.float32(FINER)
        new.inputs[2] = _add(graph, bias, [number] if len(graph.consumers(number)) == 1 else [])
    before = _change(graph, "QUANTIZE", taken, new.inputs[0])
    return _replaced(graph, place, [before, new, _change(graph, "QUANTIZE", new.outputs[0], given)])


def in_int8(floating: bytes, place: int, pair: Pair, integer: Graph, bias: np.ndarray | None) -> bytes:
    """A float32 file in which operator `place` has the weights that it has in the int8 file, dequantized, and an output
    that is rounded to the grid there. bias: float (channels,), or None for its own."""
    graph = Graph(floating)
    op = graph.operators[place]
    layer, given = graph.layer(op), int(op.outputs[0])
    if layer:
        weights = int(pair.integer.inputs[1])
        scales = np.asarray(integer.tensor(weights).quantization.scale, np.float64)
        values = integer.constant(weights) * layer.by_channel(np.broadcast_to(scales, layer.bias.shape))
        graph.replace(op, values, layer.bias if bias is None else bias)
    number = pair.gives[1]
    rounded = copy.copy(integer.tensor(number))
    rounded.buffer = 0
    before = _add(graph, _other(graph, given, schema.TensorType.FLOAT32))
    between = _add(graph, rounded)
    op.outputs = [before]
    behind = [_change(graph, "QUANTIZE", before, between), _change(graph, "DEQUANTIZE", between, given)]
    return _replaced(graph, place, [op, *behind])


def showing(data: bytes, numbers: Iterable[int]) -> bytes:
    """A file that gives these tensors, too, as outputs: behind its own ones, but for its input."""
    graph = Graph(data)
    subgraph = graph.model.subgraphs[0]
    there = [*map(int, subgraph.outputs), *map(int, subgraph.inputs)]
    subgraph.outputs = [*map(int, subgraph.outputs), *(number for number in numbers if number not in there)]
    return graph.to_bytes()


def _other(graph: Graph, number: int, dtype: int) -> schema.TensorT:
    """A computed tensor like an int8 one, but float32, or int16 with FINER steps."""
    tensor = copy.copy(graph.tensor(number))
    tensor.type, tensor.buffer = dtype, 0
    tensor.name += b"/float32" if dtype == schema.TensorType.FLOAT32 else b"/int16"
    grid, tensor.quantization = tensor.quantization, None
    if dtype == schema.TensorType.INT16:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.asarray(grid.scale) / np.float32(FINER)
        tensor.quantization.zeroPoint = [0]
    return tensor


def _own_constants(graph: Graph, op: schema.OperatorT) -> list[int]:
    """The constants of `op` that no other operator uses: their numbers can be given to others."""
    numbers = {int(n) for n in op.inputs if n >= 0 and graph.constant(n) is not None}
    return sorted(number for number in numbers if len(graph.consumers(number)) == 1)


def _add(graph: Graph, tensor: schema.TensorT, spare: list[int] | None = None) -> int:
    """Put a tensor into the graph, in a spare place if there is one. Returns its number."""
    tensors = graph.model.subgraphs[0].tensors
    if spare:
        number = spare.pop()
        tensors[number] = tensor
        return number
    tensors.append(tensor)
    return len(tensors) - 1


def _change(graph: Graph, kind: str, source: int, target: int) -> schema.OperatorT:
    """An operator, QUANTIZE or DEQUANTIZE, between two tensors."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = _CHANGES[kind]
    code.version = 2  # with int8 (DEQUANTIZE), and from integers to integers (QUANTIZE)
    op = schema.OperatorT()
    op.opcodeIndex = _code(graph, code)
    op.builtinOptionsType, op.builtinOptions = _OPTIONS[kind][0], _OPTIONS[kind][1]()
    op.inputs, op.outputs = [source], [target]
    return op


def _code(graph: Graph, code: schema.OperatorCodeT) -> int:
    """The place of a kind of operator among those of the model, where it is put if it is not there yet."""
    codes = graph.model.operatorCodes
    for place, there in enumerate(codes):
        if (there.builtinCode, there.version) == (code.builtinCode, code.version):
            return place
    codes.append(copy.copy(code))
    return len(codes) - 1


def _replaced(graph: Graph, place: int, operators: list) -> bytes:
    graph.model.subgraphs[0].operators[place : place + 1] = operators
    return graph.to_bytes()
