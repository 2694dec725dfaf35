"""Watching and waiting, with sensors and a sleep that are made up."""

import os
from itertools import chain, repeat

import pytest

from edgenet.machine.sensors import Reading
from edgenet.machine.watch import MARGIN, PATIENCE, Cooldown, Watch


class Fake:
    """Sensors that tell these degrees one after another, and that processes use a core-second more each time."""

    def __init__(self, *degrees: float | None):
        self._degrees = chain(degrees, repeat(degrees[-1]))
        self.read_so_far, self.asked = 0, []

    def read(self) -> Reading:
        self.read_so_far += 1
        return Reading(float(self.read_so_far), None, None, next(self._degrees), None, None, None, None)

    def used_by(self, processes) -> float:
        self.asked.append(tuple(processes))
        return float(len(self.asked))


def test_a_watch_begins_at_once_and_looks_when_it_is_told_to():
    sensors = Fake(40.0, 50.0, 60.0)
    watch = Watch(sensors, [11, 22])
    assert ([reading.celsius for reading in watch.readings], watch.own) == ([40], [1])
    watch.look()
    watch.look()
    assert ([reading.celsius for reading in watch.readings], watch.own) == ([40, 50, 60], [1, 2, 3])
    assert sensors.read_so_far == 3


@pytest.mark.parametrize("processes", [[], [11], [11, 22]])
def test_a_watch_counts_this_process_and_those_that_it_is_given(processes):
    sensors = Fake(40.0)
    Watch(sensors, processes).look()
    assert sensors.asked == [(os.getpid(), *processes)] * 2


def test_two_watches_share_nothing():
    first, second = Watch(Fake(40.0), []), Watch(Fake(70.0), [])
    first.look()
    assert (len(first.readings), len(second.readings)) == (2, 1)
    assert second.readings[0].celsius == 70


def waited(*degrees: float | None, turns: int = 1) -> tuple[list[float], int]:
    """The seconds slept before some turns, of a machine that began with the first of these degrees, and how often it
    was read."""
    sensors, slept = Fake(*degrees), []
    pause = Cooldown(sensors, slept.append)
    assert (slept, sensors.read_so_far) == ([], 1)
    for _ in range(turns):
        pause()
    return slept, sensors.read_so_far


def test_it_waits_until_the_machine_is_cool():
    slept, read = waited(50.0, 70.0, 60.0, 55.0, 51.0, 30.0)
    assert (slept, read) == ([1.0] * 3, 5)


@pytest.mark.parametrize("above", [-20.0, 0.0, MARGIN])
def test_cool_is_up_to_a_margin_above_the_beginning(above):
    assert waited(50.0, 50 + above) == ([], 2)


def test_just_above_the_margin_is_not_cool():
    slept, _ = waited(50.0, 50 + MARGIN + 0.1, 50.0)
    assert slept == [1.0]


def test_its_patience_ends():
    # An afternoon gets warmer, and then the beginning does not come back.
    slept, read = waited(50.0, 70.0)
    assert sum(slept) == PATIENCE == 60
    assert read == 61


def test_each_turn_has_its_own_patience():
    slept, _ = waited(50.0, 70.0, turns=2)
    assert sum(slept) == 2 * PATIENCE


def test_it_is_as_cool_as_at_the_beginning_not_as_at_the_last_turn():
    slept, _ = waited(50.0, 60.0, 52.0, 54.0, 54.0, 52.0, turns=2)
    assert slept == [1.0] * 3  # one before the first turn, two before the second


def test_a_machine_that_tells_no_heat_is_not_waited_for():
    assert waited(None, 90.0, turns=3) == ([], 1)


def test_a_machine_that_tells_no_more_is_not_waited_for():
    slept, read = waited(50.0, 70.0, None)
    assert (slept, read) == ([1.0], 3)
