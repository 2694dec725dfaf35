"""What is known of photos before training, for the terminal."""

from dataclasses import replace

from edgenet.records.training import DataCheck
from edgenet.reporting.findings import lines
from edgenet.reporting.table import Column, Table, as_text, wrapped

# Classes on the terminal.
MAX_CLASSES = 40

_COLUMNS = (
    Column("class", is_text=True),
    Column("all", "images"),
    Column("copies", "images"),
    Column("similar", "images"),
    Column("training", "split"),
    Column("validation", "split"),
    Column("test", "split"),
)
_LEGEND = (
    "copies: equal to another image of the class. similar: in a set of images that show the same or nearly the same; "
    "a set is never split.",
)


def data_table(check: DataCheck) -> str:
    """What was found, as text: the classes, the sizes and the findings."""
    table = classes_table(check)
    more = len(table.rows) - MAX_CLASSES
    shown = replace(table, rows=table.rows[:MAX_CLASSES])
    classes = [as_text(shown)] if check.classes else []
    parts = [*classes, *([f"{more:,} more classes"] if more > 0 else []), sizes_text(check)]
    return "\n\n".join([*parts, "\n".join(lines(check.findings))])


def classes_table(check: DataCheck) -> Table:
    """A row for each class."""
    rows = tuple(
        (one.name, *(f"{number:,}" for number in (one.images, one.copies, one.similar)), *_parts(check, number))
        for number, one in enumerate(check.classes)
    )
    return Table(_COLUMNS, rows, _LEGEND)


def sizes_text(check: DataCheck) -> str:
    """The sizes of the images, in a line."""
    sizes = check.sizes
    named = (("smallest", sizes.smallest), ("median", sizes.median), ("largest", sizes.largest))
    texts = ", ".join(f"{name} {width:,}x{height:,}" for name, (height, width) in named)
    count = f"{check.images:,} images, " if check.images else ""
    return wrapped(f"{count}width x height: {texts}")


def _parts(check: DataCheck, number: int) -> tuple[str, ...]:
    one = check.classes[number]
    return tuple(f"{count:,}" if any(check.parts) else "-" for count in (one.train, one.validation, one.test))
