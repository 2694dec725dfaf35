"""Our latency against that of LiteRT's own benchmark, on the same files and threads."""

import json
import statistics
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from intervals import check, of_median

from edgenet.benchmarking.worker import Worker
from edgenet.quiet import quiet
from edgenet.records import ModelSpec

# Its inferences last milliseconds, so that the overhead of either benchmark is negligible.
SPEC = ModelSpec(size=224, alpha=0.75, classes=10)
# A pair's ratio has a standard deviation of about 5% on a busy machine; the median of 24 has one of
# 1.25 * 5% / sqrt(24) = 1.3%.
PAIRS = 24
# Timed and warm-up inferences of each process, as in LiteRT's benchmark by default.
COUNT, WARMUP = 50, 5


@pytest.fixture(scope="module")
def peer_bundle(tmp_path_factory):
    """A bundle with random weights: the time of a convolution does not depend on them."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("peer")
    random = np.random.default_rng(0)
    for split, count in (("calibration", 8), ("evaluation", 2)):
        (folder / split).mkdir()
        for number in range(count):
            pixels = random.integers(0, 256, (SPEC.size, SPEC.size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{number}.png")
    labels = [f"class {number}" for number in range(SPEC.classes)]
    with quiet():
        from edgenet.convert.options import Options
        from edgenet.exporter import Inputs, export
        from edgenet.images import splits
        from edgenet.model import keras_model, mobilenet

        split = splits.from_folders(folder / "calibration", folder / "evaluation", labels)
        inputs = Inputs(keras_model.from_keras(mobilenet.build(SPEC), SPEC.name), SPEC.name, labels, split)
        return export(inputs, folder / SPEC.name, Options(variants=("float32", "int8")))


def ours(path) -> float:
    """The median of a fresh process, in seconds."""
    with closing(Worker(path=str(path), shape=(SPEC.size, SPEC.size, 3), api="compiled", threads=1)) as worker:
        worker(WARMUP)
        return statistics.median(worker(COUNT))


def peers(path, result) -> float:
    """The same with LiteRT's benchmark."""
    options = ("--num_threads", "1", "--num_runs", str(COUNT), "--warmup_runs", str(WARMUP))
    subprocess.run(
        [
            *(sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model"),
            *("--model", str(path), *options, "--result_json", str(result)),
        ],
        check=True,
        capture_output=True,
    )
    return json.loads(result.read_bytes())["latency"]["median_ms"] / 1_000  # in hundredths


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_our_median_is_within_3_percent_of_litert_benchmarks(peer_bundle, tmp_path, variant):
    path, pairs = peer_bundle.file(f"{variant}.tflite"), []
    for number in range(PAIRS):
        # In alternation, each first in turn, so that whatever slows the machine affects both.
        if number % 2:
            peer = peers(path, tmp_path / "peer.json")
            pairs.append((ours(path), peer))
        else:
            pairs.append((ours(path), peers(path, tmp_path / "peer.json")))
    our, peer = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"\n{variant}: {1_000 * our:.3f} ms, LiteRT's benchmark {1_000 * peer:.3f} ms")
    print("ratios:", " ".join(f"{our / peer:.3f}" for our, peer in pairs))
    assert our > 0.001
    ratio = of_median([our / peer for our, peer in pairs])
    check(f"{variant}: edgenet's median latency, as a multiple of LiteRT's", ratio, least=0.97, most=1.03)
