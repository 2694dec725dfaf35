"""The tables of results, the same for the terminal, the page, Markdown and notebooks."""

from collections.abc import Sequence

from edgenet.analysis.flipped import confident_flips, negative_flips
from edgenet.analysis.performance import (
    machine_use,
    operator_fractions,
    operators_to_whole,
    runtime_bytes,
    start_medians,
)
from edgenet.machine.quality import threads
from edgenet.records import CONFIDENT, KERAS, Drift, Interval, Measurement, Results
from edgenet.reporting.agreement_columns import agreement_cells, agreement_columns, agreement_legend
from edgenet.reporting.label_tables import label_tables
from edgenet.reporting.numbers import (
    NONE,
    accuracy_change,
    count,
    ends,
    fraction,
    megabytes,
    milliseconds,
    p_value,
    speedup,
    three_digits,
)
from edgenet.reporting.table import MAX_NAME, Column, Table, shortened

VARIANT = Column("variant", is_text=True)


def fastest_first(results: Results) -> list[Measurement]:
    """The measurements by their latency on the first number of threads; in their own order where it is not known."""
    return sorted(results.measurements, key=lambda m: m.latency[0].median if m.latency else 0)


def has_latency(results: Results) -> bool:
    """Whether latency was measured, and not drift alone."""
    return any(measurement.latency for measurement in results.measurements)


def overview(results: Results) -> Table:
    """Size, latency, speedup, top-1 agreement and accuracy, or label agreement, of each variant."""
    measured = fastest_first(results)
    columns = [VARIANT, Column("MB", "size")]
    for latency in measured[0].latency:
        columns += [Column(title, threads(latency.threads)) for title in ("ms", "speedup")]
    columns += agreement_columns(results.multi_label)
    rows = tuple(_overview_row(measurement, results) for measurement in measured)
    return Table(tuple(columns), rows, tuple(_overview_legend(results)))


def _overview_row(measurement: Measurement, results: Results) -> tuple[str, ...]:
    cells = [measurement.name, megabytes(measurement.bytes)]
    for latency in measurement.latency:
        is_base = measurement.name == results.base
        cells += [milliseconds(latency.median), "1.00x" if is_base else speedup(latency.speedup, results.quality)]
    return (*cells, *agreement_cells(measurement.drift, results.multi_label))


def _overview_legend(results: Results) -> list[str]:
    texts = (
        [f"speedup: relative to {shortened(results.base, MAX_NAME)} with the same number of threads"]
        if results.base and has_latency(results)
        else []
    )
    if any(cell.startswith("(") for m in results.measurements for cell in _overview_row(m, results)[2:]):
        texts.append("(parentheses): not significant")
    lines = ["; ".join(texts)] if texts else []
    if results.model.batch > 1:
        lines.append(f"ms: for one inference of {results.model.batch} images")
    drift = next((m.drift for m in results.measurements if m.drift), None)
    if drift and results.reference:
        lines.append(agreement_legend(drift, results.reference_name))
    elif drift and drift.accuracy:
        lines.append(f"accuracy: fraction of {drift.accuracy.images:,} labelled images")
    return lines


def latency_table(results: Results) -> Table:
    """The intervals of latency and speedup, and the 90th percentile."""
    measured = fastest_first(results)
    columns = [VARIANT]
    for latency in measured[0].latency:
        columns += [Column(title, threads(latency.threads)) for title in ("ms, 95% CI", "p90, ms", "speedup, 95% CI")]
    rows = []
    for measurement in measured:
        cells = [measurement.name]
        for latency in measurement.latency:
            interval = latency.interval
            median = f"{milliseconds(interval.low)} to {milliseconds(interval.high)}" if interval else NONE
            cells += [median, milliseconds(latency.p90), ends(latency.speedup, ".2f")]
        rows.append(tuple(cells))
    legend = "95% CI: confidence interval of the median, by resampling the rounds. p90: 90th percentile."
    return Table(tuple(columns), tuple(rows), (legend,), title="Latency in detail")


def start_table(results: Results) -> Table:
    """Loading, the first inference and memory."""
    rows = []
    for measurement in fastest_first(results):
        start = start_medians(measurement)
        cells = milliseconds(start.load), milliseconds(start.first), megabytes(start.peak_bytes)
        rows.append((measurement.name, *cells))
    legend = "In a fresh process, median. load: until the model is ready. first: the first inference."
    if any(row[3] != NONE for row in rows):
        runtime = runtime_bytes(results)
        part = f", of which Python and LiteRT take {megabytes(runtime)} MB" if runtime is not None else ""
        legend += f" memory: the peak of the process{part}."
    if any(m.name == KERAS for m in results.measurements):
        legend += " Keras' load time excludes importing TensorFlow."
    columns = VARIANT, Column("load, ms"), Column("first, ms"), Column("memory, MB")
    return Table(columns, tuple(rows), (legend,), title="Start and memory")


def agreement_table(results: Results) -> Table | None:
    """How far each variant's top classes are from the reference's, and ties; None without any."""
    drifts = [(m, drift) for m, drift in _drifts(results) if not drift.label_agreement]
    if not drifts:
        return None
    columns = (
        VARIANT,
        Column("flips"),
        Column("fraction", "top-1 agreement"),
        Column("95% CI", "top-1 agreement"),
        Column("agreement", "top-5"),
        Column("ties"),
        Column("mean", "probability change"),
        Column("max", "probability change"),
        Column("nats", "KL"),
    )
    legend = ["ties: fraction of images where several classes have the top score."]
    if any(drift.agreement for _, drift in drifts):
        legend[0] = (
            f"flips: images whose top class differs from that of {results.reference_name}. top-5 agreement: its top "
            f"class is among the five best. {legend[0]}"
        )
        legend.append("probability change: of its top class. KL: Kullback-Leibler divergence from its probabilities.")
    rows = tuple((m.name, *_agreement_cells(drift)) for m, drift in drifts)
    return Table(columns, rows, tuple(legend), title="Agreement")


def _agreement_cells(drift: Drift) -> tuple[str, ...]:
    agreement = drift.agreement
    moved = agreement.probabilities if agreement else None
    return (
        count(len(drift.flips)) if agreement else NONE,
        fraction(agreement.top1 if agreement else None),
        ends(agreement.interval if agreement else None, ".3f"),
        fraction(agreement.top5 if agreement else None),
        fraction(drift.ties),
        *((f"{moved.mean:.4f}", f"{moved.max:.3f}", f"{moved.kl:.5f}") if moved else (NONE,) * 3),
    )


def flips_table(results: Results) -> Table | None:
    """The flips that matter most: where the reference is confident, and where it is right; None without a reference.

    A multi-label model has neither: it has no top class that could be confident, and its images have no single class.
    """
    drifts = [(m, drift) for m, drift in _drifts(results) if drift.agreement]
    if not drifts:
        return None
    columns = [VARIANT, Column("flips")]
    for group in ("confident flips", "negative flips"):
        columns += [Column(title, group) for title in ("images", "fraction", "95% CI")]
    rows = []
    for m, drift in drifts:
        accuracy = drift.accuracy
        negative = accuracy.change.negative_flips if accuracy and accuracy.change else None
        cells = (
            *_flip_cells(drift.confident_flips, confident_flips(drift)),
            *_flip_cells(negative, negative_flips(drift)),
        )
        rows.append((m.name, count(len(drift.flips)), *cells))
    name = results.reference_name
    legend = [
        f"confident flips: images that flip although {name} gave its top class a probability above {CONFIDENT}, as a "
        "fraction of all images."
    ]
    if any(row[5] != NONE for row in rows):
        legend.append(f"negative flips: right in {name}, wrong here, as a fraction of the labelled images.")
    return Table(tuple(columns), tuple(rows), tuple(legend), title="Flips")


def _flip_cells(number: int | None, part: Interval | None) -> tuple[str, str, str]:
    return count(number), fraction(part.value if part else None), ends(part, ".3f")


def accuracy_table(results: Results) -> Table | None:
    """The accuracy of each variant and its change; None without labels."""
    labelled = [(m.name, drift.accuracy) for m, drift in _drifts(results) if drift.accuracy]
    if not labelled:
        return None
    columns = (
        VARIANT,
        Column("fraction", "top-1 accuracy"),
        Column("95% CI", "top-1 accuracy"),
        Column("accuracy", "top-5"),
        Column("value", "accuracy change"),
        Column("95% CI", "accuracy change"),
        Column("negative", "flips"),
        Column("positive", "flips"),
        Column("p-value"),
    )
    rows = []
    for name, accuracy in labelled:
        paired = accuracy.change
        cells = (
            (
                accuracy_change(accuracy),
                ends(paired.interval, "+.3f"),
                count(paired.negative_flips),
                count(paired.positive_flips),
                p_value(paired.p_value),
            )
            if paired
            else (NONE,) * 5
        )
        rows.append((name, fraction(accuracy.top1), ends(accuracy.interval, ".3f"), fraction(accuracy.top5), *cells))
    legend = [f"On {labelled[0][1].images:,} labelled images."]
    if any(accuracy.change for _, accuracy in labelled):
        legend[0] += (
            f" negative flips: right in {results.reference_name}, wrong here; positive flips: the reverse. p-value: "
            "how often a split this uneven would happen if both models were equally good (McNemar)."
        )
    return Table(columns, tuple(rows), tuple(legend), title="Accuracy")


def machine_use_table(results: Results) -> Table | None:
    """How each variant uses the machine; None where multiply-adds were not counted."""
    measured = fastest_first(results)
    uses, disturbed = machine_use(results, measured)
    if not uses:
        return None
    columns = [VARIANT, Column("in XNNPACK", "operators")]
    for latency in measured[0].latency:
        columns += [Column(title, threads(latency.threads)) for title in ("1e9 MACs/s", "of peak")]
    rows = []
    for use in uses:
        cells = [use.variant, f"{use.delegation.delegated} of {use.delegation.operators}"]
        for throughput in use.throughput:
            part = throughput.peak_fraction
            cells += [three_digits(throughput.rate / 1e9), NONE if part is None else f"{part:.0%}"]
        rows.append(tuple(cells))
    peaks = ", ".join(
        f"{three_digits(peak.multiply_adds / 1e9)} ({peak.arithmetic}, {threads(peak.threads)})"
        for peak in results.peaks
    )
    legend = ["MACs: multiply-adds."]
    if peaks:
        legend[0] += f" peak: of one large pointwise convolution, in 1e9 MACs/s: {peaks}."
    if disturbed:
        ignored = ", ".join(f"{peak.arithmetic} on {threads(peak.threads)}" for peak in disturbed)
        legend.append(f"Ignored peaks, because a variant was faster: {ignored}. Measure again.")
    return Table(tuple(columns), tuple(rows), tuple(legend), title="Use of the machine")


def operator_tables(results: Results) -> list[Table]:
    """The operators of each file that they were timed of."""
    return [_operator_table(measurement) for measurement in fastest_first(results) if measurement.layers]


def _operator_table(measurement: Measurement) -> Table:
    columns = (
        Column("", is_text=True),
        Column("operator", is_text=True),
        Column("ms"),
        Column("fraction"),
        Column("1e6 MACs"),
        Column("name", is_text=True),
    )
    rows = tuple(
        (
            str(number),
            layer.kind.lower(),
            milliseconds(layer.seconds),
            f"{part:.1%}",
            f"{layer.multiply_adds / 1e6:,.2f}",
            layer.name,
        )
        for number, (layer, part) in enumerate(operator_fractions(measurement), start=1)
    )
    legend = (
        "Each operator was timed as a model of its own. Their sum is "
        f"{operators_to_whole(measurement):.2f} times the latency of the whole file. MACs: multiply-adds."
    )
    return Table(columns, rows, (legend,), title=f"Operators of {shortened(measurement.name, MAX_NAME)}")


def detail_tables(results: Results) -> list[Table]:
    """All tables but the overview."""
    tables: Sequence[Table | None] = (
        *((latency_table(results), start_table(results)) if has_latency(results) else ()),
        agreement_table(results),
        flips_table(results),
        accuracy_table(results),
        *label_tables(results),
        machine_use_table(results) if has_latency(results) else None,
        *operator_tables(results),
    )
    return [table for table in tables if table]


def _drifts(results: Results) -> list[tuple[Measurement, Drift]]:
    return [(m, m.drift) for m in results.measurements if m.drift]
