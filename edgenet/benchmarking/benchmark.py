"""The benchmark: latency, start, memory and drift of some models on this machine."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from edgenet.benchmarking import drift, latency, peak
from edgenet.benchmarking.drift import Scorer
from edgenet.benchmarking.gallery import Gallery
from edgenet.benchmarking.worker import ABOUT, Worker
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import Bundle
from edgenet.bundle.evaluation import Chunk
from edgenet.images import labels as class_names
from edgenet.litert.remote import Pool
from edgenet.litert.runner import Runner
from edgenet.machine import host, quality
from edgenet.machine.sensors import Sensors
from edgenet.machine.watch import Cooldown, Watch
from edgenet.progress import Progress
from edgenet.records import (
    KERAS,
    Condition,
    Delegation,
    Drift,
    Finding,
    Machine,
    Measurement,
    Peak,
    Preprocessing,
    Results,
    Variant,
)

# Fresh processes for load time, first inference and memory, beside those that latency is measured in.
STARTS = 3
# The variant that the others are compared with.
FLOAT32 = "float32"
# LiteRT's interfaces that can be timed: the classic one, and the one of new apps.
APIS = ("interpreter", "compiled")


# Opens scorers, by the names of the models, and closes them at its end.
Scoring = Callable[[], AbstractContextManager[dict[str, Sequence[Scorer]]]]


@dataclass(frozen=True)
class Subject:
    """What is measured; it can be measured as often as one likes.

    models: .tflite files, by the names that the table shows. keras: the Keras model, if it is to be timed. recipe: from
    a picture to the models' input. reference: the name of what drift is measured against. scoring: opens the scorers of
    the models whose drift is measured, as `drift.evaluate` takes them; None where there are none. chunks: gives the
    `pictures` evaluation pictures from the first one on, with the reference's scores, that are softmax, sigmoid or
    logits, or None where nothing says it. labels: the class names. evaluation: as `evaluation_digest` makes it.
    calibration: what the export found of its pictures. files: SHA-256, by path.
    """

    name: str
    models: dict[str, Path]
    keras: Path | None
    recipe: Preprocessing
    batch: int
    base: str | None
    reference: str | None
    scoring: Scoring | None
    chunks: Callable[[], Iterable[Chunk]]
    pictures: int
    files: dict[str, str]
    scores: str | None = None
    labels: tuple[str, ...] = ()
    evaluation: str | None = None
    calibration: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def evaluation_digest(digests: Iterable[str]) -> str:
    """What evaluation images have in common wherever they lie: SHA-256 of their files' SHA-256s, sorted."""
    return sha256("".join(sorted(digests)).encode()).hexdigest()


def of_bundle(bundle: Bundle, variants: Sequence[Variant], keras: bool = True, drift_here: bool = True) -> Subject:
    """Some variants of a verified bundle, and its Keras model where TensorFlow is installed.

    drift_here: whether drift is to be measured on this machine, in a process for each core that loads all variants.
    """
    notes = ()
    if keras and not find_spec("tensorflow"):
        keras = False
        notes = ("Keras was not timed: TensorFlow is not installed here. Drift is against the scores in the bundle.",)
    manifest = bundle.manifest
    return Subject(
        name=manifest.name,
        models={variant.name: bundle.file(variant.file) for variant in variants},
        keras=bundle.file(manifest.model) if keras else None,
        recipe=manifest.preprocessing,
        batch=manifest.batch,
        base=FLOAT32 if any(variant.name == FLOAT32 for variant in variants) else None,
        reference=KERAS,
        scoring=partial(_processes, bundle, variants) if drift_here else None,
        chunks=partial(evaluation.chunks, bundle),
        pictures=len(manifest.evaluation),
        files={name: file.sha256 for name, file in manifest.files.items()},
        scores=manifest.scores,
        labels=tuple(class_names.read(bundle.file(bundles.LABELS))),
        evaluation=evaluation_digest(manifest.files[picture.file].sha256 for picture in manifest.evaluation),
        calibration=manifest.calibration.findings,
        notes=notes,
    )


def run(
    subject: Subject,
    progress: Progress,
    *,
    threads: Sequence[int],
    rounds: int = 20,
    seconds: float = 0.05,
    api: str = APIS[0],
    cooldown: bool = False,
    per_layer: bool = False,
    sensors: Sensors | None = None,
    command: str = "",
) -> Results:
    """Measure on this machine.

    threads: the numbers of threads to time with. rounds and seconds: of `latency.interleave`. api: out of APIS.
    cooldown: whether to wait before each turn until the machine is as cool as at the beginning. per_layer: whether to
    time each operator, too. command: what was typed, for the record.

    Raises EdgenetError when a file cannot be run.
    """
    sensors, gallery = sensors or Sensors(), Gallery()
    drifts = {}
    if subject.scoring:
        progress.step("drift")
        with subject.scoring() as scorers:
            drifts = drift.evaluate(
                subject.chunks(),
                scorers,
                lambda done: progress.count(done, subject.pictures),
                scores=subject.scores,
                gallery=gallery,
                reference="Keras" if subject.reference == KERAS else subject.reference,
                labels=subject.labels,
            )
    workers = _workers(subject, api)
    starts, latencies, about = {name: [] for name in workers}, {name: [] for name in workers}, {}
    progress.step("starts")
    for done in range(STARTS):
        for name in subject.models:  # not Keras: each start of TensorFlow takes seconds
            with closing(workers[name](threads=threads[0])) as worker:
                starts[name].append(worker.start)
                about[name] = about.get(name) or worker.ask(ABOUT)
        progress.count(done + 1, STARTS)
    phases, cool = [], Cooldown(sensors) if cooldown else (lambda: None)
    for count in threads:
        progress.step(f"latency, {count} thread{'s' * (count > 1)}")
        with ExitStack() as running:
            timers = {name: running.enter_context(closing(make(threads=count))) for name, make in workers.items()}
            watch = Watch(sensors, [timer.process for timer in timers.values()])

            def counted(done: int, watch=watch) -> None:
                watch.look()
                progress.count(done, rounds)

            samples = latency.interleave(timers, rounds, seconds, counted, cool)
        phases.append(quality.Phase(count, watch.readings, watch.own, samples, host.cores()))
        for name, timer in timers.items():
            starts[name].append(timer.start)
            base = samples.get(subject.base) if name != subject.base else None
            latencies[name].append(latency.summarize(count, samples[name], base))
    progress.step("the machine's peak")
    peaks = tuple(chain.from_iterable(peak.measure(count) for count in threads))
    layer_times = {}
    if per_layer:
        for name in subject.models:
            progress.step(f"operators of {name}")
            with closing(workers[name](threads=threads[0])) as worker:
                layer_times[name] = worker.layers()

    paths = {**subject.models, KERAS: subject.keras}
    measurements = tuple(
        Measurement(
            name=name,
            bytes=_bytes(paths[name]),
            starts=tuple(starts[name]),
            latency=tuple(latencies[name]),
            drift=drifts.get(name),
            multiply_adds=about[name]["multiply_adds"] if name in about else None,
            delegation=Delegation(**about[name]["delegation"]) if name in about else None,
            layers=layer_times.get(name, ()),
            arithmetic=about[name].get("arithmetic") if name in about else None,
        )
        for name in workers
    )
    return record(
        subject,
        api=api,
        machine=host.describe(),
        measurements=measurements,
        condition=quality.condition(phases),
        peaks=peaks,
        thumbnails=gallery.thumbnails(),
        command=command,
    )


def record(
    subject: Subject,
    *,
    api: str,
    machine: Machine,
    measurements: tuple[Measurement, ...],
    condition: Condition,
    peaks: tuple[Peak, ...],
    thumbnails: dict[str, str],
    command: str,
    notes: tuple[str, ...] = (),
) -> Results:
    """What was measured of a subject now, with what is known of it. notes: beside the subject's own."""
    return Results(
        bundle=subject.name,
        reference=subject.reference,
        base=subject.base,
        api=api,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine=machine,
        batch=subject.batch,
        measurements=measurements,
        condition=condition,
        peaks=peaks,
        labels=subject.labels,
        evaluation=subject.evaluation,
        thumbnails=thumbnails,
        calibration=subject.calibration,
        command=command,
        files=subject.files,
        notes=(*subject.notes, *notes),
    )


def measure_drift(bundle: Bundle, variants: Sequence[Variant], progress: Progress) -> dict[str, Drift]:
    """Drift of each variant on the bundle's evaluation pictures, on all cores; for files that this process made."""
    total, recipe = len(bundle.manifest.evaluation), bundle.manifest.preprocessing
    scorers = {v.name: [Runner(bundle.file(v.file), recipe).scores for _ in range(host.cores())] for v in variants}
    return drift.evaluate(
        evaluation.chunks(bundle),
        scorers,
        lambda done: progress.count(done, total),
        scores=bundle.manifest.scores,
        reference="Keras",
        labels=class_names.read(bundle.file(bundles.LABELS)),
    )


@contextmanager
def _processes(bundle: Bundle, variants: Sequence[Variant]) -> Iterator[dict[str, Sequence[Scorer]]]:
    """Scorers in processes of their own: a bundle may come from elsewhere, and its files may be damaged."""
    files, count = {variant.name: bundle.file(variant.file) for variant in variants}, host.cores()
    with closing(Pool(files, bundle.manifest.preprocessing, count)) as pool:
        yield {name: [partial(pool.scores, name)] * count for name in files}


def _workers(subject: Subject, api: str) -> dict[str, Callable[..., Worker]]:
    """For each model, what starts its process, given a number of `threads`."""
    shape = subject.recipe.shape
    workers = {name: partial(Worker, path=str(path), shape=shape, api=api) for name, path in subject.models.items()}
    if subject.keras:
        module, path = "edgenet.benchmarking.keras_worker", str(subject.keras)
        workers[KERAS] = partial(Worker, module, path=path, shape=shape, batch=subject.batch)
    return workers


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
