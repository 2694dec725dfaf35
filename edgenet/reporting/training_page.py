"""A training as a self-contained HTML page that opens offline."""

import re
from dataclasses import dataclass
from pathlib import Path

from edgenet.quiet import quiet
from edgenet.records import Training
from edgenet.records.training import Suspect
from edgenet.reporting import training_plots
from edgenet.reporting.numbers import fraction
from edgenet.reporting.page import render
from edgenet.reporting.training_card import MAX_CLASSES, named_text, seconds_text, use
from edgenet.reporting.training_tables import (
    baselines_table,
    class_name,
    classes_table,
    confusions_table,
    suspects_title,
    thresholds_table,
    training_notes,
    training_title,
)

TEMPLATE = Path(__file__).parent / "training.html"
# Of a matrix; of more classes the most frequent confusions are listed.
MAX_MATRIX = 20


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix."""

    text: str
    # Of the images of its row, in percent: how strong its colour is.
    percent: int
    is_correct: bool


@dataclass(frozen=True)
class Card:
    """An image that is perhaps in the wrong folder."""

    file: str
    part: str
    # A data URL; None where there is no small copy.
    thumbnail: str | None
    label: str
    label_score: str
    predicted: str
    predicted_score: str


def page(training: Training) -> str:
    """The page of a training.

    Args:
        training: The training.
    """
    with quiet():  # Matplotlib prints about its caches
        few = len(training.classes) <= MAX_MATRIX
        return render(
            TEMPLATE,
            training=training,
            title=training_title(training),
            notes=training_notes(training),
            use=use(training),
            baselines=baselines_table(training),
            plots=[*training_plots.curves(training), training_plots.reliability(training)],
            classes=classes_table(training, MAX_CLASSES),
            matrix=_matrix(training) if few else [],
            confusions=confusions_table(training),
            thresholds=thresholds_table(training),
            suspects_title=suspects_title(training),
            suspects=[_card(training, one) for one in training.suspects],
            given=named_text(training.given),
            seconds=seconds_text(training),
            versions=named_text(training.versions, " "),
        )


def _matrix(training: Training) -> list[tuple[str, list[Cell]]]:
    """A row for each class: its name, and its images by the class that they are put into."""
    found = {(one.label, one.predicted): one.images for one in training.confusion}
    rows = []
    for label, of_class in enumerate(training.classes):
        counts = [found.get((label, other), 0) for other in range(len(training.classes))]
        cells = [
            Cell(f"{number:,}" if number else "", round(100 * number / of_class.test), label == other)
            for other, number in enumerate(counts)
        ]
        rows.append((of_class.name, cells))
    return rows


def _card(training: Training, suspect: Suspect) -> Card:
    data = suspect.thumbnail
    return Card(
        suspect.file,
        suspect.part,
        f"data:image/jpeg;base64,{data}" if re.fullmatch("[A-Za-z0-9+/]+=*", data) else None,
        class_name(training, suspect.label),
        fraction(suspect.label_score),
        class_name(training, suspect.predicted),
        fraction(suspect.predicted_score),
    )
