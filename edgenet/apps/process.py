"""The process that asks a library, from the outside.

Libraries cannot share a process: each brings a TFLite of its own, and the Task Library refuses one with TensorFlow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgenet.apps.libraries import Library
from edgenet.errors import EdgenetError
from edgenet.litert.child import Child

# Seconds for all its answers, however slow the machine.
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Top:
    """The class that a library puts first. label: its name in the file's metadata, empty where there is none."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Said:
    """What a library found with one file: the top class of each picture, None where there was none. problem: why it
    found nothing, in a line."""

    problem: str | None
    pictures: tuple[Top | None, ...] = ()
    photos: tuple[Top | None, ...] = ()


@dataclass(frozen=True)
class Answer:
    """unavailable: why the library cannot be used here, in a line. said: by variant."""

    unavailable: str | None
    version: str | None = None
    said: Mapping[str, Said] = field(default_factory=dict)


class Process:
    """A library at work on `models`, files by variant, until it is closed.

    pixels: an .npy file of pictures at the models' size, uint8 (n, height, width, 3). photos: image files.
    """

    def __init__(self, library: Library, models: Mapping[str, Path], pixels: Path, photos: Sequence[Path]):
        self._library, self._variants = library, list(models)
        request = {
            "models": {name: str(path) for name, path in models.items()},
            "pixels": str(pixels),
            "photos": [str(path) for path in photos],
        }
        self._process = Child(library.module, request, library.name, TIMEOUT_SECONDS)

    def answer(self) -> Answer:
        """Wait for it. What ends the process early is the problem of every variant."""
        try:
            answer = self._process.receive()
        except EdgenetError as error:
            return Answer(None, said={name: Said(str(error)) for name in self._variants})
        if "unavailable" in answer:
            return Answer(f"{answer['unavailable']}; {self._library.system}")
        said = {
            name: Said(model["problem"])
            if "problem" in model
            else Said(None, _tops(model["pictures"]), _tops(model["photos"]))
            for name, model in answer["models"].items()
        }
        return Answer(None, answer["version"], said)

    def close(self) -> None:
        """End the process."""
        self._process.close()


def _tops(found: Sequence[Sequence | None]) -> tuple[Top | None, ...]:
    return tuple(Top(top[0], top[1] or "", top[2]) if top else None for top in found)
