"""Clusters for tests: a scheduler and workers, as processes of this machine or within this one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenet.sweep import certificates, dask_settings
from edgenet.sweep.dispatcher import Dispatcher
from edgenet.sweep.host import Host


@contextmanager
def in_process(*hosts: Host | None) -> Iterator[str]:
    """A cluster that is reached over TCP, with a worker for each host, None for one of others. Yields its address."""
    with dask_settings.applied():
        from distributed import Scheduler, SpecCluster, Worker

        common = {"host": "127.0.0.1", "dashboard": False}
        cluster = SpecCluster(
            scheduler={"cls": Scheduler, "options": {"port": 0, "dashboard_address": None, **common}},
            workers={
                number: {
                    "cls": Worker,
                    "options": {
                        "nthreads": 1,
                        "memory_limit": 0,
                        "plugins": (host.plugin(),) if host else (),
                        **common,
                    },
                }
                for number, host in enumerate(hosts)
            },
            silence_logs=False,
        )
        dask_settings.silence()
    try:
        yield cluster.scheduler_address
    finally:
        with dask_settings.applied():
            cluster.close(timeout=5)


class Processes:
    """A scheduler and workers with certificates, each a process of its own.

    Args:
        folder: For their certificates, caches and outputs.
        port: Of the scheduler.
    """

    def __init__(self, folder: Path, port: int):
        self.folder, self.certificates = folder, folder / "certificates"
        self.address = f"tls://127.0.0.1:{port}"
        self._port = port
        self._all: list[subprocess.Popen[bytes]] = []
        certificates.make(self.certificates)

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a process, whose output goes to a file."""
        # The machine's locks and cache are those of these workers only.
        environment = {**os.environ, "TMPDIR": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache")}
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        self._all.append(process)
        return process

    def scheduler(self) -> subprocess.Popen[bytes]:
        own = self.certificates
        process = self.start(
            "scheduler",
            *("distributed.cli.dask_scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", str(self._port)),
            *("--no-dashboard", "--tls-ca-file", str(own / certificates.AUTHORITY)),
            *("--tls-cert", str(own / certificates.CERTIFICATE), "--tls-key", str(own / certificates.KEY)),
        )
        self.wait_for("scheduler", "Scheduler at")
        return process

    def worker(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        process = self.start(
            name,
            *("edgenet", "worker", "--scheduler", self.address, "--certificates", str(self.certificates)),
            *("--name", name, *options),
        )
        self.wait_for(name, "is ready for", process)
        return process

    def output(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait_for(self, name: str, text: str, process: "subprocess.Popen[bytes] | None" = None, count: int = 1) -> None:
        """Wait until a process has printed a text."""
        deadline = time.monotonic() + 60
        while self.output(name).count(text) < count:
            assert time.monotonic() < deadline, self.output(name)
            assert process is None or process.poll() is None, self.output(name)
            time.sleep(0.05)

    def close(self) -> None:
        for process in self._all:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


def run(pool, jobs, accepted=lambda job, answer: True, **options):
    """Run jobs. Returns the last answer of each, by name."""
    answers = {}

    def take(job, answer):
        answers[job.name] = answer
        return accepted(job, answer)

    dispatcher = Dispatcher(pool, take, **options)
    for job in jobs:
        dispatcher.add(job)
    dispatcher.run()
    return answers
