"""Results as a table for the terminal."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from edgenet.machine.quality import doubt, threads
from edgenet.records import KERAS, Measurement, Results
from edgenet.reporting.columns import columns
from edgenet.reporting.numbers import ends, megabytes, milliseconds, probability, share, signed, three_digits
from edgenet.reporting.rows import proven_speed

FLOAT32 = "float32"
# The arithmetic of each variant's convolutions, for results from before it was recorded.
ARITHMETIC = {"float32": FLOAT32, "float16": FLOAT32, "dynamic": "int8", "int8": "int8"}
# What is said of a grade on the terminal; the results have all.
MOST_REASONS = 5


def results_table(results: Results) -> str:
    """All variants, the fastest on the first number of threads at the top, with ratios to the base."""
    measured = sorted(results.measurements, key=lambda m: m.latency[0].median)
    parts = [
        _title(results),
        columns(_header(measured[0]), [_row(measurement, results) for measurement in measured]),
        "\n".join(_legend(results)),
        _drift(results),
        _limits(results, measured),
        *(_layers(measurement) for measurement in measured if measurement.layers),
        _trust(results),
    ]
    return "\n\n".join(filter(None, parts))


def _title(results: Results) -> str:
    machine = results.machine
    libraries = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if name != "edgenet")
    where = f"{machine.cpu} ({machine.architecture}, {machine.cores} cores)"
    batch = "" if results.batch == 1 else f", batches of {results.batch}"
    return f"{results.bundle}{batch} on {where}\n{machine.system}, {libraries}"


def _header(measurement: Measurement) -> list[list[str]]:
    cells = [["variant", ""], ["file", "MB"]]
    for latency in measurement.latency:
        cells += [[f"{threads(latency.threads)}, ms", "median"], ["", "p90"], ["", "speed"]]
    cells += [["top-1", "agrees"], ["top-5", "has it"], ["accuracy", ""], ["", "change"], ["ties", ""]]
    cells += [["load", "ms"], ["first", "ms"], ["memory", "MB"]]
    return [list(line) for line in zip(*cells, strict=True)]


def _row(measurement: Measurement, results: Results) -> list[str]:
    cells = [measurement.name, megabytes(measurement.bytes)]
    for latency in measurement.latency:
        cells += [milliseconds(latency.median), milliseconds(latency.p90)]
        cells.append("1.00x" if measurement.name == results.base else proven_speed(latency.speed, results.condition))
    drift = measurement.drift
    if drift is None:
        cells += ["-"] * 5
    else:
        cells += map(share, (drift.agreement, drift.top5, drift.accuracy))
        cells += [signed(drift.accuracy_change), share(drift.ties)]
    for field, style in (("load", milliseconds), ("first", milliseconds), ("peak_bytes", megabytes)):
        values = [getattr(start, field) for start in measurement.starts]
        cells.append("-" if None in values else style(median(values)))
    return cells


def _legend(results: Results) -> list[str]:
    drift = next((m.drift for m in results.measurements if m.drift), None)
    lines = []
    if results.base:
        lines.append(f"speed: times as fast as {results.base} on as many threads; in brackets: no difference is sure")
    if results.batch > 1:
        lines.append(f"ms: of one inference of {results.batch} images")
    if drift and results.reference:
        accuracy = "" if drift.reference_accuracy is None else f"; its accuracy there: {drift.reference_accuracy:.3f}"
        lines.append(f"agrees: same top class as {results.reference_name}, of {drift.images:,} images{accuracy}")
    elif drift:
        lines.append(f"accuracy, ties: of {drift.images:,} images")
    starts = [start for m in results.measurements if m.name != KERAS for start in m.starts]
    if any(start.baseline_bytes is None for start in starts):
        return [*lines, "load, first: model ready and first inference", *results.notes]
    lines.append(
        "load, first: model ready and first inference in a fresh process, median; memory: that process' peak, of"
    )
    baselines = [start.baseline_bytes for start in starts]
    runtime = f"{megabytes(median(baselines))} MB are Python and LiteRT" if baselines else "most is TensorFlow"
    lines.append(f"which {runtime} (Keras' load leaves TensorFlow's import out)")
    return lines + list(results.notes)


def _drift(results: Results) -> str | None:
    """What is sure of the drift, and how far the probabilities moved."""
    compared = [m for m in results.measurements if m.drift and m.drift.agreement is not None]
    if not compared:
        return None
    cells = [["variant", ""], ["flips", ""], ["top-1 agrees", "95 % interval"]]
    cells += [["accuracy's change", "95 % interval"], ["lost,", "gained"], ["by", "chance"]]
    cells += [["probability", "changes by"], ["", "at most"], ["KL", "nats"]]
    rows = []
    for measurement in compared:
        drift, moved = measurement.drift, measurement.drift.probabilities
        known = drift.change_interval is not None
        rows.append(
            [
                measurement.name,
                f"{len(drift.flips):,}",
                ends(drift.agreement_interval, ".3f"),
                ends(drift.change_interval, "+.3f"),
                f"{drift.lost:,}, {drift.gained:,}" if known else "-",
                probability(drift.mcnemar),
                *((f"{moved.winner:.4f}", f"{moved.largest:.3f}", f"{moved.kl:.5f}") if moved else "---"),
            ]
        )
    legend = (
        "lost, gained: images that only the model before, or only the variant, has right; by chance: how likely so\n"
        "uneven a change would be if neither were better (McNemar); probability: that of the model's top class"
    )
    return f"{columns([list(line) for line in zip(*cells, strict=True)], rows)}\n\n{legend}"


def _limits(results: Results, measured: Sequence[Measurement]) -> str | None:
    """How much of the machine each variant uses: the roofline's ceiling, and what the delegate took."""
    peaks = {(peak.arithmetic, peak.threads): peak.multiply_adds for peak in results.peaks}
    rows, disturbed = [], set()
    for measurement in measured:
        if measurement.multiply_adds is None:
            continue
        delegation = measurement.delegation
        cells = [measurement.name, f"{delegation.delegated} of {delegation.operators}"]
        for latency in measurement.latency:
            rate, kind = measurement.multiply_adds / latency.median, measurement.arithmetic
            kind = kind or ARITHMETIC.get(measurement.name)
            peak = peaks.get((kind, latency.threads))
            if peak and rate > peak:
                disturbed.add(f"{kind} on {latency.threads}")
                peak = None
            cells += [three_digits(rate / 1e9), f"{rate / peak:.0%}" if peak else "-"]
        rows.append(cells)
    if not rows:
        return None
    header = [["variant", ""], ["operators", "in XNNPACK"]]
    for latency in measured[0].latency:
        header += [[threads(latency.threads), "1e9 mul-adds/s"], ["", "of peak"]]
    peaks_said = ", ".join(
        f"{three_digits(peak.multiply_adds / 1e9)} in {peak.arithmetic} on {peak.threads}" for peak in results.peaks
    )
    legend = f"peak: of one large pointwise convolution, 1e9 multiply-adds a second: {peaks_said}"
    if disturbed:  # a peak is a ceiling: something else ran while it was measured
        legend += f"\nnot used, being below what a variant reached: {', '.join(sorted(disturbed))}; measure again"
    table = columns([list(line) for line in zip(*header, strict=True)], rows)
    return "\n\n".join((table, legend, _sweep(results, measured)))


def _sweep(results: Results, measured: Sequence[Measurement]) -> str:
    """The best number of threads for each variant, and where more are slower for sure; nothing of poor latencies."""
    if doubt(results.condition):
        return "The latencies are poor: they do not show which number of threads is best."
    lines = []
    for measurement in measured:
        best = min(measurement.latency, key=lambda latency: latency.median)
        text = f"{measurement.name}: best on {threads(best.threads)}"
        for few, many in pairwise(sorted(measurement.latency, key=lambda latency: latency.threads)):
            if few.interval and many.interval and many.interval.low > few.interval.high:
                text += f"; {many.threads} are slower than {few.threads}"
        lines.append(text)
    return "\n".join(lines)


def _layers(measurement: Measurement) -> str:
    total = sum(layer.seconds for layer in measurement.layers)
    rows = [
        [
            str(number),
            layer.kind.lower(),
            milliseconds(layer.seconds),
            f"{layer.seconds / total:.1%}",
            f"{layer.multiply_adds / 1e6:,.2f}",
            layer.name,
        ]
        for number, layer in enumerate(measurement.layers, start=1)
    ]
    header = [["", "operator", "ms", "share", "1e6 mul-adds", "name"]]
    whole = measurement.latency[0].median
    legend = f"each operator timed as a model of its own; their sum is {total / whole:.2f} times the whole"
    return f"{measurement.name}, operator by operator\n\n{columns(header, rows)}\n\n{legend}"


def _trust(results: Results) -> str:
    """The grade of the latencies, with its reasons."""
    condition = results.condition
    lines = [f"latency: {condition.grade}", *(f"- {reason}" for reason in condition.reasons[:MOST_REASONS])]
    more = len(condition.reasons) - MOST_REASONS
    if more > 0:
        lines.append(f"- and {more} more, in the results")
    if condition.unseen:
        lines.append(f"not seen on this machine: {', '.join(condition.unseen)}")
    return "\n".join(lines)
