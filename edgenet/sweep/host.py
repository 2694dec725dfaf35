"""What a Dask worker does for a sweep: it says what it is, keeps files, and runs jobs.

The functions here travel by name: the client names one, and the worker runs its own edgenet's. Only dicts, texts and
bytes travel with them.
"""

import asyncio
import os
import platform
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenet import cache
from edgenet.errors import EdgenetError
from edgenet.machine import host as machine
from edgenet.sweep import file_sets
from edgenet.sweep.job_process import JobRunner

if TYPE_CHECKING:
    from distributed import Worker
    from distributed.diagnostics.plugin import WorkerPlugin

# The name of the plugin by which a worker of edgenet is recognized.
NAME = "edgenet"
# Of a file, in one message: the workers of a slow network answer between them.
CHUNK_BYTES = 4_000_000
# Inputs that no job has read for so long are deleted.
KEEP_SECONDS = 14 * 86_400.0
# Who waits in this process for the answer of a job, by its token: Dask takes milliseconds to bring it.
waiting_here: dict[str, Callable[[dict[str, Any]], None]] = {}


class Host:
    """One worker.

    Args:
        name: For people.
        devices: The devices whose latency it measures.
        exports: Whether it takes jobs without a device.
        number: Of the worker, among those of its process.
        log: Gets a line for each job that begins or ends.
    """

    def __init__(
        self,
        name: str,
        devices: tuple[str, ...],
        exports: bool,
        number: int = 0,
        log: Callable[[str], None] = lambda line: None,
    ):
        self.name, self.devices, self.exports, self.log = name, devices, exports, log
        self.runner = JobRunner(number)
        self.inputs = cache.folder("sweep")
        # The results of jobs, until the client has them.
        self.results: dict[str, Path] = {}
        # Begin of each file that is arriving.
        self.arriving: dict[str, Path] = {}

    def plugin(self) -> "WorkerPlugin":
        """What makes a Dask worker this host."""
        from distributed.diagnostics.plugin import WorkerPlugin

        host = self

        class Plugin(WorkerPlugin):
            name = NAME

            def __init__(self) -> None:
                self.host = host

            def transition(self, key: Any, start: Any, finish: Any, **kwargs: Any) -> None:
                """Dask tells that nobody waits for a task any more, since it was cancelled or its client has ended."""
                if finish in ("cancelled", "released", "forgotten"):
                    host.forget(str(key))

            def teardown(self, worker: Any) -> None:
                host.close()

        return Plugin()

    def forget(self, token: str) -> None:
        """End a job, and delete its files."""
        self.runner.cancel(token)
        if folder := self.results.pop(token, None):
            threading.Thread(target=shutil.rmtree, args=(folder, True)).start()

    def close(self) -> None:
        """End all jobs, and delete what has not been fetched."""
        self.runner.close()
        for token in list(self.results):
            self.forget(token)


def identity() -> str:
    """Identifies this machine, as long as it runs."""
    parts = [socket.gethostname()]
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with suppress(OSError):
            parts.append(Path(path).read_text(encoding="ascii").strip())
    if len(parts) < 3:
        parts.append(f"{uuid.getnode():x}")
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def versions() -> dict[str, str]:
    """The versions that client and worker must agree on, or that explain why they do not."""
    return {**machine.versions(), "distributed": metadata.version("distributed"), "python": platform.python_version()}


def hello(dask_worker: "Worker") -> dict[str, Any] | None:
    """What a worker is; None if it is not one of edgenet's."""
    host = _host(dask_worker)
    if host is None:
        return None
    return {
        "name": host.name,
        "devices": list(host.devices),
        "exports": host.exports,
        "machine": identity(),
        "versions": versions(),
    }


def run_on_worker(payload: dict[str, Any]) -> dict[str, Any]:
    """Run a job: what Dask runs in the thread of a worker.

    Args:
        payload: "token", which is the key of the Dask task; "job", as `JobRunner.run` takes it; "inputs", their paths
            on this machine; "files", the folder to make files in, True for one of this host, None for none.

    Returns:
        "result" or "problem"; "seconds"; with files of this host their "digest" and size, "bytes", of the archive that
        `read_chunk` reads. Nothing of it if somebody in this process has got it already.
    """
    from distributed import get_worker

    host = _host(get_worker())
    if host is None:
        return {"problem": "the worker has lost its plugin; restart it", "seconds": 0.0}
    token, job = payload["token"], payload["job"]
    inputs = {name: Path(path) for name, path in payload["inputs"].items()}
    host.log(f"{job['name']}: begins")
    begin = time.monotonic()
    own = None
    answer: dict[str, Any]
    try:
        if payload["files"] is True:
            own = host.results[token] = Path(tempfile.mkdtemp(prefix="edgenet-job-"))
            files: Path | None = own / "files"
            (own / "files").mkdir()
        else:
            files = Path(payload["files"]) if payload["files"] else None
        answer = {"result": host.runner.run(token, job, inputs, files)}
        if own:
            archive = own / "files.tar"
            file_sets.pack(own / "files", archive)
            answer |= {"digest": file_sets.digest(archive), "bytes": archive.stat().st_size}
    except EdgenetError as error:
        answer = {"problem": str(error)}
    except OSError as error:
        answer = {"problem": f"{host.name}: {file_sets.explain(error, Path(tempfile.gettempdir()))}"}
    answer["seconds"] = time.monotonic() - begin
    host.log(f"{job['name']}: {answer.get('problem') or 'done'}, {answer['seconds']:.1f} s")
    if waiting := waiting_here.pop(token, None):
        waiting(answer)
        return {}
    return answer


def is_waiting(token: str, dask_worker: "Worker") -> bool:
    """Whether a job still waits for the machine, which another one has."""
    host = _host(dask_worker)
    return host is not None and host.runner.is_waiting(token)


async def find_input(digest: str, path: str | None, dask_worker: "Worker") -> str | None:
    """Where an input is on this machine.

    Args:
        digest: The SHA-256 that names its contents.
        path: Where it is if this is the client's machine.

    Returns:
        Its path; None if it has to be sent.
    """
    host = _host(dask_worker)
    return await asyncio.to_thread(_found, host, digest, Path(path) if path else None) if host else None


def _found(host: Host, digest: str, path: Path | None) -> str | None:
    kept = host.inputs / digest
    for candidate in filter(None, (path, kept)):
        with suppress(EdgenetError):
            if candidate.exists() and file_sets.digest(candidate) == digest:
                with suppress(OSError):
                    os.utime(kept)
                return str(candidate)
    return None


async def store_chunk(transfer: str, data: bytes, dask_worker: "Worker") -> str | None:
    """Append to a file that arrives. Returns the problem, None if there is none."""
    host = _host(dask_worker)
    return await asyncio.to_thread(_store, host, transfer, data) if host else "the worker has lost its plugin"


def _store(host: Host, transfer: str, data: bytes) -> str | None:
    try:
        if transfer not in host.arriving:
            _delete_old(host.inputs)
            host.arriving[transfer] = Path(tempfile.mkdtemp(prefix=".arriving-", dir=host.inputs))
        with open(host.arriving[transfer] / "data", "ab") as file:
            file.write(data)
    except OSError as error:
        if folder := host.arriving.pop(transfer, None):
            shutil.rmtree(folder, ignore_errors=True)
        return file_sets.explain(error, host.inputs)
    return None


async def keep_input(transfer: str, digest: str, is_folder: bool, dask_worker: "Worker") -> dict[str, str]:
    """Check what has arrived, and keep it. Returns its "path", or the "problem"."""
    host = _host(dask_worker)
    if not host:
        return {"problem": "the worker has lost its plugin"}
    return await asyncio.to_thread(_keep, host, transfer, digest, is_folder)


def _keep(host: Host, transfer: str, digest: str, is_folder: bool) -> dict[str, str]:
    folder, kept = host.arriving.pop(transfer), host.inputs / digest
    try:
        arrived = folder / "data"
        if is_folder:
            file_sets.unpack(arrived, folder / "files")
            arrived = folder / "files"
        file_sets.check(arrived, digest)
        if kept.exists():  # damaged, since `find_input` has not found it; or another worker was faster
            kept.rename(folder / "old")
        arrived.rename(kept)
    except EdgenetError as error:
        return {"problem": str(error)}
    except OSError as error:
        return {"problem": file_sets.explain(error, host.inputs)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"path": str(kept)}


def _delete_old(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > KEEP_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


async def read_chunk(token: str, offset: int, dask_worker: "Worker") -> bytes | None:
    """A part of the archive with the files of a job; None if it is gone."""
    host = _host(dask_worker)
    folder = host.results.get(token) if host else None
    return await asyncio.to_thread(_read, folder / "files.tar", offset) if folder else None


def _read(path: Path, offset: int) -> bytes | None:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)
    except OSError:
        return None


def _host(worker: Any) -> Host | None:
    plugin = worker.plugins.get(NAME)
    return plugin.host if plugin else None
