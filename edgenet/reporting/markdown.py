"""The report as Markdown, for a pull request or a wiki."""

import re
from collections.abc import Iterator, Sequence

from edgenet.analysis.loading import Loaded, unloadable
from edgenet.analysis.recommendation import recommend
from edgenet.analysis.verdict import Limits, judge
from edgenet.records import Diagnosis
from edgenet.reporting.rows import DIAGNOSED, cost_table, diagnosed, drift_table


def markdown(
    loaded: Sequence[Loaded], diagnoses: Sequence[Diagnosis], limits: Limits, variants: Sequence[str] | None = None
) -> str:
    """What the page says, without its pictures. limits: what variants are judged by, if there are any."""
    blocks = [block for one in loaded for block in _results(one, limits, variants)]
    for diagnosis in diagnoses:
        blocks.append(f"## Layers of {escaped(diagnosis.variant)}, {escaped(diagnosis.bundle)}")
        blocks.append(_table(DIAGNOSED, diagnosed(diagnosis)))
    return "\n\n".join(blocks) + "\n"


def _results(one: Loaded, limits: Limits, variants: Sequence[str] | None) -> Iterator[str]:
    results = one.results
    recommendation = recommend(results, limits, unloadable(one))
    yield f"# {escaped(one.name)}"
    yield f"**{escaped(recommendation.sentence)}**"
    if recommendation.others:
        yield "\n".join(f"- {escaped(name)}: {escaped(why)}" for name, why in recommendation.others)
    for header, rows in (cost_table(results), drift_table(results)):
        if rows:
            yield _table(header, rows)
    if limits:
        verdicts = judge(results, limits, variants, str(one.path))
        rows = [[v.variant, reason.outcome, reason.text] for v in verdicts for reason in v.reasons]
        yield _table(("variant", "verdict", ""), rows)
    machine = results.machine
    where = f"{machine.cpu}, {machine.architecture}, {machine.cores} cores, {machine.system}"
    yield f"{escaped(where)}; {results.created}; latency: {results.condition.grade}"
    found = [*results.condition.reasons, *(f"calibration: {f.level}: {f.text}" for f in results.calibration)]
    if found:
        yield "\n".join(f"- {escaped(text)}" for text in found)
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    yield f"{escaped(versions)}; {escaped(results.command)}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Text that means nothing but itself in Markdown, on one line."""
    safe = re.sub(r"([\\`*_{}\[\]()#+!|~<>&$])", r"\\\1", " ".join(text.split(" ")))
    return "<br>".join(safe.splitlines())
