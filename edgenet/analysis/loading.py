"""Results to analyse: from files that `edgenet benchmark` wrote, from bundles that hold some, or from memory.

Of a bundle, only results of its present files count: every hash that they name is the one in its manifest. Others, for
example of an earlier export, are left alone, and a note names them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgenet import records
from edgenet.analysis.bundle_results import age_key, are_of, find_results, read
from edgenet.bundle import archive
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import MANIFEST, RESULTS
from edgenet.errors import EdgenetError
from edgenet.records import BudgetSearch, Conformance, Diagnosis, Results
from edgenet.records.apps import UNKNOWN_OPERATOR

# Ignored files that a note names.
MAX_NAMED = 3


@dataclass(frozen=True)
class LoadedResults:
    """Results, and where they are from."""

    # None for results that were never in a file.
    path: Path | None
    # Distinguishes them from the results that they are loaded with.
    name: str
    results: Results
    # About the choice of these results.
    notes: tuple[str, ...] = ()
    # What mobile libraries made of the bundle's files, where that is known.
    apps: tuple[Conformance, ...] = ()
    # Whether they are in a bundle whose files have changed since.
    stale: bool = False
    # What was tried, when the bundle was exported, to keep a budget of drift.
    budget: BudgetSearch | None = None

    @property
    def where(self) -> str:
        """The file's path, or the name, for messages."""
        return str(self.path or self.name)


def load(paths: Sequence[Path], latency: bool = True) -> list[LoadedResults]:
    """Read results from files, or the newest results of bundles. Diagnoses among the files are skipped.

    Args:
        paths: Files of results, folders of bundles, or packed bundles. Each file is read once.
        latency: Whether they must have latency, and not drift alone.

    Raises:
        EdgenetError: A path has no results.
    """
    read: dict[Path, LoadedResults] = {}
    for path in paths:
        if path.is_dir() or archive.is_archive(path):
            file, loaded = _from_bundle(path)
            read.setdefault(file, loaded)
        elif found := _from_file(path):
            read.setdefault(path, found)
    if not read:
        raise EdgenetError(f"{paths[0]}: this is a diagnosis; give a file of results that `edgenet benchmark` wrote")
    return named([_checked(loaded, latency) for loaded in read.values()])


def load_baselines(paths: Sequence[Path]) -> list[LoadedResults]:
    """Read the results that others are compared with.

    They may be of an earlier export of their bundle: that is what a baseline is for.

    Args:
        paths: As in `load`; a folder that is not a bundle's stands for all results files in it.

    Raises:
        EdgenetError: A path has no results.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir() and not (path / MANIFEST).exists():
            within = sorted(path.glob("*.json"))
            if not within:
                raise EdgenetError(f"{path}: there are no results files (.json) in this folder", parameter="baseline")
            found += within
        else:
            found.append(path)
    return [as_baseline(one) for one in load(found, latency=False)]


def as_baseline(loaded: LoadedResults) -> LoadedResults:
    """Loaded results without what only matters to those that are judged."""
    return replace(loaded, notes=(), stale=False)


def from_records(results: Sequence[Results]) -> list[LoadedResults]:
    """Results in memory, as if they were loaded.

    Raises:
        EdgenetError: One has no measurements.
    """
    return named([_checked(loaded) for loaded in named([LoadedResults(None, "", record) for record in results])])


def named(loaded: Sequence[LoadedResults]) -> list[LoadedResults]:
    """The same results with names that distinguish them: the model, the machine, the time, or a number."""
    names = _names([one.results for one in loaded])
    return [replace(one, name=name) for one, name in zip(loaded, names, strict=True)]


def unloadable(loaded: LoadedResults) -> dict[str, str]:
    """Why a mobile library cannot load a variant, by the variant's name, as far as the export found out."""
    return {
        variant: f"{library.library} {library.version} cannot load it: {reason}"
        for library in loaded.apps
        for variant, reason in library.unsupported.items()
        if reason.startswith(UNKNOWN_OPERATOR)
    }


def newest(path: Path) -> Path:
    """The newest results in a bundle that are of its files and of this machine.

    Raises:
        EdgenetError: There are none.
    """
    return _from_bundle(path)[0]


def diagnoses(loaded: Sequence[LoadedResults]) -> list[Diagnosis]:
    """The diagnoses in the folders of results that are of the same files.

    Raises:
        EdgenetError: A diagnosis cannot be read.
    """
    found = {}
    for one in loaded:
        for path in sorted(one.path.parent.glob("diagnosis_*.json")) if one.path else ():
            diagnosis = records.from_json(Diagnosis, read(path), str(path))
            if diagnosis.files.items() <= one.results.model.files.items():
                found[path.resolve()] = diagnosis
    return list(found.values())


def _checked(loaded: LoadedResults, latency: bool = True) -> LoadedResults:
    measurements = loaded.results.measurements
    if measurements and not any(measurement.latency for measurement in measurements):
        if not latency:
            return loaded
        raise EdgenetError(f"{loaded.where}: these results have drift alone; give results with latency, too")
    if not measurements or not all(measurement.latency for measurement in measurements):
        raise EdgenetError(f"{loaded.where}: these results have no measurements; run the benchmark again")
    return loaded


def _from_file(path: Path) -> LoadedResults | None:
    """Results in a file; None for a diagnosis, which reports find by themselves."""
    data = read(path)
    try:
        results = records.from_json(Results, data, str(path))
    except EdgenetError:
        with suppress(EdgenetError):
            records.from_json(Diagnosis, data, str(path))
            return None
        raise
    if path.absolute().parent.name != RESULTS:
        return LoadedResults(path, "", results)
    try:
        bundle = bundles.load(path.absolute().parent.parent)
    except EdgenetError:  # the folder of this name is not a bundle's
        return LoadedResults(path, "", results)
    if are_of(results, bundle.manifest):
        return LoadedResults(path, "", results, apps=bundle.manifest.apps, budget=bundle.manifest.budget)
    note = f"{path}: these results are of an earlier export of {bundle.folder}"
    return LoadedResults(path, "", results, (note,), stale=True)


def _from_bundle(path: Path) -> tuple[Path, LoadedResults]:
    """The newest results of this machine among those of a bundle's files. Raises EdgenetError when there are none."""
    bundle = archive.unpack_to_cache(path) if archive.is_archive(path) else bundles.load(path)
    bundles.verify(bundle)
    found = find_results(bundle)
    if not found.mine:
        ignored = "; ".join(f"{len(paths):,} {kind}" for kind, paths in found.ignored(found.others).items())
        other = f", or give a file, such as {found.others[-1]}" if found.others else ""
        raise EdgenetError(
            f"{path}: no results of these files on this machine{f' (ignored: {ignored})' if ignored else ''}; "
            f"run `edgenet benchmark {path}`{other}"
        )
    file, results = found.mine[-1]
    newer = [other for other in found.others if age_key(other) > age_key(file)]
    notes = [f"ignored: results {kind}: {_listed(paths)}" for kind, paths in found.ignored(newer).items()]
    manifest = bundle.manifest
    return file, LoadedResults(file, "", results, tuple(notes), manifest.apps, budget=manifest.budget)


def _listed(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - MAX_NAMED:,} more" if len(paths) > MAX_NAMED else ""
    return ", ".join(path.name for path in paths[-MAX_NAMED:]) + more


def _names(results: Sequence[Results]) -> list[str]:
    if len(results) == 1:
        return [results[0].model.name]
    names = [""] * len(results)
    parts: tuple[Callable[[Results], str], ...] = (
        lambda record: record.model.name,
        lambda record: record.machine.cpu,
        lambda record: record.run.created,
    )
    for part in parts:
        if len(set(names)) < len(results) and len(set(map(part, results))) > 1:
            names = [", ".join(filter(None, (name, part(one)))) for name, one in zip(names, results, strict=True)]
    if len(set(names)) < len(results):
        numbered = enumerate(zip(names, results, strict=True), start=1)
        return [f"{name or one.model.name} ({number})" for number, (name, one) in numbered]
    return names
