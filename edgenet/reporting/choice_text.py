"""The choice among a sweep's files, as text for the terminal and as a table."""

from collections.abc import Iterator
from pathlib import Path

from edgenet.analysis.choice import Candidate, Choice
from edgenet.records import Interval, Outcome, SweepEntry
from edgenet.reporting.numbers import fraction, megabytes, milliseconds
from edgenet.reporting.sweep_tables import ENTRY_COLUMNS, entry_cells, file_name
from edgenet.reporting.table import Column, Table, as_text, wrapped


def choice_text(choice: Choice, folder: Path | None = None) -> str:
    """A choice as text, in lines of at most 100 characters: the file, its limits, and what it was chosen from.

    Args:
        choice: The choice.
        folder: That of the sweep, for the path of the file; None where it is not known.
    """
    parts = [wrapped(choice_title(choice))]
    if choice.best:
        file = choice.best.entry.file
        parts.append(str(folder / file) if folder else file)  # a path stays on one line, to be copied
        if choice.best.reasons:
            reasons = (f"{reason.outcome}: {reason.text}" for reason in choice.best.reasons)
            parts.append("\n".join(wrapped(reason, indent="  ") for reason in reasons))
        parts.append(as_text(choice_table(choice)))
    if remarks := list(choice_remarks(choice)):
        parts.append("\n".join(wrapped(remark, indent="  ") for remark in remarks))
    return "\n\n".join([*parts, choice.outcome.value])


def choice_title(choice: Choice) -> str:
    """The file, or that there is none."""
    if choice.best is None:
        return f"No file of the sweep keeps the limits on {choice.device}."
    what = {Outcome.UNDECIDED: " may keep the limits, and none surely does"}.get(choice.outcome, "")
    return f"{choice.device}: {_on_threads(choice.best.entry)}{what}"


def choice_table(choice: Choice) -> Table:
    """The chosen file and those that it is compared with."""
    found = {
        "best": choice.best,
        "runner-up": choice.runner_up,
        "undecided": choice.undecided,
        "any latency": choice.without_latency,
    }
    # Without the speedup, which is relative to another file of the same model.
    kept = [number for number, column in enumerate(ENTRY_COLUMNS) if column.title != "speedup"]
    rows = tuple(
        (role, one.entry.model, one.entry.variant, *(entry_cells(one.entry)[number] for number in kept))
        for role, one in found.items()
        if one
    )
    columns = Column("", is_text=True), Column("model", is_text=True), Column("variant", is_text=True)
    return Table((*columns, *(ENTRY_COLUMNS[number] for number in kept)), rows, keys=3)


def choice_remarks(choice: Choice) -> Iterator[str]:
    """How sure the choice is, what the limits cost, what comes nearest, and notes; a sentence each."""
    measure = choice.ranking.measure.value
    if choice.best and choice.runner_up and choice.told_apart is not None:
        images = min(one.entry.images for one in (choice.best, choice.runner_up))
        verb = "are told apart" if choice.told_apart else "are not told apart"
        intervals = (choice.ranking.interval(one.entry) for one in (choice.best, choice.runner_up))
        yield f"Best and runner-up {verb} by {images:,} images: {measure} {' and '.join(map(_range, intervals))}."
    if choice.undecided:
        yield f"{file_name(choice.undecided.entry)} is better and may keep the limits, too: {_open(choice.undecided)}."
    if choice.without_latency and choice.cost_of_latency is not None:
        entry = choice.without_latency.entry
        yield (
            f"Without the limit of latency, {_on_threads(entry)} would be chosen: {measure} "
            f"{fraction(choice.ranking.value(entry))} ({choice.cost_of_latency:+.3f}), {_ms(entry)}."
        )
    for name, entry in choice.nearest.items():
        others = " (of those that may keep the other limits)" if len(choice.nearest) > 1 else ""
        yield f"{_nearest(name, entry)}{others}."
    for note in choice.notes:
        yield f"note: {note}"


def _nearest(limit: str, entry: SweepEntry) -> str:
    """What comes closest to a limit."""
    if limit == "max_latency":
        return f"The fastest is {_on_threads(entry)} with {_ms(entry)}"
    if limit == "max_size":
        return f"The smallest is {file_name(entry)} with {megabytes(entry.bytes)} MB"
    if limit == "min_accuracy":
        return f"The most accurate is {file_name(entry)} with {_value('accuracy', entry.accuracy)}"
    return f"The closest to Keras is {file_name(entry)} with {_value('agreement', entry.agreement)}"


def _open(candidate: Candidate) -> str:
    return "; ".join(reason.text for reason in candidate.reasons if reason.outcome == Outcome.UNDECIDED)


def _on_threads(entry: SweepEntry) -> str:
    return f"{file_name(entry)} on {entry.threads} thread{'s' * (entry.threads > 1)}"


def _ms(entry: SweepEntry) -> str:
    return f"{milliseconds(entry.latency.value)} ms"


def _value(name: str, interval: Interval | None) -> str:
    return f"{name} {interval.value:.3f}" if interval else f"no {name}"


def _range(interval: Interval | None) -> str:
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})" if interval else "unknown"
