"""Values as source code: literals of Kotlin, Swift and Python, and text inside comments and Markdown."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Language:
    """How a language writes what differs between languages.

    Attributes:
        true, false, null: The literals.
        integers: Writes an array of integers.
        text: Writes a string literal, quotes included.
    """

    true: str
    false: str
    null: str
    integers: Callable[[Sequence[int]], str]
    text: Callable[[str], str]

    def literal(self, value: bool | None) -> str:
        """A truth value, or nothing."""
        return self.null if value is None else self.true if value else self.false


def _escaped(text: str, special: str, escape: Callable[[int], str]) -> str:
    """Escape `special` characters by a backslash, and those that cannot be printed by their number."""

    def one(character: str) -> str:
        if character in special:
            return "\\" + character
        # Line ends, control characters, and marks that turn the direction of writing.
        return character if character.isprintable() else escape(ord(character))

    # Half of a surrogate pair is no character, and cannot be written.
    return '"' + "".join(map(one, text.encode("utf-8", "replace").decode())) + '"'


def _utf16(code: int) -> str:
    """Of a character in Kotlin, which has a number for each half of a pair."""
    return json.dumps(chr(code))[1:-1] if code > 0xFF else f"\\u{code:04x}"


KOTLIN = Language(
    "true",
    "false",
    "null",
    lambda values: f"intArrayOf({numbers(values)})",
    lambda text: _escaped(text, '\\"$', _utf16),
)
SWIFT = Language(
    "true",
    "false",
    "nil",
    lambda values: f"[{numbers(values)}]",
    lambda text: _escaped(text, '\\"', lambda code: f"\\u{{{code:x}}}"),
)
PYTHON = Language(
    "True",
    "False",
    "None",
    lambda values: f"({numbers(values)})",
    lambda text: _escaped(text, '\\"', lambda code: f"\\U{code:08x}"),
)


def numbers(values: Sequence[float]) -> str:
    """The elements of an array, in each of the languages."""
    return ", ".join(map(repr, values))


def comment(text: str) -> str:
    """Text that stays inside a comment of one line."""
    return "".join(character if character.isprintable() else " " for character in text)


def code_span(text: str) -> str:
    """Text between backticks of Markdown, in which nothing else has a meaning."""
    return comment(text).replace("`", "'").strip() or "-"
