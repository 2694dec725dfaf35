"""Loads SavedModel folders: the whole model is checked first, then one signature is used as the classifier."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.model import container, graph_check, integer_input, memory, random_scores
from edgenet.model.adapt import Network, several

FOLDER = "saved_model"
FILE = "saved_model.pb"
# The limit of protocol buffers.
_MAX_FILE = 2**31 - 1


def load(path: Path, expected: str, reason: Callable[[Exception], str]) -> Network:
    """Load a SavedModel.

    Args:
        path: The folder.
        expected: The beginning of messages about folders that are not SavedModels.
        reason: Makes one line of an exception of TensorFlow.

    Returns:
        The network of the signature `serving_default`, or else of the first one.

    Raises:
        EdgenetError: The model contains more than a classifier needs (raised before any of it runs), is damaged, has no
            signature with one input and one output, or gives random scores.
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
    network = _network(path, signature, loaded)
    if random_scores.is_random(signature, network):
        network = random_scores.without_training(path, loaded, network)
    return network


def _network(path: Path, signature: Any, loaded: Any) -> Network:
    inputs, outputs = dict(signature.structured_input_signature[1]), signature.structured_outputs
    # A switch between training and inference.
    switches = {key: spec for key, spec in inputs.items() if spec.dtype == tf.bool and spec.shape.rank in (0, None)}
    images = {key: spec for key, spec in inputs.items() if key not in switches}
    scores = {key: spec for key, spec in outputs.items() if key == "probabilities"} or outputs
    if len(images) != 1 or len(scores) != 1:
        raise several(str(path), len(images), len(outputs))
    ((key, spec),), (result,) = images.items(), scores
    off = {name: tf.constant(False) for name in switches}
    if spec.dtype.is_integer:
        return Network(
            str(path),
            integer_input.with_float_input(str(path), signature, result),
            _dimensions(spec.shape),
            _dimensions(outputs[result].shape),
            partial(copy, path),
            takes_pixels=True,
            variables=tuple(signature.variables),
        )

    def call(image: tf.Tensor, _keep_alive: Any = loaded) -> tf.Tensor:
        return signature(**{key: tf.cast(image, spec.dtype)}, **off)[result]

    return Network(
        str(path),
        call,
        _dimensions(spec.shape),
        _dimensions(outputs[result].shape),
        partial(copy, path),
        dtype=spec.dtype,
    )


def copy(path: Path, folder: Path) -> str:
    """Copy a SavedModel into a folder. Returns the name of the copy in it."""
    files.copy_tree(path, folder / FOLDER)
    return FOLDER


def _read(path: Path, expected: str) -> SavedModel:
    file = path / FILE
    if not file.is_file():
        raise EdgenetError(f"{expected}, got: a folder without {FILE}")
    if file.stat().st_size > _MAX_FILE:
        raise EdgenetError(f"{file}: larger than 2 GiB, which no SavedModel is; {container.COPY_AGAIN}")
    try:
        return SavedModel.FromString(file.read_bytes())
    except Exception as error:  # each version of protobuf has its own
        raise EdgenetError(f"{expected}, got: a damaged {FILE}; save the model again") from error


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
