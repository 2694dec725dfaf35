"""How many cores this process may use: in a container, under `taskset` or a scheduler, fewer than the machine has."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path


def available(root: Path = Path("/")) -> int:
    """The number of cores that this process may use, at least 1.

    This is the smallest of the machine's number of cores, the process's affinity, and the CPU quotas of its control
    groups, rounded up. Affinity and quotas are read on Linux only.

    Args:
        root: The folder that contains /proc and /sys.
    """
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    counts += [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min(counts))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas of this process's control groups, in cores (kernel.org/doc: cgroup-v2, sched-bwc)."""
    lines: list[str] = []
    with suppress(OSError, ValueError):
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            yield from _with_parents(root / "sys/fs/cgroup", path, _version_2)
        elif "cpu" in controllers.split(","):
            # The controller may be mounted under either name.
            for mount in {controllers, "cpu"}:
                yield from _with_parents(root / "sys/fs/cgroup" / mount, path, _version_1)


def _with_parents(mount: Path, path: str, quota: Callable[[Path], float]) -> Iterator[float]:
    """The quotas of a group and of its parents: all of them apply. In a container, the mount point is the group."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for length in range(len(parts) + 1):
        with suppress(OSError, ValueError, ZeroDivisionError):
            if (cores := quota(mount.joinpath(*parts[:length]))) > 0:
                yield cores


def _version_2(group: Path) -> float:
    """Reads "max 100000" (no quota), or the microseconds of each period."""
    quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
    return -1.0 if quota == "max" else int(quota) / int(period)


def _version_1(group: Path) -> float:
    """Reads -1 (no quota), or the microseconds of each period."""
    quota, period = (int((group / f"cpu.cfs_{name}_us").read_text(encoding="ascii")) for name in ("quota", "period"))
    return quota / period
