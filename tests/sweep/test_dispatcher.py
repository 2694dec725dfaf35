"""Which worker gets which job, and when: with workers that only pretend, on a clock that only pretends."""

import heapq
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest

from edgenet.errors import EdgenetError
from edgenet.sweep.dispatcher import MAX_LOST, Dispatcher
from edgenet.sweep.job import Answer, Job, Kind


class World:
    """A pool whose workers take simulated time: whenever the dispatcher asks for the time, the next job ends."""

    def __init__(self):
        self.now = 0.0
        self.present = []
        self.ending = []
        self.ran = []  # (worker, job, begin, end)
        self._order = count()

    def clock(self):
        if self.ending:
            self.now, _, finish = heapq.heappop(self.ending)
            finish()
        else:
            self.now += 1.0
        return self.now

    def workers(self):
        return list(self.present)

    def close(self):
        pass

    def add(self, name, machine=None, devices=(), exports=True):
        worker = FakeWorker(self, name, machine or name, frozenset(devices), exports)
        self.present.append(worker)
        return worker

    def at(self, when, finish):
        heapq.heappush(self.ending, (when, next(self._order), finish))


@dataclass(eq=False)
class FakeWorker:
    world: World
    name: str
    machine: str
    devices: frozenset
    exports: bool
    seconds: object = lambda job: job.request.get("seconds", 1.0)
    answer: object = lambda job: Answer(result=job.name)
    busy: list = field(default_factory=list)

    def start(self, job, done):
        assert not self.busy, "two jobs at once"
        self.busy.append(job)
        begin = self.world.now

        def finish():
            self.busy.clear()
            self.world.ran.append((self, job, begin, self.world.now))
            done(self.answer(job))

        self.world.at(begin + self.seconds(job), finish)


def job(name, kind=Kind.STUB, device=None, **options):
    return Job(name, kind, name, options.pop("request", {}), device=device, **options)


def run(world, jobs, on_answer=None, **options):
    """Run jobs. Returns the answers of each, by name."""
    answers = defaultdict(list)

    def take(job, answer):
        answers[job.name].append(answer)
        return on_answer(job, answer) if on_answer else True

    dispatcher = Dispatcher(world, take, clock=world.clock, **options)
    world.dispatcher = dispatcher
    for each in jobs:
        dispatcher.add(each)
    dispatcher.run()
    return answers


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr("edgenet.sweep.dispatcher.POLL_SECONDS", 1e-4)  # nothing comes while it waits
    return World()


@pytest.mark.parametrize("seed", range(20))
def test_random_sweeps(world, seed):
    """Exports bring rows; workers fail, vanish and come back. The rules hold, and each job ends exactly once."""
    draw = random.Random(seed)
    machines = [f"m{number}" for number in range(draw.randint(1, 4))]
    devices = {f"d{number}": draw.choice(machines) for number in range(draw.randint(1, 4))}
    for machine in machines:
        for number in range(draw.randint(1, 3)):
            here = [device for device in devices if devices[device] == machine] if number == 0 else []
            world.add(f"{machine}.{number}", machine, here, exports=number > 0 or draw.random() < 0.8)
    world.add("sure")
    for worker in world.present:
        worker.seconds = lambda job: draw.choice([0.5, 1.0, 7.0])
        worker.answer = lambda job: Answer(problem="bad") if draw.random() < 0.2 else Answer(result=1)
    exports = [job(f"e{number}", Kind.EXPORT) for number in range(draw.randint(1, 12))]

    def on_answer(done, answer):
        if done.kind is Kind.EXPORT and answer.problem is None:
            for device in devices:
                kind = draw.choice([Kind.MEASURE, Kind.STUB])
                world.dispatcher.add(job(f"{done.name} on {device}", kind, device))
        return True

    answers = run(world, exports, on_answer)
    good = [name for name, (answer,) in answers.items() if answer.problem is None and " " not in name]
    assert set(answers) == {each.name for each in exports} | {f"{e} on {d}" for e in good for d in devices}
    assert all(len(given) == 1 for given in answers.values())
    for name, tries in Counter(ran.name for _, ran, _, _ in world.ran).items():
        assert tries <= 3 and (tries == 3 or answers[name][0].problem is None)
    for worker, ran, begin, end in world.ran:
        assert ran.device in (*worker.devices, None) and (ran.device or worker.exports)
        if ran.kind is Kind.MEASURE:  # nothing else on its machine at that time
            others = [o for o in world.ran if o[0].machine == worker.machine and o[1] is not ran]
            assert all(o[3] <= begin or o[2] >= end for o in others)


def test_devices_work_at_once_and_each_in_order(world):
    for device in ("a", "b", "c"):
        world.add(device, devices=[device], exports=False)
    run(world, [job(f"{device}{n}", Kind.MEASURE, device) for n in range(3) for device in ("a", "b", "c")])
    assert world.now == pytest.approx(3.0, abs=1.5)
    for device in ("a", "b", "c"):
        assert [ran.name for worker, ran, _, _ in world.ran if worker.name == device] == [
            f"{device}{n}" for n in range(3)
        ]


def test_exports_and_measurements_on_one_machine_take_turns(world):
    world.add("w0", "here", ["d"])
    world.add("w1", "here")

    def on_answer(done, answer):
        if done.kind is Kind.EXPORT:
            world.dispatcher.add(job(f"row {done.name}", Kind.MEASURE, "d"))
        return True

    run(world, [job(f"{n}", Kind.EXPORT, request={"seconds": 1 + n % 3}) for n in range(20)], on_answer)
    kinds = [ran.kind for _, ran, _, _ in world.ran]
    first, last = kinds.index(Kind.MEASURE), len(kinds) - 1 - kinds[::-1].index(Kind.EXPORT)
    assert first < 8 and last > 20  # neither waits for the end of the other
    turns = sum(a != b for a, b in pairwise(kinds))
    assert turns < 16  # the machine is not emptied for each row


def test_a_failed_job_is_tried_again_elsewhere_or_later_and_its_last_problem_is_told(world):
    worker = world.add("w")
    worker.answer = lambda job: Answer(problem=f"problem {len(world.ran)}")
    answers = run(world, [job("x", attempts=2)])
    assert [answer.problem for answer in answers["x"]] == ["problem 2"]


def test_a_result_that_is_not_accepted_is_tried_again_until_the_attempts_end(world):
    world.add("w", devices=["d"])
    retried = []
    answers = run(
        world,
        [job("x", Kind.MEASURE, "d")],
        lambda job, answer: False,
        on_retry=lambda job, answer: retried.append(answer.result),
    )
    assert [answer.result for answer in answers["x"]] == ["x"] * 3
    assert retried == ["x"] * 2


def test_files_that_are_not_taken_are_removed(world, tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    unused = list(folders)
    worker = world.add("w")
    worker.answer = lambda job: Answer(result=1, files=unused.pop(0))
    run(world, [job("x")], lambda job, answer: not unused)
    assert not any(folder.exists() for folder in folders)


def test_a_job_whose_workers_vanish_is_given_to_others_but_not_forever(world):
    def vanish(worker):
        def answer(job):
            world.present.remove(worker)
            return Answer(problem="gone", is_lost=True)

        worker.answer = answer
        worker.seconds = lambda job: 0.0

    for number in range(MAX_LOST - 1):
        vanish(world.add(f"w{number}"))
    good = world.add("good")
    good.seconds = lambda job: 5.0
    answers = run(world, [job(f"x{n}", attempts=1) for n in range(MAX_LOST)])
    assert [answer.problem for given in answers.values() for answer in given] == [None] * MAX_LOST
    good.exports = False
    for number in range(MAX_LOST + 1):
        vanish(world.add(f"v{number}"))
    answers = run(world, [job("y")])
    assert [answer.problem for answer in answers["y"]] == ["gone"]
    assert sum(worker.name[0] == "v" for worker in world.present) == 1


def test_rows_of_a_device_that_stays_away_fail_and_the_others_go_on(world):
    world.add("w", devices=["here"])
    jobs = [job(f"{device}{n}", Kind.MEASURE, device) for device in ("here", "away") for n in range(2)]
    answers = run(world, jobs, device_wait=60)
    assert [answers[f"here{n}"][0].problem for n in range(2)] == [None, None]
    for n in range(2):
        (answer,) = answers[f"away{n}"]
        assert answer.problem == (
            'no worker has the device "away", for 60 s; start one, and run the same command again'
        )
    assert world.now >= 60


def test_a_device_that_comes_late_gets_its_rows(world):
    world.at(30.0, lambda: world.add("late", devices=["d"]))
    answers = run(world, [job("x", Kind.MEASURE, "d")], device_wait=60)
    assert answers["x"][0].problem is None


def test_the_pool_s_end_and_an_interrupt_end_the_run(world):
    world.add("w")

    def gone():
        raise EdgenetError("the scheduler is gone")

    def interrupt(job, answer):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(world, [job("x"), job("y")], interrupt)
    assert len(world.ran) == 1
    world.workers = gone
    with pytest.raises(EdgenetError, match="the scheduler is gone"):
        run(world, [job("x")])


def test_twenty_thousand_rows_of_two_hundred_devices_take_seconds(world):
    """No step looks at all jobs: 20,000 rows are as quick, each, as 2,000."""
    seconds = {}
    for rows in (10, 100):
        world = World()
        for number in range(200):
            world.add(f"w{number}", devices=[f"d{number}"], exports=False)
        begin = time.perf_counter()
        run(world, [job(f"{n} {d}", Kind.STUB, f"d{d}") for n in range(rows) for d in range(200)])
        seconds[rows] = (time.perf_counter() - begin) / (200 * rows)
    # Twice is measured where each row takes the same time but the machine is busy; a scan would make it ten times.
    assert seconds[100] < 4 * seconds[10]
