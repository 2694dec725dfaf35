"""The noise of each layer of the bundled model's int8 file, on 50 images."""

import numpy as np
import pytest

from edgenet.diagnosis.model_pair import ModelPair
from edgenet.diagnosis.noise import measure_noise
from edgenet.images import preprocess

ROUNDS = 3


@pytest.mark.benchmark(group="noise of each layer, 50 images")
def test_noise(benchmark, bundle, paths, recipe):
    float32, int8 = (bundle.file(f"{name}.tflite").read_bytes() for name in ("float32", "int8"))
    pixels = np.stack(list(preprocess.load_all(paths[::20], recipe)))
    benchmark.pedantic(lambda: measure_noise(ModelPair(float32, int8, recipe), pixels), rounds=ROUNDS, warmup_rounds=1)
