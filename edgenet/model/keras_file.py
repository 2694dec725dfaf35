"""Reads .keras and .h5 files: their configuration is checked first, and only then does Keras build the model."""

import copy
import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import keras
import tensorflow as tf

from edgenet.errors import EdgenetError, first_line
from edgenet.model import config_repair, container, keras2, keras_config, memory
from edgenet.model.keras_config import EXPECTED

_CONFIG, _WEIGHTS, _METADATA = "config.json", "model.weights.h5", "metadata.json"
_MEMBERS = (_METADATA, _CONFIG, _WEIGHTS)
_SUFFIXES = {container.ZIP: (".keras",), container.HDF5: (".h5", ".hdf5")}


@dataclass(frozen=True)
class Options:
    """How a file is read.

    Attributes:
        keep_config: Whether to leave the configuration as it is, with layers that only matter in training.
        drop_layer: Names or classes of layers without weights to leave out.
    """

    keep_config: bool = False
    drop_layer: tuple[str, ...] = ()


DEFAULT = Options()


@dataclass(frozen=True)
class StoredModel:
    """A model from a file.

    Attributes:
        model: A `keras.Model` or, from a file of Keras 2, a `tf_keras.Model`.
        notes: What the user should know about how it was loaded, one sentence each.
        integer_input: Whether its input had an integer type, as of raw pixels.
    """

    model: Any
    notes: tuple[str, ...] = ()
    integer_input: bool = False


def read(path: Path, options: Options = DEFAULT) -> StoredModel:
    """Load the model in a .keras or .h5 file. The content of the file decides which of them it is, not its suffix.

    Args:
        path: The file.
        options: What to do with its configuration.

    Raises:
        EdgenetError: The file is damaged, has only weights, or names anything but Keras' own layers.
    """
    kind = container.file_kind(path)
    if kind is None:
        raise _damaged(path)
    with memory.limited(path.stat().st_size):
        try:
            stored = _zip_config(path) if kind == container.ZIP else _hdf5_config(path)
            repairs = _repair(path, stored, options)
            keras_config.check(path, stored.config, stored.writer)
            notes = repairs.notes + _notes(_in_float32(stored))
            if any("\\" in name for name in stored.renamed):
                notes += ("weights are named as on Windows, with backslashes, which are read as slashes",)
            keras_config.check_widths(path, stored.config, stored.array_bytes)
            model = _load(path, kind, stored)
        except EdgenetError:
            raise
        except container.DamagedError as error:
            raise _damaged(path) from error
        except Exception as error:  # zip, HDF5, Keras and TensorFlow each have exceptions of their own
            raise EdgenetError(f"{path}: {EXPECTED}, got: {reason(error)}") from error
    is_model = isinstance(model, keras.Model) or keras2.is_model(model)
    if not is_model or not getattr(model, "inputs", None):
        raise EdgenetError(f"{path}: {EXPECTED}, got: a model that was never built, or no model; save the model again")
    return StoredModel(model, notes, repairs.integer_input)


def from_memory(model: Any) -> StoredModel:
    """A model in memory, as `read` loads it from a file: a `keras.Model` or a `tf_keras.Model`.

    It is the model itself, unless it computes in float16 or bfloat16, or takes integers.
    """
    dtypes = {layer.compute_dtype for layer in _layers(model)}
    integer = any(tf.as_dtype(tensor.dtype).is_integer for tensor in model.inputs or ())
    if not integer and not dtypes & {"float16", "bfloat16"}:
        return StoredModel(model)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return read(path, Options(keep_config=True))


def _layers(layer: Any) -> Iterator[Any]:
    """A layer of Keras or tf-keras, the layers that it consists of, and the layer that it wraps."""
    yield layer
    for inner in [*getattr(layer, "layers", ()), getattr(layer, "layer", None)]:
        if hasattr(inner, "compute_dtype"):
            yield from _layers(inner)


def reason(error: Exception) -> str:
    """One line about an exception of Keras, TensorFlow, HDF5 or zipfile."""
    if isinstance(error, MemoryError) or "OOM when allocating" in str(error):
        return "a model that needs far more memory than the size of its file; it is damaged: copy or download it again"
    # Before the cause, Keras prints thousands of characters of configuration, TensorFlow the name of the operator:
    # {{function_node ...}} message
    cause = str(error).rpartition("Exception encountered: ")[2].strip()
    line = cause.splitlines()[0] if cause else first_line(error)
    line = line.rpartition("}} ")[2] or line
    if isinstance(
        error, (LookupError, AttributeError, AssertionError)
    ):  # about the library's own code, no help to a user
        line = f"a damaged model ({type(error).__name__}: {line})"
    return container.printable(line, max_length=300)


def _damaged(path: Path) -> EdgenetError:
    if kind := container.other_model(path):
        return EdgenetError(f"{path}: {EXPECTED}, got: {kind}")
    kind = "no HDF5 file" if path.suffix in (".h5", ".hdf5") else "another file"
    return EdgenetError(f"{path}: {EXPECTED}, got: {kind}, or only a part of one; save the model again")


def _notes(replaced: set[str]) -> tuple[str, ...]:
    if not replaced:
        return ()
    # A mixed policy comes with the dtype of its computations.
    policies = [name for name in sorted(replaced) if name.startswith("mixed_")] or sorted(replaced)
    return (
        f"the model was saved with the dtype policy {', '.join(policies)}, which TensorFlow's converter cannot "
        "convert: its weights are loaded with the policy float32",
    )


def _in_float32(stored: "_Stored") -> set[str]:
    replaced = keras_config.in_float32(stored.config)
    stored.changed = stored.changed or bool(replaced)
    return replaced


def _repair(path: Path, stored: "_Stored", options: Options) -> config_repair.Repairs:
    """Repair the configuration, as far as the options want it."""
    for name in options.drop_layer:
        names = config_repair.names_of(stored.config, name)
        if not names:
            raise EdgenetError(f"{path}: the model has no layer of this name or class: {name}", parameter="drop_layer")
        if names & stored.with_weights:
            raise EdgenetError(
                f"{path}: the layer {name} has weights, so leaving it out would change what the model computes",
                parameter="drop_layer",
            )
    before = copy.deepcopy(stored.config)
    repairs = config_repair.repair(
        stored.config, options.drop_layer, training_only=not options.keep_config, writer=stored.writer
    )
    stored.changed = stored.config != before
    return repairs


@dataclass
class _Stored:
    """What a file says about its model.

    Attributes:
        config: The configuration.
        writer: The major version of Keras that wrote the file.
        array_bytes: The bytes of the file's arrays in memory.
        with_weights: Names of groups that have arrays: those of layers, or of their classes.
        changed: Whether the configuration has changed.
        renamed: New names of groups, by the old ones, as Keras expects them.
    """

    config: dict[str, Any]
    writer: int
    array_bytes: int
    with_weights: set[str]
    changed: bool = False
    renamed: dict[str, str] = field(default_factory=dict)


def _zip_config(path: Path) -> _Stored:
    """What a .keras file says. Its weights are checked too."""
    container.check_zip(path)
    with zipfile.ZipFile(path) as archive:
        for name in (_CONFIG, _WEIGHTS):
            if name not in archive.namelist():
                raise EdgenetError(f"{path}: {EXPECTED}, got: an archive without {name}; save the model again")
        container.check_zip(path, _MEMBERS)
        config = keras_config.parse(path, archive.read(_CONFIG))
        weights = io.BytesIO(archive.read(_WEIGHTS))
        try:
            array_bytes = container.check_hdf5(path, weights)
        except container.DamagedError as error:
            raise EdgenetError(f"{path}: {EXPECTED}, got: damaged weights; save the model again") from error
        version = json.loads(archive.read(_METADATA)).get("keras_version") if _METADATA in archive.namelist() else None
    with h5py.File(weights, "r") as file:
        groups = _groups_with_arrays(file)
        renamed = {name: new for name in file if (new := _group_name(name)) != name}
    # Keras calls the group of a layer by its class and a number: conv2d_1.
    classes = {re.sub(r"_\d+$", "", name) for name in groups}
    named = {
        name for name in config_repair.class_names(config) if keras.src.utils.naming.to_snake_case(name) in classes
    }
    return _Stored(config, _writer(version, config), array_bytes, groups | named, renamed=renamed)


def _group_name(name: str) -> str:
    """The name of a group as Keras looks it up: Keras 2 wrote backslashes on Windows; 2.12 had other names."""
    return name.replace("\\", "/").replace("_layer_checkpoint_dependencies", "layers")


def _hdf5_config(path: Path) -> _Stored:
    """What an .h5 file says. Its weights are checked too."""
    array_bytes = container.check_hdf5(path)
    with h5py.File(path, "r") as file:
        text, version = file.attrs.get("model_config"), file.attrs.get("keras_version")
        groups = _groups_with_arrays(file["model_weights"]) if "model_weights" in file else set()
    if text is None:
        raise EdgenetError(
            f"{path}: {EXPECTED}, got: weights only, without the network; save the whole model, with "
            "model.save, or use weights= for those of a MobileNetV1"
        )
    config = keras_config.parse(path, text)
    return _Stored(config, _writer(version, config), array_bytes, groups)


def _groups_with_arrays(file: h5py.Group) -> set[str]:
    """The names of all groups that have arrays in them, at any depth."""
    names: set[str] = set()

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            names.update(part for part in _group_name(name).split("/")[:-1])

    file.visititems(visit)
    return names


def _writer(version: object, config: dict[str, Any]) -> int:
    """The major version of Keras that wrote a file: as it says itself, or as the form of its configuration tells."""
    text = version.decode(errors="replace") if isinstance(version, bytes) else str(version)
    if match := re.match(r"(\d+)\.", text):
        return int(match.group(1))
    return 3 if '"DTypePolicy"' in json.dumps(config) else 2


def _load(path: Path, kind: str, stored: _Stored) -> Any:
    """Let Keras build the model: from a copy if the suffix misleads Keras, or if something in the file was changed."""
    if not stored.changed and not stored.renamed and path.suffix in _SUFFIXES[kind]:
        return _build(path, path, stored.writer)
    with TemporaryDirectory() as folder:
        copied = Path(folder) / f"model{_SUFFIXES[kind][0]}"
        shutil.copyfile(path, copied)
        _replace(copied, kind, stored)
        return _build(copied, path, stored.writer)


def _build(path: Path, source: Path, writer: int) -> Any:
    if writer < 3:
        return keras2.load(path, source)
    return keras.models.load_model(path, compile=False, safe_mode=True)


def _replace(path: Path, kind: str, stored: _Stored) -> None:
    """Write the configuration, and the names of the groups, into a file."""
    text = json.dumps(stored.config).encode()
    if kind == container.HDF5:
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = text
        return
    with zipfile.ZipFile(path) as archive:
        members: dict[str, bytes] = {name: archive.read(name) for name in archive.namelist()}
    members[_CONFIG] = text
    if stored.renamed:
        weights = io.BytesIO(members[_WEIGHTS])
        with h5py.File(weights, "r+") as file:
            for old, new in stored.renamed.items():
                file.move(old, new)
        members[_WEIGHTS] = weights.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
