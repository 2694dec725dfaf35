"""The overhead of edgenet's timing, its process, rounds and clock, compared with a bare loop."""

import json
import statistics
import subprocess
import sys
from contextlib import ExitStack, closing

import pytest
from intervals import check, of_median

from edgenet.benchmarking.latency import interleave, time_inferences
from edgenet.benchmarking.worker import Worker
from edgenet.quiet import quiet

# Nothing but LiteRT and a clock.
BARE = """
import json, sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
(details,) = interpreter.get_input_details()
interpreter.set_tensor(details["index"], np.random.default_rng(0).uniform(-1, 1, details["shape"]).astype(np.float32))
for line in sys.stdin:
    seconds = []
    for _ in range(int(line)):
        start = time.perf_counter()
        interpreter.invoke()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds), flush=True)
"""
# Processes of each kind: their memory layout makes some a little faster than others from start to end. An interval
# needs at least six differences.
PROCESSES, ROUNDS = 6, 50


@pytest.fixture(scope="module")
def small(bundle):
    """About 0.2 ms."""
    return bundle.file("float32.tflite")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """About 2 ms: 186 million multiply-adds."""
    with quiet():
        from edgenet.convert.converter import Converter
        from edgenet.model import keras_model, mobilenet
        from edgenet.records import ModelSpec

        data = Converter(keras_model.from_keras(mobilenet.build(ModelSpec(size=128)), "large")).float32()
    path = tmp_path_factory.mktemp("large") / "float32.tflite"
    path.write_bytes(data)
    return path


def undisturbed(medians: list[float]) -> float:
    """The 10th percentile of the rounds: other processes can only slow a round down."""
    return statistics.quantiles(medians, n=10)[0]


def compare(path, side: int, seconds: float) -> tuple[list[float], list[float]]:
    """Time a file with both, in alternating short turns of `seconds`.

    Returns:
        For each pair of processes, the median latency of the bare loop in undisturbed rounds, and the difference of
        edgenet's from it, in seconds.
    """
    bares, differences = [], []
    request = {"path": str(path), "shape": (side, side, 3), "api": "interpreter", "threads": 1}
    for _ in range(PROCESSES):
        with ExitStack() as running:
            worker = running.enter_context(closing(Worker(**request)))
            process = running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", BARE, str(path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            running.callback(process.kill)

            def bare(count: int, process=process) -> float:
                process.stdin.write(f"{count}\n")
                process.stdin.flush()
                return statistics.median(json.loads(process.stdout.readline()))

            count = max(5, round(seconds / bare(100)))
            turns = []

            def turn(bare=bare, count=count, turns=turns) -> None:
                bare(10)  # caches are cold, as at the start of edgenet's turns
                turns.append(bare(count))

            rounds = interleave({"edgenet": worker}, ROUNDS, seconds, before_turn=turn)["edgenet"]
        bares.append(undisturbed(turns))
        differences.append(undisturbed(list(map(statistics.median, rounds))) - bares[-1])
    return bares, differences


def test_a_latency_of_2_ms_is_that_of_a_bare_loop_within_1_percent(large):
    bares, differences = compare(large, 128, 0.01)
    percent = of_median([100 * difference / bare for bare, difference in zip(bares, differences, strict=True)])
    check(f"{1e3 * statistics.median(bares):.3f} ms by a bare loop; edgenet's, % more", percent, least=-1, most=1)


def test_a_latency_of_0_2_ms_is_that_of_a_bare_loop_within_5_microseconds(small):
    bares, differences = compare(small, 96, 0.01)
    more = of_median([1e6 * difference for difference in differences])
    check(f"{1e3 * statistics.median(bares):.4f} ms by a bare loop; edgenet's, us more", more, least=-5, most=5)


def test_the_clock_and_the_call_take_less_than_a_microsecond():
    # A bare loop with a clock has this overhead, too.
    overhead = of_median([1e6 * statistics.median(time_inferences(lambda: None, 1_000)) for _ in range(20)])
    check("an empty call takes, us", overhead, most=1)
