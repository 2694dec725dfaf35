"""Weight files of MobileNetV1 (.npz, .h5), without TensorFlow: which network they are of, by their arrays' shapes."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from edgenet.errors import EdgenetError
from edgenet.model import container
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


# Whatever the file says.
ANY = Wish()


def spec(path: Path, wish: Wish = ANY) -> tuple[ModelSpec, bool]:
    """The network that a weight file is of, and whether the weights of its last layer are missing.

    Raises EdgenetError when the file is no such file, or contradicts what was wished for.
    """
    found, headless = _spec(path, _shapes(path), wish)
    if wish.head and not headless:
        raise EdgenetError(f"{path}: expected weights without the last layer, found those with; leave --fresh-head out")
    if headless and not wish.head:
        raise EdgenetError(
            f"{path}: expected weights with the last layer, found those without; train a model with it, or, to measure "
            "latency alone, take an untrained layer: --fresh-head"
        )
    return found, headless


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays in an .npz file, by their names. Raises EdgenetError when it is no such file."""
    if not path.exists():
        raise EdgenetError(f"{path}: expected a weight file, found none")
    if container.kind_of(path) != container.ZIP:
        raise EdgenetError(
            f"{path}: expected a weight file (.npz), found something else, or only a part of one; {container.AGAIN}"
        )
    try:
        container.check_npz(path)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except EdgenetError:
        raise
    except Exception as error:  # a damaged .npz fails in as many ways as zip, zlib and numpy have
        raise EdgenetError(
            f"{path}: expected a weight file (.npz), found something else, or only a part of one; {container.AGAIN}"
        ) from error


def _shapes(path: Path) -> list[tuple[int, ...]]:
    """The shapes of all arrays in a weight file, those of an optimizer left out."""
    if path.suffix == ".npz":
        return [array.shape for array in arrays(path).values()]
    expected = f"{path}: expected a weight file (.h5, .weights.h5 or .npz), found"
    if not path.is_file():
        raise EdgenetError(f"{expected}: {'a folder' if path.is_dir() else 'nothing'}")
    damaged = f"{expected}: no HDF5 file, or only a part of one; {container.AGAIN}"
    if container.kind_of(path) != container.HDF5:
        raise EdgenetError(damaged)
    found = []

    def visit(name: str, item) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            found.append(tuple(item.shape or ()))

    try:
        container.check_hdf5(path)
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except EdgenetError:
        raise
    except Exception as error:  # HDF5 calls nearly everything an OSError, but not everything
        raise EdgenetError(damaged) from error
    return found


def _spec(path: Path, shapes: list[tuple[int, ...]], wish: Wish) -> tuple[ModelSpec, bool]:
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
