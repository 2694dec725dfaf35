"""Write TFLite Metadata into a .tflite file: what an app needs to prepare an image and to name the predicted class.

The result is what `metadata_writers.image_classifier` of tflite-support writes, without that library, which exists for
few platforms. Two more entries state where the model comes from and which runtime it needs. The reader is
`edgenet.tflite.metadata`.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.convert import runtime_version
from edgenet.convert.metadata_tables import (
    Table,
    build,
    image_table,
    model_table,
    scores_table,
)
from edgenet.errors import EdgenetError
from edgenet.records import Preprocessing
from edgenet.tflite import flatbuffer
from edgenet.tflite.metadata_schema import (
    HALF_ARITHMETIC,
    METADATA_ENTRY,
    PRECISION_ENTRY,
    PROVENANCE_ENTRY,
    RUNTIME_ENTRY,
    ModelMetadata,
)

# The name of the file of class names.
LABELS = "labels.txt"
# The length to which the converter pads the runtime version with zeros.
RUNTIME_BYTES = 16


@dataclass(frozen=True)
class About:
    """Descriptive texts in the metadata. Empty ones are omitted."""

    name: str
    description: str = "Image classifier"
    version: str = "1"
    author: str = "not stated"
    license: str = "not stated"

    def table(self) -> Table:
        """Return the texts as fields of the schema's ModelMetadata."""
        texts = {
            ModelMetadata.NAME: self.name,
            ModelMetadata.DESCRIPTION: self.description,
            ModelMetadata.VERSION: self.version,
            ModelMetadata.AUTHOR: self.author,
            ModelMetadata.LICENSE: self.license,
        }
        return {field: text for field, text in texts.items() if text}


def has_metadata(data: bytes) -> bool:
    """Whether a .tflite file has metadata, a provenance or appended files, all of which `write` replaces."""
    entries = flatbuffer.read(data).metadata or []
    has_entry = any(entry.name in (METADATA_ENTRY, PROVENANCE_ENTRY) for entry in entries)
    return has_entry or zipfile.is_zipfile(io.BytesIO(data))


def write(
    data: bytes,
    about: About,
    recipe: Preprocessing,
    labels: Sequence[str],
    scores: str,
    provenance: Mapping[str, str],
    *,
    half_arithmetic: bool = False,
) -> bytes:
    """Write metadata into a .tflite file, in place of existing metadata. Equal arguments give equal bytes.

    Args:
        data: The .tflite file.
        about: Descriptive texts.
        recipe: The preprocessing of images.
        labels: The class names, in the order of the scores.
        scores: The kind of scores: softmax, sigmoid or logits.
        provenance: Where the model comes from; the names are the caller's.
        half_arithmetic: Whether runtimes may compute in half precision. It is not for quantized files.

    Returns:
        The .tflite file with metadata.

    Raises:
        EdgenetError: A class name is empty or has more than one line.
    """
    for index, label in enumerate(labels):
        if not label or "\n" in label or "\r" in label:
            raise EdgenetError(f"class {index}: expected a name of one line, got {label!r}; rename the class")
    model = flatbuffer.read(data)
    graph = model.subgraphs[0]
    image, output = (flatbuffer.DTYPES[graph.tensors[i].type].name for i in (graph.inputs[0], graph.outputs[0]))
    versions = [value.rstrip(b"\0").decode() for value in _entries(model, RUNTIME_ENTRY)]
    metadata = model_table(about.table(), image_table(recipe, image), scores_table(scores, output, LABELS))
    origin = json.dumps(provenance, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    _set_entry(model, METADATA_ENTRY, build(metadata))
    _set_entry(model, PROVENANCE_ENTRY, origin)
    _remove_entry(model, PRECISION_ENTRY)
    if half_arithmetic:
        _set_entry(model, PRECISION_ENTRY, HALF_ARITHMETIC)
    _set_entry(model, RUNTIME_ENTRY, runtime_version.minimum(model, versions).encode().ljust(RUNTIME_BYTES, b"\0"))
    return _append_file(flatbuffer.write(model), LABELS, "".join(f"{label}\n" for label in labels))


def _entries(model: schema.ModelT, name: bytes) -> list[bytes]:
    """Return the values of all metadata entries of a name."""
    entries = [entry for entry in model.metadata or [] if entry.name == name]
    values = [model.buffers[entry.buffer].data for entry in entries]
    return [b"" if value is None else bytes(value) for value in values]


def _set_entry(model: schema.ModelT, name: bytes, value: bytes) -> None:
    """Store a value as the only entry of a name. Other buffers keep their indices, which tensors refer to."""
    entries = model.metadata or []
    buffers = [entry.buffer for entry in entries if entry.name == name]
    for index in buffers[1:]:
        model.buffers[index] = schema.BufferT()
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, buffers[0] if buffers else len(model.buffers)
    model.buffers[entry.buffer : entry.buffer + 1] = [flatbuffer.make_buffer(np.frombuffer(value, np.uint8))]
    model.metadata = [other for other in entries if other.name != name] + [entry]


def _remove_entry(model: schema.ModelT, name: bytes) -> None:
    """Remove all entries of a name, and what they hold."""
    for entry in model.metadata or []:
        if entry.name == name:
            model.buffers[entry.buffer] = schema.BufferT()
    model.metadata = [entry for entry in model.metadata or [] if entry.name != name]


def _append_file(data: bytes, name: str, text: str) -> bytes:
    """Append a zip archive with a text file. It is uncompressed, as MediaPipe and the Task Library require."""
    output = io.BytesIO()
    output.write(data)
    file = zipfile.ZipInfo(name)  # dated 1980, so that the bytes depend on neither the time nor the system
    file.create_system, file.external_attr = 3, 0o644 << 16
    with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(file, text)
    return output.getvalue()
