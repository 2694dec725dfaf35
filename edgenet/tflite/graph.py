"""A float32 .tflite model as a graph of operators, each of which can be inspected, changed and run by itself.

At this point the converter has folded batch normalization into the weights and fused each activation into its
convolution. Working on this graph, and not on Keras layers, covers every model that the converter accepts.
"""

import copy
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.errors import EdgenetError
from edgenet.tflite import flatbuffer

# The axis of the output channels in the weights of each kind of layer (TFLite's 8-bit quantization specification,
# ai.google.dev/edge/litert/models/quantization_spec).
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}

# All kinds of operators that multiply by constants, including those that `Graph.layer` does not support.
WEIGHTED_KINDS = (*CHANNEL_AXIS, "TRANSPOSE_CONV", "CONV_3D", "BATCH_MATMUL", "UNIDIRECTIONAL_SEQUENCE_LSTM")

# Runtimes need scales that are normal numbers: with a zero or subnormal scale, XNNPACK leaves the layer to slow kernels
# or rejects the file.
MIN_SCALE = float(np.finfo(np.float32).tiny)

# The range to which each fused activation clips.
ACTIVATION_BOUNDS = {
    schema.ActivationFunctionType.NONE: (-np.inf, np.inf),
    schema.ActivationFunctionType.RELU: (0.0, np.inf),
    schema.ActivationFunctionType.RELU6: (0.0, 6.0),
}


@dataclass(frozen=True)
class Layer:
    """An operator with weights, a bias and a clipping activation: out = clip(op(input, weights) + bias, *bounds).

    Attributes:
        name: The name of the Keras layer that has the weights.
        kind: The operator's kind, such as CONV_2D.
        output: The index of the output tensor.
        weights: float32, with the output channels on `axis`.
        bias: float32, (channels,).
        axis: The axis of the output channels in `weights`.
        bounds: The range to which the activation clips.
    """

    name: str
    kind: str
    output: int
    weights: np.ndarray
    bias: np.ndarray
    axis: int
    bounds: tuple[float, float]

    def by_channel(self, values: np.ndarray) -> np.ndarray:
        """Reshape values for each output channel, (channels,), so that they broadcast against the weights."""
        shape = [1] * self.weights.ndim
        shape[self.axis] = -1
        return np.reshape(values, shape)

    @property
    def scales(self) -> np.ndarray:
        """The int8 scale of each output channel, float64 (channels,): max|w| / 127, at least MIN_SCALE.

        A channel whose weights are all zero, as pruning leaves them, gets MIN_SCALE; its integers are 0 at any scale.
        """
        other_axes = tuple(axis for axis in range(self.weights.ndim) if axis != self.axis)
        return np.maximum(np.abs(self.weights).max(axis=other_axes).astype(np.float64) / 127, MIN_SCALE)


class Graph:
    """The operators of a model in execution order. Tensors are identified by their index.

    Args:
        data: The bytes of a .tflite file.

    Attributes:
        model: The whole model, as the schema's classes.
        operators: The operators of the first subgraph.
        input: The index of the model's input tensor.
        output: The index of the model's output tensor.

    Raises:
        EdgenetError: The file refers to tensors, buffers or operators that it does not contain.
    """

    def __init__(self, data: bytes) -> None:
        self.model = flatbuffer.read(data)
        if not _is_complete(self.model):
            raise EdgenetError("the .tflite file is damaged: it refers to parts that it does not contain")
        self._graph = self.model.subgraphs[0]
        self.operators: list[schema.OperatorT] = list(self._graph.operators)
        self.input, self.output = int(self._graph.inputs[0]), int(self._graph.outputs[0])

    def tensor(self, index: int) -> schema.TensorT:
        """Return a tensor."""
        return self._graph.tensors[index]

    def kind(self, op: schema.OperatorT) -> str:
        """Return the kind of an operator, such as CONV_2D."""
        return flatbuffer.operator_kind(self.model, op)

    def full_name(self, op: schema.OperatorT) -> str:
        """Return the name of an operator's output: the names of all Keras layers that were fused, joined by `;`."""
        return (self.tensor(int(op.outputs[0])).name or b"").decode(errors="replace")

    def name(self, op: schema.OperatorT) -> str:
        """Return the last of the fused layers' names, which is that of the layer with the weights."""
        return self.full_name(op).split(";")[-1]

    def constant(self, index: int) -> np.ndarray | None:
        """Return the values of a constant tensor, or None for a computed tensor and for a missing input (-1)."""
        return flatbuffer.constant(self.model, self.tensor(index)) if index >= 0 else None

    def computed_inputs(self, op: schema.OperatorT) -> list[int]:
        """Return the indices of an operator's inputs that are not constants."""
        return [int(index) for index in op.inputs if index >= 0 and self.constant(index) is None]

    def consumers(self, index: int) -> list[schema.OperatorT]:
        """Return the operators that use a tensor."""
        return [op for op in self.operators if index in op.inputs]

    def outputs(self, positions: Collection[int]) -> set[int]:
        """Return the indices of the outputs of operators, by their index in `operators`."""
        return {int(index) for position in positions for index in self.operators[position].outputs}

    def layer(self, op: schema.OperatorT) -> Layer | None:
        """Return an operator as a Layer, or None for an operator without weights or of an unsupported kind."""
        kind = self.kind(op)
        if kind not in CHANNEL_AXIS:
            return None
        weights = self.constant(op.inputs[1])
        bounds = ACTIVATION_BOUNDS.get(op.builtinOptions.fusedActivationFunction)
        if weights is None or bounds is None or weights.dtype != np.float32:
            return None
        bias = self.constant(op.inputs[2]) if _has_bias(op) else np.zeros(weights.shape[CHANNEL_AXIS[kind]], np.float32)
        if bias is None:
            return None
        return Layer(self.name(op), kind, int(op.outputs[0]), weights, bias, CHANNEL_AXIS[kind], bounds)

    def set_weights(self, op: schema.OperatorT, weights: np.ndarray, bias: np.ndarray) -> None:
        """Replace an operator's weights and bias by others of the same shapes; both are stored as float32."""
        if not _has_bias(op):
            tensor = schema.TensorT()
            tensor.name = f"{self.name(op)}/bias".encode()
            tensor.shape, tensor.type = list(bias.shape), schema.TensorType.FLOAT32
            op.inputs = [*op.inputs[:2], self.add_tensor(tensor)]
        op.inputs = list(op.inputs)
        for position, values in ((1, weights), (2, bias)):
            if len(self.consumers(op.inputs[position])) > 1:  # the converter lets equal constants share a tensor
                op.inputs[position] = self.add_tensor(copy.copy(self.tensor(op.inputs[position])))
            self.tensor(op.inputs[position]).buffer = self.add_buffer(values.astype(np.float32))

    def add_tensor(self, tensor: schema.TensorT) -> int:
        """Append a tensor to the graph and return its index."""
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def add_buffer(self, values: np.ndarray) -> int:
        """Append a buffer with the values of an array to the model and return its index."""
        self.model.buffers.append(flatbuffer.make_buffer(values))
        return len(self.model.buffers) - 1

    def set_ranges(self, low: dict[int, float], high: dict[int, float]) -> None:
        """Write the range of each tensor, by its index, into the fields where the converter expects calibration."""
        for index in low:
            tensor = self.tensor(index)
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.min, tensor.quantization.max = [low[index]], [high[index]]

    def to_bytes(self) -> bytes:
        """Return the model as the bytes of a .tflite file, without the values of buffers that are no longer used."""
        used = {tensor.buffer for tensor in self._graph.tensors} | {entry.buffer for entry in self.model.metadata or []}
        for index, buffer in enumerate(self.model.buffers):
            if index not in used:
                buffer.data = None
        return flatbuffer.write(self.model)


def _is_complete(model: schema.ModelT) -> bool:
    """Whether the model has a graph with operators, and everything that these refer to by index."""
    if not model.subgraphs or not model.operatorCodes or not model.buffers:
        return False
    graph = model.subgraphs[0]
    if any(part is None or not len(part) for part in (graph.tensors, graph.operators, graph.inputs, graph.outputs)):
        return False
    indices = [*graph.inputs, *graph.outputs]
    for op in graph.operators:
        if op.inputs is None or op.outputs is None or not len(op.outputs):
            return False
        if not 0 <= op.opcodeIndex < len(model.operatorCodes):
            return False
        indices += [*op.inputs, *op.outputs]
    return all(-1 <= index < len(graph.tensors) for index in indices) and all(
        0 <= tensor.buffer < len(model.buffers) for tensor in graph.tensors
    )


def _has_bias(op: schema.OperatorT) -> bool:
    return len(op.inputs) > 2 and op.inputs[2] >= 0
