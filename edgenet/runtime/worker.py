"""A fresh process that loads one model and times its inferences on request.

Each model is measured in a process of its own: load time and peak memory are then its own, and Keras can be given its
number of threads. The process says what its start cost, in one line of JSON, then answers each line on its standard
input, a number of inferences, with their seconds. It ends with its standard input.
"""

import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.records import Start
from edgenet.runtime.latency import picture, time_inferences

# Asks what there is to say of a model.
ABOUT = "about"
# Seconds in which a model is loaded, or inferences are made, however slow the machine.
PATIENCE = 300


class Worker:
    """The other end of such a process. `module` is run as a program with `arguments`.

    Raises EdgenetError when the process ends early, with the last line that it wrote.
    """

    def __init__(self, module: str, *arguments: str):
        self._name = arguments[0] if arguments else module
        # A file, not a pipe: however much a library prints, nobody has to read it. It stays open with the process.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        try:
            self.start = Start(**self._answer())
        except BaseException:
            self.close()
            raise

    def __call__(self, count: int) -> list[float]:
        """Time `count` inferences: a `latency.Timer`."""
        return self.ask(str(count))

    def ask(self, question: str):
        """What the process answers to a line."""
        with suppress(BrokenPipeError):  # the answer that does not come tells more
            self._process.stdin.write(f"{question}\n")
            self._process.stdin.flush()
        return self._answer()

    @property
    def process(self) -> int:
        """Its number."""
        return self._process.pid

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def _answer(self):
        # One line answers each question, so nothing waits in the buffer of the stream.
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            raise EdgenetError(
                f"{self._name}: expected an answer within {PATIENCE} s, found none; the file is damaged, or far too "
                "large for this machine"
            )
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip().splitlines()
            said = [line for line in said if not line.startswith("INFO: ")]
            raise EdgenetError(
                f"{self._name}: expected a running measurement, found that it ended with code {code}"
                + (f": {said[-1]}" if said else "")
            )
        return json.loads(line)


def serve(load: Callable[[], Callable[[], None]], about: Callable[[], dict] = dict) -> None:
    """Be such a process: `load` makes the model ready and returns what runs one inference.

    about: what the process answers to ABOUT.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this one
    # Libraries print to stdout too; the answers go where only they go.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    baseline = peak_bytes()
    begun = time.perf_counter()
    run = load()
    loaded = time.perf_counter()
    run()
    first = time.perf_counter()
    answer(asdict(Start(loaded - begun, first - loaded, peak_bytes(), baseline)))
    for line in sys.stdin:
        answer(about() if line.strip() == ABOUT else time_inferences(run, int(line)))


def peak_bytes() -> int:
    """The most memory this process has held at once."""
    with suppress(OSError):
        # ru_maxrss would do, but on Linux it starts at what the parent held when it made this process.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    # Imported before the baseline is taken: the runtime is not the model's.
    from edgenet.input_range import InputRange
    from edgenet.runtime import compiled
    from edgenet.runtime.runner import Runner

    path, height, width, channels, api, threads = sys.argv[1:]

    def load() -> Callable[[], None]:
        recipe = InputRange().recipe(int(height), int(width), int(channels))
        runner = Runner(Path(path), recipe, int(threads))
        image = runner.show(picture(runner.batch, runner.shape))
        return runner.invoke if api == "interpreter" else compiled.inference(Path(path), image, int(threads))

    def about() -> dict:
        from edgenet.runtime import layers

        shape = int(height), int(width), int(channels)
        delegation = layers.delegation(Path(path), shape)
        return {"delegation": asdict(delegation), "multiply_adds": layers.total(Path(path), shape)}

    serve(load, about)
