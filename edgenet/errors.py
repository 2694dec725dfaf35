"""The one exception for what a user can mend, and what other exceptions say, in a line."""


class EdgenetError(Exception):
    """Something that the user can mend.

    The message is one line: what was expected, what was found, and what to do. The command line prints it as
    ``Error: ...`` on stderr and exits with code 1.
    """


def first_line(error: Exception) -> str:
    """The first line of what an exception says; its name where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
