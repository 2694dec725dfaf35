"""Files as those of Fashion-MNIST, with other images."""

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def idx(array: np.ndarray) -> bytes:
    """IDX: two zero bytes, 8 for bytes, the number of dimensions, each of them as 4 big-endian bytes, the values."""
    return bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def write(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A gzipped IDX file for each array, by its name without the ending."""
    for name, array in arrays.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array), compresslevel=1))
