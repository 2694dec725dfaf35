"""The float16 form of a float32 .tflite, written without the converter: each constant in half precision.

The operators keep float32 inputs: a DEQUANTIZE for each constant makes it float32 when the file is loaded. That is the
form that TensorFlow's converter writes, and that delegates look for.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.tflite.graph import Graph

# The first version of DEQUANTIZE that takes float16.
DEQUANTIZE_VERSION = 3
# The largest float16. Larger values become it, as in the converter.
MAX_HALF = float(np.finfo(np.float16).max)


def store_halves(data: bytes) -> bytes:
    """Store the constants of a float32 model as float16, rounded to the nearest, of two to the even one.

    Args:
        data: The float32 .tflite file.

    Returns:
        The float16 .tflite file, whose input and output are float32.
    """
    graph = Graph(data)
    codes, operators = graph.model.operatorCodes, graph.model.subgraphs[0].operators
    # From each float32 constant to the tensor that has its values when the file is loaded.
    computed: dict[int, int] = {}
    for op in operators:
        op.inputs = [_computed(graph, int(index), computed) for index in op.inputs]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = DEQUANTIZE_VERSION
    for constant, output in computed.items():
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = len(codes), [constant], [output]
        operators.insert(0, op)
    codes.append(code)
    return graph.to_bytes()


def _computed(graph: Graph, index: int, computed: dict[int, int]) -> int:
    """The tensor to use in place of another one: for a float32 constant, which becomes float16, a computed one."""
    if index in computed:
        return computed[index]
    values, tensor = graph.constant(index), graph.tensor(index)
    if values is None or values.dtype != np.float32:
        return index
    output = schema.TensorT()
    output.name, output.shape, output.type = tensor.name + b"/float32", tensor.shape, tensor.type
    tensor.type = schema.TensorType.FLOAT16
    tensor.buffer = graph.add_buffer(np.clip(values, -MAX_HALF, MAX_HALF).astype(np.float16))
    computed[index] = graph.add_tensor(output)
    return computed[index]
