"""A float32 .tflite operator by operator, so that each layer can be looked at, changed, and run on its own.

The converter has folded batch normalization into the weights by then, and fused each activation into its convolution.
Working here, and not on Keras layers, takes any model that the converter takes.
"""

import copy
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgenet import cores
from edgenet.errors import EdgenetError
from edgenet.quiet import quiet
from edgenet.tflite import flatbuffer

# The axis of the output channels in the weights of each operator that has some (TFLite's quantization specification).
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}

# All that multiply by constants, known here or not.
WEIGHTED = (*CHANNEL_AXIS, "TRANSPOSE_CONV", "CONV_3D", "BATCH_MATMUL", "UNIDIRECTIONAL_SEQUENCE_LSTM")

# Runtimes need scales that are normal numbers: XNNPACK leaves a layer with a scale of 0, or a subnormal one, to slow
# kernels, or refuses the file.
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)

_ACTIVATIONS = {
    schema.ActivationFunctionType.NONE: (-np.inf, np.inf),
    schema.ActivationFunctionType.RELU: (0.0, np.inf),
    schema.ActivationFunctionType.RELU6: (0.0, 6.0),
}


@dataclass(frozen=True)
class Layer:
    """An operator with weights, a bias and a clipping activation: out = clip(op(input, weights) + bias, *bounds).

    weights: float32, output channels on `axis`. bias: float32 (channels,). output: the number of its output tensor.
    """

    name: str
    kind: str
    output: int
    weights: np.ndarray
    bias: np.ndarray
    axis: int
    bounds: tuple[float, float]

    def by_channel(self, values: np.ndarray) -> np.ndarray:
        """Values for each output channel, (channels,), in the shape that multiplies the weights."""
        shape = [1] * self.weights.ndim
        shape[self.axis] = -1
        return np.reshape(values, shape)

    @property
    def scales(self) -> np.ndarray:
        """The scale of each channel, float64 (channels,): max|w| / 127, at least SMALLEST_SCALE.

        A channel of zeros, as pruning leaves them, has that one; its integers are 0 with any scale.
        """
        others = tuple(axis for axis in range(self.weights.ndim) if axis != self.axis)
        return np.maximum(np.abs(self.weights).max(axis=others).astype(np.float64) / 127, SMALLEST_SCALE)


class Graph:
    """The operators of a float32 model, in the order in which they run. Tensors are known by their numbers.

    Raises EdgenetError when the file refers to parts that it does not have.
    """

    def __init__(self, data: bytes):
        self.model = flatbuffer.read(data)
        if not _is_complete(self.model):
            raise EdgenetError("the .tflite file refers to parts that it does not have; it is damaged")
        self._graph = self.model.subgraphs[0]
        self.operators = list(self._graph.operators)
        self.input, self.output = int(self._graph.inputs[0]), int(self._graph.outputs[0])

    def tensor(self, number: int) -> schema.TensorT:
        return self._graph.tensors[number]

    def kind(self, op: schema.OperatorT) -> str:
        """For instance CONV_2D."""
        return flatbuffer.operator(self.model, op)

    def full_name(self, op: schema.OperatorT) -> str:
        """The name of the output of `op`: those of all Keras layers that became one operator."""
        return (self.tensor(int(op.outputs[0])).name or b"").decode(errors="replace")

    def name(self, op: schema.OperatorT) -> str:
        """The last of those names, which is that of the layer with the weights."""
        return self.full_name(op).split(";")[-1]

    def constant(self, number: int) -> np.ndarray | None:
        return flatbuffer.constant(self.model, self.tensor(number)) if number >= 0 else None

    def takes(self, op: schema.OperatorT) -> list[int]:
        """The tensors that `op` gets from other operators, or from outside."""
        return [int(number) for number in op.inputs if number >= 0 and self.constant(number) is None]

    def consumers(self, number: int) -> list[schema.OperatorT]:
        return [op for op in self.operators if number in op.inputs]

    def layer(self, op: schema.OperatorT) -> Layer | None:
        """`op` as a layer with weights; None when it is none, or none of a kind that is known here."""
        kind = self.kind(op)
        if kind not in CHANNEL_AXIS:
            return None
        weights, bounds = self.constant(op.inputs[1]), _ACTIVATIONS.get(op.builtinOptions.fusedActivationFunction)
        if weights is None or bounds is None or weights.dtype != np.float32:
            return None
        bias = self.constant(op.inputs[2]) if _has_bias(op) else np.zeros(weights.shape[CHANNEL_AXIS[kind]], np.float32)
        if bias is None:
            return None
        return Layer(self.name(op), kind, int(op.outputs[0]), weights, bias, CHANNEL_AXIS[kind], bounds)

    def replace(self, op: schema.OperatorT, weights: np.ndarray, bias: np.ndarray) -> None:
        """Give `op` other weights and another bias, of the same shapes."""
        if not _has_bias(op):
            tensor = schema.TensorT()
            tensor.name, tensor.shape, tensor.type = (
                f"{self.name(op)}/bias".encode(),
                list(bias.shape),
                schema.TensorType.FLOAT32,
            )
            self._graph.tensors.append(tensor)
            op.inputs = [*op.inputs[:2], len(self._graph.tensors) - 1]
        op.inputs = list(op.inputs)
        for position, values in ((1, weights), (2, bias)):
            if len(self.consumers(op.inputs[position])) > 1:  # the converter lets equal constants share a tensor
                self._graph.tensors.append(copy.copy(self.tensor(op.inputs[position])))
                op.inputs[position] = len(self._graph.tensors) - 1
            self.tensor(op.inputs[position]).buffer = self.add_buffer(values.astype(np.float32))

    def add_buffer(self, values: np.ndarray) -> int:
        """Store values in the model. Returns the number of their buffer."""
        self.model.buffers.append(flatbuffer.buffer(values))
        return len(self.model.buffers) - 1

    def set_ranges(self, low: dict[int, float], high: dict[int, float]) -> None:
        """Write the range of each tensor into the model, where the converter looks for what calibration found."""
        for number in low:
            tensor = self.tensor(number)
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.min, tensor.quantization.max = [low[number]], [high[number]]

    def to_bytes(self) -> bytes:
        """The model, without the values that nothing uses any more."""
        used = {tensor.buffer for tensor in self._graph.tensors} | {entry.buffer for entry in self.model.metadata or []}
        for number, buffer in enumerate(self.model.buffers):
            if number not in used:
                buffer.data = None
        return flatbuffer.write(self.model)


def _is_complete(model: schema.ModelT) -> bool:
    """Whether there is a graph with operators, and all that they refer to by number."""
    if not model.subgraphs or not model.operatorCodes or not model.buffers:
        return False
    graph = model.subgraphs[0]
    if any(part is None or not len(part) for part in (graph.tensors, graph.operators, graph.inputs, graph.outputs)):
        return False
    numbers = [*graph.inputs, *graph.outputs]
    for op in graph.operators:
        if op.inputs is None or op.outputs is None or not len(op.outputs):
            return False
        if not 0 <= op.opcodeIndex < len(model.operatorCodes):
            return False
        numbers += [*op.inputs, *op.outputs]
    return all(-1 <= number < len(graph.tensors) for number in numbers) and all(
        0 <= tensor.buffer < len(model.buffers) for tensor in graph.tensors
    )


def _has_bias(op: schema.OperatorT) -> bool:
    return len(op.inputs) > 2 and op.inputs[2] >= 0


class Operator:
    """One operator as a model of its own; `linear` leaves its activation out. threads: all cores without."""

    def __init__(self, graph: Graph, op: schema.OperatorT, linear: bool = False, threads: int | None = None):
        single = copy.copy(op)
        single.opcodeIndex = 0
        if linear:
            single.builtinOptions = copy.copy(op.builtinOptions)
            single.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
        model, subgraph = schema.ModelT(), schema.SubGraphT()
        model.version, model.subgraphs = 3, [subgraph]
        model.operatorCodes = [graph.model.operatorCodes[op.opcodeIndex]]
        model.buffers, subgraph.tensors, subgraph.operators = [schema.BufferT()], [], [single]
        places = {-1: -1}
        for number in {*op.inputs, *op.outputs} - {-1}:
            tensor, values = copy.copy(graph.tensor(number)), graph.constant(number)
            tensor.buffer = 0 if values is None else len(model.buffers)
            if values is not None:
                model.buffers.append(flatbuffer.buffer(values))
            places[number] = len(subgraph.tensors)
            subgraph.tensors.append(tensor)
        single.inputs, single.outputs = [places[n] for n in op.inputs], [places[n] for n in op.outputs]
        subgraph.inputs, subgraph.outputs = [places[n] for n in graph.takes(op)], list(single.outputs)
        with quiet():
            self._interpreter = Interpreter(
                model_content=flatbuffer.write(model), num_threads=threads or cores.available()
            )
            self._interpreter.allocate_tensors()
        self.inputs = self._interpreter.get_input_details()
        self._outputs = [details["index"] for details in self._interpreter.get_output_details()]

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs for inputs of the model's own batch."""
        self.set(*inputs)
        self.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def set(self, *inputs: np.ndarray) -> None:
        """Give it its inputs."""
        for details, values in zip(self.inputs, inputs, strict=True):
            self._interpreter.set_tensor(details["index"], values)

    def invoke(self) -> None:
        """Run it on what was last set: what a latency measurement repeats."""
        self._interpreter.invoke()
