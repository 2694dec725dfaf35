"""Which functions and nodes of a TensorFlow graph run: follows calls and inputs in its protocol buffers."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from tensorflow.core.framework.variable_pb2 import VariableDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

# Protocol buffers (NodeDef, FunctionDef), for which there are no type stubs.
Node: TypeAlias = Any
Function: TypeAlias = Any


def functions_of(graph: MetaGraphDef) -> dict[str, Function]:
    """The functions of a graph by their names."""
    return {function.signature.name: function for function in graph.graph_def.library.function}


def calls(nodes: Iterable[Node]) -> Iterator[str]:
    """The names by which these nodes may call a function: their operators, and functions in their attributes."""
    for node in nodes:
        yield node.op
        for attribute in node.attr.values():
            yield from _function_names(attribute)


def _function_names(attribute: Any) -> Iterator[str]:
    for function in [attribute.func, *attribute.list.func]:
        if function.name:
            yield function.name
            for inner in function.attr.values():
                yield from _function_names(inner)


def reachable(functions: Mapping[str, Function], names: Iterable[str]) -> set[str]:
    """These functions and all functions that they call, directly or not."""
    reached: set[str] = set()
    pending = [name for name in names if name in functions]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += [call for call in calls(functions[name].node_def) if call in functions]
    return reached


def object_functions(node: Any) -> Iterator[str]:
    """The functions that an object of a SavedModel is, or is a part of."""
    yield from node.function.concrete_functions
    yield node.bare_concrete_function.concrete_function_name
    yield node.captured_tensor.concrete_function


def loaded_functions(graph: MetaGraphDef) -> set[str]:
    """The functions that TensorFlow's loader runs or that belong to a signature, in a SavedModel of TensorFlow 2."""
    objects = graph.object_graph_def.nodes
    names: set[str] = set()
    for node in objects:
        numbers = [saveable.restore_function for saveable in node.saveable_objects.values()]
        if node.user_object.identifier == "signature_map":
            numbers += [child.node_id for child in node.children]
        names.update(name for number in numbers if number < len(objects) for name in object_functions(objects[number]))
    return names


def loaded_tensors(graph: MetaGraphDef) -> Iterator[str]:
    """The tensors and nodes that TensorFlow's loader runs or that a signature returns, in one of TensorFlow 1."""
    for signature in graph.signature_def.values():
        for tensor in [*signature.inputs.values(), *signature.outputs.values()]:
            yield tensor.name
            yield from (tensor.coo_sparse.values_tensor_name, tensor.coo_sparse.indices_tensor_name)
            yield tensor.coo_sparse.dense_shape_tensor_name
            yield from (component.name for component in tensor.composite_tensor.components)
    for collection in graph.collection_def.values():
        yield from collection.node_list.value
        for value in collection.bytes_list.value:
            try:
                variable = VariableDef.FromString(value)
            except Exception:  # another kind of collection: contexts of branches, which the loader only reads
                continue
            yield from (variable.variable_name, variable.initializer_name, variable.snapshot_name)
            yield variable.initial_value_name


def needed_nodes(nodes: Mapping[str, Node], names: Iterable[str]) -> list[Node]:
    """The nodes of these tensors, and all nodes that they need as inputs."""
    needed: dict[str, Node] = {}
    pending = [node_name(name) for name in names]
    while pending:
        name = pending.pop()
        if name in nodes and name not in needed:
            needed[name] = nodes[name]
            pending += [node_name(value) for value in nodes[name].input]
    return list(needed.values())


def node_name(tensor: str) -> str:
    """The node of a tensor (node:0) or of a control input (^node)."""
    return tensor.removeprefix("^").partition(":")[0]
