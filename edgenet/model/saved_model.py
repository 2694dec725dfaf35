"""SavedModel folders: checked as a whole, then loaded, and one signature taken as the classifier."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.model import container, graph_check, memory

FOLDER = "saved_model"
_FILE = "saved_model.pb"
# Protocol buffers end here.
_MAX_FILE = 2**31 - 1


@dataclass(frozen=True)
class Signature:
    """One function of a SavedModel. call: a float32 tensor (batch, height, width, channels) to scores (batch, classes).

    input_shape, output_shape: with None for what is free; () where the rank is unknown.
    """

    call: Callable
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]


def load(path: Path, expected: str, reason: Callable[[Exception], str]) -> Signature:
    """Load a SavedModel and return its signature `serving_default`, or its only other one.

    expected: the beginning of messages about what is no SavedModel. reason: one line of what TensorFlow raises.

    Raises EdgenetError, before anything of it runs, when it contains more than a classifier needs; and when it is
    damaged or has no signature of one input and one output.
    """
    size = container.folder_size(path)
    graph = _read(path, expected)
    graph_check.check(path, graph, size)
    with memory.limited(size):
        _check_variables(path, size)
        try:
            loaded = tf.saved_model.load(str(path.resolve()))
            signatures = dict(loaded.signatures)
        except Exception as error:  # whatever TensorFlow and its C++ raise
            raise EdgenetError(f"{expected}, found: {reason(error)}") from error
    signature = signatures.get("serving_default") or next(iter(signatures.values()), None)
    if signature is None:
        raise EdgenetError(f"{expected}, found: a SavedModel without a signature; export it with model.export")
    graph_check.check_signature(path, signature.graph.as_graph_def())
    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise EdgenetError(
            f"{path}: expected a model of one image input and one output of scores, "
            f"found {counted(len(inputs), 'input')} and {counted(len(outputs), 'output')}"
        )
    ((key, spec),), (result,) = inputs.items(), outputs

    def call(image, _keep_alive=loaded):
        return signature(**{key: tf.cast(image, spec.dtype)})[result]

    return Signature(call, _sides(spec.shape), _sides(outputs[result].shape))


def copy(path: Path, folder: Path) -> str:
    """Copy a SavedModel into a folder; return the name that it has there."""
    files.copy_tree(path, folder / FOLDER)
    return FOLDER


def counted(count: int, thing: str) -> str:
    """A number and a noun: "1 input", "2 inputs"."""
    return f"{count} {thing}{'s' * (count != 1)}"


def _read(path: Path, expected: str) -> SavedModel:
    file = path / _FILE
    if not file.is_file():
        raise EdgenetError(f"{expected}, found: a folder without {_FILE}")
    if file.stat().st_size > _MAX_FILE:
        raise EdgenetError(f"{file}: larger than 2 GiB, which no SavedModel is; {container.AGAIN}")
    try:
        return SavedModel.FromString(file.read_bytes())
    except Exception as error:  # protobuf has an exception of its own in each of its versions
        raise EdgenetError(f"{expected}, found: a damaged {_FILE}; save the model again") from error


def _check_variables(path: Path, size: int) -> None:
    """Raise EdgenetError when the stored variables declare more than their files can hold."""
    prefix = path / "variables" / "variables"
    if not prefix.with_suffix(".index").is_file():
        return  # a model of constants; TensorFlow says when it misses variables
    try:
        reader = tf.train.load_checkpoint(str(prefix.resolve()))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except Exception as error:  # whatever TensorFlow's C++ raises
        raise EdgenetError(f"{prefix}.index: the file is damaged or only a part of one; {container.AGAIN}") from error
    declared = sum(tf.TensorShape(shape).num_elements() * (dtypes[name].size or 1) for name, shape in shapes.items())
    container.check_sizes(path, declared, size)


def _sides(shape: tf.TensorShape) -> tuple:
    return () if shape.rank is None else tuple(shape)
