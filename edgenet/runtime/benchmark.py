"""The benchmark: latency, start, memory and drift of a bundle's variants on this machine."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from importlib.util import find_spec

from edgenet.records import KERAS, Drift, Measurement, Results, Variant
from edgenet.runtime import bundle as bundles
from edgenet.runtime import drift, host, latency
from edgenet.runtime.bundle import Bundle
from edgenet.runtime.runner import Runner
from edgenet.runtime.worker import Worker
from edgenet.terminal import Progress

# Fresh processes for load time, first inference and memory, beside those that latency is measured in.
STARTS = 3


def run(
    bundle: Bundle,
    progress: Progress,
    *,
    variants: Sequence[Variant],
    threads: Sequence[int],
    rounds: int = 20,
    seconds: float = 0.05,
    keras: bool = True,
) -> Results:
    """Measure `variants` of a verified bundle, and Keras where TensorFlow is installed, on this machine.

    threads: the numbers of threads to time with. rounds and seconds: of `latency.interleave`.

    Raises EdgenetError when a file cannot be run.
    """
    notes = []
    if keras and not find_spec("tensorflow"):
        keras = False
        notes.append(
            "Keras was not timed: TensorFlow is not installed here. Drift is against the scores in the bundle."
        )
    progress.step("drift")
    drifts = measure_drift(bundle, variants, progress)
    workers = {v.name: partial(Worker, "edgenet.runtime.worker", str(bundle.file(v.file))) for v in variants}
    if keras:
        model = str(bundle.file(bundles.KERAS_MODEL))
        workers[KERAS] = partial(Worker, "edgenet.model.keras_worker", model, str(bundle.manifest.batch))

    starts, latencies = {name: [] for name in workers}, {name: [] for name in workers}
    progress.step("starts")
    for done in range(STARTS):
        for variant in variants:  # not Keras: each start of TensorFlow takes seconds
            with closing(workers[variant.name](str(threads[0]))) as worker:
                starts[variant.name].append(worker.start)
        progress.count(done + 1, STARTS)
    for count in threads:
        progress.step(f"latency, {count} thread{'s' * (count > 1)}")
        with ExitStack() as running:
            timers = {name: running.enter_context(closing(make(str(count)))) for name, make in workers.items()}
            samples = latency.interleave(timers, rounds, seconds, lambda done: progress.count(done, rounds))
        for name, timer in timers.items():
            starts[name].append(timer.start)
            latencies[name].append(latency.summarize(count, samples[name]))

    sizes = {variant.name: bundle.manifest.files[variant.file].bytes for variant in variants}
    sizes[KERAS] = bundle.manifest.files[bundles.KERAS_MODEL].bytes
    measurements = tuple(
        Measurement(name, sizes[name], tuple(starts[name]), tuple(latencies[name]), drifts.get(name))
        for name in workers
    )
    return Results(
        bundle=bundle.manifest.name,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine=host.describe(),
        batch=bundle.manifest.batch,
        measurements=measurements,
        files={name: file.sha256 for name, file in bundle.manifest.files.items()},
        notes=tuple(notes),
    )


def measure_drift(bundle: Bundle, variants: Sequence[Variant], progress: Progress) -> dict[str, Drift]:
    """Drift of each variant on the bundle's evaluation pictures, on all cores."""
    total = len(bundle.manifest.evaluation)
    runners = {v.name: [Runner(bundle.file(v.file)).scores for _ in range(host.cores())] for v in variants}
    return drift.evaluate(bundles.chunks(bundle), runners, lambda done: progress.count(done, total))
