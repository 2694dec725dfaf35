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
    versions = [value.rstrip(b"\0").decode() for value in flatbuffer.metadata_entries(model, RUNTIME_ENTRY)]
    metadata = model_table(about.table(), image_table(recipe, image), scores_table(scores, output, LABELS))
    origin = json.dumps(provenance, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    flatbuffer.set_metadata_entry(model, METADATA_ENTRY, build(metadata))
    flatbuffer.set_metadata_entry(model, PROVENANCE_ENTRY, origin)
    flatbuffer.remove_metadata_entry(model, PRECISION_ENTRY)
    if half_arithmetic:
        flatbuffer.set_metadata_entry(model, PRECISION_ENTRY, HALF_ARITHMETIC)
    flatbuffer.set_metadata_entry(
        model, RUNTIME_ENTRY, runtime_version.minimum(model, versions).encode().ljust(RUNTIME_BYTES, b"\0")
    )
    return _append_file(flatbuffer.write(model), LABELS, "".join(f"{label}\n" for label in labels))


def _append_file(data: bytes, name: str, text: str) -> bytes:
    """Append a zip archive with a text file. It is uncompressed, as MediaPipe and the Task Library require."""
    output = io.BytesIO()
    output.write(data)
    file = zipfile.ZipInfo(name)  # dated 1980, so that the bytes depend on neither the time nor the system
    file.create_system, file.external_attr = 3, 0o644 << 16
    with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(file, text)
    return output.getvalue()
