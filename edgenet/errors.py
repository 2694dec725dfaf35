"""The one exception for what a user can mend, and what other exceptions say, in a line."""

import re


class EdgenetError(Exception):
    """Something that the user can mend.

    The message is one line: what was expected, what was found, and what to do. The command line prints it as
    ``Error: ...`` on stderr and exits with code 1.
    """


def first_line(error: Exception) -> str:
    """The first line of what an exception says; its name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def first_sentence(error: Exception) -> str:
    """The first sentence of what an exception says, at most 300 characters of it; its name where it says nothing."""
    text = " ".join(first_line(error).split())
    end = re.search(r"[.!?](?=\s+[A-Z])|[.!?:]?$", text)
    return text[: end.start()][:300] if end else text[:300]
