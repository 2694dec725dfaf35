"""A sweep device by device: how much was measured, and which files are worth a look."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgenet.analysis.ranking import Ranking, fastest_threads, ranking
from edgenet.records import Grade, Sweep, SweepEntry


@dataclass(frozen=True)
class DeviceSummary:
    """The entries of one device."""

    device: str
    entries: tuple[SweepEntry, ...]
    # Each file on the number of threads that is fastest.
    files: tuple[SweepEntry, ...]
    # None where nothing was measured that files could be ranked by; there is no front then.
    ranking: Ranking | None
    # The files that no other one beats in both latency and rank, by latency.
    front: tuple[SweepEntry, ...]

    @property
    def fastest(self) -> SweepEntry:
        """The file with the lowest median latency."""
        return min(self.files, key=lambda entry: entry.latency.value)

    @property
    def grades(self) -> dict[Grade, int]:
        """How many models were measured with each quality, from the best; without those that none has."""
        found = Counter({(entry.model, entry.quality) for entry in self.entries})
        counts = Counter(grade for _, grade in found)
        return {grade: counts[grade] for grade in Grade if counts[grade]}


def summaries(sweep: Sweep) -> list[DeviceSummary]:
    """The devices of a sweep, in its order; without those of which nothing is measured yet."""
    by_device: dict[str, list[SweepEntry]] = {}
    for entry in sweep.entries:
        by_device.setdefault(entry.device, []).append(entry)
    # One for all, so that devices can be compared.
    found = ranking(sweep.entries)
    return [_summary(device, entries, found) for device, entries in by_device.items()]


def _summary(device: str, entries: Sequence[SweepEntry], found: Ranking | None) -> DeviceSummary:
    files = fastest_threads(entries)
    front = found.front(files) if found else []
    return DeviceSummary(device, tuple(entries), tuple(files), found, tuple(front))
