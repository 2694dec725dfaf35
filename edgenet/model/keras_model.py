"""Keras models as files, and their scores."""

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import tensorflow as tf

from edgenet import images
from edgenet.errors import EdgenetError


def load(path: Path) -> keras.Model:
    """Read a .keras file of an image classifier: one square RGB image in, one row of scores out.

    Nothing in the file runs code (Keras' safe mode). Raises EdgenetError when it is not such a model.
    """
    expected = f"{path}: expected a Keras model (.keras)"
    if not path.is_file():
        raise EdgenetError(f"{expected}, found: {'a folder' if path.is_dir() else 'nothing'}")
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise EdgenetError(f"{expected}, found: another file, or only a part of one; save the model again")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zip, JSON, HDF5 and Keras each have exceptions of their own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "safe_mode" in reason:
            reason = "a Lambda layer; edgenet runs no code out of a model file"
        raise EdgenetError(f"{expected}, found: {reason}") from error
    check(model, str(path))
    return model


def check(model: keras.Model, name: str) -> None:
    """Raise EdgenetError unless `model` takes (batch, size, size, 3), gives (batch, classes), and is finite."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise EdgenetError(
            f"{name}: expected a model of one image input and one output of scores, "
            f"found {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    taken, given = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    if len(taken) != 4 or taken[1] is None or taken[1] != taken[2] or taken[3] != 3:
        raise EdgenetError(f"{name}: expected an input of (batch, size, size, 3), found {taken}")
    if len(given) != 2 or given[1] is None or given[1] < 2:
        raise EdgenetError(f"{name}: expected an output of (batch, classes), found {given}")
    for layer in model.layers:
        for variable in layer.weights:
            if not np.isfinite(variable.numpy()).all():
                raise EdgenetError(
                    f"{name}: expected finite weights, found NaN or infinity in {layer.name}; train it again"
                )


def to_bytes(model: keras.Model) -> bytes:
    """The model as the bytes of a .keras file, the same for the same model.

    Keras writes the date into it, and objects' addresses as their identities.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    metadata.pop("date_saved", None)
    members["metadata.json"] = json.dumps(metadata).encode()
    numbers = {}
    members["config.json"] = re.sub(
        rb'(?<="shared_object_id": )\d+',
        lambda found: b"%d" % numbers.setdefault(found.group(), len(numbers)),
        members["config.json"],
    )
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])
    return buffer.getvalue()


def scorer(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function from uint8 pictures (n, size, size, 3) to the model's float32 scores (n, classes)."""
    size = model.inputs[0].shape[1]
    signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
    graph = tf.function(lambda image: model(image, training=False), input_signature=signature, autograph=False)
    return lambda pixels: graph(images.normalize(pixels)).numpy()


def scores(model: keras.Model, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The scores of each batch of uint8 pictures (n, size, size, 3), as float32 (n, classes)."""
    return map(scorer(model), batches)
