"""How images are resized, as an entry of a .tflite file's provenance.

TFLite Metadata has no fields for it. Fields with default values are left out. Files of earlier versions of edgenet have
an entry for the crop alone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields

from edgenet.images.input_range import MIN_CROP
from edgenet.records import Resize
from edgenet.records.serialization import from_fields

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
    """Raises ValueError if a value is impossible, or a field unknown: it is of a newer version."""
    if not changed.keys() <= {field.name for field in fields(Resize)}:
        raise ValueError("an unknown field")
    resize = from_fields(Resize, changed)
    if not MIN_CROP <= resize.crop <= 1:
        raise ValueError("crop")
    return resize
