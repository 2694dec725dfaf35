"""Records as JSON: what is written is what is read, now or by a later edgenet, and nothing else is taken for it."""

import dataclasses
import hashlib
import json
import math
from functools import lru_cache
from types import UnionType
from typing import TypeVar, get_args, get_origin, get_type_hints

from edgenet.errors import EdgenetError
from edgenet.records.bundle import Manifest
from edgenet.records.diagnosis import Diagnosis
from edgenet.records.results import Results
from edgenet.records.upgrade import OLDEST, upgrade
from edgenet.records.values import problems

Record = TypeVar("Record", Manifest, Results, Diagnosis)

# The largest file of each kind, in bytes: 50,000 evaluation images and as many flips fit, and reading one, whatever is
# in it, takes less than 2 GB of memory. A file that is larger is none of ours, and need not be read to its end.
MAX_BYTES = {Manifest: 50_000_000, Results: 64_000_000, Diagnosis: 16_000_000}
# Objects and lists in one file: an empty one takes 2 bytes there and 64 in memory. Ours have one for 60 bytes or more.
MAX_CONTAINERS = 1_500_000
# Commas in one file, about as many as values: ours have one for 16 bytes or more.
MAX_COMMAS = 4_000_000
# What other languages and numpy can hold, too.
MAX_INTEGER = 2**63 - 1


class _MisfitError(Exception):
    """A part of a record that cannot be: path: where, from the outside in."""

    def __init__(self, problem: str):
        super().__init__(problem)
        self.path: list[str] = []

    def __str__(self) -> str:
        where = ".".join(self.path)[:200].encode("utf-8", "replace").decode()
        return f"{where}: {self.args[0]}" if where else self.args[0]


def to_json(record: Manifest | Results | Diagnosis) -> bytes:
    """A record as JSON: what it is, its format's version, its fields, and a digest that shows a change or a cut.

    Raises EdgenetError when a manifest has a name that is not Unicode text, as file names on Linux may be; in results
    and diagnoses, which name files for people only, ? stands for such characters.
    """
    body = {"kind": record.KIND, "format": record.FORMAT, **dataclasses.asdict(record)}
    try:
        return _sealed(body)
    except UnicodeEncodeError as error:
        if isinstance(record, Manifest):
            name = error.object[max(0, error.start - 20) : error.end + 20].encode("utf-8", "replace").decode()
            raise EdgenetError(f"{name!r}: this file name is not UTF-8; rename the file") from error
        return _sealed(json.loads(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")))


def from_json(kind: type[Record], data: bytes, where: str) -> Record:
    """Read what `to_json` wrote, now or in an older format from `upgrade.OLDEST` on.

    Raises EdgenetError, with `where`, when it is not such a record, of a newer or too old a format, larger than
    MAX_BYTES, cut off or changed, or has values that cannot be.
    """
    body = _parse(kind, data, where)
    _check_format(kind, body.get("format"), where)
    try:
        whole = body.pop("digest", None) == _digest(body)
    except RecursionError as error:
        raise EdgenetError(f"{where}: expected an {kind.KIND}, found no whole JSON; make it again") from error
    if not whole:
        raise EdgenetError(f"{where}: expected an {kind.KIND} as it was written, found it changed; make it again")
    try:
        return _build(kind, upgrade(kind, body))
    except _MisfitError as error:
        raise EdgenetError(
            f"{where}: expected an {kind.KIND}, found fields that do not fit ({error}); make it again"
        ) from error


def _parse(kind: type, data: bytes, where: str) -> dict:
    expected = f"{where}: expected an {kind.KIND}, found"
    if len(data) > MAX_BYTES[kind]:
        raise EdgenetError(f"{expected} more than {MAX_BYTES[kind]:,} bytes; use another file")
    if data.count(b"{") + data.count(b"[") > MAX_CONTAINERS:
        raise EdgenetError(f"{expected} more than {MAX_CONTAINERS:,} objects and lists; use another file")
    if data.count(b",") > MAX_COMMAS:
        raise EdgenetError(f"{expected} more than {MAX_COMMAS:,} values; use another file")
    try:
        body = json.loads(data.decode("utf-8-sig"), parse_constant=_no_number, object_pairs_hook=_object)
    except _MisfitError as error:
        raise EdgenetError(f"{expected} {error.args[0]}; make it again") from error
    except (ValueError, RecursionError) as error:
        raise EdgenetError(f"{expected} no whole JSON; make it again") from error
    if not isinstance(body, dict) or body.get("kind") != kind.KIND:
        raise EdgenetError(f"{expected} another kind of file")
    return body


def _no_number(text: str) -> float:
    raise _MisfitError(f"{text} for a number")


def _object(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):  # which of the two counts would depend on the reader
        raise _MisfitError("a field that occurs twice in one object")
    return found


def _check_format(kind: type, found: object, where: str) -> None:
    oldest, newest = OLDEST[kind], kind.FORMAT
    if type(found) is int and oldest <= found <= newest:
        return
    formats = f"format {newest}" if oldest == newest else f"format {oldest} to {newest}"
    raise EdgenetError(
        f"{where}: expected {formats} of an {kind.KIND}, found {repr(found)[:40]}; "
        + ("make it again" if type(found) is int and found < oldest else "use the edgenet that made it, or a newer one")
    )


def _sealed(body: dict) -> bytes:
    text = json.dumps({**body, "digest": _digest(body)}, indent=1, ensure_ascii=False)
    return (text + "\n").encode()


def _digest(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@lru_cache
def _fields(kind: type) -> list[tuple[dataclasses.Field, object]]:
    types = get_type_hints(kind)
    return [(field, types[field.name]) for field in dataclasses.fields(kind)]


def _build(kind, value):
    """`value`, as JSON has it, as the type that a field is annotated with."""
    if dataclasses.is_dataclass(kind):
        return _record(kind, value)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _build(arguments[0], value)
    if origin is tuple:
        _check_type(value, list)
        return tuple(_part(arguments[0], item, str(number)) for number, item in enumerate(value))
    if origin is dict:
        _check_type(value, dict)
        return {_build(str, key): _part(arguments[1], item, key) for key, item in value.items()}
    if kind is float and type(value) is int:
        return _finite(value)
    _check_type(value, kind)
    if kind is float:
        return _finite(value)
    if kind is int and abs(value) > MAX_INTEGER:
        raise _MisfitError("a number that is too large")
    if kind is str and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _MisfitError("text that is not Unicode") from error
    return value


def _part(kind, value, name: str):
    try:
        return _build(kind, value)
    except _MisfitError as error:
        error.path.insert(0, name)
        raise


def _record(kind: type, value):
    _check_type(value, dict)
    given = {}
    for field, annotation in _fields(kind):
        if field.name in value:
            given[field.name] = _part(annotation, value[field.name], field.name)
        elif field.default is dataclasses.MISSING:
            raise _MisfitError(f"no {field.name}")
    made = kind(**given)
    for problem in problems(made):
        raise _MisfitError(problem)
    return made


def _check_type(value, kind: type) -> None:
    if type(value) is not kind:
        raise _MisfitError(f"{repr(value)[:40]} is no {kind.__name__}")


def _finite(value: float) -> float:
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise _MisfitError("a number that is too large")
    return found
