"""Latency of one inference on one thread."""

import statistics
from pathlib import Path

import pytest
from intervals import check, of_median

from edgenet.benchmarking.latency import interleave, time_inferences
from edgenet.litert.runner import Runner

VARIANTS = ("float32", "float16", "dynamic", "int8")
# The kernel's names of integer dot products: AVX-512 VNNI, AVX VNNI, Arm's SDOT.
DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "asimddp"}


@pytest.mark.benchmark(group="latency, one thread")
@pytest.mark.parametrize("variant", VARIANTS)
def test_invoke(benchmark, bundle, image, variant):
    runner = Runner(bundle.file(f"{variant}.tflite"))
    runner.scores(image)
    benchmark.extra_info["bytes"] = bundle.file(f"{variant}.tflite").stat().st_size
    benchmark(runner.invoke)


@pytest.mark.benchmark(group="latency, one thread")
def test_invoke_keras(benchmark, classifier, image):
    def scores():
        return next(classifier.scores([image]))

    scores()
    benchmark(scores)


def _flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()}


@pytest.mark.skipif(not _flags() & DOT_PRODUCTS, reason="no integer dot products on this machine")
def test_int8_has_a_speedup_of_at_least_1_4_over_float32(bundle, image):
    timers = {}
    for variant in ("float32", "int8"):
        runner = Runner(bundle.file(f"{variant}.tflite"))
        runner.scores(image)
        timers[variant] = lambda count, runner=runner: time_inferences(runner.invoke, count)
    rounds = interleave(timers, 20, 0.05)
    medians = {variant: [statistics.median(samples) for samples in rounds[variant]] for variant in timers}
    ratios = [slow / fast for slow, fast in zip(medians["float32"], medians["int8"], strict=True)]
    check("latency of float32 as a multiple of int8's", of_median(ratios), least=1.4)
