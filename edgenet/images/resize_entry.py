"""How images are resized, as an entry of a .tflite file's provenance.

TFLite Metadata has no fields for it. Fields with default values are left out. Files of earlier versions of edgenet have
an entry for the crop alone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields

from edgenet.images.input_range import MIN_CROP
from edgenet.records import Interpolation, Resize, ResizeMode

RESIZE, CROP = "resize", "crop"


def write(resize: Resize) -> dict[str, str]:
    """The entries, by their names."""
    default = Resize()
    changed = {name: value for name, value in asdict(resize).items() if value != getattr(default, name)}
    crop = {CROP: repr(changed.pop(CROP))} if CROP in changed else {}
    return {**crop, RESIZE: json.dumps(changed, separators=(",", ":"))} if changed else crop


def read(provenance: Mapping[str, str] | None) -> Resize:
    """The resize that `write` stored; the defaults without one, or where it cannot be read."""
    found = provenance or {}
    try:
        changed = json.loads(found.get(RESIZE, "{}"))
        if CROP in found:
            changed[CROP] = float(found[CROP])
        return _checked(changed)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Resize()


def _checked(changed: dict[str, object]) -> Resize:
    """Raises ValueError or TypeError if a value is impossible. Unknown fields are of a newer version, and refused."""
    kinds = {field.name: field.default for field in fields(Resize)}
    values: dict[str, object] = {}
    for name, value in changed.items():
        default = kinds.get(name)
        if name == "mode":
            values[name] = ResizeMode(value)
        elif name == "interpolation":
            values[name] = Interpolation(value)
        elif name in ("pad", "background"):
            values[name] = None if value is None and name == "background" else _colour(value)
        elif name == CROP and isinstance(value, float) and MIN_CROP <= value <= 1:
            values[name] = float(value)
        elif isinstance(default, bool) and isinstance(value, bool):
            values[name] = value
        else:
            raise ValueError(name)
    return Resize(**values)  # type: ignore[arg-type]


def _colour(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != 3 or not all(type(v) is int and 0 <= v <= 255 for v in value):
        raise ValueError("colour")
    return tuple(value)
