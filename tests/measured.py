"""Results as a benchmark would write them, made from counts and times."""

from dataclasses import replace
from pathlib import Path

from edgenet import records, statistics
from edgenet.benchmarking import latency
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.records import (
    Accuracy,
    AccuracyChange,
    Agreement,
    Api,
    Drift,
    Evaluation,
    Flip,
    Grade,
    Interval,
    Latency,
    Machine,
    Manifest,
    MeasuredModel,
    Measurement,
    Prediction,
    Quality,
    Results,
    Run,
    Start,
)

PREDICTIONS = (
    (Prediction(0, 0.6), Prediction(1, 0.3), Prediction(2, 0.1)),
    (Prediction(1, 0.5), Prediction(0, 0.4), Prediction(2, 0.1)),
)
# Factors of rounds: their median is 1, and they differ by little.
FACTORS = (1.0, 0.99, 1.01, 0.995, 1.005, 1.0, 0.998, 1.002, 0.992, 1.008)


def drift_of(flipped: int, images: int, cells: tuple[int, int, int, int] | None = None, first: int = 0) -> Drift:
    """Of so many flipped images, from number `first` on. cells: right in both, gained, lost and wrong in both."""
    both, gained, lost, neither = cells or (0, 0, 0, 0)
    labelled = both + gained + lost + neither
    change = accuracy = None
    if cells:
        interval, p_value = statistics.paired_difference(*cells), statistics.mcnemar(gained, lost)
        change = AccuracyChange((both + lost) / labelled, 1.0, gained, lost, interval, p_value)
        correct = both + gained
        accuracy = Accuracy(labelled, correct / labelled, 1.0, change, statistics.wilson(correct, labelled))
    return Drift(
        images=images,
        ties=0.0,
        agreement=Agreement(1 - flipped / images, statistics.wilson(images - flipped, images), 1.0, None),
        accuracy=accuracy,
        classes=(),
        flips=tuple(Flip(f"evaluation/{n}.png", None, *PREDICTIONS) for n in range(first, first + flipped)),
    )


def alone(drift: Drift) -> Drift:
    """What is left of a drift without a reference."""
    return replace(drift, agreement=None, accuracy=drift.accuracy and replace(drift.accuracy, change=None), flips=())


def rounds_of(seconds: float, count: int = 10) -> tuple[tuple[float, ...], ...]:
    """Rounds of five samples, with a median of `seconds`."""
    factors = [FACTORS[number % len(FACTORS)] for number in range(count)]
    return tuple(tuple(seconds * factor * one for one in (0.999, 1, 1, 1, 1.001)) for factor in factors)


def timed(seconds: float, base: float | None = None, threads: int = 1, rounds: int = 10) -> Latency:
    """What the benchmark makes of a variant that takes `seconds`, where the base takes `base`."""
    return latency.summarize(threads, rounds_of(seconds, rounds), rounds_of(base, rounds) if base else None)


def with_speed(value: float, low: float, high: float, threads: int = 1, rounds: int = 20) -> Latency:
    return replace(timed(0.001, threads=threads, rounds=rounds), speedup=Interval(value, low, high))


def measured(name: str, times=(0.001,), drift: Drift | None = None, size: int = 1_000_000, **found) -> Measurement:
    """times: of each number of threads, 1 first, seconds or a `Latency`."""
    return Measurement(
        **{
            "name": name,
            "bytes": size,
            "starts": (Start(0.01, 0.01, 2_000_000, 1_000_000),),
            "latency": tuple(
                one if isinstance(one, Latency) else timed(one, threads=threads)
                for threads, one in enumerate(times, start=1)
            ),
            "drift": drift,
            "multiply_adds": None,
            "delegation": None,
            "layers": (),
            **found,
        }
    )


def results_of(*measurements: Measurement, cpu: str = "Raspberry Pi 4", grade: str = "good", **others) -> Results:
    """With a digest of each image that may have flipped. others: as `changed` takes them."""
    reasons = () if grade == "good" else ("it ran on its battery; plug it in",)
    files = {
        **{"float32.tflite": "cd" * 32, "int8.tflite": "ef" * 32},
        **{f"evaluation/{number}.png": f"{number:064x}" for number in range(1_000)},
    }
    results = Results(
        model=MeasuredModel(name="tiny", batch=1, labels=(), calibration=(), files=files),
        reference="keras",
        base="float32" if any(one.name == "float32" for one in measurements) else None,
        measurements=measurements,
        evaluation=Evaluation("ab" * 32, {}),
        machine=Machine(cpu, "aarch64", 4, None, None, "Debian 12", {"numpy": "2.1"}),
        quality=Quality(Grade(grade), reasons, (), None, None, None, None),
        peaks=(),
        run=Run("2025-01-31T12:00:00Z", "edgenet benchmark tiny", Api.INTERPRETER, ()),
    )
    return changed(results, **others)


def changed(results: Results, **values) -> Results:
    """Results with other values: of their own fields, or of those of a group (model, evaluation, run)."""
    own = {name: values.pop(name) for name in list(values) if hasattr(results, name)}
    results = replace(results, **own)
    for group in ("model", "evaluation", "run"):
        record = getattr(results, group)
        of_group = {name: values.pop(name) for name in list(values) if hasattr(record, name)}
        results = replace(results, **{group: replace(record, **of_group)})
    assert not values, values
    return results


def sealed(folder: Path, manifest: Manifest, **results: Results) -> Bundle:
    """A bundle of two files in a folder, with these results of theirs, by names such as t20250131_120000."""
    folder.mkdir(parents=True)
    for name, data in {"int8.tflite": b"a model", "model.keras": b"its model"}.items():
        (folder / name).write_bytes(data)
    bundle = bundles.seal(folder, replace(manifest, variants=(), evaluation=()))
    files = {name: file.sha256 for name, file in bundle.manifest.files.items()}
    (folder / "results").mkdir()
    for name, one in results.items():
        path = folder / "results" / f"{name[1:].replace('_', '-')}.json"
        path.write_bytes(records.to_json(changed(one, files=files)))
    return bundle
