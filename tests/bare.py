"""A .tflite file as a converter leaves it: it says nothing of itself."""

from edgenet.tflite import flatbuffer
from edgenet.tflite.metadata_schema import METADATA_ENTRY, PROVENANCE_ENTRY


def bare(data: bytes) -> bytes:
    """`data` without TFLite Metadata, without a provenance, and without the file of class names at its end."""
    model = flatbuffer.read(data)
    model.metadata = [entry for entry in model.metadata if entry.name not in (METADATA_ENTRY, PROVENANCE_ENTRY)]
    return flatbuffer.write(model)
