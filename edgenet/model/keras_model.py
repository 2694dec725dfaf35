"""Loads Keras classifiers from .keras and .h5 files, SavedModel folders and memory.

Of files, only networks of known layers and operators are loaded: a model file cannot run code.
"""

import json
import re
import zipfile
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import keras

from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.model import keras_file, memory, saved_model
from edgenet.model.classifier import KerasClassifier
from edgenet.model.keras_config import EXPECTED
from edgenet.model.range_detection import detect_input_range
from edgenet.model.saved_model import counted
from edgenet.records import Preprocessing

KERAS_FILE, SAVED_MODEL = "model.keras", saved_model.FOLDER

Shape = tuple[int | None, ...]


def load(
    path: Path,
    *,
    input_range: InputRange | None = None,
    channel_order: str | None = None,
    size: tuple[int, int] | None = None,
    crop: float = 1.0,
) -> KerasClassifier:
    """Load an image classifier: one image in, one row of scores out.

    Args:
        path: A .keras or .h5 file, or a SavedModel folder.
        input_range: What the model expects; by default detected from its first layers, else -1 to 1.
        channel_order: RGB or BGR, if other than in `input_range`.
        size: Height and width, for a model that leaves them free.
        crop: As in `Preprocessing`.

    Raises:
        EdgenetError: The file is damaged, contains more than such a model, or a model of another kind.
    """
    if not path.exists():
        raise EdgenetError(f"{path}: no such file or folder; give a Keras image classifier")
    if path.is_dir():
        return _from_saved_model(path, input_range, channel_order, size, crop)
    model, notes = keras_file.read(path)
    with memory.limited(path.stat().st_size):
        return _from_keras(model, str(path), input_range, channel_order, size, crop, notes)


def from_keras(
    model: keras.Model,
    name: str,
    *,
    input_range: InputRange | None = None,
    channel_order: str | None = None,
    size: tuple[int, int] | None = None,
    crop: float = 1.0,
) -> KerasClassifier:
    """A classifier from a Keras model in memory.

    Args:
        model: One image in, one row of scores out.
        name: For messages.
        input_range: As in `load`, like the following.
        channel_order: As in `load`.
        size: As in `load`.
        crop: As in `load`.

    Raises:
        EdgenetError: The model is of another kind.
    """
    model, notes = keras_file.in_float32(model)
    return _from_keras(model, name, input_range, channel_order, size, crop, notes)


def _from_keras(
    model: keras.Model,
    name: str,
    input_range: InputRange | None,
    channel_order: str | None,
    size: tuple[int, int] | None,
    crop: float,
    notes: tuple[str, ...],
) -> KerasClassifier:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise EdgenetError(
            f"{name}: expected a model with one image input and one output of scores, "
            f"got {counted(len(model.inputs), 'input')} and {counted(len(model.outputs), 'output')}"
        )
    shape = _image_shape(name, tuple(model.inputs[0].shape), tuple(model.outputs[0].shape), size)
    expected = _in_order(input_range or detect_input_range(model, shape) or InputRange(), channel_order)
    return KerasClassifier(
        name,
        partial(model, training=False),
        expected.recipe(*shape, crop=crop),
        partial(_write_keras, model),
        notes,
    )


def reload(path: Path, recipe: Preprocessing) -> KerasClassifier:
    """The classifier that `KerasClassifier.save` wrote to `path`, with the same recipe."""
    input_range = InputRange(recipe.mean, recipe.std, recipe.order)
    return load(path, input_range=input_range, size=(recipe.height, recipe.width), crop=recipe.crop)


def to_bytes(model: keras.Model) -> bytes:
    """The model as the bytes of a .keras file, always the same bytes for the same model.

    Keras writes the date into the file, and the addresses of objects as their identities; these are replaced.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    metadata.pop("date_saved", None)
    members["metadata.json"] = json.dumps(metadata).encode()
    numbers: dict[bytes, int] = {}
    members["config.json"] = re.sub(
        rb'(?<="shared_object_id": )\d+',
        lambda match: b"%d" % numbers.setdefault(match.group(), len(numbers)),
        members["config.json"],
    )
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])
    return buffer.getvalue()


def _in_order(input_range: InputRange, channel_order: str | None) -> InputRange:
    return replace(input_range, order=channel_order) if channel_order else input_range


def _write_keras(model: keras.Model, folder: Path) -> str:
    (folder / KERAS_FILE).write_bytes(to_bytes(model))
    return KERAS_FILE


def _from_saved_model(
    path: Path, input_range: InputRange | None, channel_order: str | None, size: tuple[int, int] | None, crop: float
) -> KerasClassifier:
    signature = saved_model.load(path, f"{path}: {EXPECTED}", keras_file.reason)
    shape = _image_shape(str(path), signature.input_shape, signature.output_shape, size)
    return KerasClassifier(
        str(path),
        signature.call,
        _in_order(input_range or InputRange(), channel_order).recipe(*shape, crop=crop),
        partial(saved_model.copy, path),
    )


def _image_shape(
    name: str, input_shape: Shape, output_shape: Shape, size: tuple[int, int] | None
) -> tuple[int, int, int]:
    """Height, width and channels of a model from (batch, height, width, channels) to (batch, classes).

    Raises EdgenetError if it is another kind of model, or `size` does not fit.
    """
    if len(input_shape) != 4 or input_shape[3] not in (1, 3):
        raise EdgenetError(
            f"{name}: expected an input of (batch, height, width, 3), or 1 for grey images, got {input_shape}"
        )
    if len(output_shape) != 2 or output_shape[1] is None or output_shape[1] < 2:
        kind = "; detectors and segmentation models are not classifiers" if len(output_shape) > 2 else ""
        raise EdgenetError(
            f"{name}: expected a classifier with an output of (batch, classes), got {output_shape}{kind}"
        )
    if input_shape[0] is not None:
        raise EdgenetError(
            f"{name}: the batch size of the input is fixed, got {input_shape}; save the model with batch size None"
        )
    height, width = (fixed or given for fixed, given in zip(input_shape[1:3], size or (None, None), strict=True))
    if height is None or width is None:
        raise EdgenetError(
            f"{name}: the height and width of the input are free, got {input_shape}; set them, for instance size=224"
        )
    if size not in (None, (height, width)):
        given = f"{size[0]} x {size[1]}" if size else ""
        raise EdgenetError(f"{name}: the model's input is {height} x {width} pixels, not {given}; leave size= out")
    return height, width, input_shape[3]
