"""How many cores this process may use: in a container, under `taskset` or a scheduler, fewer than the machine has."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def available(root: Path = Path("/")) -> int:
    """The number of cores that this process may use, at least 1.

    The least of what the machine has, the process's affinity, and the CPU quotas of its control groups, rounded up.
    root: where /proc and /sys are.
    """
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    counts += [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min(counts))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas of the control groups that this process is in, in cores (kernel.org/doc: cgroup-v2, sched-bwc)."""
    lines = []
    with suppress(OSError, ValueError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            yield from _along(root / "sys/fs/cgroup", path, _quota2)
        elif "cpu" in controllers.split(","):
            # Both names are used for the mount point of the controller.
            for mount in {controllers, "cpu"}:
                yield from _along(root / "sys/fs/cgroup" / mount, path, _quota1)


def _along(mount: Path, path: str, quota) -> Iterator[float]:
    """The quotas of a group and of those above it: each holds. In a container, the mount point is the group itself."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for length in range(len(parts) + 1):
        with suppress(OSError, ValueError, ZeroDivisionError):
            if (found := quota(mount.joinpath(*parts[:length]))) > 0:
                yield found


def _quota2(group: Path) -> float:
    """Version 2: "max 100000", or microseconds of each period."""
    quota, period = (group / "cpu.max").read_text().split()
    return -1.0 if quota == "max" else int(quota) / int(period)


def _quota1(group: Path) -> float:
    """Version 1: -1 for no quota."""
    quota, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return quota / period
