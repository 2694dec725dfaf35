"""Dynamic-range quantization: write int8 weights of the large layers into a float32 .tflite, without the converter."""

import copy
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import Graph, Layer

# Layers with fewer weights stay float32, as in the converter (`minimum_elements_for_weights`).
MIN_WEIGHTS = 1024
# The first version of each operator that accepts int8 weights with float32 activations: of CONV_2D with per-channel
# scales, of FULLY_CONNECTED with one scale and without bias. Its version 12, of TensorFlow 2.17, has per-channel
# scales, but libraries for apps, such as the Task Library, do not know it.
_MIN_VERSIONS = {"CONV_2D": 5, "FULLY_CONNECTED": 6}


def is_quantized(layer: Layer) -> bool:
    """Whether the weights of a layer become int8.

    Depthwise convolutions stay float32, unlike in the converter's files: they have 2% of MobileNet's weights, and
    XNNPACK has no depthwise kernel for int8 weights with float activations. With the converter's files, which quantize
    them, dynamic range is slower than float32.
    """
    return layer.kind in _MIN_VERSIONS and layer.weights.size >= MIN_WEIGHTS


def store_weights(data: bytes, weights: Mapping[str, np.ndarray | None]) -> bytes:
    """Store int8 weights, with a scale for each output channel, in a float32 model.

    A dense layer becomes three operators, so that runtimes from before 2024 load it, too: FULLY_CONNECTED with one
    scale for all channels, MUL by each channel's scale in units of it, and ADD of the bias, with the activation. That
    is the same sum of products, rounded to float32 once more.

    Args:
        data: The float32 .tflite file. Its weights determine the scales.
        weights: The integers of each layer, -127 to 127, by the full name of the operator; None for a layer whose
            weights stay float32.

    Returns:
        The dynamic-range .tflite file.
    """
    graph = Graph(data)
    operators = graph.model.subgraphs[0].operators
    for op in graph.operators:
        layer = graph.layer(op)
        integers = weights.get(graph.full_name(op))
        if layer is None or integers is None:
            continue
        dense = layer.kind == "FULLY_CONNECTED"
        _store(graph, op, integers, layer.scales.max(keepdims=True) if dense else layer.scales, layer.axis)
        if dense:
            place = next(number for number, other in enumerate(operators) if other is op)
            operators[place + 1 : place + 1] = _scale_channels(graph, op, layer)
    for code in graph.model.operatorCodes:
        code.version = max(code.version, _MIN_VERSIONS.get(flatbuffer.OPERATOR_KINDS[code.builtinCode], 1))
    return graph.to_bytes()


def _store(graph: Graph, op: schema.OperatorT, integers: np.ndarray, scales: np.ndarray, axis: int) -> None:
    """Store the weights of an operator as int8 with these scales."""
    tensor = graph.tensor(op.inputs[1])
    tensor.type = schema.TensorType.INT8
    tensor.buffer = graph.add_buffer(integers.astype(np.int8))
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = scales.astype(np.float32)
    tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    tensor.quantization.quantizedDimension = axis


def _scale_channels(graph: Graph, op: schema.OperatorT, layer: Layer) -> list[schema.OperatorT]:
    """Let a dense layer give the product of integers times the largest scale; return the operators that do the rest."""
    output, activation = int(op.outputs[0]), op.builtinOptions.fusedActivationFunction
    product, scaled = (graph.add_tensor(copy.copy(graph.tensor(output))) for _ in range(2))
    for index, part in ((product, b"/product"), (scaled, b"/scaled")):
        graph.tensor(index).name = graph.tensor(output).name + part
    op.inputs, op.outputs = [*op.inputs[:2], -1], [product]
    op.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    ratios = _constant(graph, f"{layer.name}/scales", layer.scales / layer.scales.max())
    bias = _constant(graph, f"{layer.name}/bias", layer.bias)
    return [
        _operator(graph, "MUL", schema.MulOptionsT(), [product, ratios], scaled),
        _operator(graph, "ADD", schema.AddOptionsT(), [scaled, bias], output, activation),
    ]


def _constant(graph: Graph, name: str, values: np.ndarray) -> int:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), list(values.shape), schema.TensorType.FLOAT32
    tensor.buffer = graph.add_buffer(values.astype(np.float32))
    return graph.add_tensor(tensor)


def _operator(
    graph: Graph,
    kind: str,
    options: schema.MulOptionsT | schema.AddOptionsT,
    inputs: list[int],
    output: int,
    activation: int = schema.ActivationFunctionType.NONE,
) -> schema.OperatorT:
    codes, number = graph.model.operatorCodes, getattr(schema.BuiltinOperator, kind)
    if all(code.builtinCode != number for code in codes):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = 1
        codes.append(code)
    op = schema.OperatorT()
    op.opcodeIndex = next(index for index, code in enumerate(codes) if code.builtinCode == number)
    op.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    op.builtinOptions, op.inputs, op.outputs = options, inputs, [output]
    options.fusedActivationFunction = activation
    return op
