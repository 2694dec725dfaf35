"""A child process that loads one model and times its inferences on request.

Each model is measured in a process of its own: load time and peak memory are then its own, Keras can be given its
number of threads, and a corrupt file can only crash that process. `edgenet.litert.child` has the protocol. The first
answer is a `Start`; the answer to a number is the seconds of each of so many inferences.
"""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgenet.benchmarking.latency import noise_image, time_inferences
from edgenet.litert import child
from edgenet.litert.child import Child
from edgenet.records import LayerTime, Start

if TYPE_CHECKING:
    import numpy as np

MODULE = "edgenet.benchmarking.worker"
# Messages other than a number: for the properties of a file, and for the time of each of its operators.
DESCRIBE, TIME_LAYERS = "describe", "time layers"


class Worker(Child):
    """The parent's side of such a process.

    Args:
        module: The module that the process runs.
        request: What the module needs, among it the `path` of the model.

    Attributes:
        start: The process's own start.

    Raises:
        EdgenetError: The model cannot be loaded and run once.
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
        return cast(list[float], self.call(count))

    def layers(self) -> tuple[LayerTime, ...]:
        """Time each operator of a .tflite file, in their order."""
        return tuple(LayerTime(**layer) for layer in self.call(TIME_LAYERS))


def serve(
    load: Callable[[dict[str, Any]], Callable[[], object]],
    answers: Mapping[str, Callable[[dict[str, Any]], Any]] | None = None,
) -> None:
    """The child's side.

    Args:
        load: Prepares the model of a request, and returns a function that runs one inference.
        answers: Answers to messages other than a number, given the request.
    """

    def start(request: dict[str, Any]) -> tuple[dict[str, Any], child.Handler]:
        baseline = peak_bytes()
        started = time.perf_counter()
        run = load(request)
        loaded = time.perf_counter()
        run()
        first = time.perf_counter()

        def answer(message: Any, _array: "np.ndarray | None") -> Any:
            return (answers or {})[message](request) if isinstance(message, str) else time_inferences(run, message)

        return asdict(Start(loaded - started, first - loaded, peak_bytes(), baseline)), answer

    child.serve(start)


def peak_bytes() -> int | None:
    """The peak memory of this process so far, in bytes; None where it is not available."""
    with suppress(OSError):
        # ru_maxrss would do, but on Linux it starts at what the parent held when it made this process.
        for line in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    try:
        import resource
    except ImportError:
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
    from edgenet.records import Api
    from edgenet.tflite.graph import Graph

    def load(request: dict[str, Any]) -> Callable[[], object]:
        path, threads = Path(request["path"]), request["threads"]
        limit_memory(path, threads)
        runner = Runner(path, InputRange().recipe(*request["shape"]), threads)
        image = runner.set_input(noise_image(runner.batch, runner.shape))
        return runner.invoke if request["api"] == Api.INTERPRETER else compiled.inference(path, image, threads)

    def describe(request: dict[str, Any]) -> dict[str, Any]:
        path, shape = Path(request["path"]), tuple(request["shape"])
        return {
            "delegation": asdict(layers.delegation(path, shape)),
            "multiply_adds": layers.total_multiply_adds(path, shape),
            "arithmetic": layers.arithmetic(Graph(path.read_bytes())),
        }

    def time_layers(request: dict[str, Any]) -> list[dict[str, Any]]:
        return [asdict(layer) for layer in layers.time_layers(Path(request["path"]), request["threads"])]

    serve(load, {DESCRIBE: describe, TIME_LAYERS: time_layers})
