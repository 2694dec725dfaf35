"""Drift of all four variants on the 1,000 evaluation images, against a plain loop."""

import time

import pytest
from intervals import check, of_ratio

from edgenet.benchmarking.drift import measure_drift
from edgenet.images import preprocess
from edgenet.litert.runner import Runner
from edgenet.quiet import quiet

ROUNDS = 3
group = pytest.mark.benchmark(group="drift, four variants, 1,000 images")


@pytest.fixture(scope="module")
def ours(bundle):
    """The drift of `edgenet export`, on all cores: the top-1 agreement of each variant."""

    def run() -> dict[str, float]:
        with quiet():
            drifts = measure_drift(bundle, bundle.variants())
        return {name: drift.agreement.top1 for name, drift in drifts.items()}

    return run


@pytest.fixture(scope="module")
def ours_with_keras(classifier, paths, recipe, ours):
    """The same, with Keras' scores computed again, in batches, as `edgenet export` does."""
    from edgenet.exporter import KERAS_BATCH

    def run() -> dict[str, float]:
        pixels = preprocess.load_all(paths, recipe)
        for _ in classifier.scores(preprocess.batches(pixels, KERAS_BATCH)):
            pass
        return ours()

    return run


@pytest.fixture(scope="module")
def plain(bundle, classifier, paths, recipe):
    """One image at a time: loaded once, through a traced Keras function (its fastest call) and each variant."""
    runners = {variant.name: Runner(bundle.file(variant.file)).scores for variant in bundle.manifest.variants}

    def run() -> dict[str, float]:
        agreeing = dict.fromkeys(runners, 0)
        for path in paths:
            pixels = preprocess.load(path, recipe)[None]
            top = next(classifier.scores([pixels]))[0].argmax()
            for name, scores in runners.items():
                agreeing[name] += int(scores(pixels)[0].argmax() == top)
        return {name: count / len(paths) for name, count in agreeing.items()}

    return run


@group
def test_edgenet(benchmark, ours):
    benchmark.pedantic(ours, rounds=ROUNDS, warmup_rounds=1)


@group
def test_edgenet_with_keras(benchmark, ours_with_keras):
    benchmark.pedantic(ours_with_keras, rounds=ROUNDS, warmup_rounds=1)


@group
def test_a_plain_loop_takes_at_least_three_times_as_long(benchmark, ours, plain):
    seconds = {"ours": [], "plain": []}
    agreements = {}

    def timed(name, run):
        start = time.perf_counter()
        agreements[name] = run()
        seconds[name].append(time.perf_counter() - start)

    timed("plain", plain)  # traces the Keras function
    seconds["plain"].clear()
    # Alternating, so that whatever slows the machine affects both.
    benchmark.pedantic(lambda: timed("plain", plain), setup=lambda: timed("ours", ours), rounds=ROUNDS)
    # In batches of another size, a near-tie of Keras' scores may have another top class.
    assert agreements["ours"] == pytest.approx(agreements["plain"], abs=0.0011)
    ratio = of_ratio([plain / ours for plain, ours in zip(seconds["plain"], seconds["ours"], strict=True)])
    benchmark.extra_info["speedup over a plain loop"] = str(ratio)
    check("drift: a plain loop's time as a multiple of edgenet's", ratio, least=3)
