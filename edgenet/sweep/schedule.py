"""When jobs are done that run on a few workers and devices: list scheduling (Graham, 1969).

Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17(2), 1969: jobs that begin in the order of a
list as soon as a worker is free take at most 2 - 1/workers times as long as in the best order.
"""

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """A job of a schedule.

    Attributes:
        seconds: How long it takes.
        device: The device that it measures; None for one that a worker of this machine runs.
        after: The position of the task in the list that must be done before; it stands in front of this one.
    """

    seconds: float
    device: str | None = None
    after: int | None = None


def makespan(tasks: Sequence[Task], workers: int, local: Collection[str] = ()) -> float:
    """The seconds until all tasks are done.

    Args:
        tasks: In the order in which they begin if they can.
        workers: How many tasks without a device run at a time.
        local: The devices that are this machine: while one of them measures, no worker runs, and all of them wait until
            the workers have nothing to do. Each other device does one task at a time.
    """
    return _Simulation(tasks, max(1, workers), frozenset(local)).run()


class _Simulation:
    def __init__(self, tasks: Sequence[Task], workers: int, local: frozenset[str]):
        self._tasks, self._workers, self._local = tasks, workers, local
        self._waiting: dict[int, list[int]] = {}
        # Tasks that can begin, by where: None for the workers, "" for this machine as a device.
        self._ready: defaultdict[str | None, deque[int]] = defaultdict(deque)
        self._running: list[tuple[float, int]] = []
        self._busy: Counter[str | None] = Counter()
        self._now = 0.0

    def run(self) -> float:
        for number, task in enumerate(self._tasks):
            if task.after is None:
                self._add(number)
            else:
                self._waiting.setdefault(task.after, []).append(number)
        places = set(self._ready)
        while True:
            for place in places:
                self._begin(place)
            if not self._running:
                return self._now
            places = set()
            self._now = self._running[0][0]
            while self._running and self._running[0][0] == self._now:
                _, number = heapq.heappop(self._running)
                place = self._place(number)
                self._busy[place] -= 1
                places |= {place} if place else {None, ""}
                for follower in self._waiting.pop(number, ()):
                    self._add(follower)
                    places.add(self._place(follower))

    def _place(self, number: int) -> str | None:
        device = self._tasks[number].device
        return "" if device in self._local else device

    def _add(self, number: int) -> None:
        self._ready[self._place(number)].append(number)

    def _begin(self, place: str | None) -> None:
        while self._ready[place] and self._is_free(place):
            number = self._ready[place].popleft()
            self._busy[place] += 1
            heapq.heappush(self._running, (self._now + self._tasks[number].seconds, number))

    def _is_free(self, place: str | None) -> bool:
        if place is None:
            return self._busy[None] < self._workers and not self._busy[""]
        if place == "":  # workers first: a measurement here would stop them
            return not (self._busy[None] or self._ready[None] or self._busy[""])
        return not self._busy[place]
