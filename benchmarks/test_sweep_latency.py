"""A latency that a sweep measures is that of `edgenet benchmark`: both measure the same bundle, in turn."""

import subprocess
import sys
from contextlib import closing

import intervals
import pytest

from edgenet import records
from edgenet.records import Results
from edgenet.sweep import file_sets
from edgenet.sweep.dispatcher import Dispatcher
from edgenet.sweep.job import Input, Job, Kind

pytest.importorskip("distributed")

from edgenet.sweep.dask_pool import LocalPool

ROUNDS = 6
# The noise of a shared machine; the engine has nothing to do while a row is measured.
MAX_DIFFERENCE = 0.05
VARIANTS, REPEATS, SECONDS = ["float32", "int8"], 10, 0.02
TYPED = ["--no-keras", "--variants", ",".join(VARIANTS), "--threads", "1"]
TYPED += ["--rounds", str(REPEATS), "--seconds", str(SECONDS)]


def medians(text: str | bytes) -> list[float]:
    """Seconds, by variant."""
    data = text.encode() if isinstance(text, str) else text
    results = records.from_json(Results, data, "results")
    found = {one.name: one.latency[0].median for one in results.measurements}
    return [found[name] for name in VARIANTS]


def test_rows_are_as_fast_as_a_benchmark(bundle, tmp_path):
    request = {"variants": VARIANTS, "threads": [1], "rounds": REPEATS, "seconds": SECONDS, "api": "interpreter"}
    request["cooldown"] = False
    given = {"bundle": Input(bundle.folder, file_sets.digest(bundle.folder))}
    rows, alone = [], []

    def take(job, answer):
        assert answer.problem is None, answer.problem
        rows.append(medians(answer.result["results"]))
        return True

    with closing(LocalPool(2, ["here"])) as pool:
        for number in range(ROUNDS):
            file = tmp_path / f"{number}.json"
            command = [sys.executable, "-m", "edgenet", "benchmark", bundle.folder, "--json", file, *TYPED]

            def measure_row(number=number):
                dispatcher = Dispatcher(pool, take)
                dispatcher.add(Job(f"{number}", Kind.MEASURE, "row", request, given, "here"))
                dispatcher.run()

            def measure_alone(command=command, file=file):
                subprocess.run(command, check=True, capture_output=True)
                alone.append(medians(file.read_bytes()))

            turns = [measure_row, measure_alone]
            for turn in turns if number % 2 else reversed(turns):
                turn()
    for position, name in enumerate(VARIANTS):
        ratios = [row[position] / other[position] for row, other in zip(rows, alone, strict=True)]
        found = intervals.of_median(ratios)
        print(f"\n{name}: a row / edgenet benchmark: {found}")
        assert found.low <= 1 + MAX_DIFFERENCE and found.high >= 1 - MAX_DIFFERENCE
