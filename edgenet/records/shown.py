"""Records that `print` and notebooks show as tables.

How a record looks is for a later stage to say, `edgenet.reporting.display`; `edgenet.api` makes it known here. Until
then a record is printed as its fields.
"""

from collections.abc import Callable
from typing import Any


class Shown:
    """A record that is shown as a table."""

    def __str__(self) -> str:
        return _text_of(self)

    def _repr_html_(self) -> str | None:
        return _html_of(self)


def show_with(text_of: Callable[[Any], str], html_of: Callable[[Any], str]) -> None:
    """Set how records are shown.

    Args:
        text_of: Gives the text of a record, for `print`.
        html_of: Gives a small HTML table, for notebooks.
    """
    global _text_of, _html_of
    _text_of, _html_of = text_of, html_of


def _nothing(record: Any) -> None:
    return None


_text_of: Callable[[Any], str] = repr
_html_of: Callable[[Any], str | None] = _nothing
