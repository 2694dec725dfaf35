"""A training as a model card in Markdown.

The sections are those of M. Mitchell et al., Model Cards for Model Reporting (FAT* 2019, arXiv:1810.03993), as far as a
training knows about them.
"""

from collections.abc import Iterator, Mapping

from edgenet.records import Training
from edgenet.reporting.table import Column, Table, as_markdown, markdown_text, parts
from edgenet.reporting.training_tables import (
    baselines_table,
    classes_table,
    confusions_table,
    suspects_table,
    thresholds_table,
    training_notes,
    training_title,
)

MAX_CLASSES = 200


def card(training: Training) -> str:
    """The model card.

    Args:
        training: The training.
    """
    return "\n\n".join(_blocks(training)) + "\n"


def use(training: Training) -> str:
    """What the model is for, and what its numbers do not say."""
    return (
        f"It tells {len(training.classes):,} classes apart, and puts every image into one of them, also images of "
        "something else; a threshold for its best score leaves out many of these. The accuracy is that on images like "
        "those of the folder: of the same cameras, places and times. Nothing was chosen by the test images."
    )


def _blocks(training: Training) -> Iterator[str]:
    yield f"# {markdown_text(training.name)}"
    yield f"**{markdown_text(training_title(training))}**"
    yield "\n".join(f"- {markdown_text(note)}" for note in training_notes(training))
    yield "## Use"
    yield markdown_text(use(training))
    tables = (
        baselines_table(training),
        classes_table(training, MAX_CLASSES),
        confusions_table(training),
        thresholds_table(training),
        suspects_table(training),
    )
    for table in tables:
        if table:
            yield f"## {markdown_text(table.title)}"
            yield from map(as_markdown, parts(table, 10_000))
            yield markdown_text(" ".join(table.legend))
    yield "## Photos"
    yield markdown_text(training.photos)
    if training.findings:
        yield "\n".join(f"- {one.level}: {markdown_text(one.text)}" for one in training.findings)
    yield "## Training"
    yield as_markdown(_named("option", "value", training.options))
    if training.given:
        yield f"Given: {markdown_text(named_text(training.given))}"
    yield f"Seconds: {markdown_text(seconds_text(training))}"
    if training.versions:
        yield f"Versions: {markdown_text(named_text(training.versions, ' '))}"


def named_text(values: Mapping[str, str], between: str = "=") -> str:
    """Names and values in a line."""
    return ", ".join(f"{name}{between}{value}" for name, value in values.items())


def seconds_text(training: Training) -> str:
    """How long each phase took."""
    return ", ".join(f"{name} {seconds:,.1f}" for name, seconds in training.seconds.items())


def _named(name: str, value: str, values: Mapping[str, str]) -> Table:
    return Table((Column(name, is_text=True), Column(value, is_text=True)), tuple(values.items()))
