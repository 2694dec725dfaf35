"""The report as CSV (RFC 4180): a line for each variant and number of threads."""

import csv
import io
from collections.abc import Sequence

from edgenet.analysis.loading import Loaded
from edgenet.analysis.verdict import Limits, judge
from edgenet.records import Interval, Latency, Measurement

HEADER = (
    *("results", "bundle", "machine", "created", "grade", "variant", "bytes", "threads"),
    *("median_s", "median_low_s", "median_high_s", "p90_s", "p99_s", "speed", "speed_low", "speed_high"),
    *("images", "flips", "agreement", "agreement_low", "agreement_high", "top5", "ties"),
    *("labelled", "accuracy", "top5_accuracy", "accuracy_change", "change_low", "change_high", "mcnemar_p"),
    *("winner_change_mean", "winner_change_max", "kl_nats", "verdict"),
)


def spreadsheet(loaded: Sequence[Loaded], limits: Limits, variants: Sequence[str] | None = None) -> str:
    """Shares and seconds; empty where there is nothing. limits: what variants are judged by, if there are any."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(HEADER)
    for one in loaded:
        results = one.results
        judged = judge(results, limits, variants, str(one.path)) if limits else []
        verdicts = {verdict.variant: verdict.outcome for verdict in judged}
        first = [one.name, results.bundle, results.machine.cpu, results.created, results.condition.grade]
        for measurement in results.measurements:
            drift, verdict = _drift(measurement), verdicts.get(measurement.name)
            for latency in measurement.latency:
                row = [*first, measurement.name, measurement.bytes, *_latency(latency), *drift, verdict]
                writer.writerow([_text(cell) if isinstance(cell, str) else cell for cell in row])
    return file.getvalue()


def _latency(latency: Latency) -> list:
    median, speed = _ends(latency.interval), latency.speed
    ratio = speed and speed.value
    return [latency.threads, latency.median, *median, latency.p90, latency.p99, ratio, *_ends(speed)]


def _drift(measurement: Measurement) -> list:
    drift = measurement.drift
    if drift is None:
        return [None] * 17
    compared, moved = drift.agreement is not None, drift.probabilities
    return [
        *(drift.images, len(drift.flips) if compared else None, drift.agreement, *_ends(drift.agreement_interval)),
        *(drift.top5, drift.ties, drift.labelled, drift.accuracy, drift.top5_accuracy, drift.accuracy_change),
        *(*_ends(drift.change_interval), drift.mcnemar),
        *((moved.winner, moved.largest, moved.kl) if moved else (None,) * 3),
    ]


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval else (None, None)


def _text(text: str) -> str:
    """A spreadsheet takes text that begins so for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
