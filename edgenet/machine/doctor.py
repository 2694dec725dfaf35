"""Whether this machine can run edgenet, and what will disturb its latency measurements: a check for each.

numpy and LiteRT are imported only by the check that needs them, so that this works on a machine without them.
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
from edgenet.litert.delegate import inspect_files
from edgenet.machine import host
from edgenet.machine.sensors import Reading, Sensors, command_output
from edgenet.records import Finding, Level, Variant

# The systems and architectures for which LiteRT has wheels; the oldest libraries; the oldest and newest Python.
WHEELS = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",), "Windows": ("AMD64",)}
MIN_LIBRARIES = {"glibc": (2, 27), "macOS": (12,), "Windows": (10,)}
MIN_PYTHON, MAX_PYTHON = (3, 10), (3, 14)
PACKAGES = ("ai-edge-litert", "numpy", "pillow")

# Instructions that multiply and add int8, by their names in /proc/cpuinfo and in the sysctl of macOS.
INT8_FEATURES = {
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
    "amx_int8": "AMX",
    "FEAT_DotProd": "dotprod",
    "FEAT_I8MM": "i8mm",
}
# Instructions of Arm that compute in half precision, likewise. XNNPACK uses those of no other architecture for .tflite
# files: xnn_is_f16_supported_natively in its src/xnnpack/hardware-config.h.
HALF_FEATURES = ("asimdhp", "FEAT_FP16")
# The operators that take most of the time.
HEAVY_OPERATORS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}

# Limits of warnings.
MIN_FREE_GB = 0.512
MAX_CELSIUS = 70
MAX_OTHER_CORES = 0.1  # that other programs use, on average
MAX_STOLEN_FRACTION = 0.01  # of the CPU time, by the host of a virtual machine
# Cores of at least this fraction of the fastest core's speed are of its kind: identical cores differ in their boost.
SAME_KIND_FRACTION = 0.9
# Between the two readings of the sensors.
OBSERVED_SECONDS = 0.5
CPUS = "sys/devices/system/cpu"

Checked = Iterator[tuple[Level, str]]


def _library() -> str:
    """The system's C library, by which wheels are chosen, or the system itself: "glibc 2.36", "Windows 11"."""
    for system, version in (("macOS", platform.mac_ver()[0]), ("Windows", platform.win32_ver()[0])):
        if version:
            return f"{system} {version}"
    return " ".join(platform.libc_ver())


@dataclass(frozen=True)
class MachineFacts:
    """The properties of a machine, by default this one."""

    # XNNPACK is checked with its files.
    bundle: Path | None = None
    system: str = platform.system()
    architecture: str = platform.machine()
    # Of Python's pointers.
    bits: int = 64 if sys.maxsize > 2**32 else 32
    # "glibc 2.36", "macOS 14.5" or another.
    library: str = field(default_factory=_library)
    python: tuple[int, int] = sys.version_info[:2]
    # Of the installed packages.
    versions: dict[str, str] = field(default_factory=host.versions)
    # The cores that this process may use; empty if not available.
    usable: set[int] = field(default_factory=lambda: set(getattr(os, "sched_getaffinity", lambda _: ())(0)))
    sensors: Sensors = field(default_factory=Sensors)
    # Runs a program and returns its output, None if it fails.
    command: Callable[..., str | None] = command_output
    pause: Callable[[float], None] = time.sleep

    @cached_property
    def readings(self) -> tuple[Reading, Reading]:
        first = self.sensors.read()
        self.pause(OBSERVED_SECONDS)
        return first, self.sensors.read()

    @cached_property
    def cores(self) -> dict[int, dict[str, str]]:
        """The fields of each core in /proc/cpuinfo."""
        blocks = map(_fields, (self.sensors.text("proc/cpuinfo") or "").split("\n\n"))
        return {int(block["processor"]): block for block in blocks if block.get("processor", "").isdigit()}

    def core(self, name: str) -> str:
        """A field of the first core in /proc/cpuinfo."""
        return next((fields[name] for fields in self.cores.values() if name in fields), "")

    def each(self, name: str) -> dict[int, str]:
        """The contents of a file of each core that has it."""
        return {core: text for core in self.cores if (text := self.sensors.text(f"{CPUS}/cpu{core}/{name}"))}

    def mac(self, *command: str) -> str:
        """The output of a program on a Mac; empty elsewhere."""
        return (self.command(*command) or "") if self.system == "Darwin" else ""


def examine(machine: MachineFacts) -> tuple[Finding, ...]:
    """Run all checks on a machine.

    Returns:
        The findings in the order of the checks. Where a finding advises a parameter of the benchmark, it is written as
        in Python: cpus=4-7.
    """
    return tuple(Finding(level, text) for check in CHECKS for level, text in check(machine))


def _check(passed: bool, text: str, remedy: str, level: Level = Level.WARNING) -> tuple[Level, str]:
    return (Level.OK, text) if passed else (level, f"{text}{remedy}")


def _fields(text: str) -> dict[str, str]:
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def _wheels(machine: MachineFacts) -> Checked:
    system = f"{machine.bits}-bit {machine.system} on {machine.architecture}"
    is_known = machine.bits == 64 and machine.architecture in WHEELS.get(machine.system, ())
    oldest = MIN_LIBRARIES.get(machine.library.split(" ")[0])
    library = machine.library if oldest else "no glibc (musl, as in Alpine?)"
    version = tuple(map(int, re.findall(r"\d+", machine.library)))
    python = "Python {}.{}".format(*machine.python)
    for text, passed, use in (
        (system, is_known, "64-bit Linux (x86-64 or Arm), Windows (x86-64), or a Mac with Apple Silicon"),
        (library, oldest is not None and version >= oldest, "glibc 2.27, macOS 12, Windows 10, or later"),
        (
            python,
            MIN_PYTHON <= machine.python <= MAX_PYTHON,
            'Python 3.10 to 3.14: uv python install 3.13 && make PYTHON="$(uv python find 3.13)"',
        ),
    ):
        yield _check(passed, text, f": LiteRT has no wheel for it; use {use}", Level.WRONG)


def _packages(machine: MachineFacts) -> Checked:
    missing = [name for name in PACKAGES if name not in machine.versions]
    versions = ", ".join(f"{name} {machine.versions.get(name, '-')}" for name in PACKAGES)
    yield _check(not missing, versions, f": not all are installed; pip install {' '.join(missing)}", Level.WRONG)
    if missing:
        return
    try:
        inspect_files({})
    except EdgenetError as error:
        reason = str(error).removeprefix("LiteRT: ")
        yield Level.WRONG, f"LiteRT does not work: {reason}; uninstall and install again: {' '.join(PACKAGES)}"
        return
    try:
        yield from _delegation(machine.bundle)
    except EdgenetError as error:
        yield Level.WRONG, str(error)


def _delegation(folder: Path | None) -> Checked:
    from edgenet.bundle import bundle as bundles

    if folder is None:
        yield Level.NOTE, "no bundle to check XNNPACK with; pass one: edgenet doctor BUNDLE"
        return
    bundle = bundles.load(folder)
    bundles.verify(bundle)
    files = {str(variant.name): bundle.file(variant.file) for variant in bundle.variants()}
    for variant, (count, undelegated) in inspect_files(files).items():
        names = f", all but {', '.join(dict.fromkeys(undelegated))}" if undelegated else ""
        text = f"XNNPACK runs {count - len(undelegated)} of {count} operators of {variant}{names}"
        yield _check(not HEAVY_OPERATORS & set(undelegated), text, ", which are slow without it; export it again")


def _cpu(machine: MachineFacts) -> Checked:
    # A board has its name in the device tree, a PC in cpuinfo.
    name = machine.sensors.text("proc/device-tree/model") or machine.core("model name")
    name = name or machine.mac("sysctl", "-n", "machdep.cpu.brand_string") or machine.architecture
    flags = (machine.core("flags") or machine.core("Features")).split()
    known = (*INT8_FEATURES, *HALF_FEATURES)
    flags += [flag for flag in known if machine.mac("sysctl", "-n", f"hw.optional.arm.{flag}") == "1"]
    features = ", ".join(feature for flag, feature in INT8_FEATURES.items() if flag in flags)
    if features:
        yield Level.OK, f"{name} has int8 instructions: {features}"
    elif machine.system == "Windows":
        yield Level.NOTE, f"not available: whether {name} has int8 instructions; benchmark int8 and {Variant.FLOAT32}"
    else:
        yield (
            Level.NOTE,
            f"{name} has no int8 dot product, so int8 gains less than on a Pi 5 or a recent phone; benchmark both",
        )
    if set(HALF_FEATURES) & set(flags):
        yield Level.OK, f"{name} has half-precision instructions, in which {Variant.FLOAT16} files are computed"
    else:
        yield (
            Level.NOTE,
            f"LiteRT computes {Variant.FLOAT16} files in float32 on {name}: smaller, not faster; a Pi 5 or a phone "
            "since 2018 computes in half precision, so measure its drift there",
        )
    if machine.architecture in ("x86_64", "AMD64"):
        yield (
            Level.NOTE,
            f"x86: the speedup of {Variant.INT8} is not that of a Raspberry Pi or a phone; benchmark there as well",
        )


def _kinds(machine: MachineFacts) -> list[list[int]]:
    """The cores of each kind, the fastest first if their speed is available."""
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        speeds = {core: int(text) for core, text in machine.each(name).items() if text.isdigit()}
        kinds: list[list[int]] = []
        for core in sorted(speeds, key=lambda core: -speeds[core]):
            if not kinds or speeds[core] < SAME_KIND_FRACTION * speeds[kinds[-1][0]]:
                kinds.append([])
            kinds[-1].append(core)
        if len(kinds) > 1:
            return kinds
    parts = {core: fields.get("CPU part") for core, fields in machine.cores.items()}
    return [[core for core in parts if parts[core] == part] for part in dict.fromkeys(parts.values())]


def _cores(machine: MachineFacts) -> Checked:
    fast, slow = (machine.mac("sysctl", "-n", f"hw.perflevel{level}.physicalcpu") for level in (0, 1))
    if fast and slow:
        yield (
            Level.NOTE,
            f"{fast} fast and {slow} slow cores, and macOS cannot pin a process to cores; use threads=1 to {fast}",
        )
    usable = machine.usable or set(machine.cores)
    kinds = [cores for kind in _kinds(machine) if (cores := usable & set(kind))]
    if len(kinds) == 1:
        count = len(usable)
        yield Level.OK, f"{count} identical cores" if count > 1 else "1 core"
    elif kinds:
        pins = " or ".join(f"cpus={ranges(kind)}" for kind in kinds)
        text = f"{len(usable)} cores of {len(kinds)} kinds, and a benchmark may move between them"
        yield Level.WARNING, f"{text}; pin it to one kind: {pins}"


def ranges(numbers: set[int]) -> str:
    """Numbers as ranges: 0-3,6."""
    ends = [(n, n - 1 not in numbers, n + 1 not in numbers) for n in sorted(numbers)]
    return "".join(f"{n}{',' if last else '-'}" for n, first, last in ends if first or last)[:-1]


def _memory(machine: MachineFacts) -> Checked:
    lines = _fields(machine.sensors.text("proc/meminfo") or "")
    if gigabytes := {key: 1024 * int(text.split()[0]) / 1e9 for key, text in lines.items()}:
        limit = machine.sensors.text("sys/fs/cgroup/memory.max") or ""
        free = min(gigabytes["MemAvailable"], int(limit) / 1e9 if limit.isdigit() else gigabytes["MemTotal"])
        swapped = gigabytes["SwapTotal"] - gigabytes["SwapFree"]
        text = f"{free:.1f} of {gigabytes['MemTotal']:.1f} GB of memory free, {swapped:.1f} GB swapped out"
        yield _check(free >= MIN_FREE_GB, text, "; close other programs: swapping would slow the measurements")


def _clock(machine: MachineFacts) -> Checked:
    now = machine.readings[-1]
    if governors := sorted(set(machine.each("cpufreq/scaling_governor").values())):
        remedy = f"echo performance | sudo tee /{CPUS}/cpu*/cpufreq/scaling_governor"
        text = f"governor {', '.join(governors)}"
        yield _check(governors == ["performance"], text, f": the CPU frequency will vary; {remedy}")
    if now.celsius is not None:
        text = f"{now.celsius:.0f} degrees Celsius"
        yield _check(now.celsius <= MAX_CELSIUS, text, ": hot; let it cool down, or add a fan")
    if now.throttled is not None:
        power = "under-voltage" in now.throttled
        remedy = "use a stronger power supply" if power else "cool it with a heat sink or a fan"
        yield _check(not now.throttled, f"throttled: {', '.join(now.throttled) or 'no'}", f"; {remedy}")
    if now.battery or "Battery Power" in machine.mac("pmset", "-g", "batt"):
        yield Level.WARNING, "on battery, which limits the CPU frequency; plug it in"


def _other_load(machine: MachineFacts) -> Checked:
    """Other users of the machine, and the sensors that are not available."""
    first, now = machine.readings
    if now.busy is not None and first.busy is not None:
        cores = max(0.0, (now.busy - first.busy) / (now.seconds - first.seconds))
        text = f"other programs use {cores:.1f} cores now"
        yield _check(cores < MAX_OTHER_CORES, text, "; close them (top lists them)")
    if now.busy is not None and now.stolen is not None:
        stolen = now.stolen / max(now.busy + now.stolen, 1)
        if stolen > MAX_STOLEN_FRACTION:
            text = f"the host took {stolen:.0%} of this virtual machine's CPU time"
            yield Level.WARNING, f"{text}; measure on another machine"
    quota, _, period = (machine.sensors.text("sys/fs/cgroup/cpu.max") or "").partition(" ")
    if quota.isdigit():
        text = f"a quota limits this container to {int(quota) / int(period):g} cores"
        yield Level.WARNING, f"{text}; assign it whole cores instead (Docker's cpuset)"
    readings = {"CPU frequency": now.megahertz, "temperature": now.celsius, "load of other programs": now.busy}
    if unavailable := [name for name, value in readings.items() if value is None]:
        is_virtual = "hypervisor" in machine.core("flags") or machine.command("systemd-detect-virt", "--vm")
        where = f"this {'virtual ' if is_virtual else ''}machine"
        yield (
            Level.NOTE,
            f"not available on {where}: {', '.join(unavailable)}; measure twice, and rely on ratios more than on times",
        )


CHECKS = (_wheels, _packages, _cpu, _cores, _memory, _clock, _other_load)
