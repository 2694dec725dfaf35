"""Cases of results and diagnoses, and damage to records in JSON."""

import json
from pathlib import Path

from base_files import copy
from json_mutations import json_text, json_value, with_digest
from mutations import Random, choose
from path_mutations import PATH_KINDS
from plans import EITHER, REFUSED, Plan, spoil, typed


def same_record(before: bytes, path: Path) -> bool:
    """Whether a record says what it said before."""
    try:
        return json.loads(before) == json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False


def spoil_record(path: Path, random: Random, digest: bool) -> str:
    """Change a record in JSON; with its digest made again, or not."""
    data = path.read_bytes()
    if not digest and random.random() < 0.1:
        path.write_bytes(b"[" * 100_000_000)
        return "100 MB of ["
    if random.random() < 0.35:
        path.write_bytes(json_text(data, random))
        return "text"
    body = json_value(json.loads(data), random)
    path.write_bytes(with_digest(body) if digest else json.dumps(body).encode())
    return "value, digest again" if digest else "value"


def results(base: Path, work: Path, random: Random) -> Plan:
    path = copy(base / "results" / "results.json", work / "results.json")
    damage, path, must = _spoil_json(path, random)
    return _use_results(base, work, random, damage, typed(path, work), must)


def _spoil_json(path: Path, random: Random) -> tuple[str, Path, str]:
    """Damage a record as text, as a path, or as a record with a right digest; and what must become of it."""
    before = path.read_bytes()
    if random.random() < 0.25:
        damage, path = spoil(path, random, 0.4)
        same = damage in PATH_KINDS or (path.is_file() and same_record(before, path))
        return damage, path, EITHER if same else REFUSED
    digest = random.random() < 0.7
    damage = spoil_record(path, random, digest)
    return damage, path, EITHER if digest or same_record(before, path) else REFUSED


def _use_results(base: Path, work: Path, random: Random, damage: str, name: str, must: str) -> Plan:
    copy(base / "results" / "results.json", work / "whole.json")
    limits = ("--max-drift", "0.9", "--max-size", "100", "--min-speedup", "0.001", "--max-accuracy-drop", "0.9")
    arguments, outputs = choose(
        random,
        [
            (("report", name, "--out", "x.md"), ("x.md",)),
            (("report", name, "--out", "x.html"), ("x.html",)),
            (("report", name, "--out", "x.csv"), ("x.csv",)),
            (("report", name, "whole.json", "--out", "x.md"), ("x.md",)),
            (("compare", "whole.json", name), ()),
            (("compare", name, "whole.json", "--no-latency"), ()),
            (("check", name, *limits), ()),
            (("check", name, "whole.json", "--max-drift", "0.9"), ()),
        ],
    )
    return Plan(damage, arguments, must, outputs)


def diagnosis(base: Path, work: Path, random: Random) -> Plan:
    copy(base / "results" / "results.json", work / "results.json")
    path = copy(base / "results" / "diagnosis_int8.json", work / "diagnosis_int8.json")
    damage, _, _ = _spoil_json(path, random)
    suffix = choose(random, ("md", "html"))
    return Plan(damage, ("report", "results.json", "--out", f"x.{suffix}"), EITHER, (f"x.{suffix}",))
