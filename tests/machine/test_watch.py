"""Sampling and cooling down, with fake sensors and a fake sleep."""

import os
from itertools import chain, repeat

import pytest

from edgenet.machine.sensors import Reading
from edgenet.machine.watch import MARGIN_CELSIUS, TIMEOUT_SECONDS, Cooldown, Watch


class Fake:
    """Sensors that return these temperatures in turn; processes use one more core-second at each reading."""

    def __init__(self, *degrees: float | None):
        self._degrees = chain(degrees, repeat(degrees[-1]))
        self.readings, self.processes = 0, []

    def read(self) -> Reading:
        self.readings += 1
        return Reading(float(self.readings), None, None, next(self._degrees), None, None, None, None)

    def cpu_seconds(self, processes) -> float:
        self.processes.append(tuple(processes))
        return float(len(self.processes))


def test_a_watch_reads_the_sensors_at_once_and_at_each_sample():
    sensors = Fake(40.0, 50.0, 60.0)
    watch = Watch(sensors, [11, 22])
    assert ([reading.celsius for reading in watch.readings], watch.own_cpu_seconds) == ([40], [1])
    watch.sample()
    watch.sample()
    assert ([reading.celsius for reading in watch.readings], watch.own_cpu_seconds) == ([40, 50, 60], [1, 2, 3])
    assert sensors.readings == 3


@pytest.mark.parametrize("processes", [[], [11], [11, 22]])
def test_a_watch_counts_this_process_and_the_given_ones(processes):
    sensors = Fake(40.0)
    Watch(sensors, processes).sample()
    assert sensors.processes == [(os.getpid(), *processes)] * 2


def test_two_watches_share_nothing():
    first, second = Watch(Fake(40.0), []), Watch(Fake(70.0), [])
    first.sample()
    assert (len(first.readings), len(second.readings)) == (2, 1)
    assert second.readings[0].celsius == 70


def waited(*degrees: float | None, turns: int = 1) -> tuple[list[float], int]:
    """The sleeps before some turns of a machine with these temperatures, the first at the start, and the number of
    readings."""
    sensors, slept = Fake(*degrees), []
    pause = Cooldown(sensors, slept.append)
    assert (slept, sensors.readings) == ([], 1)
    for _ in range(turns):
        pause()
    return slept, sensors.readings


def test_it_waits_until_the_machine_is_cool():
    slept, read = waited(50.0, 70.0, 60.0, 55.0, 51.0, 30.0)
    assert (slept, read) == ([1.0] * 3, 5)


@pytest.mark.parametrize("above", [-20.0, 0.0, MARGIN_CELSIUS])
def test_cool_is_up_to_a_margin_above_the_start(above):
    assert waited(50.0, 50 + above) == ([], 2)


def test_just_above_the_margin_is_not_cool():
    slept, _ = waited(50.0, 50 + MARGIN_CELSIUS + 0.1, 50.0)
    assert slept == [1.0]


def test_it_waits_at_most_a_minute():
    # A room that warms up never lets the machine return to its first temperature.
    slept, read = waited(50.0, 70.0)
    assert sum(slept) == TIMEOUT_SECONDS == 60
    assert read == 61


def test_each_turn_has_its_own_timeout():
    slept, _ = waited(50.0, 70.0, turns=2)
    assert sum(slept) == 2 * TIMEOUT_SECONDS


def test_it_cools_to_the_first_temperature_not_to_that_of_the_last_turn():
    slept, _ = waited(50.0, 60.0, 52.0, 54.0, 54.0, 52.0, turns=2)
    assert slept == [1.0] * 3  # one before the first turn, two before the second


def test_no_wait_without_a_temperature():
    assert waited(None, 90.0, turns=3) == ([], 1)


def test_no_wait_once_the_temperature_is_not_available():
    slept, read = waited(50.0, 70.0, None)
    assert (slept, read) == ([1.0], 3)
