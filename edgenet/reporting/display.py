"""Records as text for `print` and as HTML for notebooks."""

from collections.abc import Sequence
from html import escape

from edgenet.analysis.choice import Choice
from edgenet.analysis.comparison import Comparison
from edgenet.analysis.sweep_summary import summaries
from edgenet.analysis.verdict import Verdicts
from edgenet.bundle.bundle import Bundle
from edgenet.records import Diagnosis, Manifest, Results, Sweep, Training
from edgenet.reporting import (
    bundle_table,
    choice_text,
    comparison_table,
    diagnosis_table,
    results_table,
    sweep_table,
    sweep_tables,
    training_tables,
    training_text,
    verdict_table,
)
from edgenet.reporting.results_tables import overview
from edgenet.reporting.table import Column, Table, as_html, parts

Displayed = Results | Comparison | Verdicts | Diagnosis | Manifest | Bundle | Sweep | Choice | Training


def text_of(record: Displayed) -> str:
    """A record as the command line shows it, in lines of at most 100 characters.

    Raises:
        TypeError: There is no text for such a record.
    """
    if isinstance(record, Results):
        return results_table.results_table(record)
    if isinstance(record, Comparison):
        return comparison_table.comparison_table(record)
    if isinstance(record, Verdicts):
        return verdict_table.verdict_table(record)
    if isinstance(record, Diagnosis):
        return diagnosis_table.diagnosis_table(record)
    if isinstance(record, Manifest | Bundle):
        return bundle_table.bundle_table(*_of_bundle(record))
    if isinstance(record, Sweep):
        return sweep_table.sweep_table(record)
    if isinstance(record, Choice):
        return choice_text.choice_text(record)
    if isinstance(record, Training):
        return training_text.training_text(record)
    raise TypeError(f"no text for {type(record).__name__}")


def html_of(record: Displayed) -> str:
    """A record as a small HTML table for a notebook.

    Raises:
        TypeError: There is no table for such a record.
    """
    if isinstance(record, Results):
        below = results_table.quality_text(record.quality, max_reasons=1)
        return _html(results_table.title(record), [overview(record)], below)
    if isinstance(record, Comparison):
        title = comparison_table.comparison_title(record)
        return _html(title, [comparison_table.comparison_rows(record)])
    if isinstance(record, Verdicts):
        return _html(f"{record.source.name}: {record.outcome}", [_verdicts_table(record)])
    if isinstance(record, Diagnosis):
        title = diagnosis_table.diagnosis_title(record)
        return _html(title, diagnosis_table.diagnosis_tables(record, diagnosis_table.MAX_LAYERS))
    if isinstance(record, Manifest | Bundle):
        manifest, folder = _of_bundle(record)
        notes = "\n".join(bundle_table.bundle_notes(manifest))
        return _html(bundle_table.bundle_title(manifest, folder), [bundle_table.bundle_rows(manifest)], notes)
    if isinstance(record, Sweep):
        return _sweep(record)
    if isinstance(record, Choice):
        remarks = "\n".join([*choice_text.choice_remarks(record), record.outcome.value])
        return _html(choice_text.choice_title(record), [choice_text.choice_table(record)] * bool(record.best), remarks)
    if isinstance(record, Training):
        tables = [training_tables.baselines_table(record), training_tables.classes_table(record)]
        return _html(training_tables.training_title(record), tables, "\n".join(training_tables.training_notes(record)))
    raise TypeError(f"no table for {type(record).__name__}")


def _of_bundle(record: Manifest | Bundle) -> tuple[Manifest, str]:
    """The manifest, and the folder where that is known."""
    return (record.manifest, str(record.folder)) if isinstance(record, Bundle) else (record, "")


def _sweep(sweep: Sweep) -> str:
    found = summaries(sweep)
    few = len(found) <= sweep_tables.MAX_DEVICES
    tables = sweep_tables.device_tables(found) if few else [sweep_tables.summary_table(found)]
    notes = "\n".join(f"note: {note}" for note in sweep_tables.notes(found))
    return _html(sweep_tables.sweep_title(sweep), tables, notes)


def _html(title: str, tables: Sequence[Table], below: str = "") -> str:
    blocks = [f"<p>{_lines(title)}</p>"]
    for table in tables:
        if len(tables) > 1:
            blocks.append(f"<p><b>{escape(table.title)}</b></p>")
        blocks += map(as_html, parts(table))
        blocks += [f"<p><small>{_lines(line)}</small></p>" for line in table.legend]
    if below:
        blocks.append(f"<p><small>{_lines(below)}</small></p>")
    return f"<div>{''.join(blocks)}</div>"


def _lines(text: str) -> str:
    return "<br>".join(map(escape, text.splitlines()))


def _verdicts_table(verdicts: Verdicts) -> Table:
    columns = Column("variant", is_text=True), Column("outcome", is_text=True), Column("measured", is_text=True)
    rows = [
        (verdict.variant, outcome, text)
        for verdict in verdicts
        for outcome, text in [(reason.outcome.value, reason.text) for reason in verdict.reasons]
        or [(verdict.outcome.value, verdict_table.BASE)]
    ]
    return Table(columns, tuple(rows))
