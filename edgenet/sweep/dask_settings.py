"""How edgenet uses Dask: without its own logging, and without what it does in the background.

A worker that measures a latency must not disturb it, and hundreds of workers may be in one process.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from edgenet.errors import EdgenetError

# Seconds for a connection, and for the answer to a short question.
CONNECT_SECONDS = 10.0
_SETTINGS: dict[str, Any] = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    # Health checks of event loops, 50 in a second, and of the machine.
    "distributed.admin.tick.interval": "1 hour",
    "distributed.admin.tick.limit": "1 day",
    "distributed.admin.system-monitor.interval": "1 hour",
    # Logs in memory, several for each connection.
    "distributed.admin.log-length": 1,
    "distributed.admin.low-level-log-length": 1,
    "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS:g}s",
}
_LOGGERS = ("distributed", "tornado", "asyncio", "dask")


def check_installed() -> None:
    """Check that Dask is there.

    Raises:
        EdgenetError: It is not.
    """
    if not find_spec("distributed"):
        raise EdgenetError("a sweep needs the package distributed: pip install 'edgenet[sweep]'")


@contextmanager
def applied() -> Iterator[None]:
    """Use these settings for what of Dask is made in the block."""
    check_installed()
    import dask
    import distributed  # noqa: F401  its settings are there once it is imported

    silence()
    with dask.config.set(_SETTINGS), warnings.catch_warnings():
        # Of versions that differ (what matters is checked by `dask_pool`), and of numbers of threads.
        warnings.simplefilter("ignore")
        yield


def silence() -> None:
    """Print nothing of what Dask logs: what matters of it becomes an answer or an error."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
