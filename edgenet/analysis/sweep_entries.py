"""The entries of a sweep's table that one benchmark gives: each variant on each number of threads."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgenet.records import KERAS, Drift, Interval, Latency, Measurement, Results, SweepEntry
from edgenet.statistics import wilson


def entries(
    results: Results,
    *,
    model: str,
    device: str,
    alpha: float | None,
    height: int,
    width: int,
    published: float | None,
    file_folder: str,
    results_path: str,
    drift: Results | None = None,
) -> tuple[SweepEntry, ...]:
    """The entries of one model on one device; the Keras model has none.

    Args:
        results: Of the benchmark of the model's bundle on the device.
        model: The name of the bundle.
        device: The name of the device.
        alpha: The width multiplier; None for other models than MobileNetV1.
        height, width: Of the input, in pixels.
        published: The published top-1 accuracy of the float model, as a fraction; None where there is none.
        file_folder: The folder of the bundle, relative to that of the sweep, with slashes.
        results_path: The file of `results`, likewise.
        drift: Results on more images: their agreement and accuracy replace those of `results`, by variant.

    Returns:
        One for each variant and number of threads, in the order of `results`.
    """
    drifts = {measured.name: measured.drift for measured in drift.measurements} if drift else {}

    def found() -> Iterator[SweepEntry]:
        for measured in results.measurements:
            if measured.name == KERAS:
                continue
            agreement, accuracy, images = _fractions(drifts.get(measured.name) or measured.drift)
            for latency in measured.latency:
                yield SweepEntry(
                    model=model,
                    alpha=alpha,
                    height=height,
                    width=width,
                    variant=measured.name,
                    device=device,
                    threads=latency.threads,
                    bytes=measured.bytes,
                    multiply_adds=measured.multiply_adds,
                    latency=_median(latency),
                    p90=latency.p90,
                    speedup=latency.speedup,
                    quality=results.quality.grade,
                    agreement=agreement,
                    accuracy=accuracy,
                    images=images,
                    published_accuracy=published,
                    file=f"{file_folder}/{_file_name(measured, results)}",
                    results=results_path,
                )

    return tuple(found())


def with_drift(entries: Sequence[SweepEntry], results: Results | None) -> list[SweepEntry]:
    """The entries of a model with the agreement and accuracy of other results.

    Args:
        entries: The entries.
        results: Of the same variants on more images; None for none yet: fractions of other images would not be
            comparable with those of other models.
    """
    drifts = {measured.name: measured.drift for measured in results.measurements} if results else {}
    found = []
    for entry in entries:
        agreement, accuracy, images = _fractions(drifts.get(entry.variant))
        found.append(replace(entry, agreement=agreement, accuracy=accuracy, images=images))
    return found


def _median(latency: Latency) -> Interval:
    return latency.interval or Interval(latency.median, latency.median, latency.median)


def _fractions(drift: Drift | None) -> tuple[Interval | None, Interval | None, int]:
    """Agreement, accuracy, and the images that they are of: those with a class, where the accuracy is known."""
    if drift is None:
        return None, None, 0
    agreement = drift.agreement.interval if drift.agreement else None
    if drift.accuracy:
        images, top1 = drift.accuracy.images, drift.accuracy.top1
        # Older formats do not record the interval.
        return agreement, drift.accuracy.interval or wilson(round(top1 * images), images), images
    return agreement, None, drift.images if agreement else 0


def _file_name(measured: Measurement, results: Results) -> str:
    """A single file has the name of the measurement; a bundle's file is the variant's."""
    name = measured.name if measured.name.endswith(".tflite") else f"{measured.name}.tflite"
    return next((path for path in results.model.files if path.rpartition("/")[2] == name), name)
