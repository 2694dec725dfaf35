"""Records as JSON: what is written is what is read, and nothing else is taken for it."""

import dataclasses
import hashlib
import json
from types import UnionType
from typing import TypeVar, get_args, get_origin, get_type_hints

from edgenet.errors import EdgenetError
from edgenet.records.bundle import Manifest
from edgenet.records.diagnosis import Diagnosis
from edgenet.records.results import Results

Record = TypeVar("Record", Manifest, Results, Diagnosis)


def to_json(record: Manifest | Results | Diagnosis) -> bytes:
    """A record as JSON: what it is, its format's version, its fields, and a digest that shows a change or a cut."""
    body = {"kind": record.KIND, "format": record.FORMAT, **dataclasses.asdict(record)}
    return (json.dumps({**body, "digest": _digest(body)}, indent=1, ensure_ascii=False) + "\n").encode()


def from_json(kind: type[Record], data: bytes, where: str) -> Record:
    """Read what `to_json` wrote.

    Raises EdgenetError, with `where`, when it is not such a record, of a newer format, cut off or changed.
    """
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EdgenetError(f"{where}: expected an {kind.KIND}, found no whole JSON; make it again") from error
    if not isinstance(body, dict) or body.get("kind") != kind.KIND:
        raise EdgenetError(f"{where}: expected an {kind.KIND}, found another kind of file")
    if body.get("format") != kind.FORMAT:
        older = isinstance(body.get("format"), int) and body["format"] < kind.FORMAT
        raise EdgenetError(
            f"{where}: expected format {kind.FORMAT} of an {kind.KIND}, found {body.get('format')!r}; "
            + ("make it again" if older else "use the edgenet that made it, or a newer one")
        )
    if body.pop("digest", None) != _digest(body):
        raise EdgenetError(f"{where}: expected an {kind.KIND} as it was written, found it changed; make it again")
    try:
        return _build(kind, body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EdgenetError(f"{where}: expected an {kind.KIND}, found fields that do not fit; make it again") from error


def _digest(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _build(kind, value):
    """`value`, as JSON has it, as the type that a field is annotated with."""
    if dataclasses.is_dataclass(kind):
        types = get_type_hints(kind)
        return kind(**{field.name: _build(types[field.name], value[field.name]) for field in dataclasses.fields(kind)})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _build(arguments[0], value)
    if origin is tuple:
        return tuple(_build(arguments[0], item) for item in value)
    if origin is dict:
        return {key: _build(arguments[1], item) for key, item in value.items()}
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
