"""The machine's condition during a measurement: clock, temperature, throttling, load of other processes, battery.

Linux has these as files in /sys and /proc. A value is None where it is not available, as in most virtual machines, on
macOS and on Windows.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Bits of the Raspberry Pi's firmware for the present state; 16 bits further are those since boot
# (raspberrypi.com/documentation/computers/os.html#get_throttled).
THROTTLED = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "near the temperature limit"}

_CPUS = "sys/devices/system/cpu"
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Reading:
    """The values of all sensors at one moment. None: not available."""

    # The time of the reading, on the clock of `Sensors`.
    seconds: float
    # The clock of each core.
    megahertz: tuple[float, ...] | None
    # What chooses the clock of the first core.
    governor: str | None
    # The hottest part.
    celsius: float | None
    # What the firmware limits now, of the values of `THROTTLED`.
    throttled: tuple[str, ...] | None
    # Core-seconds since boot that all processes have used.
    busy: float | None
    # Core-seconds since boot that other virtual machines have taken (steal time).
    stolen: float | None
    # Whether the machine runs on battery.
    battery: bool | None


class Sensors:
    """Reads the sensors of a machine.

    Args:
        root: The folder that contains /proc and /sys.
        clock: Gives the seconds of each reading.
        command: Runs a program and returns what it prints, None if it fails; by default `command_output`.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        clock: Callable[[], float] = time.monotonic,
        command: Callable[..., str | None] | None = None,
    ):
        self._root, self._clock, self._command = root, clock, command or command_output

    def read(self) -> Reading:
        busy, stolen = self._busy()
        return Reading(
            seconds=self._clock(),
            megahertz=self._megahertz(),
            governor=self.governor(),
            celsius=self._celsius(),
            throttled=self._throttled(),
            busy=busy,
            stolen=stolen,
            battery=self._battery(),
        )

    def cpu_seconds(self, processes: Iterable[int]) -> float | None:
        """Core-seconds that processes, by their numbers, have used so far, with those of their ended children."""
        total = 0.0
        for process in processes:
            text = self.text(f"proc/{process}/stat")
            if text is not None:
                fields = text.rpartition(")")[2].split()  # a program's name may contain spaces and brackets
                total += sum(int(ticks) for ticks in fields[11:15]) / _TICKS
        return total if self.text("proc/stat") else None

    def governor(self) -> str | None:
        """What chooses the clock of the first core."""
        return self.text(f"{_CPUS}/cpu0/cpufreq/scaling_governor")

    def text(self, path: str) -> str | None:
        """The contents of a file below the root, without white space at its ends; None if there are none."""
        with suppress(OSError, UnicodeDecodeError):
            return (self._root / path).read_text(encoding="utf-8").strip("\0 \n") or None
        return None

    def _megahertz(self) -> tuple[float, ...] | None:
        cores = sorted((self._root / _CPUS).glob("cpu[0-9]*"), key=lambda path: int(path.name[3:]))
        found = [self.text(f"{_CPUS}/{core.name}/cpufreq/scaling_cur_freq") for core in cores]
        values = tuple(int(value) / 1_000 for value in found if value and value.isdigit())
        return values or None

    def _celsius(self) -> float | None:
        zones = (self._root / "sys/class/thermal").glob("thermal_zone*")
        found = [self.text(f"sys/class/thermal/{zone.name}/temp") for zone in zones]
        degrees = [int(value) / 1_000 for value in found if value and re.fullmatch(r"-?\d+", value)]
        # Some boards report 0 or absurd values for parts that are off.
        return max((value for value in degrees if 0 < value < 150), default=None)

    def _throttled(self) -> tuple[str, ...] | None:
        text = self.text("sys/devices/platform/soc/soc:firmware/get_throttled") or self._command(
            "vcgencmd", "get_throttled"
        )
        match = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]+)", text or "")
        if not match:
            return None
        bits = int(match[1], 16)
        return tuple(name for bit, name in THROTTLED.items() if bits >> bit & 1)

    def _busy(self) -> tuple[float | None, float | None]:
        text = self.text("proc/stat")
        if text is None or not text.startswith("cpu "):
            return None, None
        user, nice, system, _, _, interrupts, soft, stolen = map(int, text.split()[1:9])
        return (user + nice + system + interrupts + soft) / _TICKS, stolen / _TICKS

    def _battery(self) -> bool | None:
        supplies = [f"sys/class/power_supply/{path.name}" for path in (self._root / "sys/class/power_supply").glob("*")]
        # A battery with scope Device is that of a mouse, for instance.
        batteries = [
            supply
            for supply in supplies
            if self.text(f"{supply}/type") == "Battery" and self.text(f"{supply}/scope") != "Device"
        ]
        return any(self.text(f"{battery}/status") == "Discharging" for battery in batteries) if batteries else None


def command_output(*command: str) -> str | None:
    """What a program prints, without white space at its ends; None if it prints nothing, fails or takes over 5 s."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, check=True, timeout=5)
        return done.stdout.decode(errors="replace").strip() or None
    return None
