"""The machine that edgenet runs on."""

import os
import platform
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import edgenet
from edgenet.cores import available
from edgenet.machine.sensors import Sensors, command_output
from edgenet.records import Machine


def describe() -> Machine:
    """This machine. What the system does not provide is None."""
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
    """The processor and its architecture, by which results of this machine are recognized."""
    return _cpu(), platform.machine()


def versions() -> dict[str, str]:
    """The installed versions of what measurements depend on, by package."""
    found = {"edgenet": edgenet.__version__, "python": platform.python_version()}
    for package in ("ai-edge-litert", "numpy", "pillow", "tensorflow", "keras"):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _cpu() -> str:
    if sys.platform == "darwin":
        name = command_output("sysctl", "-n", "machdep.cpu.brand_string")
        return name or platform.processor() or platform.machine()
    # A board has its name in the device tree ("Raspberry Pi 4 Model B Rev 1.4"), a PC in cpuinfo.
    if board := Sensors().text("proc/device-tree/model"):
        return board
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    if hasattr(os, "sysconf"):  # not on Windows
        with suppress(OSError, ValueError):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _system() -> str:
    with suppress(OSError):
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.system()} {platform.release()}"
    return platform.platform()
