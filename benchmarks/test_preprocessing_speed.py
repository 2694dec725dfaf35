"""Pre-processing: from image files to the pixels that models see."""

import numpy as np
import pytest

from edgenet.images import preprocess
from edgenet.litert.runner import as_input


@pytest.mark.benchmark(group="pre-processing")
def test_load_one(benchmark, paths, recipe):
    benchmark(preprocess.load, paths[0], recipe)


@pytest.mark.benchmark(group="pre-processing")
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_as_input(benchmark, image, recipe, dtype):
    benchmark(as_input, image, recipe, np.dtype(dtype))


@pytest.mark.benchmark(group="pre-processing, 1,000 images")
def test_load_all(benchmark, paths, recipe):
    assert benchmark(lambda: sum(1 for _ in preprocess.load_all(paths, recipe))) == len(paths)


@pytest.mark.benchmark(group="pre-processing, 1,000 images")
def test_load_one_by_one(benchmark, paths, recipe):
    assert benchmark(lambda: sum(1 for _ in (preprocess.load(path, recipe) for path in paths))) == len(paths)
