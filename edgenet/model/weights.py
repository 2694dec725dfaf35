"""The bundled weights: one .npz with an array for each variable, convolution kernels as float16."""

import io
from pathlib import Path

import keras
import numpy as np

from edgenet.bundled import SPEC, WEIGHTS
from edgenet.errors import EdgenetError
from edgenet.model import mobilenet


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


def load(model: keras.Model, path: Path) -> None:
    """Set the weights of `model`, in place, from a file that `to_bytes` made.

    Raises EdgenetError when the file is not such a file or belongs to another architecture.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:
        raise EdgenetError(f"{path}: expected a weight file, found none") from error
    except Exception as error:  # a damaged .npz fails in as many ways as zip, zlib and numpy have
        raise EdgenetError(f"{path}: expected a weight file (.npz), found something else ({error})") from error
    variables = _variables(model)
    if arrays.keys() != variables.keys():
        name = sorted(arrays.keys() ^ variables.keys())[0]
        raise EdgenetError(f"{path}: expected the weights of {model.name}, found another model's ({name} differs)")
    for name, variable in variables.items():
        if arrays[name].shape != tuple(variable.shape):
            raise EdgenetError(
                f"{path}: expected {name} of shape {tuple(variable.shape)} for {model.name}, "
                f"found {arrays[name].shape}; the file was made for another alpha, size or number of classes"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name].astype(np.float32))


def bundled() -> keras.Model:
    """The model that comes with edgenet."""
    model = mobilenet.build(SPEC)
    load(model, WEIGHTS)
    return model


def _variables(model: keras.Model) -> dict:
    return {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}
