"""The one exception for what a user can mend."""


class EdgenetError(Exception):
    """Something that the user can mend.

    The message is one line: what was expected, what was found, and what to do. The command line prints it as
    ``Error: ...`` on stderr and exits with code 1.
    """
