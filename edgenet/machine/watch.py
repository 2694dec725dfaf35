"""Sampling the machine's condition during a measurement, and cooling down between turns."""

import os
import time
from collections.abc import Callable, Sequence

from edgenet.machine.sensors import Reading, Sensors

# The machine counts as cool up to so many degrees above its first temperature.
MARGIN_CELSIUS = 2.0
# The longest wait before a turn.
TIMEOUT_SECONDS = 60.0


class Watch:
    """Sensor readings, the first one taken at once, and the CPU time of this program at the same moments.

    Attributes:
        readings: One for each sample.
        own_cpu_seconds: What this process and `processes` had used of the cores at each sample; None if not available.
    """

    def __init__(self, sensors: Sensors, processes: Sequence[int]):
        self._sensors, self._processes = sensors, (os.getpid(), *processes)
        self.readings: list[Reading] = []
        self.own_cpu_seconds: list[float | None] = []
        self.sample()

    def sample(self) -> None:
        """Take another reading."""
        self.readings.append(self._sensors.read())
        self.own_cpu_seconds.append(self._sensors.cpu_seconds(self._processes))


class Cooldown:
    """Called before a turn, waits until the machine is as cool as at the start, at most `TIMEOUT_SECONDS`."""

    def __init__(self, sensors: Sensors, sleep: Callable[[float], None] = time.sleep):
        self._sensors, self._sleep = sensors, sleep
        self._start = sensors.read().celsius

    def __call__(self) -> None:
        waited = 0.0
        while self._start is not None and waited < TIMEOUT_SECONDS:
            now = self._sensors.read().celsius
            if now is None or now <= self._start + MARGIN_CELSIUS:
                return
            self._sleep(1.0)
            waited += 1.0
