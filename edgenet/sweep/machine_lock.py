"""Locks of this machine: while one process measures a latency, no other job runs, whichever sweep it is of.

A lock is a file in the folder for temporary files, and ends with the process that holds it. Systems without flock
(Windows) have no locks.
"""

import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_HAS_LOCKS = False
if sys.platform != "win32":
    with suppress(ImportError):
        import fcntl

        _HAS_LOCKS = True

# Between two tries to get a lock: far below the duration of a job.
_POLL_SECONDS = 0.05


def _never() -> bool:
    return False


@contextmanager
def held(exclusive: bool, is_cancelled: Callable[[], bool] = _never) -> Iterator[None]:
    """Hold the machine's lock: exclusively while a latency is measured, together with others for other jobs.

    Jobs that come after a waiting measurement wait for it, so it is not kept waiting by an endless row of jobs.

    Args:
        exclusive: Whether nobody else may hold it.
        is_cancelled: Asked while waiting; if it returns True, the block is entered without the lock.
    """
    with ExitStack() as locks:
        gate = ExitStack()
        with gate:
            # Whoever waits for the lock holds the gate.
            gate.enter_context(_waited("gate", True, is_cancelled))
            locks.enter_context(_waited("lock", exclusive, is_cancelled))
        yield


@contextmanager
def own_core(number: int) -> Iterator[int | None]:
    """Reserve a core for a job that runs on one: of all jobs of this machine, as few as possible share one.

    Args:
        number: Which of the cores is taken if none is free, and tried first.

    Yields:
        The core, of those that this process may use; None on systems that do not bind processes to cores.
    """
    if sys.platform == "win32" or not hasattr(os, "sched_getaffinity"):
        yield None
        return
    cores = sorted(os.sched_getaffinity(0))
    for step in range(len(cores)):
        core = cores[(number + step) % len(cores)]
        with _tried(f"core-{core}", True) as got:
            if got:
                yield core
                return
    yield cores[number % len(cores)]


@contextmanager
def device(name: str) -> Iterator[bool]:
    """Hold the lock of a device: yields False if another process of this machine holds it."""
    safe = "".join(letter if letter.isalnum() else f"_{ord(letter):x}_" for letter in name)[:150]
    with _tried(f"device-{safe}", True) as got:
        yield got


@contextmanager
def _waited(name: str, exclusive: bool, is_cancelled: Callable[[], bool]) -> Iterator[None]:
    with ExitStack() as held:
        while not held.enter_context(_tried(name, exclusive)) and not is_cancelled():
            held.pop_all().close()
            time.sleep(_POLL_SECONDS)
        yield


@contextmanager
def _tried(name: str, exclusive: bool) -> Iterator[bool]:
    """Try to get a lock. Yields whether it is held; True where there are no locks."""
    number = _open(Path(tempfile.gettempdir(), f"edgenet-{name}.lock")) if _HAS_LOCKS else None
    if number is None:
        yield True
        return
    try:
        yield _flock(number, exclusive)
    finally:
        os.close(number)


def _flock(number: int, exclusive: bool) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(number, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    return True


def _open(path: Path) -> int | None:
    """A descriptor of a file that all users share; None if there can be none.

    It is opened before it is made: Linux refuses O_CREAT for files of others in a shared folder (fs.protected_regular).
    """
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    for _ in range(3):  # another process may make or remove it at the same time
        with suppress(FileNotFoundError):
            try:
                number = os.open(path, flags)
            except PermissionError:
                return None
            if stat.S_ISREG(os.fstat(number).st_mode):
                return number
            os.close(number)
            return None
        with suppress(FileExistsError):
            try:
                number = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            except OSError as error:
                if isinstance(error, FileExistsError):
                    raise
                return None
            with suppress(OSError):
                os.chmod(path, 0o666)  # whatever the umask
            return number
    return None
