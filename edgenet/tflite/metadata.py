"""What a .tflite file says of itself in its TFLite Metadata: normalization, class names, and where it comes from.

The writer is `edgenet.convert.metadata`. Class names lie in a text file, zipped onto the end of the model.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.number_types import Float32Flags, Int8Flags, Uint8Flags
from flatbuffers.table import Table

from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.tflite.flatbuffer import IDENTIFIER
from edgenet.tflite.metadata_schema import (
    ENTRY,
    PROVENANCE,
    AssociatedFile,
    ModelMetadata,
    NormalizationOptions,
    ProcessUnit,
    SubGraphMetadata,
    TensorMetadata,
)

# Of the file of class names: far more than any model has. A few bytes can be zipped gigabytes.
MAX_LABELS_BYTES = 16_000_000


def said(path: Path) -> tuple[InputRange | None, list[str] | None]:
    """The normalization of a float input, in pixels of 0 to 255, and the class names; None for what is not there.

    Raises EdgenetError when it is no .tflite file.
    """
    data = _read(path)
    try:
        return _said(data)
    except Exception:  # damaged or of another form: then the file says nothing
        return None, None


def provenance(path: Path) -> dict[str, str] | None:
    """Where the model comes from, as edgenet's export wrote it; None when it did not.

    Raises EdgenetError when it is no .tflite file.
    """
    return _provenance(_read(path)) or None


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    if data[4:8] != IDENTIFIER:
        raise EdgenetError(f"{path}: expected a .tflite file, found another kind of file, or only a part of one")
    return data


def _entry(data: bytes, name: bytes) -> bytes | None:
    """What a model has under a name."""
    model = schema.Model.GetRootAs(data, 0)
    entries = (model.Metadata(number) for number in range(model.MetadataLength()))
    entry = next((entry for entry in entries if entry.Name() == name), None)
    return None if entry is None else bytes(model.Buffers(entry.Buffer()).DataAsNumpy())


def _provenance(data: bytes) -> dict[str, str]:
    """Empty where it is not there, or damaged."""
    try:
        found = json.loads(_entry(data, PROVENANCE))
    except Exception:
        return {}
    return found if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()) else {}


def _said(data: bytes) -> tuple[InputRange | None, list[str] | None]:
    metadata = _entry(data, ENTRY)
    if metadata is None:
        return None, None
    root = Table(bytearray(metadata), flatbuffers.encode.Get(flatbuffers.packer.uoffset, metadata, 0))
    (graph, *_) = _tables(root, ModelMetadata.SUBGRAPHS)
    (image, *_), (scores, *_) = _tables(graph, SubGraphMetadata.INPUTS), _tables(graph, SubGraphMetadata.OUTPUTS)
    order = _provenance(data).get("channel_order", "RGB")
    return _normalization(image, order), _labels(scores, data)


def _normalization(image: Table, order: str) -> InputRange | None:
    for unit in _tables(image, TensorMetadata.UNITS):
        kind = unit.Offset(_place(ProcessUnit.KIND))
        if kind and unit.Get(Uint8Flags, kind + unit.Pos) == ProcessUnit.NORMALIZATION:
            options = Table(unit.Bytes, 0)
            unit.Union(options, unit.Offset(_place(ProcessUnit.OPTIONS)))
            mean, std = _floats(options, NormalizationOptions.MEAN), _floats(options, NormalizationOptions.STD)
            if mean and len(mean) == len(std) and np.isfinite(mean + std).all() and min(std) > 0:
                return InputRange(mean, std, order)
    return None


def _labels(scores: Table, data: bytes) -> list[str] | None:
    for file in _tables(scores, TensorMetadata.FILES):
        kind = file.Offset(_place(AssociatedFile.TYPE))
        if kind and file.Get(Int8Flags, kind + file.Pos) == AssociatedFile.AXIS_LABELS:
            name = file.String(file.Offset(_place(AssociatedFile.NAME)) + file.Pos).decode()
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if archive.getinfo(name).file_size > MAX_LABELS_BYTES:
                    return None
                # Not `splitlines`: a name may have what Python takes for a line's end, such as U+2028, and C++ not.
                lines = archive.read(name).decode().replace("\r\n", "\n").split("\n")
            return lines if lines[-1] else lines[:-1]
    return None


def _place(field: int) -> int:
    """Where a table's index has a field."""
    return 4 + 2 * field


def _tables(table: Table, field: int) -> Iterator[Table]:
    offset = table.Offset(_place(field))
    if offset:
        start = table.Vector(offset)
        for number in range(table.VectorLen(offset)):
            yield Table(table.Bytes, table.Indirect(start + 4 * number))


def _floats(table: Table, field: int) -> tuple[float, ...]:
    offset = table.Offset(_place(field))
    if not offset:
        return ()
    start = table.Vector(offset)
    return tuple(table.Get(Float32Flags, start + 4 * number) for number in range(table.VectorLen(offset)))
