"""Weight files of MobileNetV1: this project's own (.npz), and those of Keras and Keras Applications (.h5)."""

import io
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import keras
import numpy as np

from edgenet.bundled import SPEC, WEIGHTS
from edgenet.errors import EdgenetError, first_line
from edgenet.model import mobilenet
from edgenet.model.architecture import BLOCKS, STEM_FILTERS, scaled
from edgenet.records import ModelSpec


@dataclass(frozen=True)
class Wish:
    """What was said of a model whose weights are in a file; None: what the file says.

    head: whether a file without the last layer may get an untrained one.
    """

    size: int | None = None
    alpha: float | None = None
    classes: int | None = None
    head: bool = False


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
    arrays, variables = _arrays(path), _variables(model)
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


def load(path: Path, wish: Wish = Wish()) -> keras.Model:
    """Build the MobileNetV1 that a weight file is of, and give it the weights.

    Alpha and classes are found in the file; the size, which no weight depends on, in a name that ends like those of
    published weights (..._224_tf.h5, ..._96.npz), or it is what was wished for.

    Raises EdgenetError when the file is no such file, or not what was wished for.
    """
    shapes = _shapes(path)
    spec, headless = _spec(path, shapes, wish)
    if wish.head and not headless:
        raise EdgenetError(f"{path}: expected weights without the last layer, found those with; leave --fresh-head out")
    if headless and not wish.head:
        raise EdgenetError(
            f"{path}: expected weights with the last layer, found those without; train a model with it, or, to measure "
            "latency alone, take an untrained layer: --fresh-head"
        )
    keras.utils.set_random_seed(0)
    model = mobilenet.build(spec)
    filled = keras.Model(model.input, model.get_layer("pool").output) if headless else model
    if path.suffix == ".npz":
        assign(filled, path)
    else:
        try:
            filled.load_weights(path)
        except Exception as error:  # Keras and HDF5 have many
            raise EdgenetError(
                f"{path}: expected the weights of {spec.name}, found others ({first_line(error)})"
            ) from error
    return model


def _spec(path: Path, shapes: list[tuple[int, ...]], wish: Wish) -> tuple[ModelSpec, bool]:
    """What the file is of, by the shapes of its arrays, and whether the last layer is missing."""
    square = [shape for shape in shapes if len(shape) == 4 and shape[:2] == (3, 3)]
    for first in dict.fromkeys(shape for shape in square if shape[2] == 3):
        depthwise = list(square)
        depthwise.remove(first)
        if len(depthwise) == len(BLOCKS) and any(shape[2] == first[3] for shape in depthwise):
            break
    else:
        raise EdgenetError(
            f"{path}: expected weights of MobileNetV1 ({len(BLOCKS) + 1} convolutions of 3 x 3), "
            f"found those of a network with {len(square)}; a whole model goes with --model"
        )
    (*_, stem), multiplier = first, depthwise[0][3]
    alpha = stem / STEM_FILTERS
    if wish.alpha is not None:
        if scaled(STEM_FILTERS, wish.alpha) != stem:
            raise _other(path, "alpha", f"{wish.alpha:g}", f"{alpha:g}")
        alpha = wish.alpha
    pointwise = [shape for shape in shapes if len(shape) == 4 and shape[:2] == (1, 1)]
    widths = [stem, *(scaled(filters, alpha) for filters, _ in BLOCKS)]
    for before, after in pairwise(widths):
        wanted = (1, 1, before * multiplier, after)
        if wanted not in pointwise:
            raise EdgenetError(
                f"{path}: expected the weights of MobileNetV1 with alpha {alpha:g}, found no pointwise convolution of "
                f"{wanted[2]} to {after} channels; name the file's --alpha"
            )
        pointwise.remove(wanted)
    classes = pointwise[0][3] if pointwise else wish.classes
    if classes is None:
        raise EdgenetError(f"{path}: expected weights with the last layer, found those without; name --classes")
    if wish.classes not in (None, classes):
        raise _other(path, "classes", wish.classes, classes)
    named = re.search(r"_(\d+)(_tf)?(_no_top)?\.(h5|weights\.h5|npz)$", path.name)
    # Other numbers, of an epoch for instance, are no size.
    size = int(named[1]) if named and int(named[1]) >= 32 and int(named[1]) % 32 == 0 else wish.size
    if size is None:
        raise EdgenetError(f"{path}: expected the size of the input, found none in the file's name; say it: --size 224")
    if wish.size not in (None, size):
        raise _other(path, "size", wish.size, f"{size} in the file's name")
    return ModelSpec(size=size, alpha=alpha, depth_multiplier=multiplier, classes=classes), not pointwise


def _other(path: Path, what: str, wanted, found) -> EdgenetError:
    return EdgenetError(f"{path}: expected weights for {what} {wanted}, found those for {found}; name the file's own")


def _shapes(path: Path) -> list[tuple[int, ...]]:
    """The shapes of all arrays in a weight file, those of an optimizer left out."""
    if path.suffix == ".npz":
        return [array.shape for array in _arrays(path).values()]
    expected = f"{path}: expected a weight file (.h5, .weights.h5 or .npz), found"
    if not path.is_file():
        raise EdgenetError(f"{expected}: {'a folder' if path.is_dir() else 'nothing'}")
    found = []

    def visit(name: str, item) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            found.append(tuple(item.shape))

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except Exception as error:  # HDF5 calls nearly everything an OSError, but not everything
        raise EdgenetError(f"{expected}: no HDF5 file, or only a part of one; copy or download it again") from error
    return found


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:
        raise EdgenetError(f"{path}: expected a weight file, found none") from error
    except Exception as error:  # a damaged .npz fails in as many ways as zip, zlib and numpy have
        raise EdgenetError(f"{path}: expected a weight file (.npz), found something else ({error})") from error


def _variables(model: keras.Model) -> dict:
    return {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}
