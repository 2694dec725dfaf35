"""Find and read results: files that `edgenet benchmark` wrote, or bundles that hold some.

Of a bundle, only results count that are of its files: every hash that they name is the one in its manifest. Others, of
an earlier export for instance, stay where they are, and are named.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgenet import files, records
from edgenet.bundle import archive
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import RESULTS, Bundle
from edgenet.errors import EdgenetError
from edgenet.machine import host
from edgenet.records import LITERT_JS, Conformance, Diagnosis, Manifest, Results
from edgenet.records.apps import TOO_NEW
from edgenet.records.serialization import MAX_BYTES

# Ignored files that a note names.
MAX_NAMED = 3


@dataclass(frozen=True)
class Loaded:
    """Results, the file that they are from, and what tells them from the others that were loaded with them.

    notes: what is to be known of the choice. apps: what mobile libraries made of the bundle, where it is known. stale:
    whether they lie in a bundle whose files are others now.
    """

    path: Path
    name: str
    results: Results
    notes: tuple[str, ...] = ()
    apps: tuple[Conformance, ...] = ()
    stale: bool = False


def load(paths: Sequence[Path]) -> list[Loaded]:
    """Read results, from files, or the newest ones of bundles, packed or not. Diagnoses among the files are skipped.

    Raises EdgenetError when a path has none.
    """
    read: dict[Path, Loaded] = {}
    for path in paths:
        found = _of_bundle(path) if path.is_dir() or archive.is_archive(path) else _of_file(path)
        if found:
            read.setdefault(found.path, found)
    if not read:
        raise EdgenetError(
            f"{paths[0]}: expected results, found a diagnosis of layers; name a file that `edgenet benchmark` wrote"
        )
    for found in read.values():
        if not found.results.measurements or not all(m.latency for m in found.results.measurements):
            raise EdgenetError(f"{found.path}: expected results with measurements, found none; measure again")
    names = _names([found.results for found in read.values()])
    return [replace(found, name=name) for found, name in zip(read.values(), names, strict=True)]


def unloadable(loaded: Loaded) -> dict[str, str]:
    """Why a mobile library that was asked at export does not load a variant, by its name."""
    return {
        variant: f"{library.library} {library.version} does not load it: {why}"
        for library in loaded.apps
        for variant, why in library.impossible.items()
        if why.startswith(TOO_NEW)
    }


def newest(path: Path) -> Path:
    """The last results in a bundle that are of its files and of this machine. Raises EdgenetError without any."""
    return _of_bundle(path).path


def _of_file(path: Path) -> Loaded | None:
    """Results in a file; None for a diagnosis, which reports find by themselves."""
    data = _bytes(path)
    try:
        results = records.from_json(Results, data, str(path))
    except EdgenetError:
        with suppress(EdgenetError):
            records.from_json(Diagnosis, data, str(path))
            return None
        raise
    if path.absolute().parent.name != RESULTS:
        return Loaded(path, "", results)
    try:
        bundle = bundles.load(path.absolute().parent.parent)
    except EdgenetError:  # it lies in some other folder of that name
        return Loaded(path, "", results)
    if _are_of(results, bundle.manifest):
        return Loaded(path, "", results, apps=bundle.manifest.apps)
    return Loaded(
        path, "", results, (f"{path}: these results are of an earlier export of {bundle.folder}",), stale=True
    )


def _of_bundle(path: Path) -> Loaded:
    """The newest results of this machine among those of a bundle's files. Raises EdgenetError when there are none."""
    bundle = archive.unpack_to_cache(path) if archive.is_archive(path) else bundles.load(path)
    bundles.verify(bundle)
    mine, others, earlier, damaged = [], [], [], []
    for file in _dated(bundle):
        try:
            results = records.from_json(Results, _bytes(file), str(file))
        except EdgenetError:
            damaged.append(file)
            continue
        if not _are_of(results, bundle.manifest):
            earlier.append(file)
        else:
            (mine if _is_of_this_machine(results) else others).append((file, results))
    kinds = {
        "of an earlier export": earlier,
        "of browsers or other machines": [file for file, _ in others],
        "that cannot be read": damaged,
    }
    if not mine:
        ignored = "; ".join(f"{len(some):,} {kind}" for kind, some in kinds.items() if some)
        name = f", or name a file, such as {others[-1][0]}" if others else ""
        raise EdgenetError(
            f"{path}: expected results of these files on this machine, found none"
            f"{f' (ignored: {ignored})' if ignored else ''}; run `edgenet benchmark {path}`{name}"
        )
    newest_file, results = mine[-1]
    newer = [file for file, _ in others if _order(file) > _order(newest_file)]
    kinds["of browsers or other machines"] = newer
    notes = [f"ignored: results {kind}: {_listed(some)}" for kind, some in kinds.items() if some]
    return Loaded(newest_file, "", results, tuple(notes), bundle.manifest.apps)


def _are_of(results: Results, manifest: Manifest) -> bool:
    """Whether results are of a bundle's files: every hash that they name is that of the manifest."""
    return bool(results.files) and all(
        path in manifest.files and manifest.files[path].sha256 == digest for path, digest in results.files.items()
    )


def _is_of_this_machine(results: Results) -> bool:
    machine = results.machine
    return results.api != LITERT_JS and (machine.cpu, machine.architecture) == host.identity()


def _dated(bundle: Bundle) -> list[Path]:
    """The results of a bundle, the oldest first: files that are named by the time."""
    found = (bundle.folder / RESULTS).glob("*.json")
    return sorted((path for path in found if re.fullmatch(r"\d+-\d+(-\d+)?", path.stem)), key=_order)


def _order(path: Path) -> list[int]:
    # A second one of the same second ends in -2.
    return [int(number) for number in path.stem.split("-")]


def _listed(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - MAX_NAMED:,} more" if len(paths) > MAX_NAMED else ""
    return ", ".join(path.name for path in paths[-MAX_NAMED:]) + more


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
        return files.read(path, MAX_BYTES[Results])
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
