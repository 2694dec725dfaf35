"""Files between the client and a worker, in chunks, over the connections that Dask has."""

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from edgenet.errors import EdgenetError
from edgenet.sweep import file_sets, host
from edgenet.sweep.job import Input

if TYPE_CHECKING:
    from edgenet.sweep.dask_pool import DaskWorker

# One at a time sends an input to a machine; those that come after find it there.
_locks: dict[tuple[str, str], threading.Lock] = {}
_locks_lock = threading.Lock()


def ask(worker: "DaskWorker", function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of `host` on a worker, beside the job that it runs."""
    return worker.client.run(function, *arguments, workers=[worker.address])[worker.address]


def send(worker: "DaskWorker", sent: Input) -> str:
    """Bring a file or folder to a worker, unless its machine has it.

    Returns:
        Its path there.

    Raises:
        EdgenetError: It cannot be read here or stored there, or was changed on its way.
    """
    with _locks_lock:
        lock = _locks.setdefault((worker.machine, sent.digest), threading.Lock())
    with lock:
        own = str(sent.path.absolute()) if worker.machine == host.identity() else None
        if path := ask(worker, host.find_input, sent.digest, own):
            return str(path)
        if not sent.path.is_dir():
            return _send_file(worker, sent.path, sent.digest, is_folder=False)
        with tempfile.TemporaryDirectory(prefix="edgenet-") as folder:
            archive = Path(folder, "files.tar")
            file_sets.pack(sent.path, archive)
            return _send_file(worker, archive, sent.digest, is_folder=True)


def _send_file(worker: "DaskWorker", path: Path, digest: str, is_folder: bool) -> str:
    transfer = token_hex(8)
    try:
        with open(path, "rb") as file:
            data = file.read(host.CHUNK_BYTES)
            while True:
                if problem := ask(worker, host.store_chunk, transfer, data):
                    raise EdgenetError(f"{worker.name}: {problem}")
                if not (data := file.read(host.CHUNK_BYTES)):
                    break
    except FileNotFoundError as error:
        raise EdgenetError(f"{path}: {error.strerror}") from error
    kept = ask(worker, host.keep_input, transfer, digest, is_folder)
    if "problem" in kept:
        raise EdgenetError(f"{worker.name}: {kept['problem']}")
    return str(kept["path"])


def fetch(worker: "DaskWorker", token: str, digest: str, size: int) -> Path:
    """Bring the files of a job here.

    Args:
        worker: Where it ran.
        token: Names the run.
        digest: The SHA-256 of the archive with the files.
        size: Of it, in bytes.

    Returns:
        A new temporary folder with the files.

    Raises:
        EdgenetError: They cannot be stored here, or were changed on their way.
    """
    folder = Path(tempfile.mkdtemp(prefix="edgenet-job-"))
    try:
        with tempfile.TemporaryDirectory(prefix="edgenet-") as arriving:
            archive, total, count = Path(arriving, "files.tar"), hashlib.sha256(), 0
            with open(archive, "wb") as file:
                while count < size and (data := ask(worker, host.read_chunk, token, count)):
                    file.write(data)
                    total.update(data)
                    count += len(data)
            if total.hexdigest() != digest:
                raise EdgenetError(
                    f"{worker.name}: its files are not what arrived; they were damaged or changed on their way"
                )
            folder.rmdir()
            file_sets.unpack(archive, folder)
        return folder
    except BaseException as error:
        with suppress(OSError):
            shutil.rmtree(folder)
        if isinstance(error, OSError) and error.errno is not None:  # Dask's have none
            raise EdgenetError(file_sets.explain(error, Path(tempfile.gettempdir()))) from error
        raise
