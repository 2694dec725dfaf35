"""Watching the machine while it is measured, and waiting until it is cool."""

import os
import time
from collections.abc import Callable, Sequence

from edgenet.machine.sensors import Sensors

# Degrees above the beginning that count as cool, and seconds to wait for that at most.
MARGIN, PATIENCE = 2.0, 60.0


class Watch:
    """Readings of the sensors, beginning now, with what this program and its `processes` have used of the cores."""

    def __init__(self, sensors: Sensors, processes: Sequence[int]):
        self._sensors, self._processes = sensors, (os.getpid(), *processes)
        self.readings, self.own = [], []
        self.look()

    def look(self) -> None:
        """Take another reading."""
        self.readings.append(self._sensors.read())
        self.own.append(self._sensors.used_by(self._processes))


class Cooldown:
    """Called before a turn, it waits until the machine is as cool as at the beginning, or for a minute."""

    def __init__(self, sensors: Sensors, sleep: Callable[[float], None] = time.sleep):
        self._sensors, self._sleep = sensors, sleep
        self._cool = sensors.read().celsius

    def __call__(self) -> None:
        waited = 0.0
        while self._cool is not None and waited < PATIENCE:
            now = self._sensors.read().celsius
            if now is None or now <= self._cool + MARGIN:
                return
            self._sleep(1.0)
            waited += 1.0
