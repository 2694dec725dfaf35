"""A sweep from its plan to its record: opens the workers, runs the rows, and writes the files."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from edgenet import files, records
from edgenet.analysis.record_folder import SWEEP
from edgenet.machine import host
from edgenet.progress import SILENT, Progress
from edgenet.records import Sweep
from edgenet.reporting import sweep_table
from edgenet.sweep.dispatcher import DEVICE_WAIT, Dispatcher
from edgenet.sweep.engine import Engine
from edgenet.sweep.estimate import Estimate, estimate
from edgenet.sweep.forecast import Forecast
from edgenet.sweep.history import History
from edgenet.sweep.job import Answer, Job, Kind, Worker
from edgenet.sweep.plan import Plan
from edgenet.sweep.rows import OnRow, Rows
from edgenet.sweep.store import Store

VERBS = {Kind.EXPORT: "exporting", Kind.EVALUATE: "evaluating", Kind.MEASURE: "measuring", Kind.STUB: "waiting for"}
PLAN, CSV, PARQUET = "plan.toml", "table.csv", "table.parquet"
# Seconds between two writings of the record while rows come in, at least; and the fraction of time that it may take.
WRITE_SECONDS, WRITE_FRACTION = 5.0, 0.05
# Seconds between two forecasts.
FORECAST_SECONDS = 1.0


@dataclass
class Observer:
    """Follows a sweep; what it does not need stays silent.

    Attributes:
        progress: Gets each job as a step, and the rows as a count.
        on_start: Called with the estimate, before the first job.
        on_row: Called with each row that is finished in this run, as in `Rows`.
        on_left: Called after each job with the seconds that are left.
    """

    progress: Progress = SILENT
    on_start: Callable[[Estimate], None] = lambda estimate: None
    on_row: OnRow = lambda model, device, found: None
    on_left: Callable[[float], None] = lambda seconds: None


def run(
    plan: Plan, out: Path, engine: Engine, *, device_wait: float = DEVICE_WAIT, observer: Observer | None = None
) -> Sweep:
    """Run what is missing of a sweep. Stopped at any moment, the same call goes on from there.

    Args:
        plan: The plan.
        out: The folder of the sweep, new or that of an earlier run.
        engine: Where jobs run.
        device_wait: Seconds that rows wait for a device that has gone.
        observer: Follows the work; nobody by default.

    Returns:
        The record, which is also in the folder: finished rows, failures, and how many are missing.

    Raises:
        EdgenetError: Nothing can run: an input cannot be read, a device is unknown, the scheduler is gone. What is done
            by then is kept.
    """
    observer = observer or Observer()
    with Store(out) as store:
        files.write_atomic(out / PLAN, plan.text)
        waiting: list[Job] = []
        observer.progress.step("reading models and images")
        rows = Rows(plan, store, waiting.append, observer.on_row)
        rows.start()
        table = _Table(plan, out, rows)
        try:
            if waiting:
                _run(plan, engine, rows, waiting, table, device_wait, observer)
        finally:
            record = table.write()
    return record


def _run(
    plan: Plan,
    engine: Engine,
    rows: Rows,
    waiting: list[Job],
    table: "_Table",
    device_wait: float,
    observer: Observer,
) -> None:
    progress, total, history = observer.progress, len(plan.models) * len(plan.devices), History.load()
    estimated = estimate(plan, max(1, engine.jobs_at_once), history, skipped=rows.done())
    local = [device.name for device in plan.devices if device.local]
    forecast = Forecast(estimated.planned, max(1, engine.jobs_at_once), local)
    due = _Limit(FORECAST_SECONDS)

    def accept(job: Job, answer: Answer) -> bool:
        accepted = rows.accept(job, answer)
        model = rows.model(job)
        if answer.problem is not None:
            forecast.drop(model, job.device)
        elif accepted and (planned := forecast.done(job.kind, job.device, answer.seconds, model)):
            history.remember(job.kind, job.device, planned.computed, answer.seconds)
        progress.count(total - rows.unfinished, total)
        if due():
            observer.on_left(forecast.left())
        table.write_if_due()
        return accepted

    def note(job: Job, answer: Answer) -> None:
        progress.note(f"{job.name}: {answer.problem or 'the timing quality is poor'}; trying again")

    def step(job: Job, worker: Worker) -> None:
        progress.step(f"{VERBS[job.kind]} {job.name}")

    with engine.open(plan, rows.unfinished_devices(), progress.note) as pool:
        observer.on_start(estimated)
        dispatcher = Dispatcher(pool, accept, device_wait=device_wait, on_start=step, on_retry=note)
        rows.add = dispatcher.add
        for job in waiting:
            dispatcher.add(job)
        try:
            dispatcher.run()
        finally:
            history.save()


class _Limit:
    """Says True at most once in so many seconds: for what looks at all rows."""

    def __init__(self, seconds: float):
        self._seconds, self._next = seconds, 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


@dataclass
class _Table:
    """Writes the record and its tables, the first rows while the others run."""

    plan: Plan
    folder: Path
    rows: Rows
    _next: float = field(default_factory=lambda: time.monotonic() + WRITE_SECONDS)

    def write_if_due(self) -> None:
        started = time.monotonic()
        if started >= self._next:
            self.write()
            now = time.monotonic()
            self._next = now + max(WRITE_SECONDS, (now - started) / WRITE_FRACTION)

    def write(self) -> Sweep:
        record = Sweep(
            name=self.plan.name,
            entries=self.rows.entries(),
            failures=self.rows.failures(),
            missing=self.rows.unfinished,
            plan=sha256(self.plan.text).hexdigest(),
            versions=host.versions(),
        )
        files.write_atomic(self.folder / SWEEP.file, records.to_json(record))
        sweep_table.write_csv(record, self.folder / CSV)
        sweep_table.write_parquet(record, self.folder / PARQUET)
        return record
