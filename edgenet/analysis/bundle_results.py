"""The results in a bundle's folder, and which of them count."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgenet import files, records
from edgenet.bundle.bundle import RESULTS, Bundle
from edgenet.errors import EdgenetError
from edgenet.machine import host
from edgenet.records import Api, Manifest, Results
from edgenet.records.serialization import MAX_BYTES


@dataclass
class BundleResults:
    """The results in a bundle's folder; in each list the oldest first."""

    mine: list[tuple[Path, Results]] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    earlier: list[Path] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)

    def ignored(self, others: Sequence[Path]) -> dict[str, Sequence[Path]]:
        """Files by the reason why they do not count, without the reasons that no file has."""
        kinds: dict[str, Sequence[Path]] = {
            "of an earlier export": self.earlier,
            "of browsers or other machines": others,
            "that cannot be read": self.damaged,
        }
        return {kind: paths for kind, paths in kinds.items() if paths}


def find_results(bundle: Bundle) -> BundleResults:
    """Read the results in a bundle's folder, and sort them by whether they count."""
    found = BundleResults()
    for file in _dated(bundle):
        try:
            results = records.from_json(Results, read(file), str(file))
        except EdgenetError:
            found.damaged.append(file)
            continue
        if not are_of(results, bundle.manifest):
            found.earlier.append(file)
        elif _is_of_this_machine(results):
            found.mine.append((file, results))
        else:
            found.others.append(file)
    return found


def are_of(results: Results, manifest: Manifest) -> bool:
    """Whether results are of a bundle's files: every hash that they name is that of the manifest."""
    return bool(results.model.files) and all(
        path in manifest.files and manifest.files[path].sha256 == digest for path, digest in results.model.files.items()
    )


def _is_of_this_machine(results: Results) -> bool:
    machine = results.machine
    return results.run.api != Api.JAVASCRIPT and (machine.cpu, machine.architecture) == host.identity()


def _dated(bundle: Bundle) -> list[Path]:
    """The results of a bundle, the oldest first: files that are named by the time."""
    found = (bundle.folder / RESULTS).glob("*.json")
    return sorted((path for path in found if re.fullmatch(r"\d+-\d+(-\d+)?", path.stem)), key=age_key)


def age_key(path: Path) -> list[int]:
    """Sorts results by their age, by the time in their names."""
    # A second file of the same second ends in -2.
    return [int(number) for number in path.stem.split("-")]


def read(path: Path) -> bytes:
    """The content of a file of results or of a diagnosis. Raises EdgenetError when it cannot be read."""
    try:
        return files.read_limited(path, MAX_BYTES[Results])
    except FileNotFoundError as error:
        raise EdgenetError(f"{path}: no such file; `edgenet benchmark` writes results") from error
    except OSError as error:
        raise EdgenetError(f"{path}: cannot be read ({error.strerror})") from error
