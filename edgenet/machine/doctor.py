"""Whether this machine can run edgenet, and how far its latency can be trusted: a check for each thing that matters.

Numpy and LiteRT are imported by the check that needs them: a machine that lacks them can be asked, too.
"""

import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.litert.delegate import operators_apart
from edgenet.machine import host
from edgenet.machine.sensors import Reading, Sensors, output
from edgenet.records import Finding

# What LiteRT has wheels for: systems and their architectures, the oldest libraries, the oldest and newest Python.
WHEELS = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",)}
LIBRARIES = {"glibc": (2, 27), "macOS": (12,)}
PYTHONS = (3, 10), (3, 14)
PACKAGES = ("ai-edge-litert", "numpy", "pillow")

# Instructions that multiply and add int8, by their names in /proc/cpuinfo and in the sysctl of macOS.
INT8 = {"asimddp": "dotprod", "i8mm": "i8mm", "avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX-VNNI", "amx_int8": "AMX"}
INT8 |= {"FEAT_DotProd": "dotprod", "FEAT_I8MM": "i8mm"}
HEAVY = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}  # the operators that the time goes into

# Limits of a warning: GB of free memory, degrees Celsius, cores that others use (in `SECONDS`), share of stolen time.
MEMORY, HEAT, OTHERS, SECONDS, STOLEN = 0.512, 70, 0.1, 0.5, 0.01
SAME_KIND = 0.9  # cores are of one kind from this share of the fastest's speed up: equal ones differ in their boost
CPUS = "sys/devices/system/cpu"

Checked = Iterator[tuple[str, str]]  # level, text


@dataclass(frozen=True)
class Patient:
    """A machine to examine, by default this one.

    bundle: what XNNPACK is tried on. bits: of Python's pointers. library: "glibc 2.36", "macOS 14.5" or another.
    versions: of the packages that are installed. usable: the cores that this process may use, empty where the system
    does not tell. command: what a program writes, None where it fails.
    """

    bundle: Path | None = None
    system: str = platform.system()
    architecture: str = platform.machine()
    bits: int = 64 if sys.maxsize > 2**32 else 32
    library: str = f"macOS {platform.mac_ver()[0]}" if platform.mac_ver()[0] else " ".join(platform.libc_ver())
    python: tuple[int, int] = sys.version_info[:2]
    versions: dict[str, str] = field(default_factory=host.versions)
    usable: set[int] = field(default_factory=lambda: set(getattr(os, "sched_getaffinity", lambda _: ())(0)))
    sensors: Sensors = field(default_factory=Sensors)
    command: Callable[..., str | None] = output
    pause: Callable[[float], None] = time.sleep

    @cached_property
    def readings(self) -> tuple[Reading, Reading]:
        first = self.sensors.read()
        self.pause(SECONDS)
        return first, self.sensors.read()

    @cached_property
    def cores(self) -> dict[int, dict[str, str]]:
        """What /proc/cpuinfo says of each core."""
        blocks = map(_fields, (self.sensors.text("proc/cpuinfo") or "").split("\n\n"))
        return {int(block["processor"]): block for block in blocks if block.get("processor", "").isdigit()}

    def core(self, name: str) -> str:
        """What /proc/cpuinfo says of the first core."""
        return next((said[name] for said in self.cores.values() if name in said), "")

    def each(self, name: str) -> dict[int, str]:
        """A file of each core that has it."""
        return {core: text for core in self.cores if (text := self.sensors.text(f"{CPUS}/cpu{core}/{name}"))}

    def mac(self, *command: str) -> str:
        return (self.command(*command) or "") if self.system == "Darwin" else ""


def examine(patient: Patient) -> tuple[Finding, ...]:
    """All findings, in the order of the checks."""
    return tuple(Finding(level, text) for check in CHECKS for level, text in check(patient))


def _rule(fine: bool, found: str, mend: str, level: str = "warning") -> tuple[str, str]:
    return ("ok", found) if fine else (level, f"{found}{mend}")


def _fields(text: str) -> dict[str, str]:
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def _wheels(patient: Patient) -> Checked:
    system = f"{patient.bits}-bit {patient.system} on {patient.architecture}"
    known = patient.bits == 64 and patient.architecture in WHEELS.get(patient.system, ())
    oldest, version = LIBRARIES.get(patient.library.split(" ")[0]), re.findall(r"\d+", patient.library)
    library = patient.library if oldest else "no glibc (musl, as in Alpine?)"
    python, current = "Python {}.{}".format(*patient.python), PYTHONS[0] <= patient.python <= PYTHONS[1]
    for found, fits, use in (
        (system, known, "64-bit Linux on x86-64 or Arm (64-bit Raspberry Pi OS), or a Mac with Apple Silicon"),
        (library, oldest and tuple(map(int, version)) >= oldest, "glibc 2.27 or later (Debian, Ubuntu), or macOS 12"),
        (python, current, '3.10 to 3.14: uv python install 3.13 && make PYTHON="$(uv python find 3.13)"'),
    ):
        yield _rule(fits, found, f": LiteRT has no wheel for it; use {use}", "wrong")


def _packages(patient: Patient) -> Checked:
    missing = [name for name in PACKAGES if name not in patient.versions]
    have = ", ".join(f"{name} {patient.versions.get(name, '-')}" for name in PACKAGES)
    yield _rule(not missing, have, f": not all installed; pip install {' '.join(missing)}", "wrong")
    if missing:
        return
    try:
        operators_apart({})
    except EdgenetError as error:
        reason = str(error).removeprefix("LiteRT: ")
        yield "wrong", f"LiteRT does not work: {reason}; pip install --force-reinstall {' '.join(PACKAGES)}"
        return
    try:
        yield from _graphs(patient.bundle)
    except EdgenetError as error:
        yield "wrong", str(error)


def _graphs(folder: Path | None) -> Checked:
    from edgenet.bundle import bundle as bundles

    if folder is None:
        yield "note", "no bundle here to try XNNPACK on; name one: edgenet doctor BUNDLE"
        return
    bundle = bundles.load(folder)
    bundles.verify(bundle)
    files = {variant.name: bundle.file(variant.file) for variant in bundle.variants()}
    for variant, (count, left) in operators_apart(files).items():
        names = f", all but {', '.join(dict.fromkeys(left))}" if left else ""
        found = f"XNNPACK takes {count - len(left)} of {count} operators of {variant}{names}"
        yield _rule(not HEAVY & set(left), found, ", which are slow without it; export it again")


def _cpu(patient: Patient) -> Checked:
    # A board says its name in the device tree, a PC in cpuinfo.
    name = patient.sensors.text("proc/device-tree/model") or patient.core("model name")
    name = name or patient.mac("sysctl", "-n", "machdep.cpu.brand_string") or patient.architecture
    flags = (patient.core("flags") or patient.core("Features")).split()
    flags += [flag for flag in INT8 if patient.mac("sysctl", "-n", f"hw.optional.arm.{flag}") == "1"]
    have = ", ".join(word for flag, word in INT8.items() if flag in flags)
    lacks = f"{name} has no dot product of int8, which gains less than on a Pi 5 or new phone; benchmark both"
    yield ("ok", f"{name} has instructions for int8: {have}") if have else ("note", lacks)
    if patient.architecture == "x86_64":
        yield "note", "x86: its int8-to-float ratio is not that of a Raspberry Pi or a phone; benchmark there, too"


def _kinds(patient: Patient) -> list[list[int]]:
    """The cores of each kind, the fastest first where the machine tells."""
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        speeds, kinds = {core: int(text) for core, text in patient.each(name).items() if text.isdigit()}, []
        for core in sorted(speeds, key=lambda core: -speeds[core]):
            if not kinds or speeds[core] < SAME_KIND * speeds[kinds[-1][0]]:
                kinds.append([])
            kinds[-1].append(core)
        if len(kinds) > 1:
            return kinds
    parts = {core: said.get("CPU part") for core, said in patient.cores.items()}
    return [[core for core in parts if parts[core] == part] for part in dict.fromkeys(parts.values())]


def _cores(patient: Patient) -> Checked:
    fast, slow = (patient.mac("sysctl", "-n", f"hw.perflevel{level}.physicalcpu") for level in (0, 1))
    if fast and slow:
        yield "note", f"{fast} fast and {slow} slow cores, and macOS does not pin; take --threads 1 to {fast}"
    usable = patient.usable or set(patient.cores)
    kinds = [mine for kind in _kinds(patient) if (mine := usable & set(kind))]
    pins = " or ".join(f"--cpus {ranges(kind)}" for kind in kinds)
    if kinds:
        mend = f", between which a run may move; pin it: edgenet benchmark {pins}"
        yield _rule(len(kinds) == 1, f"{len(usable)} cores of {len(kinds)} kind{'s' * (len(kinds) > 1)}", mend)


def ranges(numbers: set[int]) -> str:
    """For instance 0-3,6."""
    ends = [(n, n - 1 not in numbers, n + 1 not in numbers) for n in sorted(numbers)]
    return "".join(f"{n}{',' if last else '-'}" for n, first, last in ends if first or last)[:-1]


def _memory(patient: Patient) -> Checked:
    lines = _fields(patient.sensors.text("proc/meminfo") or "")
    if said := {key: 1024 * int(text.split()[0]) / 1e9 for key, text in lines.items()}:
        limit = patient.sensors.text("sys/fs/cgroup/memory.max") or ""
        free = min(said["MemAvailable"], int(limit) / 1e9 if limit.isdigit() else said["MemTotal"])
        swapped = said["SwapTotal"] - said["SwapFree"]
        found = f"{free:.1f} of {said['MemTotal']:.1f} GB of memory free, {swapped:.1f} GB swapped out"
        yield _rule(free >= MEMORY, found, "; close other programs: swapping would be timed, too")


def _clock(patient: Patient) -> Checked:
    now = patient.readings[-1]
    if governors := sorted(set(patient.each("cpufreq/scaling_governor").values())):
        mend = f": the clock changes while measuring; echo performance | sudo tee /{CPUS}/cpu*/cpufreq/scaling_governor"
        yield _rule(governors == ["performance"], f"governor {', '.join(governors)}", mend)
    if now.celsius is not None:
        yield _rule(now.celsius <= HEAT, f"{now.celsius:.0f} degrees Celsius", ": hot; let it rest, or give it a fan")
    if now.throttled is not None:
        mend = "use a better power supply" if "under-voltage" in now.throttled else "cool it with a heat sink or a fan"
        yield _rule(not now.throttled, f"throttled: {', '.join(now.throttled) or 'no'}", f"; {mend}")
    if now.battery or "Battery Power" in patient.mac("pmset", "-g", "batt"):
        yield "warning", "on battery, which holds the clock back; plug it in"


def _others(patient: Patient) -> Checked:
    """Who else uses the machine, and what it does not tell."""
    first, now = patient.readings
    if now.busy is not None:
        cores = max(0.0, (now.busy - first.busy) / (now.seconds - first.seconds))
        yield _rule(cores < OTHERS, f"other programs use {cores:.1f} cores now", "; stop them (top shows which)")
        if (share := now.stolen / max(now.busy + now.stolen, 1)) > STOLEN:
            yield "warning", f"the host took {share:.0%} of the time of this virtual machine; measure on another"
    quota, _, period = (patient.sensors.text("sys/fs/cgroup/cpu.max") or "").partition(" ")
    if quota.isdigit():
        cores = int(quota) / int(period)
        yield "warning", f"a quota stops this container at {cores:g} cores; give it --cpuset-cpus instead of --cpus"
    readings = {"clock": now.megahertz, "heat": now.celsius, "other programs": now.busy}
    if unseen := " and ".join(name for name, value in readings.items() if value is None):
        virtual = "hypervisor" in patient.core("flags") or patient.command("systemd-detect-virt", "--vm")
        what = f"this {'virtual ' if virtual else ''}machine"
        yield "note", f"{what} does not show its {unseen}; measure twice, and trust ratios more than times"


CHECKS = (_wheels, _packages, _cpu, _cores, _memory, _clock, _others)
