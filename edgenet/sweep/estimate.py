"""How long a sweep will take, before anything runs: computed from this machine's speed and from earlier jobs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from edgenet import cores
from edgenet.images import listing
from edgenet.records.enums import Arithmetic
from edgenet.sweep import job_cost
from edgenet.sweep.evaluation import CHUNK_IMAGES
from edgenet.sweep.history import History
from edgenet.sweep.job import Kind
from edgenet.sweep.job_cost import REFERENCE_PEAK, Images, ModelCost, Seconds
from edgenet.sweep.plan import DevicePlan, Plan
from edgenet.sweep.plan_models import Source
from edgenet.sweep.schedule import Task, makespan

# How many times as long a board takes as the reference machine, until one was measured: a Raspberry Pi 4 or 5.
BOARD_SLOWDOWN = 5.0
# Numbers of threads of a device whose cores are unknown: 1, and all of them.
DEFAULT_THREADS = 2
# Image files whose sizes are read.
SAMPLE = 20


@dataclass(frozen=True)
class Speed:
    """How fast this machine is.

    Attributes:
        slowdown: How many times as long as the reference machine it takes for one job.
        crowding: How many times as long a job takes beside those of the other workers.
    """

    slowdown: float = 1.0
    crowding: float = 1.0


@dataclass(frozen=True)
class PlannedJob:
    """A job of a sweep.

    Attributes:
        kind: What it does.
        model: The name of its model.
        device: The device that it measures; None for others.
        computed: Seconds that were computed for it, for `History.remember`.
        seconds: Those that it is expected to take here.
        after: The position of the job that must be done before.
    """

    kind: Kind
    model: str
    device: str | None
    computed: float
    seconds: float
    after: int | None = None


@dataclass(frozen=True)
class Estimate:
    """How much there is to do.

    Attributes:
        rows: Models times devices.
        jobs: Jobs of all kinds.
        seconds: Until the sweep is done.
        note: What this is based on, in a sentence or two.
        planned: The jobs.
    """

    rows: int
    jobs: int
    seconds: float
    note: str
    planned: tuple[PlannedJob, ...]

    def __str__(self) -> str:
        """In words: "8 rows, 12 jobs: about 4 minutes, computed from ..."."""
        jobs = f"{self.rows:,} row{'s' * (self.rows != 1)}, {self.jobs:,} job{'s' * (self.jobs != 1)} to do"
        return f"{jobs}: about {duration(self.seconds)}, {self.note}" if self.jobs else jobs


def duration(seconds: float) -> str:
    """A time in words, such as "40 seconds" or "2.5 hours"."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count = seconds / length
        if count >= 1.5 or unit == "second":
            text = f"{count:.1f}".removesuffix(".0") if count < 5 and unit != "second" else f"{count:,.0f}"
            return f"{text} {unit}{'s' * (text != '1')}"
    raise AssertionError


def probe(workers: int) -> Speed:
    """Measure how fast this machine is, in about two seconds.

    Args:
        workers: How many jobs will run at a time.
    """
    from edgenet.benchmarking import peak

    rates = {
        threads: next(one.multiply_adds for one in peak.measure(threads) if one.arithmetic == Arithmetic.FLOAT32)
        for threads in sorted({1, workers})
    }
    return Speed(REFERENCE_PEAK / rates[1], min(max(1.0, workers * rates[1] / rates[workers]), float(workers)))


def estimate(
    plan: Plan,
    workers: int,
    history: History | None = None,
    speed: Speed | None = None,
    skipped: Collection[tuple[str, str | None]] = (),
) -> Estimate:
    """How long a sweep will take.

    Args:
        plan: The plan.
        workers: How many exports run at a time.
        history: Earlier jobs; those of the user's cache by default.
        speed: Of this machine; measured by default.
        skipped: Rows that are done already, as (model, device); (model, None) if its bundle is.
    """
    history = History.load() if history is None else history
    planned = planned_jobs(plan, history, speed or probe(workers), skipped)
    local = [device.name for device in plan.devices if device.local]
    seconds = schedule(planned, workers, local)
    return Estimate(plan.rows, len(planned), seconds, _note(plan, history), tuple(planned))


def schedule(planned: Sequence[PlannedJob], workers: int, local: Collection[str]) -> float:
    """Seconds until jobs are done."""
    return makespan([Task(job.seconds, job.device, job.after) for job in planned], workers, local)


def planned_jobs(
    plan: Plan, history: History, speed: Speed, skipped: Collection[tuple[str, str | None]] = ()
) -> list[PlannedJob]:
    """The jobs of a sweep: all exports, then what can begin after them. Arguments as in `estimate`."""
    calibration, evaluation = _calibration_and_evaluation(plan)
    test = Images(len(plan.images.test_images), _mean_bytes(plan.images.test_images))
    costs = {model.name: job_cost.of_model(model, plan.variants) for model in plan.models}
    done = set(skipped)
    jobs: list[PlannedJob] = []
    bundles: dict[str, int] = {}
    here = speed.slowdown * speed.crowding

    def add(kind: Kind, model: str, device: str | None, seconds: Seconds, slowdown: float) -> None:
        factor = history.factor(kind, device)
        expected = seconds.on(slowdown) if factor is None else factor * seconds.on(1.0)
        jobs.append(PlannedJob(kind, model, device, seconds.on(1.0), expected, bundles.get(model)))

    for model in plan.models:
        needed = any((model.name, device.name) not in done for device in plan.devices)
        if model.source != Source.BUNDLE and needed and (model.name, None) not in done:
            seconds = job_cost.export(costs[model.name], calibration, evaluation)
            if {"max_drift", "max_accuracy_drop"} & set(plan.export):
                seconds = Seconds(seconds.fixed, seconds.computed + job_cost.search(costs[model.name], calibration))
            add(Kind.EXPORT, model.name, None, seconds, here)
            bundles[model.name] = len(jobs) - 1
    for model in plan.models:
        if test.count and any((model.name, device.name) not in done for device in plan.devices):
            for start in range(0, test.count, CHUNK_IMAGES):
                chunk = Images(min(CHUNK_IMAGES, test.count - start), test.bytes)
                add(Kind.EVALUATE, model.name, None, job_cost.evaluate(costs[model.name], chunk), here)
    for model in plan.models:
        for device in plan.devices:
            if (model.name, device.name) not in done:
                seconds = _measure(plan, costs[model.name], evaluation, device)
                slowdown = speed.slowdown if device.local else BOARD_SLOWDOWN
                add(Kind.MEASURE, model.name, device.name, seconds, slowdown)
    return jobs


def _measure(plan: Plan, cost: ModelCost, evaluation: Images, device: DevicePlan) -> Seconds:
    given = plan.benchmark.threads
    default = len({1, cores.available()}) if device.local else DEFAULT_THREADS
    return job_cost.measure(cost, evaluation, plan.benchmark, default if given is None else len(given))


def _calibration_and_evaluation(plan: Plan) -> tuple[Images, Images]:
    """The images of an export, split as `edgenet.images.splits` does where only one folder is given."""
    from edgenet.images.splits import CALIBRATION_FRACTION, MAX_CALIBRATION_IMAGES, MIN_CALIBRATION_IMAGES

    images = plan.images
    sizes = {folder: _sampled(folder) for folder in (images.calibration, images.evaluation) if folder}
    calibration = sizes.get(images.calibration, 0.0) if images.calibration else 0.0
    count = images.calibration_images
    if images.evaluation:
        return Images(count, calibration), Images(images.evaluation_images, sizes[images.evaluation])
    at_least = min(MIN_CALIBRATION_IMAGES, count // 2)
    used = min(MAX_CALIBRATION_IMAGES, max(ceil(count * CALIBRATION_FRACTION), at_least))
    return Images(used, calibration), Images(count - used, calibration)


def _sampled(folder: Path) -> float:
    return _mean_bytes(listing.find_images(folder).paths)


def _mean_bytes(paths: Sequence[Path]) -> float:
    some = paths[:: max(1, len(paths) // SAMPLE)]
    return sum(path.stat().st_size for path in some) / len(some) if some else 0.0


def _note(plan: Plan, history: History) -> str:
    exports = any(model.source != Source.BUNDLE for model in plan.models)
    known = [] if not exports or history.factor(Kind.EXPORT) is None else ["exports"]
    known += [device.name for device in plan.devices if history.factor(Kind.MEASURE, device.name) is not None]
    unknown = [
        device.name for device in plan.devices if not device.local and history.factor(Kind.MEASURE, device.name) is None
    ]
    parts = ["computed from this machine's speed" + (f", and from earlier jobs of {', '.join(known)}" if known else "")]
    if unknown:
        parts.append(f"{', '.join(unknown)}: not measured yet, taken for a Raspberry Pi")
    if any(model.spec is None for model in plan.models):
        parts.append("the cost of models from files is guessed by their size")
    return "; ".join(parts)
