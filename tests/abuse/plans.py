"""What a case is, and what the modules of cases share."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mutations import Random, choose, damaged
from path_mutations import PATH_KINDS, spoil_path

# What must become of a case.
REFUSED, EITHER = "refused", "either"


@dataclass(frozen=True)
class Plan:
    """What is tried.

    damage: its name. must: REFUSED or EITHER. outputs: paths, relative to the working folder, that the command may
    write (a folder: all in it). tensorflow: whether the command needs it. check: looks at the working folder of an
    accepted case; returns what is wrong with it.
    """

    damage: str
    arguments: tuple[str, ...]
    must: str = EITHER
    outputs: tuple[str, ...] = ()
    tensorflow: bool = False
    check: Callable[[Path], str | None] | None = None


def finite_results(path: str, agreement: float | None = None) -> Callable[[Path], str | None]:
    """A check that results are JSON with finite numbers, and, with one, that the agreement is that."""

    def check(work: Path) -> str | None:
        def refuse(name: str) -> None:
            raise ValueError(f"{name} in {path}")

        try:
            body = json.loads((work / path).read_bytes(), parse_constant=refuse)
        except (OSError, ValueError) as error:
            return f"no whole results: {error}"
        if agreement is not None:
            found = [one["drift"]["agreement"]["top1"] for one in body["measurements"] if one["drift"]]
            if any(top1 != agreement for top1 in found):
                return f"agreement {found}, not {agreement}"
        return None

    return check


def whole_bundle(name: str) -> Callable[[Path], str | None]:
    def check(work: Path) -> str | None:
        from edgenet.bundle import bundle as bundles
        from edgenet.errors import EdgenetError

        try:
            bundles.verify(bundles.load(work / name))
        except EdgenetError as error:
            return f"the bundle does not verify: {error}"
        return None

    return check


def spoil(path: Path, random: Random, paths: float = 0.15) -> tuple[str, Path]:
    """Damage a file, or, in a part of all cases, its path. Returns the name of the damage, and the path then."""
    if random.random() < paths:
        kind = choose(random, PATH_KINDS)
        return kind, spoil_path(path, kind)
    kind, data = damaged(path.read_bytes(), random)
    path.write_bytes(data)
    return kind, path


def typed(path: Path, work: Path) -> str:
    """A path as a user types it."""
    name = os.path.relpath(path, work) if path.parent != work else path.name
    return f"./{name}" if name.startswith("-") else name
