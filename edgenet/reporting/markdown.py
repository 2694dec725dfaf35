"""The report as Markdown, for a pull request or a wiki."""

from collections.abc import Iterator, Sequence

from edgenet.analysis.loading import LoadedResults, unloadable
from edgenet.analysis.recommendation import recommend
from edgenet.analysis.verdict import Limits, judge
from edgenet.records import Diagnosis
from edgenet.reporting.apps_table import app_drift_table
from edgenet.reporting.diagnosis_table import diagnosis_tables
from edgenet.reporting.results_tables import detail_tables, overview
from edgenet.reporting.table import Column, Table, as_markdown, markdown_text, parts


def markdown(
    loaded: Sequence[LoadedResults],
    diagnoses: Sequence[Diagnosis],
    limits: Limits,
    variants: Sequence[str] | None = None,
) -> str:
    """The content of the page, without its images.

    Args:
        loaded: The results, in the order of their sections.
        diagnoses: Of the same files.
        limits: What variants are judged by; none for no verdicts.
        variants: The names of those to judge; all by default.
    """
    blocks = [block for one in loaded for block in _results(one, limits, variants)]
    for diagnosis in diagnoses:
        blocks.append(f"## Layers of {markdown_text(diagnosis.variant)}, {markdown_text(diagnosis.bundle)}")
        blocks += [block for table in diagnosis_tables(diagnosis) for block in _table(table)]
    return "\n\n".join(blocks) + "\n"


def _results(loaded: LoadedResults, limits: Limits, variants: Sequence[str] | None) -> Iterator[str]:
    results = loaded.results
    recommendation = recommend(results, limits, unloadable(loaded))
    yield f"# {markdown_text(loaded.name)}"
    yield f"**{markdown_text(recommendation.sentence)}**"
    if recommendation.others:
        yield "\n".join(f"- {markdown_text(name)}: {markdown_text(why)}" for name, why in recommendation.others)
    yield from _table(overview(results))
    if limits:
        columns = Column("variant", is_text=True), Column("verdict", is_text=True), Column("", is_text=True)
        verdicts = judge(loaded, limits, variants)
        rows = [
            (verdict.variant, reason.outcome.value, reason.text) for verdict in verdicts for reason in verdict.reasons
        ]
        yield as_markdown(Table(columns, tuple(rows)))
    apps = app_drift_table(loaded.apps)
    for table in [*detail_tables(results), *([apps] if apps else [])]:
        yield f"## {markdown_text(table.title)}"
        yield from _table(table)
    machine = results.machine
    where = f"{machine.cpu}, {machine.architecture}, {machine.cores} cores, {machine.system}"
    yield f"{markdown_text(where)}; {results.run.created}; timing quality: {results.quality.grade}"
    found = [*results.quality.reasons, *(f"calibration: {f.level}: {f.text}" for f in results.model.calibration)]
    if found:
        yield "\n".join(f"- {markdown_text(text)}" for text in found)
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    yield "; ".join(markdown_text(text) for text in (versions, results.run.command) if text)


def _table(table: Table) -> Iterator[str]:
    yield from map(as_markdown, parts(table))
    if table.legend:
        yield markdown_text(" ".join(table.legend))
