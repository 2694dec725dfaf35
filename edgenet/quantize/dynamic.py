"""Dynamic range: int8 weights for the large layers, written into a float32 .tflite without the converter."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import Graph, Layer

# Smaller weights stay float32, as the converter does it (`minimum_elements_for_weights`).
MINIMUM_WEIGHTS = 1024
# The first versions of the operators that take int8 weights with a scale for each channel beside float32 activations.
_VERSIONS = {"CONV_2D": 5, "FULLY_CONNECTED": 12}


def rounds(layer: Layer) -> bool:
    """Whether a layer's weights become int8.

    Those of depthwise convolutions stay float32, unlike the stock converter's: they are 2 % of MobileNet's bytes, and
    XNNPACK has no depthwise kernel for int8 weights beside float activations, so that they are what makes a
    dynamic-range MobileNet slower than the float32 one.
    """
    return layer.kind in _VERSIONS and layer.weights.size >= MINIMUM_WEIGHTS


def store(data: bytes, weights: dict[str, np.ndarray | None]) -> bytes:
    """Store the chosen integers of each layer, by name, as int8 with a scale for each output channel."""
    graph = Graph(data)
    for op in graph.operators:
        layer = graph.layer(op)
        integers = weights.get(graph.full_name(op))
        if layer is None or integers is None:
            continue
        tensor = graph.tensor(op.inputs[1])
        tensor.type = schema.TensorType.INT8
        tensor.buffer = graph.add_buffer(integers.astype(np.int8))
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = layer.scales.astype(np.float32)
        tensor.quantization.zeroPoint = np.zeros(len(layer.scales), np.int64)
        tensor.quantization.quantizedDimension = layer.axis
    for code in graph.model.operatorCodes:
        code.version = max(code.version, _VERSIONS.get(flatbuffer.OPERATORS[code.builtinCode], 1))
    return graph.to_bytes()
