"""The process that asks a library, from the outside.

Libraries cannot share a process: each brings a TFLite of its own, and the Task Library refuses one with TensorFlow.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgenet.apps.libraries import Library

# Seconds for all its answers, however slow the machine.
PATIENCE = 600


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
    folder: where the answer, and what the library prints, may lie meanwhile.
    """

    def __init__(
        self, library: Library, models: Mapping[str, Path], pixels: Path, photos: Sequence[Path], folder: Path
    ):
        self._library, self._variants = library, list(models)
        self._answer, self._said = (folder / f"{library.package}.{end}" for end in ("json", "log"))
        request = folder / f"{library.package}.request"
        request.write_text(
            json.dumps(
                {
                    "models": {name: str(path) for name, path in models.items()},
                    "pixels": str(pixels),
                    "photos": [str(path) for path in photos],
                }
            )
        )
        # Files, not pipes: however much a library prints, nobody has to read it meanwhile.
        with open(request) as asked, open(self._answer, "w") as answer, open(self._said, "w") as said:
            command = [sys.executable, "-m", library.module]
            self._process = subprocess.Popen(command, stdin=asked, stdout=answer, stderr=said)

    def answer(self) -> Answer:
        """Wait for it. What ends the process early is the problem of every variant."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return self._nothing(f"no answer within {PATIENCE} s")
        if code:
            how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
            lines = self._said.read_text(errors="replace").strip().splitlines()
            return self._nothing(f"the library's process ended {how}" + (f": {lines[-1]}" if lines else ""))
        answer = json.loads(self._answer.read_text())
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
        self._process.kill()
        self._process.wait()

    def _nothing(self, problem: str) -> Answer:
        return Answer(None, said={name: Said(problem) for name in self._variants})


def _tops(found: Sequence[Sequence | None]) -> tuple[Top | None, ...]:
    return tuple(Top(top[0], top[1] or "", top[2]) if top else None for top in found)
