"""Where the jobs of a sweep run: in this process's own cluster, on another one, and over ssh."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenet import cores
from edgenet.errors import EdgenetError
from edgenet.sweep.cluster import ClusterPool
from edgenet.sweep.dask_pool import LocalPool
from edgenet.sweep.job import Pool
from edgenet.sweep.plan import Plan
from edgenet.sweep.pools import Pools
from edgenet.sweep.ssh_pool import SshPool, Target

# Seconds in which workers that are there make themselves known.
GREETING_SECONDS = 15.0


@dataclass(frozen=True)
class Engine:
    """Where jobs run.

    Attributes:
        workers: Jobs that this machine runs at the same time; one for each core by default. Without a scheduler only.
        scheduler: The address of a Dask scheduler, whose workers are `edgenet worker`s; None for this machine alone.
        certificates: The folder of the cluster's certificates.
        insecure: Whether to join a scheduler on another machine without encryption.
        benchmark, version: What follows the name of the program on a device that ssh reaches, as in `SshPool`.
    """

    workers: int | None = None
    scheduler: str | None = None
    certificates: Path | None = None
    insecure: bool = False
    benchmark: Callable[[Mapping[str, Any], str, str], str] = lambda request, bundle, file: ""
    version: str = ""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise EdgenetError(f"must be 1 or more, got {self.workers}", parameter="workers")
        if self.workers is not None and self.scheduler:
            raise EdgenetError("the scheduler's workers run the jobs; leave it out", parameter="workers")
        if self.scheduler is None and self.insecure:
            raise EdgenetError("give scheduler= as well, or leave it out", parameter="insecure")

    @property
    def jobs_at_once(self) -> int:
        """How many exports run at the same time on this machine; 0 where a scheduler's workers run them."""
        return 0 if self.scheduler else self.workers or cores.available()

    @contextmanager
    def open(
        self, plan: Plan, devices: Collection[str], log: Callable[[str], None] = lambda line: None
    ) -> Iterator[Pool]:
        """Open the workers of a plan, and close them at the end of the block.

        Args:
            plan: The plan.
            devices: The devices that have something to do.
            log: Gets a line for a worker that cannot be used.

        Raises:
            EdgenetError: The scheduler cannot be joined, or no worker has one of the devices.
        """
        local = [device.name for device in plan.devices if device.local]
        ssh = {device.name: Target(device.ssh, device.command) for device in plan.devices if device.ssh}
        others = [d.name for d in plan.devices if d.name in devices and not d.local and not d.ssh]
        if others and not self.scheduler:
            raise EdgenetError(
                f"{plan.source}: {', '.join(others)}: not this machine; give scheduler= whose workers have it, or "
                "`ssh` in the plan"
            )
        with ExitStack() as opened:
            pools: list[Pool] = []

            def add(pool: Pool) -> None:
                pools.append(opened.enter_context(closing(pool)))

            if self.scheduler:
                add(ClusterPool(self.scheduler, certificates=self.certificates, insecure=self.insecure, log=log))
            if local or not self.scheduler:
                add(LocalPool(self.jobs_at_once or 1, local, exports=not self.scheduler))
            if ssh:
                add(SshPool(ssh, self.benchmark, self.version))
            pool = Pools(pools)
            _check_devices(pool, set(others))
            yield pool


def _check_devices(pool: Pool, devices: set[str]) -> None:
    deadline = time.monotonic() + GREETING_SECONDS
    while missing := devices - {device for worker in pool.workers() for device in worker.devices}:
        if time.monotonic() > deadline:
            name = min(missing)
            raise EdgenetError(
                f"no worker has the device {name}; run `edgenet worker` with device={name} there, or take it out of "
                "the plan"
            )
        time.sleep(0.2)
