"""Text in columns."""

from collections.abc import Sequence


def columns(header: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> str:
    """A table under one or more header lines: the first column to the left, the others to the right."""
    lines = [*header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(rows[0]))]
    text = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    rule = "-" * max(map(len, text))
    return "\n".join([*text[: len(header)], rule, *text[len(header) :]])
