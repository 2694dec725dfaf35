"""Find and read results: files that `edgenet benchmark` wrote, or bundles that hold some."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenet import records
from edgenet.errors import EdgenetError
from edgenet.records import Diagnosis, Results
from edgenet.runtime.bundle import RESULTS

# Results are a few hundred kB; what is larger by far is none, and is not read into memory.
LARGEST = 200_000_000


@dataclass(frozen=True)
class Loaded:
    """Results, the file that they are from, and what tells them from the others that were loaded with them."""

    path: Path
    name: str
    results: Results


def load(paths: Sequence[Path]) -> list[Loaded]:
    """Read results, from files, or the newest ones of bundles. Raises EdgenetError when a path has none."""
    files = list(dict.fromkeys(newest(path) if path.is_dir() else path for path in paths))
    read = [records.from_json(Results, _bytes(file), str(file)) for file in files]
    for file, one in zip(files, read, strict=True):
        if not one.measurements or not all(measurement.latency for measurement in one.measurements):
            raise EdgenetError(f"{file}: expected results with measurements, found none; measure again")
    return [Loaded(*loaded) for loaded in zip(files, _names(read), read, strict=True)]


def newest(folder: Path) -> Path:
    """The last results in a bundle. Raises EdgenetError when there are none."""
    # Named by the time; a second one of the same second ends in -2.
    found = sorted(
        (path for path in (folder / RESULTS).glob("*.json") if re.fullmatch(r"\d+-\d+(-\d+)?", path.stem)),
        key=lambda path: [int(number) for number in path.stem.split("-")],
    )
    if not found:
        raise EdgenetError(f"{folder}: expected a bundle with results, found none; run `edgenet benchmark {folder}`")
    return found[-1]


def diagnoses(loaded: Sequence[Loaded]) -> list[Diagnosis]:
    """The diagnoses beside results that are of the same files."""
    found = {}
    for one in loaded:
        for path in sorted(one.path.parent.glob("diagnosis_*.json")):
            diagnosis = records.from_json(Diagnosis, _bytes(path), str(path))
            if diagnosis.files.items() <= one.results.files.items():
                found[path.resolve()] = diagnosis
    return list(found.values())


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise EdgenetError(f"{path}: expected results, found {path.stat().st_size:,} bytes, which are none")
        return path.read_bytes()
    except OSError as error:
        raise EdgenetError(
            f"{path}: expected a file of results, found: {error.strerror}; make one with `edgenet benchmark`"
        ) from error


def _names(read: Sequence[Results]) -> list[str]:
    """What tells each of some results from the others: the bundle, the machine, the time, at last a number."""
    names = [""] * len(read)
    for part in (lambda one: one.bundle, lambda one: one.machine.cpu, lambda one: one.created):
        if len(read) == 1 or (len(set(names)) < len(read) and len(set(map(part, read))) > 1):
            names = [", ".join(filter(None, (name, part(one)))) for name, one in zip(names, read, strict=True)]
        if len(read) == 1:
            break
    if len(set(names)) < len(read):
        names = [
            f"{name or one.bundle} ({number})"
            for number, (name, one) in enumerate(zip(names, read, strict=True), start=1)
        ]
    return names
