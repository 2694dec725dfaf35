"""Writes what a training found beside its model: the record, the model card, and a page."""

from pathlib import Path

from edgenet import files
from edgenet.analysis.record_folder import TRAINING
from edgenet.records import Training, to_json
from edgenet.reporting import training_report
from edgenet.reporting.formats import MARKDOWN, PAGE, missing_packages
from edgenet.training.outcome import Outcome
from edgenet.training.summary import summarize

CARD, PAGE_FILE = "MODEL_CARD.md", "training.html"

__all__ = ["CARD", "PAGE_FILE", "Outcome", "summarize", "write"]


def write(training: Training, folder: Path) -> tuple[Path, ...]:
    """Write the files, each whole or not at all; the page only where its packages are installed.

    Args:
        training: The record.
        folder: Of the model; made if it is missing.

    Returns:
        The paths of the files.

    Raises:
        EdgenetError: A file cannot be written.
    """
    written = {
        TRAINING.file: to_json(training),
        CARD: training_report.render(training, MARKDOWN).encode("utf-8", "replace"),
    }
    if not missing_packages():
        written[PAGE_FILE] = training_report.render(training, PAGE).encode("utf-8", "replace")
    for name, data in written.items():
        files.write_atomic(folder / name, data)
    return tuple(folder / name for name in written)
