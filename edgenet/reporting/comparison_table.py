"""A comparison of results, for the terminal."""

from edgenet.analysis.comparison import Comparison, Row, is_real
from edgenet.records import Interval
from edgenet.reporting.columns import columns


def comparison_table(comparison: Comparison) -> str:
    """A line for each variant in each of the results, against the first."""
    header = [["variant", ""], ["", ""]]
    for count in comparison.threads:
        header += [[f"{count} thread{'s' * (count > 1)}", "speed"], ["", "95 % interval"]]
    header += [["size", ""], ["top-1", "agreement"], ["", "95 % interval"], ["accuracy", ""]]
    rows = []
    for row in comparison.rows:
        cells = [row.variant, row.name]
        for speed in row.speed.values():
            cells += _cells(speed, 1.0, "{:.2f}x", "{:.2f} to {:.2f}")
        cells += [f"{row.size:.2f}x", *_cells(row.agreement, 0.0, "{:+.3f}", "{:+.3f} to {:+.3f}")]
        cells.append(_accuracy(row))
        rows.append(cells)
    lines = [
        f"against {comparison.names[0]}; the same {comparison.same}",
        "",
        columns([list(line) for line in zip(*header, strict=True)], rows),
        "",
        "speed: times as fast; agreement, accuracy: difference of the shares; in brackets: no difference is sure",
    ]
    if comparison.threads:
        lines.append(
            "The intervals of speed allow for what differs from run to run: 5 %, or 20 % where a grade is fair."
        )
    if comparison.missing:
        lines.append(f"Not in all of them: {', '.join(comparison.missing)}.")
    return "\n".join(lines)


def _accuracy(row: Row) -> str:
    if row.accuracy is None:
        return "-"
    known = row.accuracy_interval is None or is_real(row.accuracy_interval, 0.0)
    return f"{row.accuracy:+.3f}" if known else f"({row.accuracy:+.3f})"


def _cells(interval: Interval | None, nothing: float, value: str, ends: str) -> list[str]:
    if interval is None:
        return ["-", "-"]
    text = value.format(interval.value)
    text = text if is_real(interval, nothing) else f"({text})"
    return [text, ends.format(interval.low, interval.high)]
