"""Make files of mixed precision from an int8 file and its float32 file: one layer, or several, in other arithmetic."""

import copy
from collections.abc import Iterable, Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite.graph import Graph
from edgenet.tflite.pairing import Pair

# An int16 tensor's scale is this fraction of that of the int8 tensor that it replaces: 255 * 128 is below 2^15.
INT16_SCALE_DIVISOR = 128

_OPTIONS = {
    "QUANTIZE": (schema.BuiltinOptions.QuantizeOptions, schema.QuantizeOptionsT),
    "DEQUANTIZE": (schema.BuiltinOptions.DequantizeOptions, schema.DequantizeOptionsT),
}


def in_float32(int8: bytes, pairs: Iterable[Pair], float32: Graph) -> bytes:
    """Replace some operators of an int8 file by those of the float32 file, with its float weights and biases.

    Their inputs are dequantized before them, and their outputs are quantized after them, with unchanged scales and zero
    points. Where one of them follows another, nothing is rounded in between.

    Args:
        int8: The int8 file.
        pairs: The operators to replace, with their counterparts.
        float32: The float32 file.

    Returns:
        The .tflite file.
    """
    graph = Graph(int8)
    for pair in sorted(pairs, key=lambda pair: pair.position, reverse=True):
        _put_float32(graph, pair.position, float32, pair.float_op)
    _remove_roundings(graph)
    return graph.to_bytes()


def _remove_roundings(graph: Graph) -> None:
    """Remove each DEQUANTIZE of what a QUANTIZE makes of a float tensor, and then operators whose output is unused."""
    operators = graph.model.subgraphs[0].operators
    quantizers = {int(op.outputs[0]): op for op in operators if graph.kind(op) == "QUANTIZE"}
    for op in [op for op in operators if graph.kind(op) == "DEQUANTIZE"]:
        quantizer = quantizers.get(int(op.inputs[0]))
        if quantizer is None or graph.tensor(int(quantizer.inputs[0])).type != schema.TensorType.FLOAT32:
            continue
        operators.remove(op)
        source, target = int(quantizer.inputs[0]), int(op.outputs[0])
        if target == graph.output:  # it keeps its name
            source, target = target, source
        for other in operators:
            other.inputs = [source if n == target else int(n) for n in other.inputs]
            other.outputs = [source if n == target else int(n) for n in other.outputs]
    needed = {int(index) for op in operators for index in op.inputs} | {graph.output}
    operators[:] = [op for op in operators if needed.intersection(map(int, op.outputs))]


def _put_float32(graph: Graph, position: int, float32: Graph, op: schema.OperatorT) -> None:
    """Put an operator of a float32 file in place of an int8 operator, between DEQUANTIZE and QUANTIZE operators."""
    operators = graph.model.subgraphs[0].operators
    old = operators[position]
    computed, unused = iter(graph.computed_inputs(old)), _exclusive_constants(graph, old)
    new, before = copy.copy(op), []
    new.opcodeIndex = _operator_code(graph, float32.model.operatorCodes[op.opcodeIndex])
    new.inputs = []
    for index in map(int, op.inputs):
        values = float32.constant(index) if index >= 0 else None
        if index < 0:
            new.inputs.append(index)
        elif values is not None:
            tensor = copy.copy(float32.tensor(index))
            tensor.buffer = graph.add_buffer(values)
            new.inputs.append(_add_tensor(graph, tensor, unused))
        else:
            source = next(computed)
            new.inputs.append(_add_tensor(graph, _like(graph, source, schema.TensorType.FLOAT32)))
            before.append(_conversion(graph, "DEQUANTIZE", source, new.inputs[-1]))
    new.outputs = [_add_tensor(graph, _like(graph, int(old.outputs[0]), schema.TensorType.FLOAT32))]
    after = _conversion(graph, "QUANTIZE", new.outputs[0], int(old.outputs[0]))
    operators[position : position + 1] = [*before, new, after]


def in_int16(int8: bytes, position: int) -> bytes:
    """Give one layer of an int8 file int16 input and output, with unchanged weights.

    The int16 tensors have zero point 0 and 1 / INT16_SCALE_DIVISOR of the int8 scales, so they represent each int8
    value exactly. So does the int64 bias, which is INT16_SCALE_DIVISOR times the int32 bias. This is TFLite's 16x8
    quantization (ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant_16x8).

    Args:
        int8: The int8 file.
        position: The index of an operator with weights.

    Returns:
        The .tflite file.
    """
    graph = Graph(int8)
    old = graph.operators[position]
    new, (source,), target = copy.copy(old), graph.computed_inputs(old), int(old.outputs[0])
    new.inputs = [int(index) for index in old.inputs]
    new.inputs[0] = _add_tensor(graph, _like(graph, source, schema.TensorType.INT16))
    new.outputs = [_add_tensor(graph, _like(graph, target, schema.TensorType.INT16))]
    if hasattr(new.builtinOptions, "quantizedBiasType"):
        new.builtinOptions = copy.copy(new.builtinOptions)
        new.builtinOptions.quantizedBiasType = schema.TensorType.INT64
    values = graph.constant(int(old.inputs[2])) if len(old.inputs) > 2 else None
    if values is not None:
        index = int(old.inputs[2])
        bias = copy.copy(graph.tensor(index))
        bias.type = schema.TensorType.INT64
        bias.buffer = graph.add_buffer(values.astype(np.int64) * INT16_SCALE_DIVISOR)
        bias.quantization = copy.copy(bias.quantization)
        bias.quantization.scale = np.asarray(bias.quantization.scale) / np.float32(INT16_SCALE_DIVISOR)
        new.inputs[2] = _add_tensor(graph, bias, [index] if len(graph.consumers(index)) == 1 else [])
    before = _conversion(graph, "QUANTIZE", source, new.inputs[0])
    return _replace(graph, position, [before, new, _conversion(graph, "QUANTIZE", new.outputs[0], target)])


def in_int8(
    float32: bytes,
    pairs: Iterable[Pair],
    int8: Graph,
    biases: Mapping[Pair, np.ndarray] | None = None,
    *,
    weights: bool = True,
    activations: bool = True,
) -> bytes:
    """Quantize some operators of a float32 file: their weights and their outputs are rounded as in the int8 file.

    Args:
        float32: The float32 file.
        pairs: The operators, with their counterparts.
        int8: The int8 file.
        biases: The biases of layers, (channels,), which otherwise keep their own.
        weights: Whether weights are rounded.
        activations: Whether outputs are rounded.

    Returns:
        The .tflite file, with float32 tensors, and a QUANTIZE and a DEQUANTIZE after each rounded output.
    """
    graph, biases = Graph(float32), biases or {}
    operators = {int(op.outputs[0]): op for op in graph.operators}
    for pair in pairs:
        op = operators[pair.outputs[0]]
        layer = graph.layer(op)
        if layer:
            index = int(pair.int8_op.inputs[1])
            scales = np.asarray(int8.tensor(index).quantization.scale, np.float64)
            rounded = int8.constant(index) * layer.by_channel(np.broadcast_to(scales, layer.bias.shape))
            graph.set_weights(op, rounded if weights else layer.weights, biases.get(pair, layer.bias))
        if activations:
            _round_tensor(graph, pair.outputs[0], int8.tensor(pair.outputs[1]))
    return graph.to_bytes()


def with_rounded_input(float32: bytes, int8: Graph) -> bytes:
    """Round the input of a float32 file as the int8 file does, by a QUANTIZE and a DEQUANTIZE."""
    graph = Graph(float32)
    first = next(op for op in int8.operators if int8.input in op.inputs)
    index = int(first.outputs[0]) if int8.kind(first) == "QUANTIZE" else int8.input
    _round_tensor(graph, graph.input, int8.tensor(index))
    return graph.to_bytes()


def _round_tensor(graph: Graph, index: int, int8_tensor: schema.TensorT) -> None:
    """Let all that use a float tensor get it rounded as an int8 tensor is."""
    operators = graph.model.subgraphs[0].operators
    rounded = copy.copy(int8_tensor)
    rounded.buffer = 0
    between, position = graph.add_tensor(rounded), 0
    if index == graph.input:
        source, target = index, graph.add_tensor(_like(graph, index, schema.TensorType.FLOAT32))
        for op in operators:
            op.inputs = [target if n == index else int(n) for n in op.inputs]
    else:  # the rounded tensor keeps the index, by which the graph's output may know it
        source, target = graph.add_tensor(_like(graph, index, schema.TensorType.FLOAT32)), index
        producer = next(op for op in operators if index in op.outputs)
        producer.outputs = [source if n == index else int(n) for n in producer.outputs]
        position = operators.index(producer) + 1
    operators[position:position] = [
        _conversion(graph, "QUANTIZE", source, between),
        _conversion(graph, "DEQUANTIZE", between, target),
    ]


def with_extra_outputs(data: bytes, indices: Iterable[int]) -> bytes:
    """Add tensors, by index, to the outputs of a file, after its own outputs. Its inputs are not added."""
    graph = Graph(data)
    subgraph = graph.model.subgraphs[0]
    existing = [*map(int, subgraph.outputs), *map(int, subgraph.inputs)]
    subgraph.outputs = [*map(int, subgraph.outputs), *(index for index in indices if index not in existing)]
    return graph.to_bytes()


def _like(graph: Graph, index: int, dtype: int) -> schema.TensorT:
    """Return a computed tensor like an int8 one, but float32, or int16 with 1 / INT16_SCALE_DIVISOR of its scale."""
    tensor = copy.copy(graph.tensor(index))
    tensor.type, tensor.buffer = dtype, 0
    tensor.name += b"/float32" if dtype == schema.TensorType.FLOAT32 else b"/int16"
    int8_parameters, tensor.quantization = tensor.quantization, None
    if dtype == schema.TensorType.INT16:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.asarray(int8_parameters.scale) / np.float32(INT16_SCALE_DIVISOR)
        tensor.quantization.zeroPoint = [0]
    return tensor


def _exclusive_constants(graph: Graph, op: schema.OperatorT) -> list[int]:
    """Return the constants that only this operator uses; their indices can be used for other tensors."""
    indices = {int(n) for n in op.inputs if n >= 0 and graph.constant(n) is not None}
    return sorted(index for index in indices if len(graph.consumers(index)) == 1)


def _add_tensor(graph: Graph, tensor: schema.TensorT, unused: list[int] | None = None) -> int:
    """Add a tensor to the graph, at an unused index if there is one, and return its index."""
    if unused:
        index = unused.pop()
        graph.model.subgraphs[0].tensors[index] = tensor
        return index
    return graph.add_tensor(tensor)


def _conversion(graph: Graph, kind: str, source: int, target: int) -> schema.OperatorT:
    """Return an operator, QUANTIZE or DEQUANTIZE, from one tensor to another."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = 2  # of DEQUANTIZE, for int8; of QUANTIZE, from integers to integers
    op = schema.OperatorT()
    op.opcodeIndex = _operator_code(graph, code)
    op.builtinOptionsType, op.builtinOptions = _OPTIONS[kind][0], _OPTIONS[kind][1]()
    op.inputs, op.outputs = [source], [target]
    return op


def _operator_code(graph: Graph, code: schema.OperatorCodeT) -> int:
    """Return the index of an operator code in the model, to which it is added if necessary."""
    codes = graph.model.operatorCodes
    for index, existing in enumerate(codes):
        if (existing.builtinCode, existing.version) == (code.builtinCode, code.version):
            return index
    codes.append(copy.copy(code))
    return len(codes) - 1


def _replace(graph: Graph, position: int, operators: list[schema.OperatorT]) -> bytes:
    graph.model.subgraphs[0].operators[position : position + 1] = operators
    return graph.to_bytes()
