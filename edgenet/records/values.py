"""Which values records may have, so that later steps can compute with them.

The digest of a file shows that it was not changed, but not that its values make sense.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from edgenet.records.apps import AppDrift, Conformance
from edgenet.records.bundle import Calibration, Manifest, ReferenceScores, VariantFile
from edgenet.records.diagnosis import Diagnosis, IsolatedNoise, LayerNoise, MixedPrecision
from edgenet.records.drift import (
    Accuracy,
    AccuracyChange,
    Agreement,
    ClassDrift,
    Drift,
    Flip,
    Interval,
    LabelAgreement,
    LabelDrift,
    Prediction,
)
from edgenet.records.enums import ChannelOrder, Grade, LibraryOutcome
from edgenet.records.model import Preprocessing, Resize
from edgenet.records.results import (
    Delegation,
    Latency,
    LayerTime,
    Machine,
    MeasuredModel,
    Measurement,
    Peak,
    Quality,
    Results,
    Start,
)
from edgenet.records.sweep import Sweep, SweepEntry
from edgenet.records.training import (
    Accepted,
    Baseline,
    Confusion,
    Epoch,
    Reliability,
    ReliabilityBin,
    Suspect,
    Threshold,
    TrainedClass,
    Training,
)

# Pixels: the height and width of a model's input. ImageNet models have 224, the largest published ones 800.
MAX_SIDE = 8_192
# More images than any data set has; the binomial tests of verdicts can still compute with it.
MAX_IMAGES = 10_000_000
# Of an epoch. The cross-entropy of float32 probabilities is below 100 for an image; weight decay may add to it.
MAX_LOSS = 1e9
# By how much rounding may lift a fraction above 1.
ROUNDING = 1e-9


def problems(record: Any) -> Iterator[str]:
    """The problems of the values of a record, without those of the records in it."""
    return RULES.get(type(record), _no_problems)(record)


def _no_problems(record: Any) -> Iterator[str]:
    return iter(())


def _at_least(minimum: float, record: Any, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(record, name)
        if value is not None and value < minimum:
            yield f"{name} is {value:g}, but must be {minimum:g} or more"


def _positive(record: Any, *names: str) -> Iterator[str]:
    for name in names:
        if getattr(record, name) <= 0:
            yield f"{name} is {getattr(record, name):g}, but must be above 0"


def _fractions(record: Any, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(record, name)
        if value is not None and not 0 <= value <= 1 + ROUNDING:
            yield f"{name} is {value:g}, but must be from 0 to 1"


def _distinct(records: tuple[Any, ...], name: str) -> Iterator[str]:
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
    for name in ("interval", "speedup"):
        if (interval := getattr(latency, name)) and min(interval.low, interval.value) <= 0:
            yield f"{name} must be above 0"
    if len({len(samples) for samples in latency.rounds} - {0}) != 1 or not all(latency.rounds):
        yield "rounds must have samples, all the same number of them"
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
        yield "there are latencies but no starts"
    if (measurement.multiply_adds is None) != (measurement.delegation is None):
        yield "multiply_adds and delegation must be given together"


def _prediction(prediction: Prediction) -> Iterator[str]:
    yield from _at_least(0, prediction, "label")


def _flip(flip: Flip) -> Iterator[str]:
    yield from _at_least(0, flip, "label")
    yield from _fractions(flip, "probability")
    if not flip.reference or not flip.variant:
        yield "there are no predictions"


def _class_drift(drift: ClassDrift) -> Iterator[str]:
    yield from _at_least(0, drift, "label", "agreeing", "correct", "reference_correct")
    if max(drift.agreeing, drift.correct, drift.reference_correct) > drift.images:
        yield "the counts are larger than the number of images"


def _drift(drift: Drift) -> Iterator[str]:
    if not 1 <= drift.images <= MAX_IMAGES:
        yield f"images is {drift.images}, but must be from 1 to {MAX_IMAGES:,}"
    yield from _fractions(drift, "ties")
    labelled = drift.accuracy.images if drift.accuracy else 0
    if labelled > drift.images or len(drift.flips) > drift.images:
        yield "the counts are larger than the number of images"
    if drift.label_agreement:
        if drift.agreement or drift.accuracy:
            yield "a multi-label model has no top-1 agreement and no accuracy"
        if any(label.added + label.reference_images > drift.images for label in drift.label_agreement.labels):
            yield "the counts are larger than the number of images"


def _label_drift(label: LabelDrift) -> Iterator[str]:
    yield from _at_least(0, label, "label", "reference_images", "added", "removed")
    if label.removed > label.reference_images:
        yield f"removed is {label.removed}, but only {label.reference_images} images have the label"


def _label_agreement(agreement: LabelAgreement) -> Iterator[str]:
    for name in ("decisions", "images"):
        if not 0 <= getattr(agreement, name).value <= 1 + ROUNDING:
            yield f"{name} must be from 0 to 1"
    yield from _at_least(0, agreement, "score_change_mean", "score_change_max")
    if not agreement.labels:
        yield "there are no labels"
    yield from _distinct(agreement.labels, "label")


def _agreement(agreement: Agreement) -> Iterator[str]:
    yield from _fractions(agreement, "top1", "top5")


def _accuracy(accuracy: Accuracy) -> Iterator[str]:
    yield from _at_least(1, accuracy, "images")
    yield from _fractions(accuracy, "top1", "top5")
    if change := accuracy.change:
        correct = round(accuracy.top1 * accuracy.images)
        if change.positive_flips > correct or change.negative_flips > accuracy.images - correct:
            yield "more images flip than the accuracy allows"


def _accuracy_change(change: AccuracyChange) -> Iterator[str]:
    yield from _fractions(change, "reference_top1", "reference_top5", "p_value")
    yield from _at_least(0, change, "positive_flips", "negative_flips")


def _machine(machine: Machine) -> Iterator[str]:
    yield from _at_least(1, machine, "cores", "memory_bytes")


def _quality(quality: Quality) -> Iterator[str]:
    yield from _at_least(0, quality, "other_load")
    if quality.grade == Grade.POOR and not quality.reasons:
        yield "a poor grade must have reasons"
    if any(ends is not None and len(ends) != 2 for ends in (quality.frequency_mhz, quality.temperature_celsius)):
        yield "frequency_mhz and temperature_celsius must have two values"


def _peak(peak: Peak) -> Iterator[str]:
    yield from _at_least(1, peak, "threads")
    yield from _positive(peak, "multiply_adds")


def _measured_model(model: MeasuredModel) -> Iterator[str]:
    yield from _at_least(1, model, "batch")


def _results(results: Results) -> Iterator[str]:
    yield from _distinct(results.measurements, "name")
    timed = [
        [(latency.threads, len(latency.rounds)) for latency in measurement.latency]
        for measurement in results.measurements
        if measurement.latency
    ]
    if any(other != timed[0] for other in timed[1:]):
        yield "measurements must have the same numbers of threads and of rounds"


def _calibration(calibration: Calibration) -> Iterator[str]:
    yield from _at_least(0, calibration, "images")


def _conformance(conformance: Conformance) -> Iterator[str]:
    yield from _at_least(0, conformance, "images", "ties", "within_tolerance", "photos")
    if not all(0 <= fraction <= 1 for fraction in conformance.agreement.values()):
        yield "agreement must be from 0 to 1"
    if conformance.outcome == LibraryOutcome.PASSED and not conformance.agreement:
        yield "a library that passed must have an agreement"
    if len({(drift.variant, drift.way) for drift in conformance.app_drift}) < len(conformance.app_drift):
        yield "two app_drift have the same variant and way"


def _app_drift(drift: AppDrift) -> Iterator[str]:
    if not 1 <= drift.images <= MAX_IMAGES:
        yield f"images is {drift.images}, but must be from 1 to {MAX_IMAGES:,}"
    if not 0 <= drift.agreement.value <= 1 + ROUNDING:
        yield "agreement must be from 0 to 1"
    elif len(drift.flips) > round((1 - drift.agreement.value) * drift.images):
        yield "more images flip than the agreement allows"


def _preprocessing(recipe: Preprocessing) -> Iterator[str]:
    if not all(1 <= side <= MAX_SIDE for side in (recipe.height, recipe.width)):
        yield f"height and width must be from 1 to {MAX_SIDE:,}"
    if recipe.channels not in (1, 3) or not len(recipe.mean) == len(recipe.std) == recipe.channels:
        yield "there must be 1 or 3 channels, with a mean and std each"
    if not all(std > 0 for std in recipe.std):
        yield "std must be above 0"
    if recipe.order not in tuple(ChannelOrder):
        yield f"order is {recipe.order[:60]!r}, but must be RGB or BGR"


def _resize(resize: Resize) -> Iterator[str]:
    if not 0 < resize.crop <= 1:
        yield f"crop is {resize.crop:g}, but must be above 0, up to 1"
    for name in ("pad", "background"):
        colour = getattr(resize, name)
        if colour is not None and not (len(colour) == 3 and all(0 <= value <= 255 for value in colour)):
            yield f"{name} must be a colour, three numbers from 0 to 255"


def _reference_scores(scores: ReferenceScores) -> Iterator[str]:
    for name in ("mean_top_score", "chance"):
        value = getattr(scores, name)
        if value is not None and not 0 <= value <= 1 + ROUNDING:
            yield f"{name} must be from 0 to 1"


def _variant(variant: VariantFile) -> Iterator[str]:
    # Files get this name.
    if not re.fullmatch(r"[^/\\\0]{1,100}", variant.name) or variant.name.startswith("."):
        yield f"{variant.name[:40]!r} is not a valid file name"


def _manifest(manifest: Manifest) -> Iterator[str]:
    yield from _at_least(1, manifest, "classes", "batch")
    yield from _distinct(manifest.variants, "name")
    labels = [image.label for image in manifest.evaluation if image.label is not None]
    if labels and not 0 <= min(labels) <= max(labels) < manifest.classes:
        yield f"the labels of evaluation must be from 0 to {manifest.classes - 1}"


def _mixed_precision(mixed: MixedPrecision) -> Iterator[str]:
    yield from _positive(mixed, "latency_ratio")


def _diagnosis(diagnosis: Diagnosis) -> Iterator[str]:
    yield from _at_least(1, diagnosis, "images")
    if not diagnosis.layers:
        yield "there are no layers"
    if not 0 <= diagnosis.agreeing <= diagnosis.images:
        yield f"agreeing is {diagnosis.agreeing}, but must be from 0 to {diagnosis.images}"
    if diagnosis.float32_latency is not None:
        yield from _positive(diagnosis, "float32_latency")


def _isolated_noise(noise: IsolatedNoise) -> Iterator[str]:
    yield from _at_least(0, noise, "noise_fraction", "agreeing")


def _layer_noise(layer: LayerNoise) -> Iterator[str]:
    yield from _at_least(0, layer, "noise_fraction", "weights_fraction", "activations_fraction")


def _sweep_entry(entry: SweepEntry) -> Iterator[str]:
    yield from _at_least(1, entry, "threads")
    yield from _at_least(0, entry, "multiply_adds", "images")
    yield from _positive(entry, "bytes", "p90")
    yield from _fractions(entry, "published_accuracy")
    if entry.alpha is not None:
        yield from _positive(entry, "alpha")
    if not all(1 <= side <= MAX_SIDE for side in (entry.height, entry.width)):
        yield f"height and width must be from 1 to {MAX_SIDE:,}"
    for name in ("latency", "speedup"):
        if (interval := getattr(entry, name)) and min(interval.low, interval.value) <= 0:
            yield f"{name} must be above 0"
    for name in ("agreement", "accuracy"):
        interval = getattr(entry, name)
        if interval and not 0 <= interval.low <= interval.high <= 1 + ROUNDING:
            yield f"{name} must be from 0 to 1"
        if interval and not entry.images:
            yield f"{name} must be of 1 image or more"
    for name in ("file", "results"):
        if not _is_below_folder(getattr(entry, name)):
            yield f"{name} is {getattr(entry, name)[:60]!r}, but must be a path below the folder of the sweep"


def _is_below_folder(path: str) -> bool:
    """Whether a path with slashes leads to a file below the folder that it is relative to, on any system."""
    return not re.search(r"[\\:\0]", path) and not {"", ".", ".."} & set(path.split("/"))


def _sweep(sweep: Sweep) -> Iterator[str]:
    yield from _at_least(0, sweep, "missing")
    keys = {(entry.model, entry.device, entry.variant, entry.threads) for entry in sweep.entries}
    if len(keys) < len(sweep.entries):
        yield "two entries are of the same file, device and threads"


def _of_fractions(record: Any, *names: str) -> Iterator[str]:
    """Intervals of fractions."""
    for name in names:
        interval = getattr(record, name)
        if interval and not all(0 <= end <= 1 + ROUNDING for end in (interval.low, interval.value, interval.high)):
            yield f"{name} must be from 0 to 1"


def _trained_class(one: TrainedClass) -> Iterator[str]:
    yield from _at_least(0, one, "train", "validation", "correct", "predicted")
    yield from _at_least(1, one, "test")
    yield from _of_fractions(one, "accuracy")
    if one.correct > min(one.test, one.predicted):
        yield "correct is larger than the number of images"


def _baseline(baseline: Baseline) -> Iterator[str]:
    yield from _at_least(0, baseline, "only_model", "only_baseline")
    yield from _fractions(baseline, "p_value")
    yield from _of_fractions(baseline, "accuracy")


def _confusion(confusion: Confusion) -> Iterator[str]:
    yield from _at_least(0, confusion, "label", "predicted")
    yield from _at_least(1, confusion, "images")


def _reliability(reliability: Reliability) -> Iterator[str]:
    yield from _fractions(reliability, "error", "expected")
    if not reliability.bins:
        yield "there are no bins"


def _reliability_bin(one: ReliabilityBin) -> Iterator[str]:
    yield from _at_least(1, one, "images")
    yield from _fractions(one, "confidence")
    yield from _of_fractions(one, "accuracy")


def _accepted(accepted: Accepted) -> Iterator[str]:
    yield from _at_least(0, accepted, "images")
    yield from _of_fractions(accepted, "coverage", "precision")
    if (accepted.precision is None) == (accepted.images > 0):
        yield "images and precision do not fit together"


def _threshold(threshold: Threshold) -> Iterator[str]:
    yield from _fractions(threshold, "precision", "score")
    if len({value is None for value in (threshold.score, threshold.validation, threshold.test)}) > 1:
        yield "score, validation and test must be given together"


def _suspect(suspect: Suspect) -> Iterator[str]:
    yield from _at_least(0, suspect, "label", "predicted")
    yield from _fractions(suspect, "label_score", "predicted_score")
    if not re.fullmatch("[A-Za-z0-9+/]*=*", suspect.thumbnail):
        yield "thumbnail is not base64"


def _epoch(epoch: Epoch) -> Iterator[str]:
    yield from _at_least(1, epoch, "epoch")
    yield from _at_least(0, epoch, "seconds")
    yield from _fractions(epoch, "accuracy", "validation_accuracy")
    if any(loss is not None and not 0 <= loss <= MAX_LOSS for loss in (epoch.loss, epoch.validation_loss)):
        yield f"losses must be from 0 to {MAX_LOSS:g}"


def _training(training: Training) -> Iterator[str]:
    if not training.classes:
        yield "there are no classes"
    yield from _distinct(training.classes, "name")
    yield from _of_fractions(training, "accuracy", "validation_accuracy")
    yield from _fractions(training, "validation_calibration_error")
    labels = [label for one in training.confusion for label in (one.label, one.predicted)]
    labels += [label for one in training.suspects for label in (one.label, one.predicted)]
    if any(label >= len(training.classes) for label in labels):
        yield f"the labels of confusion and suspects must be from 0 to {len(training.classes) - 1}"
    if sum(one.images for one in training.confusion) != sum(one.test for one in training.classes):
        yield "confusion must have all test images"
    if any(seconds < 0 for seconds in training.seconds.values()):
        yield "seconds must be 0 or more"


RULES: dict[type, Callable[..., Iterator[str]]] = {
    Accepted: _accepted,
    Accuracy: _accuracy,
    AccuracyChange: _accuracy_change,
    Agreement: _agreement,
    AppDrift: _app_drift,
    Baseline: _baseline,
    Calibration: _calibration,
    ClassDrift: _class_drift,
    Conformance: _conformance,
    Confusion: _confusion,
    Delegation: _delegation,
    Diagnosis: _diagnosis,
    Drift: _drift,
    Epoch: _epoch,
    Flip: _flip,
    Interval: _interval,
    IsolatedNoise: _isolated_noise,
    LabelAgreement: _label_agreement,
    LabelDrift: _label_drift,
    Latency: _latency,
    LayerNoise: _layer_noise,
    LayerTime: _layer_time,
    Machine: _machine,
    Manifest: _manifest,
    MeasuredModel: _measured_model,
    Measurement: _measurement,
    MixedPrecision: _mixed_precision,
    Peak: _peak,
    Prediction: _prediction,
    Preprocessing: _preprocessing,
    Quality: _quality,
    ReferenceScores: _reference_scores,
    Reliability: _reliability,
    ReliabilityBin: _reliability_bin,
    Resize: _resize,
    Results: _results,
    Start: _start,
    Suspect: _suspect,
    Sweep: _sweep,
    SweepEntry: _sweep_entry,
    Threshold: _threshold,
    TrainedClass: _trained_class,
    Training: _training,
    VariantFile: _variant,
}
