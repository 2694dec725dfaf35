"""Results as text for the terminal."""

from edgenet.analysis.performance import fastest, slowdowns
from edgenet.machine.quality import poor_reason, threads
from edgenet.records import Quality, Results
from edgenet.reporting.results_tables import detail_tables, fastest_first, has_latency, operator_tables, overview
from edgenet.reporting.table import MAX_NAME, as_text, shortened, wrapped

# Reasons for the timing quality that the terminal shows; the JSON file has all.
MAX_REASONS = 5


def results_table(results: Results, details: bool = False) -> str:
    """Results as text, in lines of at most 100 characters.

    Args:
        results: Of a benchmark.
        details: Whether to show every number; otherwise only size, latency, speedup, agreement and accuracy, and the
            operators where they were timed.

    Returns:
        The variants, the fastest on the first number of threads first, and the timing quality.
    """
    tables = [overview(results), *(detail_tables(results) if details else operator_tables(results))]
    parts = [
        wrapped(title(results)),
        as_text(tables[0]),
        *([wrapped("\n".join(results.run.notes))] if results.run.notes else []),
        *map(as_text, tables[1:]),
        *([wrapped(thread_statements(results))] if details and has_latency(results) else []),
        *([quality_text(results.quality)] if has_latency(results) else []),
    ]
    return "\n\n".join(parts)


def title(results: Results) -> str:
    """The model, the machine and the versions, in two lines."""
    machine = results.machine
    libraries = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if name != "edgenet")
    where = f"{machine.cpu} ({machine.architecture}, {machine.cores} cores)"
    batch = "" if results.model.batch == 1 else f", batches of {results.model.batch}"
    return f"{results.model.name}{batch} on {where}\n{machine.system}, {libraries}"


def thread_statements(results: Results) -> str:
    """The best number of threads of each variant, and where more threads are significantly slower."""
    if poor_reason(results.quality):
        return "The timing quality is poor, so the best number of threads is unknown."
    lines = []
    for measurement in fastest_first(results):
        statements = [f"{shortened(measurement.name, MAX_NAME)}: fastest on {threads(fastest(measurement).threads)}"]
        statements += [f"{more} are slower than {fewer}" for more, fewer in slowdowns(measurement)]
        lines.append("; ".join(statements))
    return "\n".join(lines)


def quality_text(quality: Quality, max_reasons: int = MAX_REASONS) -> str:
    """The timing quality, the reasons for it, and what could not be read."""
    lines = [f"timing quality: {quality.grade}", *(f"- {reason}" for reason in quality.reasons[:max_reasons])]
    more = len(quality.reasons) - max_reasons
    if more > 0:
        lines.append(f"- {more} more in the JSON file")
    if quality.unavailable:
        lines.append(f"not available: {', '.join(quality.unavailable)}")
    return wrapped("\n".join(lines), indent="  ")
