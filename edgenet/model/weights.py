"""Reads and writes weights of MobileNetV1: edgenet's own files (.npz), and those of Keras (.h5)."""

import io
from pathlib import Path

import keras
import numpy as np

from edgenet.errors import EdgenetError
from edgenet.images.bundled import SPEC, WEIGHTS
from edgenet.model import keras_file, memory, mobilenet, weight_file
from edgenet.model.weight_file import ANY_SPEC, ExpectedSpec

__all__ = ["ExpectedSpec", "assign", "bundled", "load", "to_bytes"]


def to_bytes(model: keras.Model) -> bytes:
    """The weights as the bytes of an .npz file, with arrays named `layer/variable`.

    Kernels, nearly all of the bytes, are stored as float16. The rest is stored as float32, since a small variance may
    be below the range of float16.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        **{
            name: variable.numpy().astype(np.float16 if name.endswith("kernel") else np.float32)
            for name, variable in _variables(model).items()
        },
    )
    return buffer.getvalue()


def assign(model: keras.Model, path: Path) -> None:
    """Set the weights of `model`, in place, from a file in the format of `to_bytes`.

    Raises:
        EdgenetError: The file is damaged, or of another architecture.
    """
    arrays, variables = weight_file.read_arrays(path), _variables(model)
    if arrays.keys() != variables.keys():
        name = sorted(arrays.keys() ^ variables.keys())[0]
        raise EdgenetError(f"{path}: expected the weights of {model.name}, got those of another model ({name} differs)")
    for name, variable in variables.items():
        if arrays[name].shape != tuple(variable.shape):
            raise EdgenetError(
                f"{path}: expected {name} of shape {tuple(variable.shape)} for {model.name}, got {arrays[name].shape}"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name].astype(np.float32))


def bundled() -> keras.Model:
    """The model that comes with edgenet."""
    model = mobilenet.build(SPEC)
    assign(model, WEIGHTS)
    return model


def load(path: Path, expected: ExpectedSpec = ANY_SPEC) -> keras.Model:
    """Build the MobileNetV1 of a weight file and load the weights.

    Args:
        path: An .npz, .h5 or .weights.h5 file. Alpha and classes are read from it, the size from its name if that ends
            like those of published weights (..._224_tf.h5, ..._96.npz).
        expected: What the model must be, and its size without such a name.

    Raises:
        EdgenetError: The file is damaged, or not as expected.
    """
    spec, headless = weight_file.read_spec(path, expected)
    with memory.limited(path.stat().st_size):
        keras.utils.set_random_seed(0)
        model = mobilenet.build(spec)
        target = keras.Model(model.input, model.get_layer("pool").output) if headless else model
        if path.suffix == ".npz":
            assign(target, path)
            return model
        try:
            target.load_weights(path)
        except Exception as error:  # Keras and HDF5 have many
            raise EdgenetError(
                f"{path}: expected the weights of {spec.name}, got others ({keras_file.reason(error)})"
            ) from error
    return model


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    return {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}
