"""Timing the models of a benchmark: their starts, inferences and operators, each model in a child process."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from edgenet import cores
from edgenet.benchmarking import latency
from edgenet.benchmarking.options import BenchmarkOptions
from edgenet.benchmarking.subject import TimedModels
from edgenet.benchmarking.worker import DESCRIBE, Worker
from edgenet.machine.quality import Phase
from edgenet.machine.sensors import Sensors
from edgenet.machine.watch import Cooldown, Watch
from edgenet.progress import SILENT, Progress
from edgenet.records import KERAS, Latency, LayerTime, Start

# Fresh processes of each file that measure load time, first inference and memory, beside those that measure latency.
STARTS = 3

# Starts the child process of a model, given its number of `threads`.
StartWorker: TypeAlias = Callable[..., Worker]


@dataclass
class ModelTimes:
    """What was measured of one model so far.

    Attributes:
        starts: One for each process.
        latency: One for each number of threads.
        layers: The operators; empty unless they were timed.
        description: The worker's answer to DESCRIBE; empty for Keras.
    """

    starts: list[Start] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    layers: tuple[LayerTime, ...] = ()
    description: dict[str, Any] = field(default_factory=dict)


class Timing:
    """Times models, stage by stage.

    Args:
        models: The models.
        batch: Images in one inference.
        options: How to measure.
        progress: Listens to the stages.

    Attributes:
        times: What was measured of each model, by its name.
    """

    def __init__(self, models: TimedModels, batch: int, options: BenchmarkOptions, progress: Progress = SILENT):
        self._models, self._options, self._progress = models, options, progress
        self._start = _workers(models, batch, options.api)
        self.times = {name: ModelTimes() for name in self._start}

    def time_starts(self) -> None:
        """Start each file several times. Not Keras: each start of TensorFlow takes seconds.

        Raises:
            EdgenetError: A file cannot be run.
        """
        self._progress.step("starts")
        for number in range(STARTS):
            for name in self._models.files:
                with closing(self._start[name](threads=self._options.threads[0])) as worker:
                    self.times[name].starts.append(worker.start)
                    if number == 0:
                        self.times[name].description = worker.call(DESCRIBE)
            self._progress.count(number + 1, STARTS)

    def time_inferences(self, sensors: Sensors) -> list[Phase]:
        """Time all models in interleaved rounds, for each number of threads.

        Args:
            sensors: Read the machine's condition meanwhile.

        Returns:
            The samples and readings of each number of threads.

        Raises:
            EdgenetError: A model cannot be run.
        """
        cool_down = Cooldown(sensors) if self._options.cooldown else (lambda: None)
        return [self._time_on(threads, sensors, cool_down) for threads in self._options.threads]

    def _time_on(self, threads: int, sensors: Sensors, cool_down: Callable[[], None]) -> Phase:
        rounds, seconds = self._options.rounds, self._options.seconds
        self._progress.step(f"latency, {threads} thread{'s' * (threads > 1)}")
        with ExitStack() as running:
            workers = {
                name: running.enter_context(closing(start(threads=threads))) for name, start in self._start.items()
            }
            watch = Watch(sensors, [worker.pid for worker in workers.values()])

            def after_round(number: int) -> None:
                watch.sample()
                self._progress.count(number, rounds)

            samples = latency.interleave(workers, rounds, seconds, after_round, cool_down)
        base = self._models.base
        for name, worker in workers.items():
            base_samples = samples.get(base) if base and name != base else None
            self.times[name].starts.append(worker.start)
            self.times[name].latency.append(latency.summarize(threads, samples[name], base_samples))
        return Phase(threads, watch.readings, watch.own_cpu_seconds, {**samples}, cores.available())

    def time_layers(self) -> None:
        """Time each operator of each file.

        Raises:
            EdgenetError: An operator does not run alone.
        """
        for name in self._models.files:
            self._progress.step(f"operators of {name}")
            with closing(self._start[name](threads=self._options.threads[0])) as worker:
                self.times[name].layers = worker.layers()


def _workers(models: TimedModels, batch: int, api: str) -> dict[str, StartWorker]:
    shape = models.recipe.shape
    workers: dict[str, StartWorker] = {
        name: partial(Worker, path=str(path), shape=shape, api=api) for name, path in models.files.items()
    }
    if models.keras:
        module, path = "edgenet.benchmarking.keras_worker", str(models.keras)
        workers[KERAS] = partial(Worker, module, path=path, shape=shape, batch=batch)
    return workers
