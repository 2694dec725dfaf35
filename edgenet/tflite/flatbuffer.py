"""Read and write .tflite files: the TensorFlow Lite schema, version 3, with the generated classes of LiteRT."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

# The file identifier, in bytes 4 to 8 of a .tflite file.
IDENTIFIER = b"TFL3"

DTYPES: dict[int, np.dtype[Any]] = {
    schema.TensorType.FLOAT32: np.dtype(np.float32),
    schema.TensorType.FLOAT16: np.dtype(np.float16),
    schema.TensorType.INT8: np.dtype(np.int8),
    schema.TensorType.UINT8: np.dtype(np.uint8),
    schema.TensorType.INT16: np.dtype(np.int16),
    schema.TensorType.INT32: np.dtype(np.int32),
    schema.TensorType.INT64: np.dtype(np.int64),
    schema.TensorType.BOOL: np.dtype(np.bool_),
}
# The names of the operator kinds, by their number in the schema.
OPERATOR_KINDS: dict[int, str] = {
    number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)
}


def read(data: bytes) -> schema.ModelT:
    """Read a .tflite file into objects that can be changed."""
    return schema.ModelT.InitFromPackedBuf(data, 0)


def write(model: schema.ModelT) -> bytes:
    """Return a model as the bytes of a .tflite file."""
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def operator_kind(model: schema.ModelT, op: schema.OperatorT) -> str:
    """Return the name of an operator's kind, such as CONV_2D."""
    code = model.operatorCodes[op.opcodeIndex]
    # Files from before schema 3a have the deprecated field only.
    return OPERATOR_KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]


def constant(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray | None:
    """Return the values of a constant tensor in its own dtype and shape, or None for a computed tensor."""
    data = model.buffers[tensor.buffer].data
    if data is None:
        return None
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), DTYPES[tensor.type]).reshape(tensor.shape)


def make_buffer(values: np.ndarray) -> schema.BufferT:
    """Return a buffer that holds the values of an array."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    return buffer


def name_inputs_and_outputs(model: schema.ModelT) -> None:
    """Name the input `image` and the output `scores`, in the graph and in the signature `serving_default`."""
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].name = b"image"
    graph.tensors[graph.outputs[0]].name = b"scores"
    signature = schema.SignatureDefT()
    signature.signatureKey = b"serving_default"
    signature.inputs = [_signature_tensor(b"image", graph.inputs[0])]
    signature.outputs = [_signature_tensor(b"scores", graph.outputs[0])]
    model.signatureDefs = [signature]


def metadata_entries(model: schema.ModelT, name: bytes) -> list[bytes]:
    """Return the values of all metadata entries of a name."""
    entries = [entry for entry in model.metadata or [] if entry.name == name]
    values = [model.buffers[entry.buffer].data for entry in entries]
    return [b"" if value is None else bytes(value) for value in values]


def set_metadata_entry(model: schema.ModelT, name: bytes, value: bytes) -> None:
    """Store a value as the only entry of a name. Other buffers keep their indices, which tensors refer to."""
    entries = model.metadata or []
    buffers = [entry.buffer for entry in entries if entry.name == name]
    for index in buffers[1:]:
        model.buffers[index] = schema.BufferT()
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, buffers[0] if buffers else len(model.buffers)
    model.buffers[entry.buffer : entry.buffer + 1] = [make_buffer(np.frombuffer(value, np.uint8))]
    model.metadata = [other for other in entries if other.name != name] + [entry]


def remove_metadata_entry(model: schema.ModelT, name: bytes) -> None:
    """Remove all entries of a name, and what they hold."""
    for entry in model.metadata or []:
        if entry.name == name:
            model.buffers[entry.buffer] = schema.BufferT()
    model.metadata = [entry for entry in model.metadata or [] if entry.name != name]


def _signature_tensor(name: bytes, index: int) -> schema.TensorMapT:
    tensor = schema.TensorMapT()
    tensor.name, tensor.tensorIndex = name, int(index)
    return tensor


class _Builder(flatbuffers.Builder):
    """Aligns every vector to 16 bytes. The schema requires it (`force_align: 16`), and the Python builder omits it."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803  overrides
        offset: int = super().StartVector(elemSize, numElems, max(alignment, 16))
        return offset
