"""What a .tflite file says of itself in its TFLite Metadata: normalization and class names.

The schema is metadata_schema.fbs of tflite-support; its tables are read here by the numbers of their fields, since no
package that a device needs brings the classes. Class names lie in a text file, zipped onto the end of the model.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.number_types import Float32Flags, Uint8Flags
from flatbuffers.table import Table

from edgenet.errors import EdgenetError
from edgenet.input_range import InputRange
from edgenet.tflite.flatbuffer import IDENTIFIER

ENTRY = b"TFLITE_METADATA"

# Fields by their numbers in the schema.
_SUBGRAPHS = 3  # ModelMetadata
_INPUTS, _OUTPUTS = 2, 3  # SubGraphMetadata
_UNITS, _FILES = 4, 6  # TensorMetadata
_KIND, _OPTIONS = 0, 1  # ProcessUnit
_MEAN, _STD = 0, 1  # NormalizationOptions
_NAME, _TYPE = 0, 2  # AssociatedFile
_NORMALIZATION, _AXIS_LABELS = 1, 2


def said(path: Path) -> tuple[InputRange | None, list[str] | None]:
    """The normalization of a float input, in pixels of 0 to 255, and the class names; None for what is not there.

    Raises EdgenetError when it is no .tflite file.
    """
    data = path.read_bytes()
    if data[4:8] != IDENTIFIER:
        raise EdgenetError(f"{path}: expected a .tflite file, found another kind of file, or only a part of one")
    try:
        return _said(data)
    except Exception:  # damaged or of another form: then the file says nothing
        return None, None


def _said(data: bytes) -> tuple[InputRange | None, list[str] | None]:
    model = schema.Model.GetRootAs(data, 0)
    entries = [model.Metadata(number) for number in range(model.MetadataLength())]
    entry = next((entry for entry in entries if entry.Name() == ENTRY), None)
    if entry is None:
        return None, None
    metadata = bytes(model.Buffers(entry.Buffer()).DataAsNumpy())
    root = Table(bytearray(metadata), flatbuffers.encode.Get(flatbuffers.packer.uoffset, metadata, 0))
    (graph, *_) = _tables(root, _SUBGRAPHS)
    (image, *_), (scores, *_) = _tables(graph, _INPUTS), _tables(graph, _OUTPUTS)
    return _normalization(image), _labels(scores, data)


def _normalization(image: Table) -> InputRange | None:
    for unit in _tables(image, _UNITS):
        if unit.Offset(_place(_KIND)) and unit.Get(Uint8Flags, unit.Offset(_place(_KIND)) + unit.Pos) == _NORMALIZATION:
            options = Table(unit.Bytes, 0)
            unit.Union(options, unit.Offset(_place(_OPTIONS)))
            mean, std = _floats(options, _MEAN), _floats(options, _STD)
            if mean and len(mean) == len(std) and np.isfinite(mean + std).all() and min(std) > 0:
                return InputRange(mean, std)
    return None


def _labels(scores: Table, data: bytes) -> list[str] | None:
    for file in _tables(scores, _FILES):
        kind = file.Offset(_place(_TYPE))
        if kind and file.Get(flatbuffers.number_types.Int8Flags, kind + file.Pos) == _AXIS_LABELS:
            name = file.String(file.Offset(_place(_NAME)) + file.Pos).decode()
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return archive.read(name).decode().splitlines()
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
