"""What edgenet's way of timing adds to a latency: its process, its rounds and its clock, against a bare loop."""

import json
import statistics
import subprocess
import sys
from contextlib import ExitStack, closing

import pytest

from edgenet.runtime.latency import interleave, time_inferences
from edgenet.runtime.worker import Worker
from edgenet.terminal import quiet

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
# Processes of each side, since where its memory lies makes one a little faster than another for all its life.
PROCESSES, ROUNDS = 3, 200


@pytest.fixture(scope="module")
def small(bundle):
    """About 0.2 ms."""
    return bundle.file("float32.tflite")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """About 2 ms: 186 million multiply-adds."""
    with quiet():
        from edgenet.export.convert import Converter
        from edgenet.model import keras_model, mobilenet
        from edgenet.records import ModelSpec

        data = Converter(keras_model.of_keras(mobilenet.build(ModelSpec(size=128)), "large")).float32()
    path = tmp_path_factory.mktemp("large") / "float32.tflite"
    path.write_bytes(data)
    return path


def undisturbed(medians: list[float]) -> float:
    """Where the lowest tenth of the rounds ends: a neighbour only ever slows a round down."""
    return statistics.quantiles(medians, n=10)[0]


def compare(path, side: int, seconds: float) -> tuple[float, float]:
    """The median latency by a bare loop in undisturbed rounds, and by how many seconds edgenet's differs from it.

    Both take turns of so many seconds, short ones. The difference is the median of those of the pairs of processes.
    """
    bares, differences = [], []
    arguments = "edgenet.runtime.worker", str(path), str(side), str(side), "3", "interpreter", "1"
    for _ in range(PROCESSES):
        with ExitStack() as running:
            worker = running.enter_context(closing(Worker(*arguments)))
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

            rounds = interleave({"edgenet": worker}, ROUNDS, seconds, pause=turn)["edgenet"]
        bares.append(undisturbed(turns))
        differences.append(undisturbed(list(map(statistics.median, rounds))) - bares[-1])
    return statistics.median(bares), statistics.median(differences)


def test_a_latency_of_2_ms_is_that_of_a_bare_loop_within_1_percent(large):
    bare, difference = compare(large, 128, 0.01)
    print(f"{1e3 * bare:.3f} ms by a bare loop; edgenet's differs by {difference / bare:+.2%}")
    assert abs(difference) < 0.01 * bare


def test_a_latency_of_0_2_ms_is_that_of_a_bare_loop_within_5_microseconds(small):
    bare, difference = compare(small, 96, 0.01)
    print(f"{1e3 * bare:.4f} ms by a bare loop; edgenet's differs by {1e6 * difference:+.2f} us")
    assert abs(difference) < 5e-6


def test_the_clock_and_the_call_take_less_than_a_microsecond():
    # What a bare loop with a clock has, too, and one without has not.
    found = statistics.median(time_inferences(lambda: None, 10_000))
    print(f"nothing takes {1e6 * found:.2f} us")
    assert found < 1e-6
