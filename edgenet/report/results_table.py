"""Results as a table for the terminal."""

from statistics import median

from edgenet.records import KERAS, Measurement, Results
from edgenet.report.columns import columns

BASE = "float32"


def results_table(results: Results) -> str:
    """All variants, the fastest on the first number of threads at the top, with ratios to float32."""
    measured = sorted(results.measurements, key=lambda m: m.latency[0].median)
    base = next((m for m in measured if m.name == BASE), None)
    text = columns(_header(measured[0]), [_row(measurement, base) for measurement in measured])
    return "\n\n".join((_title(results), text, "\n".join(_legend(results, base))))


def _title(results: Results) -> str:
    machine = results.machine
    libraries = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if name != "edgenet")
    where = f"{machine.cpu} ({machine.architecture}, {machine.cores} cores)"
    batch = "" if results.batch == 1 else f", batches of {results.batch}"
    return f"{results.bundle}{batch} on {where}\n{machine.system}, {libraries}"


def _header(measurement: Measurement) -> list[list[str]]:
    cells = [["variant", ""], ["file", "MB"]]
    for latency in measurement.latency:
        cells += [[f"{latency.threads} thread{'s' * (latency.threads > 1)}, ms", "median"], ["", "p90"], ["", "speed"]]
    cells += [["top-1", "agrees"], ["top-5", "has it"], ["accuracy", ""], ["", "change"], ["ties", ""]]
    cells += [["load", "ms"], ["first", "ms"], ["memory", "MB"]]
    return [list(line) for line in zip(*cells, strict=True)]


def _row(measurement: Measurement, base: Measurement | None) -> list[str]:
    cells = [measurement.name, _megabytes(measurement.bytes)]
    for position, latency in enumerate(measurement.latency):
        speed = f"{base.latency[position].median / latency.median:.2f}x" if base else "-"
        cells += [_milliseconds(latency.median), _milliseconds(latency.p90), speed]
    drift = measurement.drift
    if drift is None:
        cells += ["-"] * 5
    else:
        shares = (drift.agreement, drift.top5, drift.accuracy)
        cells += ["-" if share is None else f"{share:.3f}" for share in shares]
        cells += ["-" if drift.accuracy_change is None else f"{drift.accuracy_change:+.3f}", f"{drift.ties:.3f}"]
    load, first, peak = (
        median(getattr(start, field) for start in measurement.starts) for field in ("load", "first", "peak_bytes")
    )
    return [*cells, _milliseconds(load), _milliseconds(first), _megabytes(peak)]


def _legend(results: Results, base: Measurement | None) -> list[str]:
    drift = next((m.drift for m in results.measurements if m.drift), None)
    lines = []
    if base:
        lines.append(f"speed: times as fast as {BASE} on as many threads")
    if results.batch > 1:
        lines.append(f"ms: of one inference of {results.batch} images")
    if drift and results.reference:
        accuracy = "" if drift.reference_accuracy is None else f"; its accuracy there: {drift.reference_accuracy:.3f}"
        reference = "Keras" if results.reference == KERAS else results.reference
        lines.append(f"agrees: same top class as {reference}, of {drift.images:,} images{accuracy}")
    elif drift:
        lines.append(f"accuracy, ties: of {drift.images:,} images")
    lines.append(
        "load, first: model ready and first inference in a fresh process, median; memory: that process' peak, of"
    )
    baselines = [start.baseline_bytes for m in results.measurements if m.name != KERAS for start in m.starts]
    runtime = f"{_megabytes(median(baselines))} MB are Python and LiteRT" if baselines else "most is TensorFlow"
    lines.append(f"which {runtime} (Keras' load leaves TensorFlow's import out)")
    return lines + list(results.notes)


def _milliseconds(seconds: float) -> str:
    return _three_digits(1_000 * seconds)


def _megabytes(count: int) -> str:
    return _three_digits(count / 1e6)


def _three_digits(value: float) -> str:
    """At least three digits that count: 0.281, 2.81, 28.1, 281, 2,810."""
    return f"{value:,.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"
