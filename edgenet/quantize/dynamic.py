"""Dynamic-range quantization: write int8 weights of the large layers into a float32 .tflite, without the converter."""

from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import Graph, Layer

# Layers with fewer weights stay float32, as in the converter (`minimum_elements_for_weights`).
MIN_WEIGHTS = 1024
# The first version of each operator that accepts int8 weights with per-channel scales and float32 activations.
_MIN_VERSIONS = {"CONV_2D": 5, "FULLY_CONNECTED": 12}


def is_quantized(layer: Layer) -> bool:
    """Whether the weights of a layer become int8.

    Depthwise convolutions stay float32, unlike in the converter's files: they have 2% of MobileNet's weights, and
    XNNPACK has no depthwise kernel for int8 weights with float activations. With the converter's files, which quantize
    them, dynamic range is slower than float32.
    """
    return layer.kind in _MIN_VERSIONS and layer.weights.size >= MIN_WEIGHTS


def store_weights(data: bytes, weights: Mapping[str, np.ndarray | None]) -> bytes:
    """Store int8 weights, with a scale for each output channel, in a float32 model.

    Args:
        data: The float32 .tflite file. Its weights determine the scales.
        weights: The integers of each layer, -127 to 127, by the full name of the operator; None for a layer whose
            weights stay float32.

    Returns:
        The dynamic-range .tflite file.
    """
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
        code.version = max(code.version, _MIN_VERSIONS.get(flatbuffer.OPERATOR_KINDS[code.builtinCode], 1))
    return graph.to_bytes()
