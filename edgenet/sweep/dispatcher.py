"""Gives jobs to workers: one at a time to each, and a measurement only where nothing else runs.

The policy for a machine that both exports and measures: measurements wait until there are a few of them or nothing to
export, then the machine takes no further exports until those that run have ended; then it measures all that is ready,
one after the other, and goes on. So the machine is emptied seldom, and neither kind waits for ever: each batch of
measurements is finite, since only exports bring new ones.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from queue import Empty, SimpleQueue
from shutil import rmtree

from edgenet.sweep.job import Answer, Job, Kind, Pool, Worker

# Seconds that a device may be away before its jobs fail: a board that is restarted is back sooner.
DEVICE_WAIT = 600.0
# A job that was on as many workers when they vanished is taken to be what ends them.
MAX_LOST = 3
# How often workers that come and go are looked for.
POLL_SECONDS = 0.25


class Dispatcher:
    """Runs jobs until none is left.

    Args:
        pool: The workers.
        on_answer: Called once with each answer that may end its job: a result, or the last problem of a job that
            failed as often as it may. It returns whether a result is accepted: False tries the job again, if it has
            attempts left; if not, the job ends, too. It may call `add`. Files of an answer that it leaves where they
            are are removed.
        device_wait: Seconds after which the jobs of a device that no worker has fail.
        clock: Seconds.
        on_start: Called with each job and its worker.
        on_retry: Called with a job and the answer that it is tried again after.
    """

    def __init__(
        self,
        pool: Pool,
        on_answer: Callable[[Job, Answer], bool],
        *,
        device_wait: float = DEVICE_WAIT,
        clock: Callable[[], float] = time.monotonic,
        on_start: Callable[[Job, Worker], None] = lambda job, worker: None,
        on_retry: Callable[[Job, Answer], None] = lambda job, answer: None,
    ):
        self._pool, self._on_answer, self._device_wait, self._clock = pool, on_answer, device_wait, clock
        self._on_start, self._on_retry = on_start, on_retry
        # By device; None for jobs of any worker that exports. A queue that is empty is not here.
        self._queues: dict[str | None, deque[_Task]] = {}
        self._answers: SimpleQueue[tuple[Worker, _Task, Answer]] = SimpleQueue()
        # By the identity of a worker, which stays the same object.
        self._running: dict[int, _Task] = {}
        self._machines: dict[str, _Machine] = {}
        self._missing_since: dict[str | None, float] = {}
        self._next_poll = float("-inf")

    def add(self, job: Job) -> None:
        """Add a job, before `run` or during it. Jobs of a device start in the order in which they are added."""
        self._queue(_Task(job))

    def run(self) -> None:
        """Run all jobs.

        Raises:
            EdgenetError: The pool is gone. Jobs that run are not waited for, also after Ctrl-C: closing the pool ends
                them.
        """
        while self._queues or self._running:
            now = self._clock()
            if now >= self._next_poll:
                self._poll(now)
            if not (self._queues or self._running):
                return
            try:
                worker, task, answer = self._answers.get(timeout=POLL_SECONDS)
            except Empty:
                continue
            self._take(worker, task, answer)

    def _queue(self, task: "_Task") -> None:
        self._queues.setdefault(task.job.device, deque()).append(task)
        # Only those that can do something about it look at it.
        for machine in self._machines.values():
            if task.job.device in machine.devices:
                self._start_jobs(machine)

    def _poll(self, now: float) -> None:
        """Look for workers that have come or gone."""
        self._next_poll = now + POLL_SECONDS
        present: dict[str, list[Worker]] = {name: [] for name in self._machines}
        for worker in self._pool.workers():
            present.setdefault(worker.machine, []).append(worker)
        for name, workers in present.items():
            machine = self._machines.setdefault(name, _Machine())
            machine.set_workers(workers)
            if not workers and not machine.busy:
                del self._machines[name]
        for machine in self._machines.values():
            self._start_jobs(machine)
        self._fail_missing(now)

    def _fail_missing(self, now: float) -> None:
        """Fail the jobs of devices that have been away for too long."""
        present = {device for machine in self._machines.values() for device in machine.devices}
        for device in list(self._missing_since):
            if device in present or device not in self._queues:
                del self._missing_since[device]
        for device in self._queues.keys() - present:
            if now - self._missing_since.setdefault(device, now) >= self._device_wait:
                what = "takes jobs without a device" if device is None else f'has the device "{device}"'
                problem = f"no worker {what}, for {self._device_wait:g} s; start one, and run the same command again"
                for task in self._queues.pop(device):
                    self._on_answer(task.job, Answer(problem=problem))

    def _start_jobs(self, machine: "_Machine") -> None:
        """Start what can start on a machine now."""
        if machine.measuring:
            return
        wanted = self._measurements(machine)
        if wanted and self._is_time_to_measure(machine, wanted):
            if not machine.busy:
                machine.measuring = True
                self._start(machine, wanted[0][0], self._pop(wanted[0][1]))
            return
        for worker in list(machine.idle.values()):
            for device in (*sorted(worker.devices), None) if worker.exports else sorted(worker.devices):
                if device in self._queues and self._queues[device][0].job.kind is not Kind.MEASURE:
                    self._start(machine, worker, self._pop(device))
                    break

    def _measurements(self, machine: "_Machine") -> list[tuple[Worker, str]]:
        """The devices of a machine whose next job is a measurement, and their workers. Those that are busy count."""
        return [
            (worker, device)
            for device, worker in machine.measured.items()
            if device in self._queues and self._queues[device][0].job.kind is Kind.MEASURE
        ]

    def _is_time_to_measure(self, machine: "_Machine", wanted: list[tuple[Worker, str]]) -> bool:
        if not machine.exporters or None not in self._queues or not machine.busy:
            return True
        waiting = sum(len(self._queues[device]) for _, device in wanted)
        # An export that is waited for keeps the other workers of the machine waiting, too.
        return waiting >= (2 * machine.exporters if machine.exporters > 1 else 1)

    def _pop(self, device: str | None) -> "_Task":
        queue = self._queues[device]
        task = queue.popleft()
        if not queue:
            del self._queues[device]
        return task

    def _start(self, machine: "_Machine", worker: Worker, task: "_Task") -> None:
        machine.start(worker)
        self._running[id(worker)] = task
        worker.start(task.job, lambda answer: self._answers.put((worker, task, answer)))
        self._on_start(task.job, worker)

    def _take(self, worker: Worker, task: "_Task", answer: Answer) -> None:
        """An answer has come."""
        if self._running.get(id(worker)) is not task:  # answered twice
            return
        del self._running[id(worker)]
        machine = self._machines[worker.machine]
        machine.end(worker, is_lost=answer.is_lost)
        try:
            self._judge(task, answer)
        finally:
            if answer.files:
                rmtree(answer.files, ignore_errors=True)
        self._start_jobs(machine)

    def _judge(self, task: "_Task", answer: Answer) -> None:
        if answer.is_lost:
            task.lost += 1
        else:
            task.failed += 1
        is_last = task.failed >= task.job.attempts or task.lost >= MAX_LOST
        answer = replace(answer, is_last=is_last)
        if answer.problem is None:
            if self._on_answer(task.job, answer) or is_last:
                return
        elif is_last:
            self._on_answer(task.job, answer)
            return
        self._on_retry(task.job, answer)
        self._queue(task)


class _Task:
    """A job, and how often it was tried."""

    def __init__(self, job: Job):
        self.job = job
        # Problems and results that were not accepted; workers that vanished with it.
        self.failed, self.lost = 0, 0


class _Machine:
    """The workers of a machine.

    Attributes:
        idle: Those that can take a job, by identity.
        busy: How many jobs run.
        measuring: Whether one of them is a measurement.
        devices: What jobs can run here: the devices, and None for jobs without one.
        measured: The worker of each device.
        exporters: How many workers take jobs without a device.
    """

    def __init__(self) -> None:
        self.idle: dict[int, Worker] = {}
        self.devices: frozenset[str | None] = frozenset()
        self.measured: dict[str, Worker] = {}
        self.exporters = 0
        self.busy = 0
        self.measuring = False
        self._working: set[int] = set()
        self._present: list[Worker] = []

    def set_workers(self, workers: Iterable[Worker]) -> None:
        present = list(workers)
        if present == self._present:
            return
        self._present = present
        self.idle = {id(worker): worker for worker in present if id(worker) not in self._working}
        self.measured = {device: worker for worker in present for device in sorted(worker.devices)}
        self.exporters = sum(worker.exports for worker in present)
        self.devices = frozenset([*self.measured, *([None] if self.exporters else [])])

    def start(self, worker: Worker) -> None:
        self.idle.pop(id(worker), None)
        self._working.add(id(worker))
        self.busy += 1

    def end(self, worker: Worker, *, is_lost: bool) -> None:
        self._working.discard(id(worker))
        self.busy -= 1
        self.measuring = False  # if it was one, nothing else ran
        if not is_lost and any(worker is other for other in self._present):
            self.idle[id(worker)] = worker
