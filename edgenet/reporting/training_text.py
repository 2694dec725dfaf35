"""A training as text for the terminal."""

from collections.abc import Iterator

from edgenet.records import Training
from edgenet.reporting.table import as_text, wrapped
from edgenet.reporting.training_tables import (
    baselines_table,
    classes_table,
    confusions_table,
    suspects_table,
    thresholds_table,
    training_notes,
    training_title,
)

MAX_CLASSES, MAX_CONFUSIONS = 20, 5


def training_text(training: Training) -> str:
    """A training as text, in lines of at most 100 characters."""
    return "\n\n".join(_parts(training))


def _parts(training: Training) -> Iterator[str]:
    yield wrapped(training_title(training))
    tables = (
        baselines_table(training),
        classes_table(training, MAX_CLASSES),
        confusions_table(training, MAX_CONFUSIONS),
        thresholds_table(training),
        suspects_table(training),
    )
    yield from (as_text(table) for table in tables if table)
    yield "\n".join(wrapped(note, "  ") for note in training_notes(training))
