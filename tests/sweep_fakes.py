"""Engines whose workers answer at once, and plans of bundles that are there already."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import made_results

from edgenet import records
from edgenet.records import Grade, Results
from edgenet.sweep import plan as plans
from edgenet.sweep.job import Answer, Job, Kind
from edgenet.sweep.plan import Plan


@dataclass
class FakeWorker:
    """Answers each job in the moment that it starts."""

    devices: frozenset[str]
    answer: Callable[[Job], Answer]
    name: str = "fake"
    machine: str = "machine"
    exports: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)

    def start(self, job: Job, done: Callable[[Answer], None]) -> None:
        done(self.answer(job))


@dataclass
class FakeEngine:
    """An engine of one worker. `started` has the names of its jobs."""

    answer: Callable[[Job], Answer]
    jobs_at_once: int = 1
    started: list[str] = field(default_factory=list)

    @contextmanager
    def open(self, plan, devices, log):
        worker = FakeWorker(frozenset(device.name for device in plan.devices), self._answer)
        yield FakePool([worker])

    def _answer(self, job: Job) -> Answer:
        self.started.append(job.name)
        return self.answer(job)


@dataclass
class FakePool:
    found: Sequence[FakeWorker]

    def workers(self) -> Sequence[FakeWorker]:
        return self.found

    def close(self) -> None:
        pass


def results(job: Job, grade: Grade = Grade.GOOD) -> Results:
    """What a device might measure."""
    made = made_results.results(threads=(1,))
    reasons = () if grade == Grade.GOOD else ("other programs kept 2 cores busy",)
    wanted = tuple(one for one in made.measurements if one.name in job.request["variants"])
    return replace(made, measurements=wanted, quality=replace(made.quality, grade=grade, reasons=reasons))


def measured(job: Job, grade: Grade = Grade.GOOD) -> Answer:
    """The answer to a job that measures."""
    assert job.kind == Kind.MEASURE, job
    return Answer(result={"results": records.to_json(results(job, grade)).decode()})


def write_plan(folder: Path, bundles: Mapping[str, Path], devices: Sequence[str] = ("here",), more: str = "") -> Plan:
    """A plan of bundles, read from its file."""
    models = "".join(f'[[models]]\nname = "{name}"\nbundle = "{path}"\n' for name, path in bundles.items())
    places = "".join(f'[[devices]]\nname = "{name}"\n' for name in devices)
    path = folder / "family.toml"
    path.write_text(more + models + places, encoding="utf-8")
    return plans.read(path)
