"""The benchmark: drift, start, latency and memory of some models on this machine, stage by stage."""

import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

from edgenet.benchmarking import drift, peak
from edgenet.benchmarking.gallery import Gallery
from edgenet.benchmarking.options import BenchmarkOptions
from edgenet.benchmarking.subject import Subject, TimedModels
from edgenet.benchmarking.timing import ModelTimes, Timing
from edgenet.errors import EdgenetError
from edgenet.machine import host
from edgenet.machine.quality import assess
from edgenet.machine.sensors import Sensors
from edgenet.progress import SILENT, Progress
from edgenet.records import (
    KERAS,
    Api,
    Arithmetic,
    Delegation,
    Drift,
    Evaluation,
    Grade,
    Machine,
    Measurement,
    Peak,
    Quality,
    Results,
    Run,
)


def run(
    subject: Subject,
    options: BenchmarkOptions,
    progress: Progress = SILENT,
    *,
    sensors: Sensors | None = None,
    command: str = "",
) -> Results:
    """Measure on this machine.

    Args:
        subject: What to measure.
        options: How to measure it.
        progress: Listens to the stages.
        sensors: Read the machine's condition.
        command: The command line, for the results; empty for a call from Python.

    Raises:
        EdgenetError: A file cannot be run.
    """
    sensors, gallery = sensors or Sensors(), Gallery()
    drifts = _measure_drift(subject, gallery, progress)
    timing = Timing(subject.timed, subject.model.batch, options, progress)
    timing.time_starts()
    phases = timing.time_inferences(sensors)
    peaks = _measure_peaks(options, progress)
    if options.layers:
        timing.time_layers()
    return record(
        subject,
        api=options.api,
        machine=host.describe(),
        measurements=tuple(
            _measurement(subject.timed, name, times, drifts.get(name)) for name, times in timing.times.items()
        ),
        quality=assess(phases),
        peaks=peaks,
        thumbnails=gallery.thumbnails(),
        command=command,
    )


def run_drift(subject: Subject, progress: Progress = SILENT, *, command: str = "") -> Results:
    """Measure the drift of the models alone, on this machine.

    Args:
        subject, progress, command: As in `run`.

    Raises:
        EdgenetError: A file cannot be run, or there are no images.
    """
    if not subject.evaluation.open_scorers:
        raise EdgenetError("give a folder of images with classes, or a reference", parameter="images")
    gallery = Gallery()
    drifts = _measure_drift(subject, gallery, progress)
    return drift_results(subject, drifts, thumbnails=gallery.thumbnails(), command=command)


def drift_results(
    subject: Subject, drifts: Mapping[str, Drift], *, thumbnails: dict[str, str] | None = None, command: str = ""
) -> Results:
    """Results that have drift, but no latency.

    Args:
        subject: What was measured.
        drifts: By the names of its models.
        thumbnails, command: As in `record`.
    """
    return record(
        subject,
        api=Api.INTERPRETER,
        machine=host.describe(),
        measurements=tuple(
            Measurement(name, _size(subject.timed.files[name]), (), (), found, None, None, ())
            for name, found in drifts.items()
        ),
        quality=Quality(Grade.POOR, ("latency was not measured",), (), None, None, None, None),
        peaks=(),
        thumbnails=thumbnails or {},
        command=command,
    )


def record(
    subject: Subject,
    *,
    api: Api,
    machine: Machine,
    measurements: tuple[Measurement, ...],
    quality: Quality,
    peaks: tuple[Peak, ...],
    thumbnails: dict[str, str],
    command: str,
    notes: tuple[str, ...] = (),
) -> Results:
    """The results of a subject that was measured now, on this machine or a phone.

    Args:
        subject: What was measured.
        api: LiteRT's interface.
        machine: The machine that was measured on.
        measurements: One for each model.
        quality: The quality of the latency measurement.
        peaks: The machine's peaks; may be empty.
        thumbnails: Of images that flipped, by file: JPEG in base64.
        command: The command line.
        notes: What a reader should know, beside the subject's own notes.
    """
    return Results(
        model=subject.model,
        reference=subject.evaluation.reference,
        base=subject.timed.base,
        measurements=measurements,
        evaluation=Evaluation(subject.evaluation.sha256, thumbnails, subject.evaluation.reference_errors),
        machine=machine,
        quality=quality,
        peaks=peaks,
        run=Run(
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            command=command,
            api=api,
            notes=(*subject.notes, *notes),
        ),
    )


def _measure_drift(subject: Subject, gallery: Gallery, progress: Progress) -> dict[str, Drift]:
    data = subject.evaluation
    if not data.open_scorers:
        return {}
    progress.step("drift")
    with data.open_scorers() as scorers:
        return drift.evaluate(
            data.chunks(),
            scorers,
            lambda images: progress.count(images, data.images),
            scores=data.scores,
            multi_label=data.multi_label,
            gallery=gallery,
            reference="Keras" if data.reference == KERAS else data.reference or "the reference",
            labels=subject.model.labels,
        )


def _measure_peaks(options: BenchmarkOptions, progress: Progress) -> tuple[Peak, ...]:
    progress.step("the machine's peak")
    return tuple(chain.from_iterable(peak.measure(threads) for threads in options.threads))


def _measurement(models: TimedModels, name: str, times: ModelTimes, model_drift: Drift | None) -> Measurement:
    path = models.keras if name == KERAS else models.files[name]
    assert path is not None  # a model without a file is not timed
    measurement = Measurement(
        name=name,
        bytes=_size(path),
        starts=tuple(times.starts),
        latency=tuple(times.latency),
        drift=model_drift,
        multiply_adds=None,
        delegation=None,
        layers=times.layers,
    )
    description = times.description
    if not description:
        return measurement
    arithmetic = description["arithmetic"]
    return replace(
        measurement,
        multiply_adds=description["multiply_adds"],
        delegation=Delegation(**description["delegation"]),
        arithmetic=arithmetic and Arithmetic(arithmetic),
    )


def _size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
