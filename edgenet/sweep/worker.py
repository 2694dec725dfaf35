"""`edgenet worker`: makes this machine a worker of a cluster, until it is interrupted."""

import asyncio
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from edgenet.errors import EdgenetError
from edgenet.sweep import connection, dask_settings, machine_lock
from edgenet.sweep.host import Host

if TYPE_CHECKING:
    from distributed import Security

# Between two tries to reach a scheduler that is gone.
RETRY_SECONDS = 5.0


def serve(
    scheduler: str,
    *,
    devices: Sequence[str] = (),
    exports: bool = False,
    name: str | None = None,
    certificates: Path | None = None,
    insecure: bool = False,
    log: Callable[[str], None] = print,
) -> None:
    """Run jobs of the sweeps that join a cluster, until KeyboardInterrupt. If the scheduler goes, wait for it.

    Args:
        scheduler: The address of the cluster's scheduler.
        devices: The devices whose latency is measured here: the names that plans have for this machine.
        exports: Whether jobs without a device are done here.
        name: For people; by default that of the first device, or of the machine.
        certificates: The folder of the cluster's certificates; None for none.
        insecure: Whether a connection without certificates may lead to another machine.
        log: Gets a line for each thing that happens.

    Raises:
        EdgenetError: The worker would do nothing, another worker of this machine has the device, or the scheduler
            cannot be reached.
    """
    dask_settings.check_installed()
    if not devices and not exports:
        raise EdgenetError("nothing to do: name the device that this machine is, device=NAME, or give export=True")
    name = name or (devices[0] if devices else platform.node() or "worker")
    with ExitStack() as held:
        for device in devices:
            if not held.enter_context(machine_lock.device(device)):
                raise EdgenetError(f'another worker of this machine has the device "{device}" already; stop it first')
        address, security = connection.check(scheduler, certificates, insecure)
        folder = tempfile.mkdtemp(prefix="edgenet-dask-")
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        held.enter_context(dask_settings.applied())
        asyncio.run(_serve(Host(name, tuple(devices), exports, log=log), address, security, folder))


async def _serve(host: Host, address: str, security: "Security | None", folder: str) -> None:
    from distributed import Worker

    is_first = True
    while True:
        try:
            worker = Worker(
                address,
                nthreads=1,
                memory_limit=0,
                # Dask refuses a name twice, also that of a worker that has just lost its connection.
                name=f"{host.name}-{token_hex(4)}",
                # By default it listens on all networks, which is no place for a worker without certificates.
                host="127.0.0.1" if security is None and connection.is_loopback(address) else None,
                security=security,
                local_directory=folder,
                dashboard=False,
                resources={"export": 1} if host.exports else {},
                plugins=(host.plugin(),),
                death_timeout=dask_settings.CONNECT_SECONDS,
            )
            await worker
        except Exception as error:
            if is_first:
                raise EdgenetError(connection.explain(address, error)) from error
            await asyncio.sleep(RETRY_SECONDS)
            continue
        what = [f"device {device}" for device in host.devices] + ["exports"] * host.exports
        host.log(f"{host.name} is ready for {', '.join(what)}, at {address}; press Ctrl-C to stop")
        is_first = False
        try:
            await worker.finished()
        finally:
            host.close()
            with suppress(Exception):
                await worker.close(timeout=5, executor_wait=False)
        host.log(f"the scheduler at {address} is gone; waiting for it")
        host = Host(host.name, host.devices, host.exports, log=host.log)
        await asyncio.sleep(1.0)
