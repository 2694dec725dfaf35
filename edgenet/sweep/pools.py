"""Several pools as one: a cluster, and devices that are reached by ssh."""

from collections.abc import Sequence
from contextlib import ExitStack

from edgenet.sweep.job import Pool, Worker


class Pools:
    """Pools as one.

    Args:
        pools: The pools; closing this one closes them.
    """

    def __init__(self, pools: Sequence[Pool]):
        self._pools = tuple(pools)

    def workers(self) -> list[Worker]:
        return [worker for pool in self._pools for worker in pool.workers()]

    def close(self) -> None:
        with ExitStack() as closing:  # all of them, also if one fails
            for pool in self._pools:
                closing.callback(pool.close)
