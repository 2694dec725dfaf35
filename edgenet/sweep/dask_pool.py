"""Workers of a Dask cluster: one in this process, or one that others have started."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from edgenet.errors import EdgenetError, first_sentence
from edgenet.sweep import dask_settings, host
from edgenet.sweep.host import Host
from edgenet.sweep.job import Answer, Job

if TYPE_CHECKING:
    from distributed import Client, Future

# A job may take so much longer than its timeout: its worker ends it itself.
GRACE_SECONDS = 60.0


class DaskWorker:
    """A worker of a cluster, as `edgenet.sweep.job.Worker`.

    Args:
        client: Of its cluster.
        address: In its cluster.
        facts: What `host.hello` says.
        here: Whether it runs in this process, so that it sees the same paths.
        on_lost: Called when it has lost a job: whether it is still there is not known then.
    """

    def __init__(
        self,
        client: "Client",
        address: str,
        facts: dict[str, Any],
        here: bool,
        on_lost: Callable[["DaskWorker"], None] = lambda worker: None,
    ):
        self.name: str = facts["name"]
        self.machine: str = facts["machine"]
        self.devices = frozenset(facts["devices"])
        self.exports: bool = facts["exports"]
        self.versions: dict[str, str] = facts["versions"]
        self.address, self.client, self.here = address, client, here
        self.on_lost = on_lost
        self.running: Running | None = None
        self._gone: str | None = None

    def start(self, job: Job, done: Callable[[Answer], None]) -> None:
        self.running = running = Running(self, job, done)
        if self._gone:
            running.lose(self._gone)
        elif self.here:
            running.begin()
        else:  # files travel first
            threading.Thread(target=running.begin, daemon=True).start()

    def lose(self, reason: str) -> None:
        """It has vanished, or hangs: so it loses its job, and one that it gets after that."""
        self._gone = reason
        if running := self.running:
            running.lose(reason)


class Running:
    """A job on a worker.

    Attributes:
        since: When the worker got it, in seconds of `time.monotonic`; None before that.
    """

    def __init__(self, worker: DaskWorker, job: Job, done: Callable[[Answer], None]):
        self._worker, self.job, self._done = worker, job, done
        self.token = f"edgenet-{token_hex(8)}"
        self.since: float | None = None
        self._lock = threading.Lock()
        self._is_done = False
        self._future: Future | None = None
        self._files: Path | None = None

    def begin(self) -> None:
        """Send what the job reads, and the job."""
        try:
            self._submit()
        except EdgenetError as error:
            self.end(Answer(problem=str(error)))
        except Exception as error:  # Dask has many for a connection that is lost
            self.end(self._lost(first_sentence(error)))

    def _submit(self) -> None:
        job, worker = self.job, self._worker
        files: str | bool | None = None
        if worker.here:
            inputs = {name: str(input.path.absolute()) for name, input in job.inputs.items()}
            if job.makes_files:
                self._files = Path(tempfile.mkdtemp(prefix="edgenet-job-"))
                files = str(self._files)
        else:
            from edgenet.sweep import transfer

            inputs = {name: transfer.send(worker, input) for name, input in job.inputs.items()}
            files = job.makes_files or None
        payload = {
            "token": self.token,
            "job": {
                "kind": str(job.kind),
                "name": job.name,
                "request": dict(job.request),
                "device": job.device,
                "timeout": job.timeout,
            },
            "inputs": inputs,
            "files": files,
        }
        with self._lock:
            if self._is_done:  # meanwhile the worker has vanished
                return
            if worker.here:
                host.waiting_here[self.token] = lambda reply: self.end(self._fetched(reply))
            self._future = worker.client.submit(
                host.run_on_worker,
                payload,
                key=self.token,
                workers=[worker.address],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
            self.since = time.monotonic()
            future = self._future
        future.add_done_callback(self._take)

    def _take(self, future: "Future") -> None:
        """Dask has an outcome. This runs in the one thread that it has for that."""
        if self._is_done:
            future.release()
        elif self._worker.here or not self.job.makes_files:
            self._answer(future)
        else:
            threading.Thread(target=self._answer, args=(future,), daemon=True).start()

    def _answer(self, future: "Future") -> None:
        try:
            if future.status == "finished":
                self.end(self._fetched(future.result()))
            elif future.status == "error":
                error = future.exception()
                if type(error).__name__ == "KilledWorker":
                    self.end(self._lost("it has ended"))
                else:
                    problem = f"{self._worker.name}: {type(error).__name__}: {first_sentence(error)}"
                    self.end(Answer(problem=problem))
            else:
                self.end(self._lost("the connection to it was lost"))
        except EdgenetError as error:
            self.end(Answer(problem=str(error)))
        except Exception as error:
            self.end(self._lost(first_sentence(error)))

    def _fetched(self, reply: dict[str, Any]) -> Answer:
        """The answer from what the worker returned."""
        seconds, name = reply["seconds"], self._worker.name
        if "problem" in reply:
            return Answer(problem=reply["problem"], worker=name, seconds=seconds)
        files = self._files
        if self.job.makes_files and not files:
            from edgenet.sweep import transfer

            files = transfer.fetch(self._worker, self.token, reply["digest"], reply["bytes"])
        self._files = None
        return Answer(result=reply["result"], files=files, worker=name, seconds=seconds)

    def lose(self, reason: str) -> None:
        """End without an answer of the worker."""
        self.end(self._lost(reason))

    def _lost(self, reason: str) -> Answer:
        return Answer(problem=f"{self._worker.name}: {reason}", is_lost=True, worker=self._worker.name)

    def end(self, answer: Answer) -> None:
        """Give the answer, unless there was one."""
        with self._lock:
            if self._is_done:
                return
            self._is_done = True
            future, self._future = self._future, None
        self._worker.running = None
        if answer.problem is not None and self._files:
            shutil.rmtree(self._files, ignore_errors=True)
        host.waiting_here.pop(self.token, None)
        if future and answer.is_lost:
            with suppress(Exception):
                future.cancel()  # the worker, if it is there, ends the job
        if future and not self._worker.here:  # if it is here, Dask does not know yet that it is done
            with suppress(Exception):
                future.release()
        if answer.is_lost:
            self._worker.on_lost(self._worker)
        self._done(answer)


class LocalPool:
    """A Dask cluster in this process. The work itself is done in processes that its workers start.

    Args:
        workers: How many there are.
        devices: The devices that this machine measures; each belongs to one of the workers.
        exports: Whether they take jobs without a device.

    Raises:
        EdgenetError: Dask is not installed.
    """

    def __init__(self, workers: int, devices: Sequence[str] = (), exports: bool = True):
        with dask_settings.applied():
            from distributed import Client, Scheduler, SpecCluster, Worker

            dask_settings.silence()
            self._folder = tempfile.mkdtemp(prefix="edgenet-dask-")
            self._hosts = [
                Host(f"worker {number + 1}", tuple(devices[number::workers]), exports, number)
                for number in range(workers)
            ]
            common = {"protocol": "inproc://", "dashboard": False}
            options = {"nthreads": 1, "memory_limit": 0, "local_directory": self._folder, **common}
            self._cluster = SpecCluster(
                scheduler={
                    "cls": Scheduler,
                    "options": {"dashboard_address": None, "local_directory": self._folder, **common},
                },
                workers={
                    number: {"cls": Worker, "options": {**options, "plugins": (each.plugin(),)}}
                    for number, each in enumerate(self._hosts)
                },
                silence_logs=False,
            )
            self._client = Client(self._cluster, set_as_default=False)
        machine, versions = host.identity(), host.versions()
        self._workers = [
            DaskWorker(
                self._client,
                self._cluster.workers[number].worker_address,
                {
                    "name": each.name,
                    "devices": each.devices,
                    "exports": exports,
                    "machine": machine,
                    "versions": versions,
                },
                here=True,
            )
            for number, each in enumerate(self._hosts)
        ]

    def workers(self) -> list[DaskWorker]:
        return list(self._workers)

    def close(self) -> None:
        """End all jobs, and the cluster."""
        for each in self._hosts:
            each.close()
        for worker in self._workers:
            worker.lose("the sweep has ended")
        with dask_settings.applied(), suppress(Exception):
            self._client.close(timeout=5)
            self._cluster.close(timeout=5)
        shutil.rmtree(self._folder, ignore_errors=True)
