"""How long each phase of a training takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Runs from when it is made.

    Attributes:
        seconds: Of each phase so far, by its name.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a phase."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began

    def spent(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._started
