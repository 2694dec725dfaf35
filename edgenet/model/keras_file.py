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
    """Read the model in a .keras or .h5 file; which of them it is, is told by its content, not by its suffix.

    Returns the model, and what a user should know of how it was loaded. Raises EdgenetError when the file is damaged,
    holds no whole model, or names anything but Keras' own layers.
    """
    kind = container.kind_of(path)
    if kind is None:
        raise _damaged(path)
    with memory.limited(path.stat().st_size):
        try:
            config = _zip_config(path) if kind == container.ZIP else _hdf5_config(path)
            lowered = keras_config.in_float32(config)
            model = _load(path, kind, config if lowered else None)
        except EdgenetError:
            raise
        except container.DamagedError as error:
            raise _damaged(path) from error
        except Exception as error:  # zip, HDF5, Keras and TensorFlow each have exceptions of their own
            raise EdgenetError(f"{path}: {EXPECTED}, found: {reason(error)}") from error
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise EdgenetError(
            f"{path}: {EXPECTED}, found: a model that was never built, or no model; save the model again"
        )
    return model, _notes(lowered)


def in_float32(model: keras.Model) -> tuple[keras.Model, tuple[str, ...]]:
    """The same model, computing in float32 where it computes in float16 or bfloat16; and notes as of `read`.

    A model that computes in float32 is returned itself.
    """
    if all(layer.compute_dtype not in ("float16", "bfloat16") for layer in _layers(model)):
        return model, ()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return read(path)


def _layers(layer: keras.Layer) -> Iterator[keras.Layer]:
    """A layer, those that it consists of, and that which it wraps."""
    yield layer
    for inner in [*getattr(layer, "layers", ()), getattr(layer, "layer", None)]:
        if isinstance(inner, keras.Layer):
            yield from _layers(inner)


def reason(error: Exception) -> str:
    """One line on what a library raised."""
    if isinstance(error, MemoryError) or "OOM when allocating" in str(error):
        return "a model that needs far more memory than its file is large; it is damaged: copy or download it again"
    if "safe_mode" in str(error):
        return "a Lambda layer; edgenet runs no code out of a model file"
    # Keras puts its configuration, thousands of characters, before the cause, TensorFlow the operator's place:
    # {{function_node ...}} message
    cause = str(error).rpartition("Exception encountered: ")[2].strip()
    line = cause.splitlines()[0] if cause else first_line(error)
    line = line.rpartition("}} ")[2] or line
    if isinstance(error, (LookupError, AttributeError, AssertionError)):  # of the library's own code, not for readers
        line = f"a damaged model ({type(error).__name__}: {line})"
    return container.shown(line, longest=300)


def _damaged(path: Path) -> EdgenetError:
    what = "no HDF5 file" if path.suffix in (".h5", ".hdf5") else "another file"
    return EdgenetError(f"{path}: {EXPECTED}, found: {what}, or only a part of one; save the model again")


def _notes(lowered: set[str]) -> tuple[str, ...]:
    if not lowered:
        return ()
    # A mixed policy comes with the type that it computes in.
    policies = [name for name in sorted(lowered) if name.startswith("mixed_")] or sorted(lowered)
    return (
        f"the model was saved with the dtype policy {', '.join(policies)}, which TensorFlow's converter cannot "
        "convert: its weights are loaded with the policy float32",
    )


def _zip_config(path: Path) -> dict:
    """The configuration in a .keras file, whose weights are checked too."""
    container.check_zip(path)
    with zipfile.ZipFile(path) as archive:
        for name in (_CONFIG, _WEIGHTS):
            if name not in archive.namelist():
                raise EdgenetError(f"{path}: {EXPECTED}, found: an archive without {name}; save the model again")
        container.check_zip(path, _MEMBERS)
        config = keras_config.read(path, archive.read(_CONFIG))
        try:
            stored = container.check_hdf5(path, io.BytesIO(archive.read(_WEIGHTS)))
        except container.DamagedError as error:
            raise EdgenetError(f"{path}: {EXPECTED}, found: damaged weights; save the model again") from error
    keras_config.check_widths(path, config, stored)
    return config


def _hdf5_config(path: Path) -> dict:
    """The configuration in an .h5 file, whose weights are checked too."""
    stored = container.check_hdf5(path)
    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    if text is None:
        raise EdgenetError(f"{path}: {EXPECTED}, found: weights alone; name them with --weights")
    config = keras_config.read(path, text)
    keras_config.check_widths(path, config, stored)
    return config


def _load(path: Path, kind: str, config: dict | None) -> keras.Model:
    """Let Keras build the model: out of a copy where its suffix misleads Keras, or another configuration is wanted."""
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
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**members, _CONFIG: text}.items():
            archive.writestr(name, data)
