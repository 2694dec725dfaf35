"""The machine that numbers come from."""

import os
import platform
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import edgenet
from edgenet.cores import available
from edgenet.machine.sensors import Sensors, output
from edgenet.records import Machine


def describe() -> Machine:
    """What this machine is and has, as far as it tells."""
    return Machine(
        cpu=_cpu(),
        architecture=platform.machine(),
        cores=cores(),
        governor=Sensors().governor(),
        memory_bytes=_memory(),
        system=_system(),
        versions=versions(),
    )


def cores() -> int:
    """Cores that this process may use: `edgenet.cores.available`."""
    return available()


def identity() -> tuple[str, str]:
    """What tells this machine from others in results: its processor, and the architecture of that."""
    return _cpu(), platform.machine()


def versions() -> dict[str, str]:
    """The versions of what numbers depend on, as far as it is installed."""
    found = {"edgenet": edgenet.__version__, "python": platform.python_version()}
    for package in ("ai-edge-litert", "numpy", "pillow", "tensorflow", "keras"):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _cpu() -> str:
    if sys.platform == "darwin":
        named = output("sysctl", "-n", "machdep.cpu.brand_string")
        return named or platform.processor() or platform.machine()
    # A board says its name in the device tree ("Raspberry Pi 4 Model B Rev 1.4"), a PC in cpuinfo.
    if board := Sensors().text("proc/device-tree/model"):
        return board
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    with suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _system() -> str:
    with suppress(OSError):
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.system()} {platform.release()}"
    return platform.platform()
