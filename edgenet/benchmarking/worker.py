"""A fresh process that loads one model and times its inferences on request.

Each model is measured in a process of its own: load time and peak memory are then its own, Keras can be given its
number of threads, and a damaged file cannot harm this process. `edgenet.litert.child` has the protocol. The first
answer is what the start cost; a number is answered with the seconds of so many inferences.
"""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgenet.benchmarking.latency import picture, time_inferences
from edgenet.litert import child
from edgenet.litert.child import Child
from edgenet.records import LayerTime, Start

MODULE = "edgenet.benchmarking.worker"
# Asks what there is to say of a model; asks for the time of each of its operators.
ABOUT, LAYERS = "about", "layers"


class Worker(Child):
    """The other end of such a process: runs `module` with `request`, which has the model's `path`.

    start: what its start cost. Raises EdgenetError when the model cannot be loaded and run once.
    """

    def __init__(self, module: str = MODULE, **request: Any):
        super().__init__(module, request, str(request.get("path", module)))
        try:
            self.start = Start(**self.receive())
        except BaseException:
            self.close()
            raise

    def __call__(self, count: int) -> list[float]:
        """Time `count` inferences: a `latency.Timer`."""
        return self.ask(count)

    def layers(self) -> tuple[LayerTime, ...]:
        """The time of each operator of a .tflite file, in their order."""
        return tuple(LayerTime(**layer) for layer in self.ask(LAYERS))


def serve(
    load: Callable[[dict], Callable[[], None]], answers: Mapping[str, Callable[[dict], Any]] | None = None
) -> None:
    """Be such a process: `load` makes the model of a request ready and returns what runs one inference.

    answers: what is answered, for a request, to messages other than a number.
    """

    def start(request: dict) -> tuple[dict, child.Handler]:
        baseline = peak_bytes()
        begun = time.perf_counter()
        run = load(request)
        loaded = time.perf_counter()
        run()
        first = time.perf_counter()

        def answer(message, _array):
            return (answers or {})[message](request) if isinstance(message, str) else time_inferences(run, message)

        return asdict(Start(loaded - begun, first - loaded, peak_bytes(), baseline)), answer

    child.serve(start)


def peak_bytes() -> int | None:
    """The most memory this process has held at once; None where the system does not tell."""
    with suppress(OSError):
        # ru_maxrss would do, but on Linux it starts at what the parent held when it made this process.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    # Imported before the baseline is taken: the runtime is not the model's.
    from edgenet.benchmarking import layers
    from edgenet.images.input_range import InputRange
    from edgenet.litert import compiled
    from edgenet.litert.remote import limit_memory
    from edgenet.litert.runner import Runner
    from edgenet.tflite.graph import Graph

    def load(request: dict) -> Callable[[], None]:
        path, threads = Path(request["path"]), request["threads"]
        limit_memory(path, threads)
        runner = Runner(path, InputRange().recipe(*request["shape"]), threads)
        image = runner.show(picture(runner.batch, runner.shape))
        return runner.invoke if request["api"] == "interpreter" else compiled.inference(path, image, threads)

    def about(request: dict) -> dict:
        path, shape = Path(request["path"]), tuple(request["shape"])
        return {
            "delegation": asdict(layers.delegation(path, shape)),
            "multiply_adds": layers.total(path, shape),
            "arithmetic": layers.arithmetic(Graph(path.read_bytes())),
        }

    def operator_times(request: dict) -> list[dict]:
        return [asdict(layer) for layer in layers.time_layers(Path(request["path"]), request["threads"])]

    serve(load, {ABOUT: about, LAYERS: operator_times})
