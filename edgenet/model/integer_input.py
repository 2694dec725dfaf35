"""SavedModels whose input is integer pixels: the same graph with a float32 input of the same values, 0 to 255.

The integers are only cast to float32 in such a graph. A converted file would keep the casts, and with them a part that
no integer kernel runs.
"""

from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgenet.errors import EdgenetError

# Operators that move pixels, for any type of number.
_ANY_TYPE = frozenset(
    {"ExpandDims", "Identity", "Reshape", "ReverseV2", "Squeeze", "StridedSlice", "Transpose", "Pack", "ConcatV2"}
)


def with_float_input(name: str, signature: Any, output: str) -> Any:
    """The function of a signature with a float32 input.

    Args:
        name: Of the model, for messages.
        signature: A concrete function with one input, of integers.
        output: The name of one of its outputs.

    Returns:
        A concrete function of one float32 tensor, without variables.

    Raises:
        EdgenetError: The integers are used for more than their values.
    """
    frozen = convert_variables_to_constants_v2(signature)
    graph = frozen.graph.as_graph_def()
    (image,) = (tensor for tensor in frozen.inputs if tensor.dtype.is_integer)
    kind, floating = image.dtype.as_datatype_enum, tf.float32.as_datatype_enum
    changed = {image.op.name}
    for node in graph.node:
        if node.name == image.op.name:
            node.attr["dtype"].type = floating
        if not any(value.partition(":")[0] in changed for value in node.input):
            continue
        if node.op == "Cast" and node.attr["DstT"].type == floating:
            node.op = "Identity"
            for attribute in list(node.attr):
                del node.attr[attribute]
            node.attr["T"].type = floating
        elif node.op in _ANY_TYPE and node.attr["T"].type == kind:
            node.attr["T"].type = floating
            changed.add(node.name)
        else:
            raise EdgenetError(
                f"{name}: the input is {image.dtype.name}, and the model does more with it than cast it to float32 "
                f"({node.op}); export the model with a float32 input"
            )
    position = list(signature.structured_outputs).index(output)
    imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    result = imported.graph.get_tensor_by_name(frozen.outputs[position].name)
    return imported.prune(imported.graph.get_tensor_by_name(image.name), result)
