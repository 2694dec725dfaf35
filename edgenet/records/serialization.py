"""Records as JSON. What is written can be read by this and later versions; anything else is rejected."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from types import UnionType
from typing import Any, NoReturn, TypeVar, cast, get_args, get_origin, get_type_hints

from edgenet.errors import EdgenetError, first_line
from edgenet.records.bundle import Manifest
from edgenet.records.diagnosis import Diagnosis
from edgenet.records.results import Results
from edgenet.records.sweep import Sweep
from edgenet.records.training import Training
from edgenet.records.upgrade import OLDEST, Body, Kind, upgrade
from edgenet.records.values import problems

Record = TypeVar("Record", Manifest, Results, Diagnosis, Sweep, Training)
Part = TypeVar("Part")

# The largest file of each kind, in bytes: 50,000 evaluation images and as many flips fit, and 80,000 entries of a sweep
# (860 bytes each), and a training on 10,000 classes. Reading a file, whatever is in it, takes less
# than 2 GB of memory.
MAX_BYTES: dict[Kind, int] = {
    **{Manifest: 50_000_000, Results: 64_000_000, Diagnosis: 16_000_000, Sweep: 96_000_000},
    Training: 32_000_000,
}
# Objects and lists in one file: an empty one takes 2 bytes there and 64 in memory. Real files have one for 60 bytes or
# more.
MAX_CONTAINERS = 1_500_000
# Commas in one file, about as many as values: real files have one for 16 bytes or more.
MAX_COMMAS = 4_000_000
# What other languages and numpy can represent, too.
MAX_INTEGER = 2**63 - 1
# Characters of a name in an error.
MAX_SHOWN = 40


class _InvalidError(Exception):
    """A part of a record is invalid.

    Attributes:
        path: The names of the fields that lead to it, the outermost first.
    """

    def __init__(self, problem: str):
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def __str__(self) -> str:
        path = ".".join(self.path)[:200].encode("utf-8", "replace").decode()
        return f"{path}: {self.problem}" if path else self.problem


def to_json(record: Manifest | Results | Diagnosis | Sweep | Training) -> bytes:
    """A record as JSON: its kind, the version of its format, its fields, and a digest that reveals changes.

    Raises:
        EdgenetError: A manifest has a file name that is not Unicode text, as names on Linux may be. In other
            records, which show such names to people only, such characters become "?".
    """
    body = {"kind": record.KIND, "format": record.FORMAT, **dataclasses.asdict(record)}
    try:
        return _sealed(body)
    except UnicodeEncodeError as error:
        if isinstance(record, Manifest):
            name = error.object[max(0, error.start - 20) : error.end + 20].encode("utf-8", "replace").decode()
            raise EdgenetError(f"{name!r}: this file name is not UTF-8; rename the file") from error
        return _sealed(json.loads(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")))


def from_json(kind: type[Record], data: bytes, source: str) -> Record:
    """Read what `to_json` wrote, in this or an older format, from `upgrade.OLDEST` on.

    Args:
        kind: The kind of record.
        data: The contents of the file.
        source: The start of error messages.

    Raises:
        EdgenetError: It is not such a record, its format is newer or too old, it is larger than MAX_BYTES, incomplete
            or changed, or has impossible values.
    """
    body = _parse(kind, data, source)
    _check_format(kind, body.get("format"), source)
    try:
        unchanged = body.pop("digest", None) == _digest(body)
    except RecursionError as error:
        raise EdgenetError(f"{source}: not an {kind.KIND} file (nested too deeply)") from error
    if not unchanged:
        raise EdgenetError(f"{source}: this {kind.KIND} file was changed after it was written; create it again")
    try:
        return cast(Record, _build(kind, _upgraded(kind, body)))
    except _InvalidError as error:
        raise EdgenetError(f"{source}: not a valid {kind.KIND} file ({error}); create it again") from error


def from_fields(kind: type[Part], fields: object) -> Part:
    """Build a part of a record from its fields as JSON has them. Fields of other names do not count.

    Args:
        kind: A dataclass of `edgenet.records`.
        fields: What `dataclasses.asdict` gave, after JSON: lists for tuples.

    Raises:
        ValueError: A field is missing, or has another type or an impossible value.
    """
    try:
        return cast(Part, _build(kind, fields))
    except _InvalidError as error:
        raise ValueError(str(error)) from error


def _upgraded(kind: Kind, body: Body) -> Body:
    try:
        return upgrade(kind, body)
    except (KeyError, TypeError, AttributeError) as error:
        raise _InvalidError(f"format {body['format']} without {first_line(error)[:60]}") from error


def _parse(kind: Kind, data: bytes, source: str) -> Body:
    limits = (
        (len(data), MAX_BYTES[kind], "bytes"),
        (data.count(b"{") + data.count(b"["), MAX_CONTAINERS, "objects and lists"),
        (data.count(b","), MAX_COMMAS, "values"),
    )
    for count, maximum, name in limits:
        if count > maximum:
            raise EdgenetError(f"{source}: not an {kind.KIND} file (more than {maximum:,} {name})")
    try:
        body = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except _InvalidError as error:
        raise EdgenetError(f"{source}: not a valid {kind.KIND} file ({error}); create it again") from error
    except (ValueError, RecursionError) as error:
        raise EdgenetError(f"{source}: not an {kind.KIND} file, or incomplete (not valid JSON)") from error
    if not isinstance(body, dict) or body.get("kind") != kind.KIND:
        raise EdgenetError(f"{source}: not an {kind.KIND} file")
    return body


def _refuse_constant(text: str) -> NoReturn:
    raise _InvalidError(f"{text} is not a number")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):  # which of the two counts would depend on the reader
        raise _InvalidError("an object has a field twice")
    return fields


def _check_format(kind: Kind, number: object, source: str) -> None:
    oldest, newest = OLDEST[kind], kind.FORMAT
    if type(number) is int and oldest <= number <= newest:
        return
    readable = f"formats {oldest} to {newest}" if oldest < newest else f"only format {newest}"
    too_old = type(number) is int and number < oldest
    raise EdgenetError(
        f"{source}: this {kind.KIND} file has format {repr(number)[:MAX_SHOWN]}, but {readable} can be read; "
        f"{'create it again' if too_old else 'use the edgenet version that wrote it, or a newer one'}"
    )


def _sealed(body: Body) -> bytes:
    text = json.dumps({**body, "digest": _digest(body)}, indent=1, ensure_ascii=False)
    return (text + "\n").encode()


def _digest(body: Body) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@lru_cache
def _fields(kind: type) -> Sequence[tuple[dataclasses.Field[Any], Any]]:
    types = get_type_hints(kind)
    return [(field, types[field.name]) for field in dataclasses.fields(kind)]


def _build(kind: Any, value: Any) -> Any:
    """Convert a JSON value to the type that a field is annotated with."""
    if dataclasses.is_dataclass(kind):
        return _build_record(cast(type, kind), value)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _build(arguments[0], value)
    if origin is tuple:
        _check_type(value, list)
        return tuple(_build_part(arguments[0], item, str(number)) for number, item in enumerate(value))
    if origin is dict:
        _check_type(value, dict)
        return {_build(str, key): _build_part(arguments[1], item, key) for key, item in value.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind, value)
    return _build_value(kind, value)


def _build_value(kind: type, value: Any) -> Any:
    if kind is float and type(value) is int:
        return _finite(value)
    _check_type(value, kind)
    if kind is float:
        return _finite(value)
    if kind is int and abs(value) > MAX_INTEGER:
        raise _InvalidError("the number is too large")
    if kind is str and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _InvalidError("the text is not Unicode") from error
    return value


def _build_part(kind: Any, value: Any, name: str) -> Any:
    try:
        return _build(kind, value)
    except _InvalidError as error:
        error.path.insert(0, name)
        raise


def _build_record(kind: type, value: Any) -> Any:
    _check_type(value, dict)
    values = {}
    for field, annotation in _fields(kind):
        if field.name in value:
            values[field.name] = _build_part(annotation, value[field.name], field.name)
        elif field.default is dataclasses.MISSING:
            raise _InvalidError(f"{field.name} is missing")
    record = kind(**values)
    for problem in problems(record):
        raise _InvalidError(problem)
    return record


def _member(kind: type[Enum], value: Any) -> Enum:
    _check_type(value, str)
    try:
        return kind(value)
    except ValueError as error:
        choices = [str(member.value) for member in kind]
        text = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise _InvalidError(f"{value[:MAX_SHOWN]!r} is not {text}") from error


def _check_type(value: Any, kind: type) -> None:
    if type(value) is not kind:
        raise _InvalidError(f"{repr(value)[:MAX_SHOWN]} is not of type {kind.__name__}")


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _InvalidError("the number is too large")
    return number
