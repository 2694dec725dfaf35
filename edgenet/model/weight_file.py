"""Weight files of MobileNetV1 (.npz, .h5): finds their network by the shapes of the arrays; needs no TensorFlow."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edgenet.errors import EdgenetError
from edgenet.model import container
from edgenet.model.architecture import BLOCKS, STEM_FILTERS, scaled
from edgenet.records import DEFAULT_CLASSES, ModelSpec

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ExpectedSpec:
    """What the user expects of the model of a weight file; None: no expectation, use what the file says.

    Attributes:
        size: Height and width of the input in pixels.
        alpha: Width multiplier.
        classes: Number of output classes.
        fresh_head: Whether weights without a last layer are expected; the model gets an untrained one. None: whether
            they have one does not matter.
    """

    size: int | None = None
    alpha: float | None = None
    classes: int | None = None
    fresh_head: bool | None = False


ANY_SPEC = ExpectedSpec()


def read_spec(path: Path, expected: ExpectedSpec = ANY_SPEC) -> tuple[ModelSpec, bool]:
    """Find the network that the weights in a file belong to.

    Args:
        path: An .npz, .h5 or .weights.h5 file.
        expected: What the network must be. The size, which no weight depends on, is taken from the end of the file's
            name (..._224_tf.h5, ..._96.npz) or, without one, from here.

    Returns:
        The network, and whether the weights of its last layer are missing.

    Raises:
        EdgenetError: The file is damaged, of another network, or not as expected.
    """
    shapes = _shapes(path)
    stem, multiplier = _stem(path, shapes)
    alpha = _alpha(path, stem, expected.alpha)
    any_head = DEFAULT_CLASSES if expected.fresh_head is None else None
    classes, headless = _classes(path, shapes, stem, multiplier, alpha, expected.classes, any_head)
    spec = ModelSpec(size=_size(path, expected.size), alpha=alpha, depth_multiplier=multiplier, classes=classes)
    if expected.fresh_head and not headless:
        raise EdgenetError(f"{path}: the weights have a last layer; leave fresh_head=True out")
    if headless and expected.fresh_head is False:
        raise EdgenetError(
            f"{path}: the weights have no last layer; give weights of a whole model or, to measure latency only, use "
            "an untrained last layer with fresh_head=True"
        )
    return spec, headless


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays in an .npz file, by their names. Raises EdgenetError if the file is missing or damaged."""
    if not path.exists():
        raise EdgenetError(f"{path}: no such file; give a weight file (.npz)")
    damaged = f"{path}: not a weight file (.npz), or only a part of one; {container.COPY_AGAIN}"
    if container.file_kind(path) != container.ZIP:
        raise EdgenetError(damaged)
    try:
        container.check_npz(path)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except EdgenetError:
        raise
    except Exception as error:  # zip, zlib and numpy have many
        raise EdgenetError(damaged) from error


def _shapes(path: Path) -> list[Shape]:
    """The shapes of all arrays in a weight file, except those of an optimizer."""
    if path.suffix == ".npz":
        return [array.shape for array in read_arrays(path).values()]
    kinds = "a weight file (.h5, .weights.h5 or .npz)"
    if not path.is_file():
        raise EdgenetError(f"{path}: a folder, not {kinds}" if path.is_dir() else f"{path}: no such file; give {kinds}")
    damaged = f"{path}: not {kinds}, or only a part of one; {container.COPY_AGAIN}"
    if container.file_kind(path) != container.HDF5:
        raise EdgenetError(damaged)
    shapes: list[Shape] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            shapes.append(tuple(item.shape or ()))

    try:
        container.check_hdf5(path)
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except EdgenetError:
        raise
    except Exception as error:  # HDF5 raises OSError for nearly everything, but not for all
        raise EdgenetError(damaged) from error
    return shapes


def _stem(path: Path, shapes: Sequence[Shape]) -> tuple[int, int]:
    """The filters of the first convolution, and the depth multiplier, from the convolutions of 3 x 3."""
    square = [shape for shape in shapes if len(shape) == 4 and shape[:2] == (3, 3)]
    for first in dict.fromkeys(shape for shape in square if shape[2] == 3):
        depthwise = list(square)
        depthwise.remove(first)
        if len(depthwise) == len(BLOCKS) and any(shape[2] == first[3] for shape in depthwise):
            return first[3], depthwise[0][3]
    raise EdgenetError(
        f"{path}: not weights of MobileNetV1: the network has {len(square)} convolutions of 3 x 3, not "
        f"{len(BLOCKS) + 1}; give a whole model with model="
    )


def _alpha(path: Path, stem: int, expected: float | None) -> float:
    alpha = stem / STEM_FILTERS
    if expected is None:
        return alpha
    if scaled(STEM_FILTERS, expected) != stem:
        raise _mismatch(path, "alpha", f"{expected:g}", f"{alpha:g}")
    return expected


def _classes(
    path: Path,
    shapes: Sequence[Shape],
    stem: int,
    multiplier: int,
    alpha: float,
    expected: int | None,
    default: int | None,
) -> tuple[int, bool]:
    """The number of classes, and whether the last layer is missing, from the convolutions of 1 x 1."""
    pointwise = [shape for shape in shapes if len(shape) == 4 and shape[:2] == (1, 1)]
    widths = [stem, *(scaled(filters, alpha) for filters, _ in BLOCKS)]
    for inputs, outputs in pairwise(widths):
        shape = (1, 1, inputs * multiplier, outputs)
        if shape not in pointwise:
            raise EdgenetError(
                f"{path}: not weights of MobileNetV1 with alpha {alpha:g}: no pointwise convolution from {shape[2]} to "
                f"{outputs} channels; set alpha= to that of the file"
            )
        pointwise.remove(shape)
    classes = pointwise[0][3] if pointwise else expected or default
    if classes is None:
        raise EdgenetError(f"{path}: the weights have no last layer; set the number of classes with classes=")
    if expected not in (None, classes):
        raise _mismatch(path, "classes", expected, classes)
    return classes, not pointwise


def _size(path: Path, expected: int | None) -> int:
    named = re.search(r"_(\d+)(_tf)?(_no_top)?\.(h5|weights\.h5|npz)$", path.name)
    # Other numbers, such as that of an epoch, are not sizes.
    size = int(named[1]) if named and int(named[1]) >= 32 and int(named[1]) % 32 == 0 else expected
    if size is None:
        raise EdgenetError(f"{path}: the file's name does not end in the input size; set it, for instance size=224")
    if expected not in (None, size):
        raise _mismatch(path, "size", expected, f"{size}, by the file's name")
    return size


def _mismatch(path: Path, parameter: str, expected: object, got: object) -> EdgenetError:
    return EdgenetError(f"{path}: expected weights for {parameter} {expected}, got {got}; leave {parameter}= out")
