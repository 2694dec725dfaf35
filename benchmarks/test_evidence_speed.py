"""What is made of results: verdicts, and the page."""

from pathlib import Path

import pytest
from made_results import drift, flips, results, thumbnail

from edgenet.analysis.loading import LoadedResults
from edgenet.analysis.verdict import Limits, judge_results
from edgenet.reporting.page import page

ROUNDS = 3


@pytest.fixture(scope="module")
def ten() -> list[LoadedResults]:
    """Ten results of 1,000 images, a tenth of which flipped in int8, on three numbers of threads."""
    found = flips(100)
    thumbnails = {flip.file: thumbnail(number) for number, flip in enumerate(found[:48])}
    return [
        LoadedResults(
            Path(f"{number}.json"),
            f"device {number}",
            results({"int8": drift(found, lost=100)}, thumbnails=thumbnails, threads=(1, 2, 4), rounds=20, samples=20),
        )
        for number in range(10)
    ]


@pytest.mark.benchmark(group="the page of ten results")
def test_page(benchmark, ten):
    benchmark.pedantic(page, (ten, [], Limits(max_drift=0.02)), rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.benchmark(group="a verdict on four variants, how many more images it takes included")
def test_verdict(benchmark):
    # 190 flips of 10,000, against 2 %: undecided, and much more is needed
    found = results({name: drift(flips(190), images=10_000, right=9_000) for name in ("float16", "dynamic", "int8")})
    benchmark.pedantic(judge_results, (found, Limits(0.02, 0.001, 1.5, 3_000_000)), rounds=ROUNDS, warmup_rounds=1)
