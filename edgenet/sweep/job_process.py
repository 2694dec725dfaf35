"""Runs jobs, each in a process of its own, which is fresh, can crash, and ends with its parent.

All but measurements run on one core, without a GPU: their files are then the same, to the byte, however many workers
there are, and N workers are about N times as fast. A measurement gets the whole machine, as `edgenet benchmark` does.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from edgenet.errors import EdgenetError
from edgenet.litert import child
from edgenet.sweep import machine_lock
from edgenet.sweep.job import Kind
from edgenet.sweep.kinds import stub

MODULE = "edgenet.sweep.job_process"
# The variables that numerical libraries read their number of threads from, and CUDA its devices.
SINGLE = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1"),
    "TF_NUM_INTEROP_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
# How often a job looks whether its parent is still there.
WATCH_SECONDS = 0.5


class JobRunner:
    """Runs the jobs of one worker.

    Args:
        number: Of the worker, among those of its process: chooses the core.
    """

    def __init__(self, number: int = 0):
        self._number = number
        self._lock = threading.Lock()
        self._running: dict[str, _Run] = {}
        self._is_closed = False

    def run(self, token: str, job: Mapping[str, Any], inputs: Mapping[str, Path], files: Path | None) -> Any:
        """Run a job, and wait for it.

        Args:
            token: Names this run, for `cancel`.
            job: "kind", "name", "request", "device" and "timeout", as of a `Job`.
            inputs: Where its inputs are.
            files: An empty folder for the files that it makes; None if it makes none.

        Returns:
            What the function of its kind returns: JSON.

        Raises:
            EdgenetError: The job failed, crashed, took too long or was cancelled.
        """
        run = _Run(str(job["name"]))
        with self._lock:
            if self._is_closed:
                run.cancel()
            self._running[token] = run
        try:
            return self._run(run, job, inputs, files)
        finally:
            with self._lock:
                del self._running[token]

    def cancel(self, token: str) -> None:
        """End a run, if it is there."""
        with self._lock:
            run = self._running.get(token)
        if run:
            run.cancel()

    def is_waiting(self, token: str) -> bool:
        """Whether a run still waits for the machine, which another process has."""
        with self._lock:
            run = self._running.get(token)
        return run is not None and run.is_waiting

    def close(self) -> None:
        """End all runs, now and later."""
        with self._lock:
            self._is_closed = True
            runs = list(self._running.values())
        for run in runs:
            run.cancel()

    def _run(self, run: "_Run", job: Mapping[str, Any], inputs: Mapping[str, Path], files: Path | None) -> Any:
        kind, request = Kind(job["kind"]), job["request"]
        measures = kind is Kind.MEASURE
        with ExitStack() as held:
            if measures or job["device"] is None:
                held.enter_context(machine_lock.held(measures, run.is_cancelled))
            if run.is_cancelled():
                raise run.cancelled()
            run.is_waiting = False
            if kind is Kind.STUB and not request.get("process"):  # thousands of them
                return stub.run(request, inputs, files)
            core = None if measures else held.enter_context(machine_lock.own_core(self._number))
            message = {
                "parent": os.getpid(),
                "kind": kind,
                "request": request,
                "inputs": {name: str(path) for name, path in inputs.items()},
                "files": str(files) if files else None,
                "single": not measures,
                "core": core,
            }
            return run.wait(message, job["timeout"])


class _Run:
    """One job, and the process that it runs in."""

    def __init__(self, name: str):
        self._name = name
        self._lock = threading.Lock()
        self._process: child.Child | None = None
        self._is_cancelled = False
        self.is_waiting = True

    def is_cancelled(self) -> bool:
        return self._is_cancelled

    def cancelled(self) -> EdgenetError:
        return EdgenetError(f"{self._name}: cancelled")

    def cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
            if self._process:
                _kill(self._process.pid)

    def wait(self, message: Mapping[str, Any], timeout: float) -> Any:
        timed_out = threading.Event()
        with self._lock:
            if self._is_cancelled:
                raise self.cancelled()
            # Its own limit never comes first: this one ends the processes that the job has started, too.
            process = self._process = child.Child(MODULE, message, self._name, timeout + 3_600)

        def end() -> None:
            timed_out.set()
            _kill(process.pid)

        timer = threading.Timer(timeout, end)
        timer.daemon = True
        timer.start()
        try:
            with closing(process):
                try:
                    return process.receive()
                except EdgenetError as error:
                    if self._is_cancelled:
                        raise self.cancelled() from error
                    if timed_out.is_set():
                        raise EdgenetError(
                            f"{self._name}: not done after {timeout:g} s, so it was ended; it hangs, or this machine "
                            "is too slow for it"
                        ) from error
                    raise
                finally:
                    timer.cancel()
                    with self._lock:
                        self._process = None
                        _kill_group(process.pid)  # what it has started and not ended
        finally:
            timer.cancel()


def _kill(number: int) -> None:
    """Kill a job's process, which has not been waited for, and those that it has started."""
    if not _kill_group(number):  # it has not got as far as to have a group of its own
        with suppress(OSError):
            if sys.platform == "win32":
                os.kill(number, signal.SIGTERM)  # TerminateProcess
            else:
                os.kill(number, signal.SIGKILL)


def _kill_group(number: int) -> bool:
    """Kill the processes that a job has started, whether or not its own still runs. Returns whether there were any."""
    if sys.platform == "win32" or not hasattr(os, "killpg"):
        return False
    try:
        os.killpg(number, signal.SIGKILL)
    except OSError:
        return False
    return True


def _end_with(parent: int) -> None:
    """End this process and those that it has started as soon as its parent is another one: the first has ended."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    _kill(os.getpid())
    os._exit(1)


def _start(message: Mapping[str, Any]) -> tuple[Any, None]:
    if sys.platform != "win32" and hasattr(os, "setpgid"):
        os.setpgid(0, 0)
        threading.Thread(target=_end_with, args=(message["parent"],), daemon=True).start()
    if message["single"]:
        os.environ.update(SINGLE)  # no library that reads them has been imported yet
        core = message["core"]
        if core is not None and sys.platform != "win32" and hasattr(os, "sched_setaffinity"):
            with suppress(OSError):
                os.sched_setaffinity(0, {core})
    inputs = {name: Path(path) for name, path in message["inputs"].items()}
    files = Path(message["files"]) if message["files"] else None
    return import_module(f"edgenet.sweep.kinds.{message['kind']}").run(message["request"], inputs, files), None


if __name__ == "__main__":
    child.serve(_start)
