"""The noise of each layer of the bundled model's int8 file, on 50 images."""

import numpy as np
import pytest

from edgenet import images
from edgenet.runtime.noise import Files, measure

ROUNDS = 3


@pytest.mark.benchmark(group="noise of each layer, 50 images")
def test_noise(benchmark, bundle, paths, recipe):
    float32, int8 = (bundle.file(f"{name}.tflite").read_bytes() for name in ("float32", "int8"))
    pixels = np.stack(list(images.load_all(paths[::20], recipe)))
    benchmark.pedantic(lambda: measure(Files(float32, int8, recipe), pixels), rounds=ROUNDS, warmup_rounds=1)
