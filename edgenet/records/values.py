"""Which values records may have: those that others can compute with.

The digest of a file tells that nobody changed it, and nothing of whether what was written makes sense.
"""

import re
from collections.abc import Callable, Iterator

from edgenet.records.apps import IMPOSSIBLE, PASSED, UNAVAILABLE, Conformance
from edgenet.records.bundle import Calibration, Finding, Manifest, Variant
from edgenet.records.diagnosis import Diagnosis, Kept
from edgenet.records.drift import ClassDrift, Drift, Flip, Guess, Interval
from edgenet.records.model import Preprocessing
from edgenet.records.results import (
    Condition,
    Delegation,
    Latency,
    LayerTime,
    Machine,
    Measurement,
    Peak,
    Results,
    Start,
)

SCORES = ("softmax", "sigmoid", "logits")
GRADES = ("good", "fair", "poor")
LEVELS = ("ok", "note", "warning", "wrong")
# Pixels on a side of a model's input; ImageNet's have 224, the largest published ones 800.
MAX_SIDE = 8_192
# Images of a drift: beyond any data set, and what the tests of verdicts can still count.
MAX_IMAGES = 10_000_000
# By how much the sum of fractions may be above 1.
ROUNDING = 1e-9


def problems(record) -> Iterator[str]:
    """What is wrong with the values of one record, those of the records in it left out."""
    return RULES.get(type(record), _nothing)(record)


def _nothing(record) -> Iterator[str]:
    return iter(())


def _at_least(least: float, record, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(record, name)
        if value is not None and value < least:
            yield f"{name} is {value:g}, and must be {least:g} or more"


def _positive(record, *names: str) -> Iterator[str]:
    for name in names:
        if getattr(record, name) <= 0:
            yield f"{name} is {getattr(record, name):g}, and must be above 0"


def _fractions(record, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(record, name)
        if value is not None and not 0 <= value <= 1 + ROUNDING:
            yield f"{name} is {value:g}, and must be from 0 to 1"


def _one_of(choices: tuple[str, ...], record, name: str) -> Iterator[str]:
    if getattr(record, name) not in choices:
        yield f"{name} is {getattr(record, name)[:40]!r}, and must be {', '.join(choices[:-1])} or {choices[-1]}"


def _distinct(records: tuple, name: str) -> Iterator[str]:
    values = [getattr(record, name) for record in records]
    if len(set(values)) < len(values):
        yield f"two have the same {name}"


def _interval(interval: Interval) -> Iterator[str]:
    if interval.low > interval.high:
        yield "low is above high"


def _latency(latency: Latency) -> Iterator[str]:
    yield from _at_least(1, latency, "threads", "count")
    yield from _positive(latency, "median", "p90", "p99", "minimum", "mean")
    yield from _at_least(0, latency, "std")
    for name in ("interval", "speed"):
        if (interval := getattr(latency, name)) and min(interval.low, interval.value) <= 0:
            yield f"{name} must be above 0"
    if len({len(samples) for samples in latency.rounds} - {0}) != 1 or not all(latency.rounds):
        yield "rounds must have samples, each as many"
    if any(sample <= 0 for samples in latency.rounds for sample in samples):
        yield "rounds have samples that are not above 0"


def _start(start: Start) -> Iterator[str]:
    yield from _at_least(0, start, "load", "first", "peak_bytes", "baseline_bytes")


def _delegation(delegation: Delegation) -> Iterator[str]:
    if not 0 <= delegation.delegated <= delegation.operators:
        yield f"{delegation.delegated} of {delegation.operators} operators are delegated"


def _layer_time(layer: LayerTime) -> Iterator[str]:
    yield from _at_least(0, layer, "multiply_adds")
    yield from _positive(layer, "seconds")


def _measurement(measurement: Measurement) -> Iterator[str]:
    yield from _positive(measurement, "bytes")
    yield from _at_least(0, measurement, "multiply_adds")
    yield from _distinct(measurement.latency, "threads")
    if measurement.latency and not measurement.starts:
        yield "there are latencies and no starts"
    if (measurement.multiply_adds is None) != (measurement.delegation is None):
        yield "multiply_adds and delegation are given both or neither"


def _guess(guess: Guess) -> Iterator[str]:
    yield from _at_least(0, guess, "label")


def _flip(flip: Flip) -> Iterator[str]:
    yield from _at_least(0, flip, "label")
    if not flip.reference or not flip.variant:
        yield "there are no guesses"


def _class_drift(drift: ClassDrift) -> Iterator[str]:
    yield from _at_least(0, drift, "label", "agreeing", "right", "reference_right")
    if max(drift.agreeing, drift.right, drift.reference_right) > drift.images:
        yield "more images are counted than there are"


def _drift(drift: Drift) -> Iterator[str]:
    if not 1 <= drift.images <= MAX_IMAGES:
        yield f"images is {drift.images}, and must be from 1 to {MAX_IMAGES:,}"
    yield from _at_least(0, drift, "labelled", "gained", "lost")
    yield from _fractions(drift, "agreement", "top5", "ties", "accuracy", "top5_accuracy", "reference_accuracy")
    yield from _fractions(drift, "reference_top5_accuracy", "mcnemar")
    if drift.labelled > drift.images or len(drift.flips) > drift.images:
        yield "more images are counted than there are"
    if (drift.agreement is None) != (drift.agreement_interval is None):
        yield "agreement and its interval are given both or neither"
    if (drift.accuracy is None) != (drift.labelled == 0):
        yield "accuracy is given where images are labelled"
    if drift.change_interval and (drift.accuracy is None or drift.reference_accuracy is None):
        yield "a change of accuracy needs both accuracies"
    if drift.accuracy is not None:
        right = round(drift.accuracy * drift.labelled)
        if drift.gained > right or drift.lost > drift.labelled - right:
            yield "more images are gained or lost than the accuracy allows"


def _machine(machine: Machine) -> Iterator[str]:
    yield from _at_least(1, machine, "cores", "memory_bytes")


def _condition(condition: Condition) -> Iterator[str]:
    yield from _one_of(GRADES, condition, "grade")
    yield from _at_least(0, condition, "others")
    if condition.grade == "poor" and not condition.reasons:
        yield "a poor grade has reasons"
    if any(ends is not None and len(ends) != 2 for ends in (condition.megahertz, condition.celsius)):
        yield "megahertz and celsius are the lowest and the highest value"


def _peak(peak: Peak) -> Iterator[str]:
    yield from _at_least(1, peak, "threads")
    yield from _positive(peak, "multiply_adds")


def _results(results: Results) -> Iterator[str]:
    yield from _at_least(1, results, "batch")
    yield from _distinct(results.measurements, "name")
    timed = [
        [(latency.threads, len(latency.rounds)) for latency in measurement.latency]
        for measurement in results.measurements
        if measurement.latency
    ]
    if any(other != timed[0] for other in timed[1:]):
        yield "measurements are on the same threads, with as many rounds"


def _finding(finding: Finding) -> Iterator[str]:
    yield from _one_of(LEVELS, finding, "level")


def _calibration(calibration: Calibration) -> Iterator[str]:
    yield from _at_least(0, calibration, "images")


def _conformance(conformance: Conformance) -> Iterator[str]:
    yield from _one_of((PASSED, UNAVAILABLE, IMPOSSIBLE), conformance, "outcome")
    yield from _at_least(0, conformance, "images", "ties", "unsettled", "photos")
    if not all(0 <= share <= 1 for share in conformance.agreement.values()):
        yield "agreement must be from 0 to 1"
    if conformance.outcome == PASSED and not conformance.agreement:
        yield "a library that passed has an agreement"


def _preprocessing(recipe: Preprocessing) -> Iterator[str]:
    if not all(1 <= side <= MAX_SIDE for side in (recipe.height, recipe.width)):
        yield f"height and width must be from 1 to {MAX_SIDE:,}"
    if recipe.channels not in (1, 3) or not len(recipe.mean) == len(recipe.std) == recipe.channels:
        yield "1 or 3 channels have a mean and std each"
    if not all(std > 0 for std in recipe.std):
        yield "std must be above 0"
    if not 0 < recipe.crop <= 1:
        yield f"crop is {recipe.crop:g}, and must be above 0, up to 1"
    if recipe.resize != Preprocessing.resize:
        yield f"images are resized in a way that this edgenet does not know: {recipe.resize[:60]!r}"
    yield from _one_of(("RGB", "BGR"), recipe, "order")


def _variant(variant: Variant) -> Iterator[str]:
    # Files are named after it.
    if not re.fullmatch(r"[^/\\\0]{1,100}", variant.name) or variant.name.startswith("."):
        yield f"{variant.name[:40]!r} is no name for a file"


def _manifest(manifest: Manifest) -> Iterator[str]:
    yield from _at_least(1, manifest, "classes", "batch")
    yield from _one_of(SCORES, manifest, "scores")
    yield from _distinct(manifest.variants, "name")
    labels = [picture.label for picture in manifest.evaluation if picture.label is not None]
    if labels and not 0 <= min(labels) <= max(labels) < manifest.classes:
        yield f"evaluation has labels that are not from 0 to {manifest.classes - 1}"


def _kept(kept: Kept) -> Iterator[str]:
    yield from _positive(kept, "time")


def _diagnosis(diagnosis: Diagnosis) -> Iterator[str]:
    yield from _at_least(1, diagnosis, "images")
    if not diagnosis.layers:
        yield "there are no layers"
    if not 0 <= diagnosis.agreeing <= diagnosis.images:
        yield f"agreeing is {diagnosis.agreeing}, and must be from 0 to {diagnosis.images}"


RULES: dict[type, Callable[..., Iterator[str]]] = {
    Calibration: _calibration,
    ClassDrift: _class_drift,
    Condition: _condition,
    Conformance: _conformance,
    Delegation: _delegation,
    Diagnosis: _diagnosis,
    Drift: _drift,
    Finding: _finding,
    Flip: _flip,
    Guess: _guess,
    Interval: _interval,
    Kept: _kept,
    Latency: _latency,
    LayerTime: _layer_time,
    Machine: _machine,
    Manifest: _manifest,
    Measurement: _measurement,
    Peak: _peak,
    Preprocessing: _preprocessing,
    Results: _results,
    Start: _start,
    Variant: _variant,
}
