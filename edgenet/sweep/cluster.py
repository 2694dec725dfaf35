"""The workers of a Dask cluster that others have started: each is an `edgenet worker`."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import edgenet
from edgenet.errors import EdgenetError, first_sentence
from edgenet.sweep import connection, dask_settings, host
from edgenet.sweep.dask_pool import GRACE_SECONDS, DaskWorker

# How often the scheduler is asked for its workers.
POLL_SECONDS = 1.0
# A worker sends a heartbeat each second or so: without any for this long it hangs, or its network is gone.
SILENT_SECONDS = 60.0


class ClusterPool:
    """The workers of a cluster.

    Args:
        scheduler: The address of its scheduler.
        certificates: The folder of its certificates; None for none.
        insecure: Whether a connection without certificates may lead to another machine.
        log: Gets a line for what else the user should know, such as a worker that cannot be used.

    Raises:
        EdgenetError: The scheduler cannot be reached, or a worker cannot be used.
    """

    def __init__(
        self,
        scheduler: str,
        *,
        certificates: Path | None = None,
        insecure: bool = False,
        log: Callable[[str], None] = lambda line: None,
    ):
        dask_settings.check_installed()
        self._address, security = connection.check(scheduler, certificates, insecure)
        self._log = log
        self._lock = threading.Lock()
        self._workers: dict[str, DaskWorker] = {}
        # The workers that are asked what they are, or cannot be used.
        self._asked: set[str] = set()
        # Those that could not be asked, which was told once.
        self._silent: set[str] = set()
        # The last heartbeat of each worker, and when it was noticed.
        self._seen: dict[str, tuple[float, float]] = {}
        self._gone: EdgenetError | None = None
        self._closed = threading.Event()
        with dask_settings.applied():
            from distributed import Client

            dask_settings.silence()
            try:
                self._client = Client(
                    self._address, security=security, timeout=dask_settings.CONNECT_SECONDS, set_as_default=False
                )
            except Exception as error:  # Dask has many for this
                raise EdgenetError(connection.explain(self._address, error)) from error
        try:
            self._check_scheduler()
            # Those that are there already are checked now, so that what is wrong with them is said at once.
            self._look(wait=True)
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._watch, daemon=True).start()

    def workers(self) -> list[DaskWorker]:
        if self._gone:
            raise self._gone
        with self._lock:
            return list(self._workers.values())

    def close(self) -> None:
        """Leave the cluster: its workers end the jobs of this client."""
        self._closed.set()
        for worker in list(self._workers.values()):
            worker.lose("the sweep has ended")
        with dask_settings.applied(), suppress(Exception):
            self._client.close(timeout=5)

    def _check_scheduler(self) -> None:
        own = host.versions()["distributed"]
        answered: Any = self._client.get_versions(check=False)
        found = answered["scheduler"]["packages"]["distributed"]
        if found != own:
            raise EdgenetError(
                f"{self._address}: the scheduler has distributed {found}, this machine has {own}; "
                f"`pip install distributed=={own}` there"
            )

    def _watch(self) -> None:
        while not self._closed.wait(POLL_SECONDS):
            try:
                self._look()
            except Exception as error:
                if not self._closed.is_set():
                    self._gone = EdgenetError(
                        f"the scheduler at {self._address} is gone ({first_sentence(error)}); start it, and run the "
                        "same command again"
                    )
                return

    def _look(self, wait: bool = False) -> None:
        """See which workers are there now."""
        if self._client.status != "running":
            raise OSError(f"the connection is {self._client.status}")
        found: dict[str, Any] = _within(dask_settings.CONNECT_SECONDS, self._client.scheduler_info)["workers"]
        now = time.monotonic()
        for address, facts in found.items():
            if self._seen.get(address, (None, 0.0))[0] != facts["last_seen"]:
                self._seen[address] = facts["last_seen"], now
        for address in [address for address in self._seen if address not in found]:
            del self._seen[address]
            self._asked.discard(address)
        for address, worker in list(self._workers.items()):
            if address not in self._seen:
                self._remove(address, "it has ended, or the connection to it was lost")
            elif now - self._seen[address][1] > SILENT_SECONDS:
                self._remove(address, f"it has not answered for {SILENT_SECONDS:g} s")
                self._asked.discard(address)  # it is asked again if it comes back
            else:
                self._check_duration(worker, now)
        new = [
            address
            for address, (_, noticed) in self._seen.items()
            if address not in self._asked and now - noticed <= SILENT_SECONDS
        ]
        threads = [threading.Thread(target=self._greet, args=(address, wait), daemon=True) for address in new]
        self._asked.update(new)
        for thread in threads:
            thread.start()
        if wait:
            deadline = now + dask_settings.CONNECT_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            if self._gone:
                raise self._gone

    def _greet(self, address: str, is_first: bool) -> None:
        """Ask a worker what it is, and use it if it can be used."""
        worker: DaskWorker | None = None
        try:
            facts = self._client.run(host.hello, workers=[address])[address]
        except Exception as error:
            if address not in self._seen:  # it has gone again
                return
            problem: str | None = (
                f"{address}: cannot be asked what it is ({first_sentence(error)}); install edgenet "
                f"{edgenet.__version__} there: pip install 'edgenet[sweep]=={edgenet.__version__}'"
            )
        else:
            if facts is None:
                self._log(f"{address} is no `edgenet worker`, so it gets no jobs")
                return
            worker, problem = DaskWorker(self._client, address, facts, False, self._ask_again), _mismatch(facts)
        with self._lock:
            if worker and not problem:
                problem = self._rival(worker)
            if worker and not problem:
                self._workers[address] = worker
                return
        if is_first:
            self._gone = self._gone or EdgenetError(str(problem))
        elif worker or address not in self._silent:
            self._log(str(problem))
        if not worker:  # perhaps the connection was lost: it is asked again
            self._silent.add(address)
            self._asked.discard(address)

    def _rival(self, worker: DaskWorker) -> str | None:
        """What is wrong if another worker has the same device. One that is of the same machine takes its place."""
        for address, other in list(self._workers.items()):
            for device in sorted(worker.devices & other.devices):
                if other.machine != worker.machine:
                    return f'two workers have the device "{device}": {other.name} and {worker.name}; stop one of them'
                threading.Thread(
                    target=self._remove, args=(address, "another worker has taken its place"), daemon=True
                ).start()
        return None

    def _remove(self, address: str, reason: str) -> None:
        with self._lock:
            worker = self._workers.pop(address, None)
        if worker:
            worker.lose(reason)

    def _ask_again(self, worker: DaskWorker) -> None:
        """A worker that has lost a job gets no other before it has answered: it is a new one then."""
        with self._lock:
            if self._workers.get(worker.address) is worker:
                del self._workers[worker.address]
                worker.lose("the connection to it was lost")
                self._asked.discard(worker.address)

    def _check_duration(self, worker: DaskWorker, now: float) -> None:
        """A worker that hears but does not end its job is given up."""
        running = worker.running
        if not running or running.since is None or now - running.since <= running.job.timeout + GRACE_SECONDS:
            return
        with suppress(Exception):
            if _within(
                dask_settings.CONNECT_SECONDS,
                lambda: self._client.run(host.is_waiting, running.token, workers=[worker.address])[worker.address],
            ):
                running.since = now - running.job.timeout  # it waits for another's measurement, and is asked again
                return
        self._remove(worker.address, f"it has not ended {running.job.name} within its {running.job.timeout:g} s")


def _mismatch(facts: dict[str, Any]) -> str | None:
    """Which versions of a worker are not this client's."""
    found, own = facts["versions"], host.versions()
    for package, extra in (("edgenet", "edgenet[sweep]"), ("distributed", "distributed")):
        if found.get(package) != own[package]:
            return (
                f"{facts['name']} has {package} {found.get(package)}, this machine has {own[package]}; "
                f"there: pip install '{extra}=={own[package]}'"
            )
    return None


def _within(seconds: float, function: Callable[[], Any]) -> Any:
    """What a function returns, if it does so in time: a process that hangs never answers.

    Raises:
        TimeoutError: It does not.
    """
    results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            results.put((function(), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = results.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error:
        raise error
    return value
