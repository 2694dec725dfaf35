"""What a machine tells of its condition while it is measured: clock, heat, throttling, other work, battery.

Linux shows these as files in /sys and /proc. Each reading is None where a machine does not tell, as in most virtual
machines and on a Mac.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Bits of the Raspberry Pi's firmware (raspberrypi.com/documentation/computers/os.html#get_throttled): now; since boot.
THROTTLED = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "near the temperature limit"}

_CPUS = "sys/devices/system/cpu"
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Reading:
    """One look at the machine.

    seconds: on the clock of `Sensors`. megahertz: the clock of each core. celsius: the hottest part. throttled: what
    the firmware limits now, empty for nothing. busy: core-seconds since boot that all processes used. stolen: those
    that another virtual machine took. battery: whether it runs on one.
    """

    seconds: float
    megahertz: tuple[float, ...] | None
    governor: str | None
    celsius: float | None
    throttled: tuple[str, ...] | None
    busy: float | None
    stolen: float | None
    battery: bool | None


class Sensors:
    """Reads a machine below `root`, with `clock`, and `vcgencmd` where a Raspberry Pi has it; tests give others."""

    def __init__(
        self,
        root: Path = Path("/"),
        clock: Callable[[], float] = time.monotonic,
        command: Callable[..., str | None] | None = None,
    ):
        self._root, self._clock, self._command = root, clock, command or output

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

    def used_by(self, processes: Iterable[int]) -> float | None:
        """Core-seconds that these processes have used so far, with the children that they waited for."""
        total = 0.0
        for process in processes:
            text = self.text(f"proc/{process}/stat")
            if text is not None:
                fields = text.rpartition(")")[2].split()  # a program's name may hold spaces and brackets
                total += sum(int(ticks) for ticks in fields[11:15]) / _TICKS
        return total if self.text("proc/stat") else None

    def governor(self) -> str | None:
        """What chooses the clock of the first core."""
        return self.text(f"{_CPUS}/cpu0/cpufreq/scaling_governor")

    def text(self, path: str) -> str | None:
        """The contents of a file, without blanks around; None where there is none."""
        with suppress(OSError, UnicodeDecodeError):
            return (self._root / path).read_text().strip("\0 \n") or None
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
        # Some boards report parts that are off as 0, or as nonsense.
        return max((value for value in degrees if 0 < value < 150), default=None)

    def _throttled(self) -> tuple[str, ...] | None:
        said = self.text("sys/devices/platform/soc/soc:firmware/get_throttled") or self._command(
            "vcgencmd", "get_throttled"
        )
        found = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]+)", said or "")
        if not found:
            return None
        bits = int(found[1], 16)
        return tuple(name for bit, name in THROTTLED.items() if bits >> bit & 1)

    def _busy(self) -> tuple[float | None, float | None]:
        text = self.text("proc/stat")
        if text is None or not text.startswith("cpu "):
            return None, None
        user, nice, system, _, _, interrupts, soft, stolen = map(int, text.split()[1:9])
        return (user + nice + system + interrupts + soft) / _TICKS, stolen / _TICKS

    def _battery(self) -> bool | None:
        supplies = [f"sys/class/power_supply/{path.name}" for path in (self._root / "sys/class/power_supply").glob("*")]
        # A mouse's battery, of scope Device, is none of the machine's.
        batteries = [
            supply
            for supply in supplies
            if self.text(f"{supply}/type") == "Battery" and self.text(f"{supply}/scope") != "Device"
        ]
        return any(self.text(f"{battery}/status") == "Discharging" for battery in batteries) if batteries else None


def output(*command: str) -> str | None:
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip() or None
    return None
