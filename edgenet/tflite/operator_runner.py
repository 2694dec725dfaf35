"""Run a single operator of a .tflite model, as a model of its own."""

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgenet import cores
from edgenet.quiet import quiet
from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import Graph


class OperatorRunner:
    """Runs one operator of a graph.

    Args:
        graph: The graph.
        op: One of its operators. Later changes to its weights have no effect on this runner.
        linear: Whether to leave out the operator's fused activation.
        threads: The number of threads; all available cores if None.

    Attributes:
        inputs: LiteRT's details of each computed input: its shape, dtype and so on.

    Raises:
        ValueError, RuntimeError: LiteRT cannot run the operator.
    """

    def __init__(self, graph: Graph, op: schema.OperatorT, linear: bool = False, threads: int | None = None) -> None:
        model = single_operator_model(graph, op, linear)
        with quiet():
            self._interpreter = Interpreter(
                model_content=flatbuffer.write(model), num_threads=threads or cores.available()
            )
            self._interpreter.allocate_tensors()
        self.inputs: list[dict[str, Any]] = self._interpreter.get_input_details()
        self._outputs = [details["index"] for details in self._interpreter.get_output_details()]

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for the computed inputs, which have the shapes and dtypes of the model's tensors."""
        self.set_inputs(*inputs)
        self.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def set_inputs(self, *inputs: np.ndarray) -> None:
        """Set the computed inputs."""
        for details, values in zip(self.inputs, inputs, strict=True):
            self._interpreter.set_tensor(details["index"], values)

    def invoke(self) -> None:
        """Run the operator on the inputs that were set last; this is what a latency measurement repeats."""
        self._interpreter.invoke()


def single_operator_model(graph: Graph, op: schema.OperatorT, linear: bool) -> schema.ModelT:
    """Return a model with one operator of a graph, its constants, and its computed inputs as the model's inputs."""
    single = copy.copy(op)
    single.opcodeIndex = 0
    if linear:
        single.builtinOptions = copy.copy(op.builtinOptions)
        single.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    model, subgraph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [subgraph]
    model.operatorCodes = [graph.model.operatorCodes[op.opcodeIndex]]
    model.buffers, subgraph.tensors, subgraph.operators = [schema.BufferT()], [], [single]
    new_index = {-1: -1}
    for index in {*op.inputs, *op.outputs} - {-1}:
        tensor, values = copy.copy(graph.tensor(index)), graph.constant(index)
        tensor.buffer = 0 if values is None else len(model.buffers)
        if values is not None:
            model.buffers.append(flatbuffer.make_buffer(values))
        new_index[index] = len(subgraph.tensors)
        subgraph.tensors.append(tensor)
    single.inputs, single.outputs = [new_index[n] for n in op.inputs], [new_index[n] for n in op.outputs]
    subgraph.inputs, subgraph.outputs = [new_index[n] for n in graph.computed_inputs(op)], list(single.outputs)
    return model
