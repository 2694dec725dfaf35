"""The one exception for what a user can correct, and what other exceptions say, in a line."""

import re
from typing import Any


class EdgenetError(Exception):
    """Something that the user can correct.

    The message is one or two plain sentences: what is wrong with which input, then what to do. Where it names a
    parameter it does so as Python does: `out=`, `quantizer="stock"`, `force=True`. The command line shows these as
    options, prints the message as ``Error: ...`` on stderr and exits with code 1.

    Args:
        message: The text.
        parameter: The parameter whose value is wrong, by its Python name; the text then begins with it.
        expected: What would have been right, where the message does not say it.
        got: What was there instead.
        hint: What to do.
    """

    def __init__(
        self,
        message: str = "",
        *,
        parameter: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
    ):
        self.parameter, self.expected, self.got, self.hint = parameter, expected, got, hint
        facts = ", ".join(f"{word} {text}" for word, text in (("expected", expected), ("got", got)) if text)
        parts = "; ".join(part for part in (": ".join(part for part in (message, facts) if part), hint) if part)
        super().__init__(f"{parameter}: {parts}" if parameter else parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between processes."""
        state = {name: getattr(self, name) for name in ("parameter", "expected", "got", "hint")}
        return _restored, (type(self), str(self), state)


def _restored(kind: type[EdgenetError], text: str, state: dict[str, str | None]) -> EdgenetError:
    error = kind(text)
    error.__dict__.update(state)
    return error


def first_line(error: BaseException) -> str:
    """The first line of an exception's message; its name where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def first_sentence(error: BaseException) -> str:
    """The first sentence of an exception's message, at most 300 characters of it; its name where there is none."""
    text = " ".join(first_line(error).split())
    end = re.search(r"[.!?](?=\s+[A-Z])|[.!?:]?$", text)
    return text[: end.start()][:300] if end else text[:300]
