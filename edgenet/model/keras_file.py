"""Reads .keras and .h5 files: their configuration is checked first, and only then does Keras build the model."""

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import keras

from edgenet.errors import EdgenetError, first_line
from edgenet.model import container, keras_config, memory
from edgenet.model.keras_config import EXPECTED

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = ("metadata.json", _CONFIG, _WEIGHTS)
_SUFFIXES = {container.ZIP: (".keras",), container.HDF5: (".h5", ".hdf5")}


def read(path: Path) -> tuple[keras.Model, tuple[str, ...]]:
    """Load the model in a .keras or .h5 file. The content of the file decides which of them it is, not its suffix.

    Returns:
        The model, and what the user should know about how it was loaded, one sentence each.

    Raises:
        EdgenetError: The file is damaged, has only weights, or names anything but Keras' own layers.
    """
    kind = container.file_kind(path)
    if kind is None:
        raise _damaged(path)
    with memory.limited(path.stat().st_size):
        try:
            config = _zip_config(path) if kind == container.ZIP else _hdf5_config(path)
            policies = keras_config.in_float32(config)
            model = _load(path, kind, config if policies else None)
        except EdgenetError:
            raise
        except container.DamagedError as error:
            raise _damaged(path) from error
        except Exception as error:  # zip, HDF5, Keras and TensorFlow each have exceptions of their own
            raise EdgenetError(f"{path}: {EXPECTED}, got: {reason(error)}") from error
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise EdgenetError(f"{path}: {EXPECTED}, got: a model that was never built, or no model; save the model again")
    return model, _notes(policies)


def in_float32(model: keras.Model) -> tuple[keras.Model, tuple[str, ...]]:
    """The same model with all computations in float32, for models that use float16 or bfloat16.

    Returns:
        The model itself if it uses float32, else a copy; and notes as those of `read`.
    """
    if all(layer.compute_dtype not in ("float16", "bfloat16") for layer in _layers(model)):
        return model, ()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return read(path)


def _layers(layer: keras.Layer) -> Iterator[keras.Layer]:
    """A layer, the layers that it consists of, and the layer that it wraps."""
    yield layer
    for inner in [*getattr(layer, "layers", ()), getattr(layer, "layer", None)]:
        if isinstance(inner, keras.Layer):
            yield from _layers(inner)


def reason(error: Exception) -> str:
    """One line about an exception of Keras, TensorFlow, HDF5 or zipfile."""
    if isinstance(error, MemoryError) or "OOM when allocating" in str(error):
        return "a model that needs far more memory than the size of its file; it is damaged: copy or download it again"
    if "safe_mode" in str(error):
        return "a Lambda layer; edgenet runs no code from model files"
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


def _zip_config(path: Path) -> dict:
    """The configuration in a .keras file. Its weights are checked too."""
    container.check_zip(path)
    with zipfile.ZipFile(path) as archive:
        for name in (_CONFIG, _WEIGHTS):
            if name not in archive.namelist():
                raise EdgenetError(f"{path}: {EXPECTED}, got: an archive without {name}; save the model again")
        container.check_zip(path, _MEMBERS)
        config = keras_config.read(path, archive.read(_CONFIG))
        try:
            stored = container.check_hdf5(path, io.BytesIO(archive.read(_WEIGHTS)))
        except container.DamagedError as error:
            raise EdgenetError(f"{path}: {EXPECTED}, got: damaged weights; save the model again") from error
    keras_config.check_widths(path, config, stored)
    return config


def _hdf5_config(path: Path) -> dict:
    """The configuration in an .h5 file. Its weights are checked too."""
    stored = container.check_hdf5(path)
    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    if text is None:
        raise EdgenetError(f"{path}: {EXPECTED}, got: weights only; use weights= for them")
    config = keras_config.read(path, text)
    keras_config.check_widths(path, config, stored)
    return config


def _load(path: Path, kind: str, config: dict | None) -> keras.Model:
    """Let Keras build the model: from a copy if the suffix misleads Keras, or if another configuration is needed."""
    if config is None and path.suffix in _SUFFIXES[kind]:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / f"model{_SUFFIXES[kind][0]}"
        shutil.copyfile(path, copy)
        if config is not None:
            _replace_config(copy, kind, json.dumps(config))
        return keras.models.load_model(copy, compile=False, safe_mode=True)


def _replace_config(path: Path, kind: str, text: str) -> None:
    if kind == container.HDF5:
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = text.encode()
        return
    with zipfile.ZipFile(path) as archive:
        members: dict[str, bytes] = {name: archive.read(name) for name in archive.namelist()}
    members[_CONFIG] = text.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
