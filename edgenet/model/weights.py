"""Weight files of MobileNetV1: this project's own (.npz), and those of Keras and Keras Applications (.h5)."""

import io
from pathlib import Path

import keras
import numpy as np

from edgenet.errors import EdgenetError
from edgenet.images.bundled import SPEC, WEIGHTS
from edgenet.model import keras_file, memory, mobilenet, weight_file
from edgenet.model.weight_file import Wish

__all__ = ["Wish", "assign", "bundled", "load", "to_bytes"]


def to_bytes(model: keras.Model) -> bytes:
    """The weights as the bytes of an .npz file, by `layer/variable`.

    Kernels, nearly all of the bytes, are stored as float16; the rest, where a small variance may lie below float16's
    range, as float32.
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
    """Set the weights of `model`, in place, from a file that `to_bytes` made.

    Raises EdgenetError when the file is not such a file or belongs to another architecture.
    """
    arrays, variables = weight_file.arrays(path), _variables(model)
    if arrays.keys() != variables.keys():
        name = sorted(arrays.keys() ^ variables.keys())[0]
        raise EdgenetError(f"{path}: expected the weights of {model.name}, found another model's ({name} differs)")
    for name, variable in variables.items():
        if arrays[name].shape != tuple(variable.shape):
            raise EdgenetError(
                f"{path}: expected {name} of shape {tuple(variable.shape)} for {model.name}, found {arrays[name].shape}"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name].astype(np.float32))


def bundled() -> keras.Model:
    """The model that comes with edgenet."""
    model = mobilenet.build(SPEC)
    assign(model, WEIGHTS)
    return model


def load(path: Path, wish: Wish = weight_file.ANY) -> keras.Model:
    """Build the MobileNetV1 that a weight file is of, and give it the weights.

    Alpha and classes are found in the file; the size, which no weight depends on, in a name that ends like those of
    published weights (..._224_tf.h5, ..._96.npz), or it is what was wished for.

    Raises EdgenetError when the file is no such file, or not what was wished for.
    """
    spec, headless = weight_file.spec(path, wish)
    with memory.limited(path.stat().st_size):
        keras.utils.set_random_seed(0)
        model = mobilenet.build(spec)
        filled = keras.Model(model.input, model.get_layer("pool").output) if headless else model
        if path.suffix == ".npz":
            assign(filled, path)
            return model
        try:
            filled.load_weights(path)
        except Exception as error:  # Keras and HDF5 have many
            raise EdgenetError(
                f"{path}: expected the weights of {spec.name}, found others ({keras_file.reason(error)})"
            ) from error
    return model


def _variables(model: keras.Model) -> dict:
    return {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}
