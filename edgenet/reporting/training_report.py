"""The report of a training in each format."""

from collections.abc import Sequence
from pathlib import Path

from edgenet import files
from edgenet.analysis.verdict import Limits
from edgenet.errors import EdgenetError
from edgenet.records import Training
from edgenet.reporting.formats import MARKDOWN, PAGE, check_format, format_of
from edgenet.reporting.training_card import card


def write(training: Training, path: Path, limits: Limits | None = None, variants: Sequence[str] | None = None) -> None:
    """Write the report of a training to a file, in the format of its ending.

    Args:
        training: The training.
        path: The file: .html or .md.
        limits, variants: Those of a report of results; a training has no verdicts.

    Raises:
        EdgenetError: There are limits or variants, the ending is another, the page's packages are not installed, or
            the file cannot be written.
    """
    if limits or variants:
        raise EdgenetError("the report of a training has no verdicts; leave the limits and variants= out")
    check_format(path)
    format = format_of(path)
    if format not in (PAGE, MARKDOWN):
        raise EdgenetError(f"{path}: the report of a training is a file that ends in {PAGE} or {MARKDOWN}")
    files.check_writable(path)
    files.write_atomic(path, render(training, format).encode("utf-8", "replace"))


def render(training: Training, format: str) -> str:
    """The report of a training.

    Args:
        training: The training.
        format: `formats.PAGE` or `formats.MARKDOWN`, which is the model card.
    """
    if format == MARKDOWN:
        return card(training)
    from edgenet.reporting.training_page import page

    return page(training)
