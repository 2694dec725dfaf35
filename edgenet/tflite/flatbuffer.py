"""Read and write .tflite files: the TensorFlow Lite schema, version 3, through the classes that LiteRT brings."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

# What the file says that it is, in its bytes 4 to 8.
IDENTIFIER = b"TFL3"

DTYPES = {
    schema.TensorType.FLOAT32: np.dtype(np.float32),
    schema.TensorType.FLOAT16: np.dtype(np.float16),
    schema.TensorType.INT8: np.dtype(np.int8),
    schema.TensorType.UINT8: np.dtype(np.uint8),
    schema.TensorType.INT16: np.dtype(np.int16),
    schema.TensorType.INT32: np.dtype(np.int32),
    schema.TensorType.INT64: np.dtype(np.int64),
    schema.TensorType.BOOL: np.dtype(np.bool_),
}
OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}


def read(data: bytes) -> schema.ModelT:
    """The model as objects that can be changed."""
    return schema.ModelT.InitFromPackedBuf(data, 0)


def write(model: schema.ModelT) -> bytes:
    """The bytes of a model."""
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def operator(model: schema.ModelT, op: schema.OperatorT) -> str:
    """The name of an operator's kind, for instance CONV_2D."""
    code = model.operatorCodes[op.opcodeIndex]
    return OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]  # before schema 3a: the old field alone


def constant(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray | None:
    """The values of a constant tensor, in its own dtype and shape; None for one that is computed."""
    data = model.buffers[tensor.buffer].data
    if data is None:
        return None
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), DTYPES[tensor.type]).reshape(tensor.shape)


def buffer(values: np.ndarray) -> schema.BufferT:
    """A buffer that holds an array's values."""
    made = schema.BufferT()
    made.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    return made


def name_interface(model: schema.ModelT) -> None:
    """Call the input `image` and the output `scores`, in the graph and in a signature that apps can ask for."""
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].name = b"image"
    graph.tensors[graph.outputs[0]].name = b"scores"
    signature = schema.SignatureDefT()
    signature.signatureKey = b"serving_default"
    signature.inputs = [_signature_tensor(b"image", graph.inputs[0])]
    signature.outputs = [_signature_tensor(b"scores", graph.outputs[0])]
    model.signatureDefs = [signature]


def _signature_tensor(name: bytes, index: int) -> schema.TensorMapT:
    tensor = schema.TensorMapT()
    tensor.name, tensor.tensorIndex = name, int(index)
    return tensor


class _Builder(flatbuffers.Builder):
    """Aligns every vector to 16 bytes, as the schema asks for weights (`force_align: 16`), which Python leaves out."""

    def StartVector(self, elemSize, numElems, alignment):  # noqa: N802, N803  flatbuffers' own names
        return super().StartVector(elemSize, numElems, max(alignment, 16))
