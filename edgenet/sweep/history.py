"""How long jobs took on this machine and its devices, kept in the user's cache to estimate the next sweep."""

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgenet import cache, files
from edgenet.errors import EdgenetError
from edgenet.sweep.job import Kind

FORMAT = 1
MAX_BYTES = 1 << 20
# Jobs of a kind that count: devices and versions change.
MAX_JOBS = 64


@dataclass
class History:
    """Seconds that jobs took, and those that were computed for them on the reference machine.

    Attributes:
        path: The file; None for none.
    """

    path: Path | None = None
    _jobs: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "History":
        """That of the user's cache; an empty one if there is none, or it cannot be read."""
        folder = cache.permanent("sweeps")
        history = cls(folder / "history.json" if folder else None)
        if history.path:
            with suppress(OSError, ValueError, EdgenetError, RecursionError):
                history._jobs = _valid(json.loads(files.read_limited(history.path, MAX_BYTES)))
        return history

    def remember(self, kind: Kind, device: str | None, computed: float, seconds: float) -> None:
        """Keep what a job took; `save` writes it.

        Args:
            kind: Of the job.
            device: The device that it measured; None for others.
            computed: The seconds that were computed for it (`estimate.PlannedJob.computed`).
            seconds: Those that it took.
        """
        if computed > 0 and seconds > 0:
            jobs = self._jobs.setdefault(_name(kind, device), [])
            jobs.append((computed, seconds))
            del jobs[:-MAX_JOBS]

    def factor(self, kind: Kind, device: str | None = None) -> float | None:
        """How many times as long as computed such jobs took; None if there was none."""
        jobs = self._jobs.get(_name(kind, device))
        return sum(seconds for _, seconds in jobs) / sum(computed for computed, _ in jobs) if jobs else None

    def save(self) -> None:
        """Write the file, if that is possible."""
        if self.path:
            with suppress(EdgenetError):
                files.write_atomic(self.path, json.dumps({"format": FORMAT, "jobs": self._jobs}).encode())


def _name(kind: Kind, device: str | None) -> str:
    return f"{kind} {device}" if device else str(kind)


def _valid(data: Any) -> dict[str, list[tuple[float, float]]]:
    """The jobs of a file. Raises ValueError for anything else."""
    try:
        if data["format"] != FORMAT:
            raise ValueError
        jobs = {
            str(name): [(float(computed), float(seconds)) for computed, seconds in pairs]
            for name, pairs in data["jobs"].items()
        }
    except (AttributeError, KeyError, TypeError, OverflowError) as error:
        raise ValueError from error
    if not all(0 < value < math.inf for pairs in jobs.values() for pair in pairs for value in pair):
        raise ValueError
    return {name: pairs[-MAX_JOBS:] for name, pairs in jobs.items() if pairs}
