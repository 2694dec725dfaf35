"""A comparison of results."""

from edgenet.analysis.comparison import Comparison, ComparisonRow
from edgenet.analysis.significance import is_significant
from edgenet.machine.quality import threads
from edgenet.records import Interval
from edgenet.reporting.numbers import NONE, change, ends
from edgenet.reporting.table import Column, Table, as_text, wrapped


def comparison_table(comparison: Comparison) -> str:
    """A comparison as text for the terminal: a line for each variant in each of the results but the first."""
    return f"{wrapped(comparison_title(comparison))}\n\n{as_text(comparison_rows(comparison))}"


def comparison_title(comparison: Comparison) -> str:
    """What is compared with what."""
    return f"relative to {comparison.names[0]}; same {comparison.same}"


def comparison_rows(comparison: Comparison) -> Table:
    """A comparison as a table."""
    columns = [Column("variant", is_text=True), Column("results", is_text=True)]
    for count in comparison.threads:
        columns += [Column(title, threads(count)) for title in ("speedup", "95% CI")]
    columns += [Column("size")]
    agreement = {False: "top-1 agreement", True: "image agreement", None: "agreement"}[comparison.multi_label]
    columns += [Column(title, agreement) for title in ("change", "95% CI")]
    columns += [Column("change", "accuracy")] * (comparison.multi_label is not True)
    differences = "agreement" if comparison.multi_label else "agreement, accuracy"
    legend = [f"speedup, size: ratio; {differences}: difference; (parentheses): not significant"]
    if comparison.multi_label:
        legend.append("image agreement: fraction of the images with all labels as in the reference.")
    elif comparison.multi_label is None:
        legend.append("Some results are of top classes and others of labels: their agreement is not compared.")
    if comparison.threads:
        legend.append("Speedup intervals include run-to-run variation: 5%, or 20% with a fair timing quality.")
    if comparison.missing:
        legend.append(f"Not in all of them: {', '.join(comparison.missing)}.")
    rows = tuple(_row(row)[: len(columns)] for row in comparison.rows)  # without accuracy where there is none
    return Table(tuple(columns), rows, tuple(legend), keys=2)


def _row(row: ComparisonRow) -> tuple[str, ...]:
    cells = [row.variant, row.name]
    for speedup in row.speedup.values():
        cells += [_speedup(speedup), ends(speedup, ".2f")]
    agreement = row.agreement_change
    cells += [
        f"{row.size_ratio:.2f}x",
        change(agreement.value if agreement else None, agreement),
        ends(agreement, "+.3f"),
    ]
    return (*cells, change(row.accuracy_change, row.accuracy_interval))


def _speedup(interval: Interval | None) -> str:
    if interval is None:
        return NONE
    text = f"{interval.value:.2f}x"
    return text if is_significant(interval, 1.0) else f"({text})"
