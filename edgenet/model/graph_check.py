"""Checks everything in a SavedModel's protocol buffer before TensorFlow loads it, since loading already runs code.

TensorFlow's loader for SavedModels of TensorFlow 2 imports all functions, runs those that create, initialize and
restore resources, and reads the variables by code of its own. The flat graph beside the functions is not run: it calls
those that save and restore, which need to touch files. A SavedModel of TensorFlow 1 is that flat graph alone: the
loader runs its initializers and its part for restoring.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework.variable_pb2 import VariableDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

from edgenet.errors import EdgenetError
from edgenet.model import container
from edgenet.model.container import shown
from edgenet.model.operators import ALLOWED, LOOPS, RESTORE, SAVER

# Beyond it, functions that call functions that call functions are there to keep a machine busy.
MAX_NODES = 2_000_000
# Names in a message.
_SHOWN = 8
# What objects a classifier is made of. Others are tables, data sets, iterators, and files that these read.
_OBJECTS = {"user_object", "function", "bare_concrete_function", "variable", "constant", "captured_tensor", None}
_WHY = (
    "a SavedModel may only compute scores from an image, without files, tables, loops, processes or networks. Export "
    "the network alone, with model.export"
)


def check(path: Path, model: SavedModel, size: int) -> None:
    """Raise EdgenetError, naming the operator and its place, for a SavedModel that does more than compute.

    path: of the folder, for messages. size: the bytes of all files in it, for what it may declare.
    """
    for graph in model.meta_graphs:
        _check_functions(path, graph)
        if graph.HasField("object_graph_def"):
            _check_objects(path, graph)
            _check_nodes(path, graph.graph_def.node, ALLOWED | SAVER, "the graph", _functions(graph))
        else:
            _check_flat(path, graph)
        _check_constants(path, graph, size)


def check_signature(path: Path, graph) -> None:
    """Raise EdgenetError for the graph of a signature, a GraphDef, with operators that scores do not need."""
    library = {function.signature.name: function for function in graph.library.function}
    # TensorFlow lists all functions that it has, of whatever model.
    functions = {name: library[name] for name in _reached(library, _calls(graph.node))}
    _check_nodes(path, graph.node, ALLOWED, "the signature", functions)
    for name, function in functions.items():
        _check_nodes(path, function.node_def, ALLOWED, f"function {name}", functions)
    half = {tf.float16.as_datatype_enum: "float16", tf.bfloat16.as_datatype_enum: "bfloat16"}
    for node in [*graph.node, *(node for function in functions.values() for node in function.node_def)]:
        if node.op.startswith(("Conv", "Depthwise", "MatMul", "BatchMatMul", "Einsum")) and node.attr["T"].type in half:
            raise EdgenetError(
                f"{path}: layer {shown(node.name)} computes in {half[node.attr['T'].type]}, which TensorFlow's "
                "converter cannot convert; use the .keras or .h5 file, or load the weights under the dtype policy "
                "float32 and export again"
            )


def _functions(graph: MetaGraphDef) -> dict:
    return {function.signature.name: function for function in graph.graph_def.library.function}


def _check_functions(path: Path, graph: MetaGraphDef) -> None:
    """Functions have names of their own, and their calls end, within bounds."""
    functions = _functions(graph)
    if len(functions) != len(graph.graph_def.library.function):
        raise EdgenetError(f"{path}: two functions of the SavedModel have one name; export the model again")
    for name in functions:
        if op_def_registry.get(name) is not None:
            raise EdgenetError(f"{path}: a function of the SavedModel is named as the operator {name}; {_WHY}")
    sizes = {}
    for start in functions:
        # Depth first, without recursion: a chain of calls may be longer than Python's stack.
        stack = [(start, None)]
        active = set()
        while stack:
            name, calls = stack.pop()
            if calls is None:
                if name in sizes:
                    continue
                if name in active:
                    raise EdgenetError(f"{path}: function {shown(name)} of the SavedModel calls itself; {_WHY}")
                active.add(name)
                calls = [call for call in _calls(functions[name].node_def) if call in functions]
                stack.append((name, calls))
                stack += [(call, None) for call in calls if call not in sizes]
            else:
                active.discard(name)
                sizes[name] = len(functions[name].node_def) + sum(sizes[call] for call in calls)
                if sizes[name] > MAX_NODES:
                    raise EdgenetError(
                        f"{path}: function {shown(name)} of the SavedModel runs over {MAX_NODES:,} operators"
                    )


def _calls(nodes: Iterable) -> Iterator[str]:
    """The names that nodes may call a function by."""
    for node in nodes:
        yield node.op
        for attribute in node.attr.values():
            yield from _named(attribute)


def _named(attribute) -> Iterator[str]:
    for function in [attribute.func, *attribute.list.func]:
        if function.name:
            yield function.name
            for inner in function.attr.values():
                yield from _named(inner)


def _reached(functions: dict, names: Iterable[str]) -> set[str]:
    """The functions that these call, and themselves."""
    found, left = set(), [name for name in names if name in functions]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [call for call in _calls(functions[name].node_def) if call in functions]
    return found


def _check_objects(path: Path, graph: MetaGraphDef) -> None:
    """A SavedModel of TensorFlow 2: what its objects run, and what its functions hold."""
    functions, objects = _functions(graph), graph.object_graph_def
    run = set()
    for node in objects.nodes:
        kind = node.WhichOneof("kind")
        if kind not in _OBJECTS:
            raise EdgenetError(f"{path}: the SavedModel has an object of the kind {kind!r} (a table or a file); {_WHY}")
        if node.registered_name not in ("", "tf.TrackableConstant"):
            raise EdgenetError(f"{path}: the SavedModel has an object '{shown(node.registered_name)}'; {_WHY}")
        # What the loader runs, and the signatures.
        numbers = [saveable.restore_function for saveable in node.saveable_objects.values()]
        if node.user_object.identifier == "signature_map":
            numbers += [child.node_id for child in node.children]
        run.update(name for number in numbers if number < len(objects.nodes) for name in _of(objects.nodes[number]))
    names = {name for node in objects.nodes for name in _of(node)}
    reached = _reached(functions, names | {*objects.concrete_functions})
    run = _reached(functions, run)
    for name, function in functions.items():
        allowed = ALLOWED if name in run else ALLOWED | LOOPS if name in reached else ALLOWED | SAVER
        _check_nodes(path, function.node_def, allowed, f"function {name}", functions)


def _of(node) -> Iterator[str]:
    """The functions that an object is, or is a part of."""
    yield from node.function.concrete_functions
    yield node.bare_concrete_function.concrete_function_name
    yield node.captured_tensor.concrete_function


def _check_nodes(path: Path, nodes: Iterable, allowed: frozenset, place: str, functions: dict) -> None:
    refused = sorted({node.op for node in nodes if node.op not in allowed and node.op not in functions})
    if refused:
        names = ", ".join(map(shown, refused[:_SHOWN])) + ", ..." * (len(refused) > _SHOWN)
        kind = "operator" if len(refused) == 1 else "operators"
        raise EdgenetError(f"{path}: the SavedModel contains the {kind} {names} (in {shown(place)}); {_WHY}")


def _check_flat(path: Path, graph: MetaGraphDef) -> None:
    """A SavedModel of TensorFlow 1: one graph, of which saving is a part that nothing else may need."""
    functions = _functions(graph)
    for name, function in functions.items():
        _check_nodes(path, function.node_def, ALLOWED, f"function {name}", functions)
    _check_nodes(path, graph.graph_def.node, ALLOWED | SAVER, "the graph", functions)
    if graph.asset_file_def or "saved_model_assets" in graph.collection_def:
        raise EdgenetError(f"{path}: the SavedModel reads files beside its variables; {_WHY}")
    nodes = {node.name: node for node in graph.graph_def.node}
    _check_nodes(path, _needed(nodes, _run_by_name(graph)), ALLOWED, "the graph", functions)
    saver = graph.saver_def
    restoring = _needed(nodes, [saver.restore_op_name])
    _check_nodes(path, restoring, ALLOWED | RESTORE, "the graph that restores variables", functions)
    for node in restoring:
        if node.op.startswith("Restore") and _base(node.input[0]) != _base(saver.filename_tensor_name):
            raise EdgenetError(f"{path}: the operator {node.op} reads another file than the model's variables; {_WHY}")


def _run_by_name(graph: MetaGraphDef) -> Iterator[str]:
    """The names of all that the loader runs, and of all that a signature gives."""
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


def _needed(nodes: dict, names: Iterable[str]) -> list:
    """The nodes that have to run for these, with themselves."""
    found, left = {}, [_base(name) for name in names]
    while left:
        name = left.pop()
        if name in nodes and name not in found:
            found[name] = nodes[name]
            left += [_base(value) for value in nodes[name].input]
    return list(found.values())


def _base(tensor: str) -> str:
    """The node of a tensor (node:0) or of a control input (^node)."""
    return tensor.removeprefix("^").partition(":")[0]


def _check_constants(path: Path, graph: MetaGraphDef, size: int) -> None:
    """What the graph declares, in constants that one number may fill and in variables, must fit the files' size."""
    declared = 0
    functions = graph.graph_def.library.function
    for nodes in (graph.graph_def.node, *(function.node_def for function in functions)):
        for node in nodes:
            if node.op == "Const":
                if node.attr["value"].tensor.dtype in (tf.resource.as_datatype_enum, tf.variant.as_datatype_enum):
                    raise EdgenetError(f"{path}: constant {shown(node.name)} of the SavedModel is no array; {_WHY}")
                declared += _bytes(node.attr["value"].tensor.dtype, node.attr["value"].tensor.tensor_shape)
    for node in graph.object_graph_def.nodes:
        if node.WhichOneof("kind") == "variable":
            declared += _bytes(node.variable.dtype, node.variable.shape)
    container.check_sizes(path, declared, size)


def _bytes(dtype: int, shape) -> int:
    try:
        width = tf.as_dtype(dtype).size or 1
    except TypeError:  # a damaged file: TensorFlow refuses it when it loads it
        width = 1
    return width * math.prod(max(side.size, 0) for side in shape.dim)
