"""What long work reports while it runs. Library calls are silent by default."""

from typing import Protocol


class Progress(Protocol):
    """Listens to long work. Any object with these methods will do; `edgenet.terminal` has one for terminals."""

    def step(self, text: str) -> None:
        """A step of the work begins, for instance "converting to int8"."""

    def count(self, done: int, total: int) -> None:
        """`done` of `total` parts of the step are finished."""

    def note(self, text: str) -> None:
        """Something that the user should know, which does not stop the work."""


class Silent:
    """Listens to nothing."""

    def step(self, text: str) -> None:
        pass

    def count(self, done: int, total: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass


SILENT = Silent()
