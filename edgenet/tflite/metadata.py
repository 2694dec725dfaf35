"""Read the TFLite Metadata of a .tflite file: the normalization, the class names, and edgenet's provenance.

The writer is `edgenet.convert.metadata`. The class names are in a text file in a zip archive at the end of the model.
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
    METADATA_ENTRY,
    PROVENANCE_ENTRY,
    AssociatedFile,
    ModelMetadata,
    NormalizationOptions,
    ProcessUnit,
    SubGraphMetadata,
    TensorMetadata,
)

# Far more than the class names of any model take. A zip archive of a few kilobytes can expand to gigabytes.
MAX_LABELS_BYTES = 16_000_000


def read_metadata(path: Path) -> tuple[InputRange | None, list[str] | None]:
    """Read the normalization and the class names of a .tflite file.

    Args:
        path: The file.

    Returns:
        The normalization of a float input, for pixels from 0 to 255, and the class names in the order of the scores.
        Each is None if the file does not contain it, or if it is damaged.

    Raises:
        EdgenetError: Not a .tflite file.
    """
    data = _read(path)
    try:
        return _read_metadata(data)
    except Exception:  # flatbuffers and zipfile raise many kinds for damaged data
        return None, None


def read_provenance(path: Path) -> dict[str, str] | None:
    """Read where the model comes from, as edgenet's export wrote it into the file.

    Args:
        path: The .tflite file.

    Returns:
        The entries, such as `weights_sha256`; None for a file that edgenet did not write.

    Raises:
        EdgenetError: Not a .tflite file.
    """
    return _parse_provenance(_read(path)) or None


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    if data[4:8] != IDENTIFIER:
        raise EdgenetError(f"{path}: not a .tflite file, or only a part of one; copy or export it again")
    return data


def _entry(data: bytes, name: bytes) -> bytes | None:
    """Return the contents of a metadata entry of the model."""
    model = schema.Model.GetRootAs(data, 0)
    entries = (model.Metadata(index) for index in range(model.MetadataLength()))
    entry = next((entry for entry in entries if entry.Name() == name), None)
    return None if entry is None else bytes(model.Buffers(entry.Buffer()).DataAsNumpy())


def _parse_provenance(data: bytes) -> dict[str, str]:
    """Return the provenance; empty if it is missing or damaged."""
    try:
        values = json.loads(_entry(data, PROVENANCE_ENTRY) or b"{}")
    except Exception:  # flatbuffers and json raise many kinds for damaged data
        return {}
    return values if isinstance(values, dict) and all(isinstance(value, str) for value in values.values()) else {}


def _read_metadata(data: bytes) -> tuple[InputRange | None, list[str] | None]:
    metadata = _entry(data, METADATA_ENTRY)
    if metadata is None:
        return None, None
    root = Table(bytearray(metadata), flatbuffers.encode.Get(flatbuffers.packer.uoffset, metadata, 0))
    (graph, *_) = _tables(root, ModelMetadata.SUBGRAPHS)
    (image, *_), (scores, *_) = _tables(graph, SubGraphMetadata.INPUTS), _tables(graph, SubGraphMetadata.OUTPUTS)
    order = _parse_provenance(data).get("channel_order", "RGB")
    return _normalization(image, order), _labels(scores, data)


def _normalization(image: Table, order: str) -> InputRange | None:
    for unit in _tables(image, TensorMetadata.UNITS):
        kind = unit.Offset(_vtable_offset(ProcessUnit.KIND))
        if kind and unit.Get(Uint8Flags, kind + unit.Pos) == ProcessUnit.NORMALIZATION:
            options = Table(unit.Bytes, 0)
            unit.Union(options, unit.Offset(_vtable_offset(ProcessUnit.OPTIONS)))
            mean, std = _floats(options, NormalizationOptions.MEAN), _floats(options, NormalizationOptions.STD)
            if mean and len(mean) == len(std) and np.isfinite(mean + std).all() and min(std) > 0:
                return InputRange(mean, std, order)
    return None


def _labels(scores: Table, data: bytes) -> list[str] | None:
    for file in _tables(scores, TensorMetadata.FILES):
        kind = file.Offset(_vtable_offset(AssociatedFile.TYPE))
        if kind and file.Get(Int8Flags, kind + file.Pos) == AssociatedFile.AXIS_LABELS:
            name = file.String(file.Offset(_vtable_offset(AssociatedFile.NAME)) + file.Pos).decode()
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if archive.getinfo(name).file_size > MAX_LABELS_BYTES:
                    return None
                # Not `splitlines`, which also splits at characters such as U+2028; the C++ libraries do not.
                lines = archive.read(name).decode().replace("\r\n", "\n").split("\n")
            return lines if lines[-1] else lines[:-1]
    return None


def _vtable_offset(field: int) -> int:
    """Return the offset of a field's entry in the vtable of a FlatBuffers table."""
    return 4 + 2 * field


def _tables(table: Table, field: int) -> Iterator[Table]:
    offset = table.Offset(_vtable_offset(field))
    if offset:
        start = table.Vector(offset)
        for index in range(table.VectorLen(offset)):
            yield Table(table.Bytes, table.Indirect(start + 4 * index))


def _floats(table: Table, field: int) -> tuple[float, ...]:
    offset = table.Offset(_vtable_offset(field))
    if not offset:
        return ()
    start = table.Vector(offset)
    return tuple(table.Get(Float32Flags, start + 4 * index) for index in range(table.VectorLen(offset)))
