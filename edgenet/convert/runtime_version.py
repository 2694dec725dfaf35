"""The first version of TensorFlow Lite that can run a model, from its operators and their versions."""

from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite import flatbuffer

# The first TensorFlow Lite with version 1, 2, 3... of each operator that classifiers use, without a third number of 0.
# Source: tflite/converter/tools/versioning/runtime_version.cc of google-ai-edge/LiteRT.
_FIRST_VERSIONS = {
    "ADD": "1.5 1.14 2.4 2.6 2.13 2.23",
    "AVERAGE_POOL_2D": "1.5 1.14 2.3",
    "BATCH_MATMUL": "2.3 2.3 2.4 2.5",
    "BATCH_TO_SPACE_ND": "1.6 1.14 2.3 2.12",
    "CAST": "1.5 2.7 2.8 2.9 2.12 2.15 2.17 2.21",
    "CONCATENATION": "1.5 1.14 2.3 2.14 2.21 2.23",
    "CONV_2D": "1.5 1.14 1.14 2.3 2.4 2.9 2.11 2.15",
    "DEPTHWISE_CONV_2D": "1.5 1.12 1.14 2.2 2.3 2.3 2.11",
    "DEPTH_TO_SPACE": "2.1 2.5",
    "DEQUANTIZE": "1.13.1 1.14 1.15 2.2 2.7 2.18 2.21 2.22",
    "DIV": "1.6 2.3",
    "ELU": "1.14",
    "EXP": "1.7 2.12",
    "EXPAND_DIMS": "1.10",
    "FULLY_CONNECTED": "1.5 1.10 1.14 1.14 2.0 2.1 2.3 2.3 2.3 2.11 2.15 2.17 2.18 2.21",
    "GATHER": "1.6 1.14 1.15 2.4 2.5 2.13 2.15",
    "GELU": "2.9 2.9",
    "HARD_SWISH": "1.15",
    "L2_NORMALIZATION": "1.5 1.14",
    "LEAKY_RELU": "1.13.1 2.3",
    "LOCAL_RESPONSE_NORMALIZATION": "1.5",
    "LOGISTIC": "1.14 1.14 2.3",
    "LOG_SOFTMAX": "1.14 1.14",
    "MAXIMUM": "1.14 1.14 2.3 2.3",
    "MAX_POOL_2D": "1.5 1.14 2.3",
    "MEAN": "1.6 1.14 2.4",
    "MINIMUM": "1.14 1.14 2.3 2.3",
    "MIRROR_PAD": "1.13.1 2.3 2.12",
    "MUL": "1.5 1.14 1.15 2.3 2.6 2.11 2.13 2.23",
    "NEG": "1.9",
    "PACK": "1.11 1.14 2.3 2.13",
    "PAD": "1.5 1.14 2.4 2.6 2.20",
    "PADV2": "1.9 1.14 2.4 2.6 2.20",
    "PRELU": "1.8",
    "QUANTIZE": "1.14 1.15 2.7 2.21 2.21 2.21",
    "REDUCE_MAX": "1.11 1.14 2.5",
    "RELU": "1.5 2.1 2.5",
    "RELU6": "1.5 1.14 2.5",
    "RELU_0_TO_1": "2.10",
    "RELU_N1_TO_1": "1.5",
    "RESHAPE": "1.5",
    "RESIZE_BILINEAR": "1.7 1.14 2.2 2.5",
    "RESIZE_NEAREST_NEIGHBOR": "1.13.1 1.14 2.3 2.4",
    "RSQRT": "1.10 2.5 2.15",
    "SHAPE": "1.10",
    "SLICE": "1.14 1.14 1.14 2.4 2.5 2.14 2.21 2.23",
    "SOFTMAX": "1.5 1.14 2.3 2.23",
    "SPACE_TO_BATCH_ND": "1.6 1.14 2.3 2.12",
    "SPACE_TO_DEPTH": "1.5 1.14",
    "SPLIT": "1.5 1.14 1.14 2.3",
    "SPLIT_V": "1.13.1 2.3",
    "SQRT": "1.10 2.21",
    "SQUARE": "1.12",
    "SQUARED_DIFFERENCE": "1.13.1 2.5",
    "SQUEEZE": "1.6 2.5",
    "STRIDED_SLICE": "1.6 1.14 2.1 2.2 2.5 2.6 2.14 2.14",
    "SUB": "1.6 1.14 2.3 2.4 2.4",
    "SUM": "1.10 1.15",
    "TANH": "1.14 1.14 2.3",
    "TRANSPOSE": "1.6 1.14 1.15 2.3 2.4 2.12 2.14.4 2.22 2.23",
    "TRANSPOSE_CONV": "1.9 2.2 2.3 2.13 2.15",
    "UNPACK": "1.11 1.14 2.2 2.3 2.22",
}


def minimum(model: schema.ModelT, known_versions: list[str]) -> str:
    """Return the first TensorFlow Lite version that can run a model.

    For operators, or versions of them, that are not listed here, the versions that the converter wrote apply, since it
    knows all of its own operators.

    Args:
        model: The model.
        known_versions: The versions that the file already states; may be empty, or contain empty strings.

    Returns:
        The version, such as 1.14.0: the highest that an operator needs, and at least the known versions. Empty if there
        is none.
    """
    needed = [_numbers(text) for text in known_versions if text]
    for graph in model.subgraphs:
        for op in graph.operators:
            first_versions = _FIRST_VERSIONS.get(flatbuffer.operator_kind(model, op), "").split()
            version = model.operatorCodes[op.opcodeIndex].version
            needed += [_numbers(text) for text in first_versions[version - 1 : version]]
    return ".".join(map(str, max(needed, default=())))


def _numbers(text: str) -> tuple[int, ...]:
    """Return a version as numbers, three of them: "1.14" is (1, 14, 0)."""
    numbers = tuple(map(int, text.split(".")))
    return numbers + (0,) * (3 - len(numbers))
