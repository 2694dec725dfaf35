"""Schedules of jobs: against all orders of a few jobs, against a plain simulation, and by hand."""

import random
from itertools import permutations

import pytest

from edgenet.sweep.schedule import Task, makespan


def plain(seconds, workers: int) -> float:
    """Jobs of one kind: each begins on the worker that is free first."""
    free = [0.0] * workers
    for one in seconds:
        free[free.index(min(free))] += one
    return max(free)


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_jobs_of_workers(workers):
    rng = random.Random(workers)
    for _ in range(50):
        seconds = [rng.randint(1, 20) for _ in range(rng.randrange(1, 12))]
        assert makespan([Task(one) for one in seconds], workers) == plain(seconds, workers)


@pytest.mark.parametrize("workers", [2, 3])
def test_no_order_is_better_than_grahams_bound(workers):
    rng = random.Random(workers)
    for _ in range(10):
        seconds = [rng.randint(1, 20) for _ in range(6)]
        best = min(plain(order, workers) for order in permutations(seconds))
        assert best <= makespan([Task(one) for one in seconds], workers) <= (2 - 1 / workers) * best


def stepped(tasks, workers: int, local) -> float:
    """The same rules in steps of a second, for whole seconds."""
    left = {number: task.seconds for number, task in enumerate(tasks)}
    running: set[int] = set()
    done: set[int] = set()
    # The order in which tasks became ready.
    ready = [number for number, task in enumerate(tasks) if task.after is None]
    now = 0
    while len(done) < len(tasks):
        while True:
            for number in ready:
                device = tasks[number].device
                on_workers = [one for one in running if tasks[one].device is None]
                here = [one for one in running if tasks[one].device in local]
                waits = [one for one in ready if tasks[one].device is None]
                if device is None:
                    free = len(on_workers) < workers and not here
                elif device in local:
                    free = not (on_workers or here or waits)
                else:
                    free = not any(tasks[one].device == device for one in running)
                if free:
                    break
            else:
                break
            ready.remove(number)
            running.add(number)
        now += 1
        for number in sorted(running):
            left[number] -= 1
            if not left[number]:
                running.discard(number)
                done.add(number)
                ready += [one for one, task in enumerate(tasks) if task.after == number]
    return now


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_sweeps_of_exports_and_devices(workers):
    rng = random.Random(workers)
    for _ in range(60):
        tasks = []
        for _ in range(rng.randrange(1, 5)):
            export = len(tasks)
            tasks.append(Task(rng.randint(1, 9)))
            tasks += [Task(rng.randint(1, 9), name, export) for name in ("here", "a", "b")[: rng.randrange(1, 4)]]
        assert makespan(tasks, workers, ["here"]) == stepped(tasks, workers, ["here"])


def test_devices_measure_side_by_side():
    """A shelf: rows times seconds, divided by the devices."""
    tasks = [Task(2.0, f"board{device}") for device in range(8) for _ in range(25)]
    assert makespan(tasks, 1) == 50.0


def test_a_measurement_here_waits_for_the_workers():
    tasks = [Task(5), Task(3, "here", 0), Task(3, "pi", 0), Task(4), Task(3, "here", 2 + 1)]
    # The worker exports until 9; here is measured after it, the board from 5 to 8 beside it.
    assert makespan(tasks, 1, ["here"]) == 15
    assert makespan(tasks, 1) == 12  # as two boards: the second row of "here" is exported at 9
    assert makespan([], 3) == 0


def test_a_large_sweep_is_scheduled_at_once():
    tasks = []
    for model in range(5_000):
        tasks.append(Task(10))
        tasks += [Task(3, f"board{device}", model * 21) for device in range(20)]
    # The first ten exports end at 10; then each board has always something to do.
    assert makespan(tasks, 10) == 10 + 5_000 * 3
