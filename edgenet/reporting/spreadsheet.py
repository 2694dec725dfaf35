"""The report as CSV (RFC 4180): a line for each variant and number of threads."""

import csv
import io
from collections.abc import Sequence

from edgenet.analysis.loading import LoadedResults
from edgenet.analysis.verdict import Limits, judge
from edgenet.records import Interval, Latency, Measurement

HEADER = (
    *("results", "bundle", "machine", "created", "grade", "variant", "bytes", "threads"),
    *("median_s", "median_low_s", "median_high_s", "p90_s", "p99_s", "speedup", "speedup_low", "speedup_high"),
    *("images", "flips", "agreement", "agreement_low", "agreement_high", "top5_agreement", "ties"),
    *("labelled_images", "accuracy", "top5_accuracy", "accuracy_change", "change_low", "change_high", "p_value"),
    *("probability_change_mean", "probability_change_max", "kl_nats"),
    *("label_agreement", "label_agreement_low", "label_agreement_high"),
    *("image_agreement", "image_agreement_low", "image_agreement_high"),
    *("confident_flips", "negative_flips", "positive_flips", "verdict"),
)
Cell = str | float | None


def spreadsheet(loaded: Sequence[LoadedResults], limits: Limits, variants: Sequence[str] | None = None) -> str:
    """Results as CSV: fractions and seconds, empty where a value is not available.

    Args:
        loaded: The results.
        limits: What variants are judged by; none for no verdicts.
        variants: The names of those to judge; all by default.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(HEADER)
    for one in loaded:
        results = one.results
        judged = judge(one, limits, variants) if limits else ()
        outcomes = {verdict.variant: verdict.outcome.value for verdict in judged}
        first = (one.name, results.model.name, results.machine.cpu, results.run.created, results.quality.grade.value)
        for measurement in results.measurements:
            last = (*_drift(measurement), outcomes.get(measurement.name))
            for latency in measurement.latency:
                row = (*first, measurement.name, measurement.bytes, *_latency(latency), *last)
                writer.writerow([formula_free(cell) if isinstance(cell, str) else cell for cell in row])
    return file.getvalue()


def _latency(latency: Latency) -> tuple[Cell, ...]:
    return (
        latency.threads,
        latency.median,
        *_ends(latency.interval),
        latency.p90,
        latency.p99,
        latency.speedup.value if latency.speedup else None,
        *_ends(latency.speedup),
    )


def _drift(measurement: Measurement) -> tuple[Cell, ...]:
    drift = measurement.drift
    if drift is None:
        return (None,) * 26
    agreement, accuracy, labels = drift.agreement, drift.accuracy, drift.label_agreement
    moved = agreement.probabilities if agreement else None
    change = accuracy.change if accuracy else None
    return (
        *(drift.images, len(drift.flips) if drift.image_agreement else None, agreement.top1 if agreement else None),
        *(*_ends(agreement.interval if agreement else None), agreement.top5 if agreement else None),
        None if labels else drift.ties,
        *((accuracy.images, accuracy.top1, accuracy.top5, accuracy.difference) if accuracy else (0, None, None, None)),
        *(*_ends(change.interval if change else None), change.p_value if change else None),
        *((moved.mean, moved.max, moved.kl) if moved else (None,) * 3),
        *(_interval(labels.decisions) + _interval(labels.images) if labels else (None,) * 6),
        *(drift.confident_flips, change.negative_flips if change else None, change.positive_flips if change else None),
    )


def _interval(interval: Interval) -> tuple[Cell, ...]:
    return (interval.value, interval.low, interval.high)


def _ends(interval: Interval | None) -> tuple[Cell, Cell]:
    return (interval.low, interval.high) if interval else (None, None)


def formula_free(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
