"""What is said of each variant and of each layer, as rows of text: the same for the page and for Markdown."""

from collections.abc import Sequence
from statistics import median

from edgenet.machine.quality import doubt, threads
from edgenet.records import Condition, Diagnosis, Interval, Measurement, Results
from edgenet.reporting.numbers import ends, megabytes, milliseconds, probability, share, signed, speed

# The columns of the table of drift.
DRIFT = (
    *("variant", "flips", "top-1 agrees", "95 % interval", "top-5 has it", "accuracy", "top-5 accuracy"),
    *("change", "95 % interval", "by chance", "ties", "probability moves", "at most", "KL, nats"),
)
# What they mean.
MEANING = (
    "top-1 agrees: share of images with the same top class as the model before (interval: Wilson). top-5 has it: share "
    "of images whose class there is among the five best. change: of accuracy (interval: Newcombe, paired); by chance: "
    "how likely so uneven a change would be if neither were better (McNemar, exact). ties: share of images whose best "
    "score two classes share. probability moves: mean change of the probability of the model's top class. KL: "
    "Kullback-Leibler divergence from the model's probabilities."
)

DIAGNOSED = (
    "layer",
    "kind",
    "to blame for",
    "its own, dB",
    "so far, dB",
    "kept in",
    "gain, dB",
    "images won",
    "bytes",
    "time",
)
# Layers in a table.
MOST_LAYERS = 10


def cost_table(results: Results) -> tuple[list[str], list[list[str]]]:
    """What each variant costs, the fastest first: header and rows."""
    measured = sorted(results.measurements, key=lambda m: m.latency[0].median)
    header = ["variant", "file, MB"]
    for latency in measured[0].latency:
        header += [f"{threads(latency.threads)}, ms", "95 % interval", "p90", "speed", "95 % interval"]
    header += ["load, ms", "first, ms", "memory, MB"]
    return header, [_cost(measurement, results) for measurement in measured]


def proven_speed(interval: Interval | None, condition: Condition) -> str:
    """A ratio; in brackets where no difference is sure, as none is where the latencies are poor."""
    text = speed(interval)
    return f"({text})" if doubt(condition) and interval and not text.startswith("(") else text


def _cost(measurement: Measurement, results: Results) -> list[str]:
    cells = [measurement.name, megabytes(measurement.bytes)]
    for latency in measurement.latency:
        interval = latency.interval
        cells += [
            milliseconds(latency.median),
            f"{milliseconds(interval.low)} to {milliseconds(interval.high)}" if interval else "-",
            milliseconds(latency.p90),
            "1.00x" if measurement.name == results.base else proven_speed(latency.speed, results.condition),
            ends(latency.speed, ".2f"),
        ]
    for field, style in (("load", milliseconds), ("first", milliseconds), ("peak_bytes", megabytes)):
        values = [value for start in measurement.starts if (value := getattr(start, field)) is not None]
        cells.append(style(median(values)) if values else "-")
    return cells


def drift_table(results: Results) -> tuple[Sequence[str], list[list[str]]]:
    """What each variant does to the answers, in the order of the results: header and rows."""
    return DRIFT, [_drift(m) for m in results.measurements if m.drift]


def _drift(measurement: Measurement) -> list[str]:
    drift = measurement.drift
    moved = drift.probabilities
    return [
        measurement.name,
        "-" if drift.agreement is None else f"{len(drift.flips):,}",
        share(drift.agreement),
        ends(drift.agreement_interval, ".3f"),
        share(drift.top5),
        share(drift.accuracy),
        share(drift.top5_accuracy),
        signed(drift.accuracy_change),
        ends(drift.change_interval, "+.3f"),
        probability(drift.mcnemar),
        share(drift.ties),
        *((f"{moved.winner:.4f}", f"{moved.largest:.3f}", f"{moved.kl:.5f}") if moved else ("-",) * 3),
    ]


def layer_names(names: Sequence[str]) -> list[str]:
    """The part of each operator's name that is the layer's, without the model's before it and the operation's behind:
    block13_pointwise_bn of mobilenet/block13_pointwise_bn/batchnorm/sub. As they are where that would mix layers up."""
    common = len(names) > 1 and len({name.split("/")[0] for name in names if "/" in name}) == 1
    shorter = [name.split("/")[1 if common and "/" in name else 0] for name in names]
    return shorter if len(set(shorter)) == len(names) else list(names)


def diagnosed(diagnosis: Diagnosis, most: int = MOST_LAYERS) -> list[list[str]]:
    """The noisiest layers, a row for each way to keep one."""
    rows, names = [], layer_names([layer.name for layer in diagnosis.layers])
    for name, layer in zip(names[:most], diagnosis.layers[:most], strict=True):
        blame = "-" if layer.share is None else f"{layer.share:.1%}"
        first = [name, layer.kind.lower(), blame, _decibels(layer.own), _decibels(layer.so_far)]
        for kept in layer.kept:
            gains = [f"{kept.gain:+.2f}", f"{kept.agreeing:+,}", f"{kept.bytes:+,}", f"{kept.time:.2f}x"]
            rows.append([*first, kept.arithmetic, *gains])
            first = [""] * 5
        if not layer.kept:
            rows.append([*first, *["-"] * 5])
    return rows


def _decibels(value: float | None) -> str:
    return "no noise" if value is None else f"{value:.1f}"
