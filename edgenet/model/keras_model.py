"""Keras models in files: .keras, .h5 and SavedModel folders. Nothing in a file runs code."""

import json
import re
import shutil
import zipfile
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import keras
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from edgenet.errors import EdgenetError, first_line
from edgenet.input_range import InputRange
from edgenet.model import own_range
from edgenet.model.classifier import Classifier
from edgenet.records import Preprocessing

KERAS_FILE, SAVED_MODEL = "model.keras", "saved_model"
_EXPECTED = "expected a Keras image classifier (.keras, .h5 or a SavedModel folder)"
_AGAIN = "save the model again"
# What a graph can do to the machine it runs on, beside computing.
_DANGEROUS = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "PrintV2"}
_DANGEROUS |= {"CreateSummaryFileWriter", "CreateSummaryDbWriter"}
# Every SavedModel has these, for loading and saving itself; its scores need none.
_FILES = {"Save", "SaveV2", "SaveSlices", "Restore", "RestoreV2", "RestoreSlice", "MergeV2Checkpoints"}


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
        raise EdgenetError(f"{path}: {_EXPECTED}, found: nothing")
    if path.is_dir():
        return _saved_model(path, declared, order, size, crop)
    return of_keras(_read(path), str(path), declared=declared, order=order, size=size, crop=crop)


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
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise EdgenetError(
            f"{name}: expected a model of one image input and one output of scores, "
            f"found {_some(len(model.inputs), 'input')} and {_some(len(model.outputs), 'output')}"
        )
    shape = _checked(name, tuple(model.inputs[0].shape), tuple(model.outputs[0].shape), size)
    taken = _ordered(declared or own_range.of(model, shape) or InputRange(), order)
    return Classifier(
        name,
        partial(model, training=False),
        taken.recipe(*shape, crop=crop),
        partial(_write_keras, model),
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


def _read(path: Path) -> keras.Model:
    expected = f"{path}: {_EXPECTED}"
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise EdgenetError(f"{expected}, found: another file, or only a part of one; {_AGAIN}")
    if path.suffix in (".h5", ".hdf5"):
        _check_h5(path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zip, JSON, HDF5 and Keras each have exceptions of their own
        raise EdgenetError(f"{expected}, found: {_reason(error)}") from error
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise EdgenetError(f"{expected}, found: a model that was never built, or no model; {_AGAIN}")
    return model


def _check_h5(path: Path) -> None:
    """Raise EdgenetError for an HDF5 file that holds no model, or code: Keras' safe mode looks at .keras files only."""
    try:
        with h5py.File(path) as file:
            config = file.attrs.get("model_config")
    except OSError as error:
        raise EdgenetError(f"{path}: {_EXPECTED}, found: no HDF5 file, or only a part of one; {_AGAIN}") from error
    if config is None:
        raise EdgenetError(f"{path}: {_EXPECTED}, found: weights alone; name them with --weights")
    text = config.decode(errors="replace") if isinstance(config, bytes) else str(config)
    if re.search(r'"class_name":\s*"(Lambda|TFSMLayer)"', text):
        raise EdgenetError(f"{path}: {_EXPECTED}, found: a Lambda layer; edgenet runs no code out of a model file")


def _saved_model(
    path: Path, declared: InputRange | None, order: str | None, size: tuple[int, int] | None, crop: float
) -> Classifier:
    expected = f"{path}: {_EXPECTED}"
    try:
        graph = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    except FileNotFoundError as error:
        raise EdgenetError(f"{expected}, found: a folder without saved_model.pb") from error
    except Exception as error:  # protobuf has an exception of its own in each of its versions
        raise EdgenetError(f"{expected}, found: a damaged saved_model.pb; {_AGAIN}") from error
    for meta in graph.meta_graphs:
        _check_harmless(path, meta.graph_def, _DANGEROUS)
    try:
        loaded = tf.saved_model.load(str(path))
        signatures = dict(loaded.signatures)
    except Exception as error:
        raise EdgenetError(f"{expected}, found: {_reason(error)}") from error
    signature = signatures.get("serving_default") or next(iter(signatures.values()), None)
    if signature is None:
        raise EdgenetError(f"{expected}, found: a SavedModel without a signature; export it with model.export")
    _check_harmless(path, signature.graph.as_graph_def(), _DANGEROUS | _FILES)
    taken, given = signature.structured_input_signature[1], signature.structured_outputs
    if len(taken) != 1 or len(given) != 1:
        raise EdgenetError(
            f"{path}: expected a model of one image input and one output of scores, "
            f"found {_some(len(taken), 'input')} and {_some(len(given), 'output')}"
        )
    ((key, spec),), (result,) = taken.items(), given
    shape = _checked(str(path), _sides(spec.shape), _sides(given[result].shape), size)

    def call(image, _keep_alive=loaded):
        return signature(**{key: tf.cast(image, spec.dtype)})[result]

    return Classifier(
        str(path),
        call,
        _ordered(declared or InputRange(), order).recipe(*shape, crop=crop),
        partial(_copy_folder, path),
    )


def _check_harmless(path: Path, graph, refused: set[str]) -> None:
    """Raise EdgenetError for a graph that can touch files or run code."""
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    found = sorted({node.op for node in nodes} & refused)
    if found:
        why = "edgenet runs no code out of a model file, and lets none touch files"
        raise EdgenetError(f"{path}: {_EXPECTED}, found: {found[0]}; {why}")


def _sides(shape: tf.TensorShape) -> tuple:
    return () if shape.rank is None else tuple(shape)


def _copy_folder(path: Path, folder: Path) -> str:
    shutil.copytree(path, folder / SAVED_MODEL)
    return SAVED_MODEL


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


def _some(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _reason(error: Exception) -> str:
    """One line of what a library says."""
    reason = first_line(error)
    if "safe_mode" in str(error) or "Lambda" in reason:
        return "a Lambda layer; edgenet runs no code out of a model file"
    return reason
