"""Keras models in files: .keras, .h5 and SavedModel folders. Only networks of known layers and operators are loaded."""

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
from edgenet.model import keras_file, memory, range_detection, saved_model
from edgenet.model.classifier import Classifier
from edgenet.model.keras_config import EXPECTED
from edgenet.model.saved_model import counted
from edgenet.records import Preprocessing

KERAS_FILE, SAVED_MODEL = "model.keras", saved_model.FOLDER


def load(
    path: Path,
    *,
    declared: InputRange | None = None,
    order: str | None = None,
    size: tuple[int, int] | None = None,
    crop: float = 1.0,
) -> Classifier:
    """Read an image classifier: one image in, one row of scores out.

    declared: what its inputs are; found in the model, or [-1, 1], without. order: that of the channels, if another.
    size: height and width where the model leaves them free. crop: of `Preprocessing`.

    Raises EdgenetError when it is not such a model.
    """
    if not path.exists():
        raise EdgenetError(f"{path}: {EXPECTED}, found: nothing")
    if path.is_dir():
        return _of_saved_model(path, declared, order, size, crop)
    model, notes = keras_file.read(path)
    with memory.limited(path.stat().st_size):
        return _of_keras(model, str(path), declared, order, size, crop, notes)


def of_keras(
    model: keras.Model,
    name: str,
    *,
    declared: InputRange | None = None,
    order: str | None = None,
    size: tuple[int, int] | None = None,
    crop: float = 1.0,
) -> Classifier:
    """A Keras model in memory as a classifier. Raises EdgenetError as `load` does."""
    model, notes = keras_file.in_float32(model)
    return _of_keras(model, name, declared, order, size, crop, notes)


def _of_keras(
    model: keras.Model,
    name: str,
    declared: InputRange | None,
    order: str | None,
    size: tuple[int, int] | None,
    crop: float,
    notes: tuple[str, ...],
) -> Classifier:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise EdgenetError(
            f"{name}: expected a model of one image input and one output of scores, "
            f"found {counted(len(model.inputs), 'input')} and {counted(len(model.outputs), 'output')}"
        )
    shape = _checked(name, tuple(model.inputs[0].shape), tuple(model.outputs[0].shape), size)
    taken = _ordered(declared or range_detection.of(model, shape) or InputRange(), order)
    return Classifier(
        name,
        partial(model, training=False),
        taken.recipe(*shape, crop=crop),
        partial(_write_keras, model),
        notes,
    )


def reload(path: Path, recipe: Preprocessing) -> Classifier:
    """The classifier that `Classifier.save` wrote to `path`."""
    declared = InputRange(recipe.mean, recipe.std, recipe.order)
    return load(path, declared=declared, size=(recipe.height, recipe.width), crop=recipe.crop)


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


def _ordered(taken: InputRange, order: str | None) -> InputRange:
    return replace(taken, order=order) if order else taken


def _write_keras(model: keras.Model, folder: Path) -> str:
    (folder / KERAS_FILE).write_bytes(to_bytes(model))
    return KERAS_FILE


def _of_saved_model(
    path: Path, declared: InputRange | None, order: str | None, size: tuple[int, int] | None, crop: float
) -> Classifier:
    signature = saved_model.load(path, f"{path}: {EXPECTED}", keras_file.reason)
    shape = _checked(str(path), signature.input_shape, signature.output_shape, size)
    return Classifier(
        str(path),
        signature.call,
        _ordered(declared or InputRange(), order).recipe(*shape, crop=crop),
        partial(saved_model.copy, path),
    )


def _checked(name: str, taken: tuple, given: tuple, size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Height, width and channels of a model from (batch, height, width, channels) to (batch, classes)."""
    if len(taken) != 4 or taken[3] not in (1, 3):
        raise EdgenetError(
            f"{name}: expected an input of (batch, height, width, 3), or 1 for grey pictures, found {taken}"
        )
    if len(given) != 2 or given[1] is None or given[1] < 2:
        kind = "; a detector or a segmenter is none" if len(given) > 2 else ""
        raise EdgenetError(f"{name}: expected a classifier with an output of (batch, classes), found {given}{kind}")
    if taken[0] is not None:
        raise EdgenetError(f"{name}: expected an input with a free batch, found {taken}; save it with batch None")
    if size is None and None in taken[1:3]:
        raise EdgenetError(f"{name}: expected an input of a certain height and width, found {taken}; name it: --size")
    sides = tuple(fixed or wanted for fixed, wanted in zip(taken[1:3], size or taken[1:3], strict=True))
    if size not in (None, sides):
        raise EdgenetError(
            f"{name}: expected an input of {size[0]} x {size[1]} pixels, found {sides[0]} x {sides[1]}; "
            "leave --size out"
        )
    return *sides, taken[3]
