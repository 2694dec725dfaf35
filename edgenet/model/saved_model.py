"""Loads SavedModel folders: the whole model is checked first, then one signature is used as the classifier."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.model import container, graph_check, memory

FOLDER = "saved_model"
_FILE = "saved_model.pb"
# The limit of protocol buffers.
_MAX_FILE = 2**31 - 1


@dataclass(frozen=True)
class Signature:
    """One function of a SavedModel.

    Attributes:
        call: A float32 tensor (batch, height, width, channels) to scores (batch, classes).
        input_shape: With None for free dimensions; () if the rank is unknown.
        output_shape: The same.
    """

    call: Callable[[tf.Tensor], tf.Tensor]
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]


def load(path: Path, expected: str, reason: Callable[[Exception], str]) -> Signature:
    """Load a SavedModel.

    Args:
        path: The folder.
        expected: The beginning of messages about folders that are not SavedModels.
        reason: Makes one line of an exception of TensorFlow.

    Returns:
        The signature `serving_default`, or else the first one.

    Raises:
        EdgenetError: The model contains more than a classifier needs (raised before any of it runs), is damaged, or
            has no signature with one input and one output.
    """
    size = container.folder_size(path)
    graph = _read(path, expected)
    graph_check.check(path, graph, size)
    with memory.limited(size):
        _check_variables(path, size)
        try:
            loaded = tf.saved_model.load(str(path.resolve()))
            signatures = dict(loaded.signatures)
        except Exception as error:  # TensorFlow and its C++ code have many
            raise EdgenetError(f"{expected}, got: {reason(error)}") from error
    signature = signatures.get("serving_default") or next(iter(signatures.values()), None)
    if signature is None:
        raise EdgenetError(f"{expected}, got: a SavedModel without a signature; export it with model.export")
    graph_check.check_signature(path, signature.graph.as_graph_def())
    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise EdgenetError(
            f"{path}: expected a model with one image input and one output of scores, "
            f"got {counted(len(inputs), 'input')} and {counted(len(outputs), 'output')}"
        )
    ((key, spec),), (result,) = inputs.items(), outputs

    def call(image: tf.Tensor, _keep_alive: Any = loaded) -> tf.Tensor:
        return signature(**{key: tf.cast(image, spec.dtype)})[result]

    return Signature(call, _dimensions(spec.shape), _dimensions(outputs[result].shape))


def copy(path: Path, folder: Path) -> str:
    """Copy a SavedModel into a folder. Returns the name of the copy in it."""
    files.copy_tree(path, folder / FOLDER)
    return FOLDER


def counted(count: int, thing: str) -> str:
    """A number and a noun: "1 input", "2 inputs"."""
    return f"{count} {thing}{'s' * (count != 1)}"


def _read(path: Path, expected: str) -> SavedModel:
    file = path / _FILE
    if not file.is_file():
        raise EdgenetError(f"{expected}, got: a folder without {_FILE}")
    if file.stat().st_size > _MAX_FILE:
        raise EdgenetError(f"{file}: larger than 2 GiB, which no SavedModel is; {container.COPY_AGAIN}")
    try:
        return SavedModel.FromString(file.read_bytes())
    except Exception as error:  # each version of protobuf has its own
        raise EdgenetError(f"{expected}, got: a damaged {_FILE}; save the model again") from error


def _check_variables(path: Path, size: int) -> None:
    """Raise EdgenetError if the stored variables declare more than their files can contain."""
    prefix = path / "variables" / "variables"
    if not prefix.with_suffix(".index").is_file():
        return  # a model of constants; TensorFlow raises an error if variables are missing
    try:
        reader = tf.train.load_checkpoint(str(prefix.resolve()))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except Exception as error:  # TensorFlow's C++ code has many
        raise EdgenetError(
            f"{prefix}.index: the file is damaged or only a part of one; {container.COPY_AGAIN}"
        ) from error
    declared = sum(tf.TensorShape(shape).num_elements() * (dtypes[name].size or 1) for name, shape in shapes.items())
    container.check_sizes(path, declared, size)


def _dimensions(shape: tf.TensorShape) -> tuple[int | None, ...]:
    return () if shape.rank is None else tuple(shape)
