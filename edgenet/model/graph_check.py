"""Checks everything in a SavedModel's protocol buffer before TensorFlow loads it, since loading already runs code.

For SavedModels of TensorFlow 2, TensorFlow's loader imports all functions, runs those that create, initialize and
restore resources, and reads the variables by its own code. It does not run the flat graph beside the functions, which
saves and restores variables and so uses files. A SavedModel of TensorFlow 1 has only that flat graph: the loader runs
its initializers and the part that restores.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

from edgenet.errors import EdgenetError
from edgenet.model import container
from edgenet.model.container import printable
from edgenet.model.graph_walk import (
    Function,
    Node,
    calls,
    functions_of,
    loaded_functions,
    loaded_tensors,
    needed_nodes,
    node_name,
    object_functions,
    reachable,
)
from edgenet.model.operators import ALLOWED, LOOPS, RESTORE, SAVER

# Operators that a function runs, with the functions that it calls. More are made to keep a machine busy.
MAX_NODES = 2_000_000
# Operators that an error message names.
_MAX_NAMES = 8
# The kinds of objects that a classifier consists of. Others are tables, datasets, iterators, and files that they read.
_OBJECTS = {"user_object", "function", "bare_concrete_function", "variable", "constant", "captured_tensor", None}
_WHY = (
    "a SavedModel may only compute scores from an image, without files, tables, loops, processes or networks. Export "
    "the network alone, with model.export"
)


def check(path: Path, model: SavedModel, size: int) -> None:
    """Check that a SavedModel only computes.

    Args:
        path: Its folder, for messages.
        model: The protocol buffer.
        size: The bytes of all files in the folder, which limit what the model may declare.

    Raises:
        EdgenetError: It does more. The message names the operator and the function that it is in.
    """
    for graph in model.meta_graphs:
        _check_functions(path, graph)
        if graph.HasField("object_graph_def"):
            _check_objects(path, graph)
            _check_nodes(path, graph.graph_def.node, ALLOWED | SAVER, "the graph", functions_of(graph))
        else:
            _check_flat(path, graph)
        _check_constants(path, graph, size)


def check_signature(path: Path, graph: Any) -> None:
    """Check the graph of a signature.

    Args:
        path: The SavedModel's folder, for messages.
        graph: A GraphDef.

    Raises:
        EdgenetError: It has operators that scores do not need, or that the converter cannot convert.
    """
    library = {function.signature.name: function for function in graph.library.function}
    # TensorFlow lists all functions that are loaded, of other models too.
    functions = {name: library[name] for name in reachable(library, calls(graph.node))}
    _check_nodes(path, graph.node, ALLOWED, "the signature", functions)
    for name, function in functions.items():
        _check_nodes(path, function.node_def, ALLOWED, f"function {name}", functions)
    half = {tf.float16.as_datatype_enum: "float16", tf.bfloat16.as_datatype_enum: "bfloat16"}
    for node in [*graph.node, *(node for function in functions.values() for node in function.node_def)]:
        if node.op.startswith(("Conv", "Depthwise", "MatMul", "BatchMatMul", "Einsum")) and node.attr["T"].type in half:
            raise EdgenetError(
                f"{path}: layer {printable(node.name)} computes in {half[node.attr['T'].type]}, which TensorFlow's "
                "converter cannot convert; use the .keras or .h5 file, or load the weights under the dtype policy "
                "float32 and export again"
            )


def _check_functions(path: Path, graph: MetaGraphDef) -> None:
    """Names of functions are unique, and their calls end within limits."""
    functions = functions_of(graph)
    if len(functions) != len(graph.graph_def.library.function):
        raise EdgenetError(f"{path}: two functions of the SavedModel have one name; export the model again")
    for name in functions:
        if op_def_registry.get(name) is not None:
            raise EdgenetError(f"{path}: a function of the SavedModel is named as the operator {name}; {_WHY}")
    sizes: dict[str, int] = {}
    for start in functions:
        # Depth first, without recursion: a chain of calls may be longer than Python's stack.
        stack: list[tuple[str, list[str] | None]] = [(start, None)]
        active: set[str] = set()
        while stack:
            name, called = stack.pop()
            if called is None:
                if name in sizes:
                    continue
                if name in active:
                    raise EdgenetError(f"{path}: function {printable(name)} of the SavedModel calls itself; {_WHY}")
                active.add(name)
                called = [call for call in calls(functions[name].node_def) if call in functions]
                stack.append((name, called))
                stack += [(call, None) for call in called if call not in sizes]
            else:
                active.discard(name)
                sizes[name] = len(functions[name].node_def) + sum(sizes[call] for call in called)
                if sizes[name] > MAX_NODES:
                    raise EdgenetError(
                        f"{path}: function {printable(name)} of the SavedModel runs over {MAX_NODES:,} operators"
                    )


def _check_objects(path: Path, graph: MetaGraphDef) -> None:
    """In a SavedModel of TensorFlow 2: the kinds of objects, and the operators in all functions."""
    functions, objects = functions_of(graph), graph.object_graph_def
    for node in objects.nodes:
        kind = node.WhichOneof("kind")
        if kind not in _OBJECTS:
            raise EdgenetError(f"{path}: the SavedModel has an object of the kind {kind!r} (a table or a file); {_WHY}")
        if node.registered_name not in ("", "tf.TrackableConstant"):
            raise EdgenetError(f"{path}: the SavedModel has an object '{printable(node.registered_name)}'; {_WHY}")
    loaded = reachable(functions, loaded_functions(graph))
    names = {name for node in objects.nodes for name in object_functions(node)}
    used = reachable(functions, names | {*objects.concrete_functions})
    for name, function in functions.items():
        allowed = ALLOWED if name in loaded else ALLOWED | LOOPS if name in used else ALLOWED | SAVER
        _check_nodes(path, function.node_def, allowed, f"function {name}", functions)


def _check_nodes(
    path: Path, nodes: Iterable[Node], allowed: frozenset[str], place: str, functions: Mapping[str, Function]
) -> None:
    refused = sorted({node.op for node in nodes if node.op not in allowed and node.op not in functions})
    if refused:
        names = ", ".join(map(printable, refused[:_MAX_NAMES])) + ", ..." * (len(refused) > _MAX_NAMES)
        kind = "operator" if len(refused) == 1 else "operators"
        raise EdgenetError(f"{path}: the SavedModel contains the {kind} {names} (in {printable(place)}); {_WHY}")


def _check_flat(path: Path, graph: MetaGraphDef) -> None:
    """In a SavedModel of TensorFlow 1: one graph, in which only the part that saves and restores may use files."""
    functions = functions_of(graph)
    for name, function in functions.items():
        _check_nodes(path, function.node_def, ALLOWED, f"function {name}", functions)
    _check_nodes(path, graph.graph_def.node, ALLOWED | SAVER, "the graph", functions)
    if graph.asset_file_def or "saved_model_assets" in graph.collection_def:
        raise EdgenetError(f"{path}: the SavedModel reads files beside its variables; {_WHY}")
    nodes = {node.name: node for node in graph.graph_def.node}
    _check_nodes(path, needed_nodes(nodes, loaded_tensors(graph)), ALLOWED, "the graph", functions)
    saver = graph.saver_def
    restoring = needed_nodes(nodes, [saver.restore_op_name])
    _check_nodes(path, restoring, ALLOWED | RESTORE, "the graph that restores variables", functions)
    for node in restoring:
        if node.op.startswith("Restore") and node_name(node.input[0]) != node_name(saver.filename_tensor_name):
            raise EdgenetError(f"{path}: the operator {node.op} reads another file than that of the variables; {_WHY}")


def _check_constants(path: Path, graph: MetaGraphDef, size: int) -> None:
    """The size of all constants (one number can fill a whole array) and variables must fit the size of the files."""
    declared = 0
    functions = graph.graph_def.library.function
    for nodes in (graph.graph_def.node, *(function.node_def for function in functions)):
        for node in nodes:
            if node.op == "Const":
                if node.attr["value"].tensor.dtype in (tf.resource.as_datatype_enum, tf.variant.as_datatype_enum):
                    raise EdgenetError(
                        f"{path}: constant {printable(node.name)} of the SavedModel is not an array; {_WHY}"
                    )
                declared += _bytes(node.attr["value"].tensor.dtype, node.attr["value"].tensor.tensor_shape)
    for node in graph.object_graph_def.nodes:
        if node.WhichOneof("kind") == "variable":
            declared += _bytes(node.variable.dtype, node.variable.shape)
    container.check_sizes(path, declared, size)


def _bytes(dtype: int, shape: Any) -> int:
    try:
        width = tf.as_dtype(dtype).size or 1
    except TypeError:  # a damaged file, which TensorFlow will refuse
        width = 1
    return width * math.prod(max(side.size, 0) for side in shape.dim)
