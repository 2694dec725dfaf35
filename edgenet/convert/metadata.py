"""TFLite Metadata into a .tflite file: what an app needs to show it a picture and to name what it sees.

It is what `metadata_writers.image_classifier` of tflite-support writes, without that library, which few platforms have;
the reader is `edgenet.tflite.metadata`. Beside it: where the model comes from, and which runtime it needs.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.convert import runtime_version
from edgenet.errors import EdgenetError
from edgenet.records import Preprocessing
from edgenet.tflite import flatbuffer
from edgenet.tflite.metadata_schema import (
    ENTRY,
    IDENTIFIER,
    PROVENANCE,
    RUNTIME,
    AssociatedFile,
    Content,
    ImageProperties,
    ModelMetadata,
    NormalizationOptions,
    ProcessUnit,
    ScoreThresholdingOptions,
    Stats,
    SubGraphMetadata,
    TensorMetadata,
)

LABELS = "labels.txt"
# Nothing that is written here came after the schema's first version: metadata_version.cc of tflite-support.
MIN_PARSER_VERSION = "1.0.0"
# Of scores that have no end, the least that is worth telling.
LOWEST = -1e30
# Bytes that the converter keeps for the version of the runtime, filled up with zeros.
RUNTIME_BYTES = 16
# The ends of integers, which do not depend on the normalization: as in metadata_info.py of tflite-support, which has
# those of uint8 and writes none for int8.
_ENDS = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}

# A table of the schema: by the numbers of its fields, an int of 8 bits, a float, a string, floats, another table, or
# tables.
_Table = dict[int, Any]


@dataclass(frozen=True)
class About:
    """What a model says of itself to people. What is empty is left out."""

    name: str
    description: str = "Image classifier"
    version: str = "1"
    author: str = "not stated"
    license: str = "not stated"


def carried(data: bytes) -> bool:
    """Whether a .tflite file has metadata, a provenance, or files at its end: what `write` replaces."""
    entries = flatbuffer.read(data).metadata or []
    return any(entry.name in (ENTRY, PROVENANCE) for entry in entries) or zipfile.is_zipfile(io.BytesIO(data))


def write(
    data: bytes,
    about: About,
    recipe: Preprocessing,
    labels: Sequence[str],
    scores: str,
    provenance: Mapping[str, str],
) -> bytes:
    """The .tflite file `data` with metadata, in the place of those that it may have. The same for the same arguments.

    recipe: from a picture to the input. labels: the class names, in the order of the output. scores: what the output
    is: softmax, sigmoid or logits. provenance: by names that the caller chooses.

    Raises EdgenetError when a label is empty or has more than one line.
    """
    for number, label in enumerate(labels):
        if not label or "\n" in label or "\r" in label:
            raise EdgenetError(f"class {number}: expected a name of one line, found {label!r}; rename it in the labels")
    model = flatbuffer.read(data)
    graph = model.subgraphs[0]
    image, output = (flatbuffer.DTYPES[graph.tensors[i].type].name for i in (graph.inputs[0], graph.outputs[0]))
    written = [value.rstrip(b"\0").decode() for value in _taken(model, RUNTIME)]
    _put(model, ENTRY, _metadata(about, _image(recipe, image), _scores(scores, output)))
    _put(model, PROVENANCE, json.dumps(provenance, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode())
    _put(model, RUNTIME, runtime_version.minimum(model, written).encode().ljust(RUNTIME_BYTES, b"\0"))
    return _with_file(flatbuffer.write(model), LABELS, "".join(f"{label}\n" for label in labels))


def _image(recipe: Preprocessing, dtype: str) -> _Table:
    mean, std = recipe.mean, recipe.std
    if len({*zip(mean, std, strict=True)}) == 1:
        mean, std = mean[:1], std[:1]
    low, high = ([(end - m) / s for m, s in zip(mean, std, strict=True)] for end in (0, 255))
    if dtype in _ENDS:
        low, high = ([end] for end in _ENDS[dtype])
    colours = "grey" if recipe.channels == 1 else recipe.order
    # BGR is none of the schema's: as unknown, libraries refuse the model instead of mixing red up with blue.
    spaces = {"grey": ImageProperties.GRAYSCALE, "RGB": ImageProperties.RGB}
    return {
        TensorMetadata.NAME: "image",
        TensorMetadata.DESCRIPTION: f"Picture to be classified, {colours}, {recipe.height} x {recipe.width} pixels: "
        f"{recipe.resize}; crop {recipe.crop:g}",
        TensorMetadata.CONTENT: {
            Content.KIND: Content.IMAGE,
            Content.PROPERTIES: {ImageProperties.COLOR_SPACE: spaces.get(colours, ImageProperties.UNKNOWN)},
        },
        # "Quantized models share the same normalization parameters as their corresponding float models", says the
        # schema: an integer input is then quantized by its scale and zero point, which gives the pixels themselves.
        TensorMetadata.UNITS: [
            {
                ProcessUnit.KIND: ProcessUnit.NORMALIZATION,
                ProcessUnit.OPTIONS: {NormalizationOptions.MEAN: mean, NormalizationOptions.STD: std},
            }
        ],
        TensorMetadata.STATS: {Stats.MAX: high, Stats.MIN: low},
    }


def _scores(kind: str, dtype: str) -> _Table:
    name, description = {
        "softmax": ("probability", "Probability of each class; together 1"),
        "sigmoid": ("probability", "Probability of each class by itself"),
        "logits": ("logits", "Score of each class, from minus to plus infinity; the highest is the likeliest"),
    }[kind]
    table = {
        TensorMetadata.NAME: name,
        TensorMetadata.DESCRIPTION: description,
        TensorMetadata.CONTENT: {Content.KIND: Content.FEATURE, Content.PROPERTIES: {}},
        TensorMetadata.FILES: [
            {
                AssociatedFile.NAME: LABELS,
                AssociatedFile.DESCRIPTION: "Names of the classes, one on each line, in the order of the scores",
                AssociatedFile.TYPE: AssociatedFile.AXIS_LABELS,
            }
        ],
    }
    if kind == "logits":
        # Without, the Task Library gives no class below 0.
        lowest = {ScoreThresholdingOptions.GLOBAL: LOWEST}
        table[TensorMetadata.UNITS] = [{ProcessUnit.KIND: ProcessUnit.THRESHOLD, ProcessUnit.OPTIONS: lowest}]
    else:
        low, high = _ENDS.get(dtype, (0.0, 1.0))
        table[TensorMetadata.STATS] = {Stats.MAX: [high], Stats.MIN: [low]}
    return table


def _metadata(about: About, image: _Table, scores: _Table) -> bytes:
    texts = {
        ModelMetadata.NAME: about.name,
        ModelMetadata.DESCRIPTION: about.description,
        ModelMetadata.VERSION: about.version,
        ModelMetadata.AUTHOR: about.author,
        ModelMetadata.LICENSE: about.license,
        ModelMetadata.MIN_PARSER_VERSION: MIN_PARSER_VERSION,
    }
    graph = {SubGraphMetadata.INPUTS: [image], SubGraphMetadata.OUTPUTS: [scores]}
    root = {field: text for field, text in texts.items() if text} | {ModelMetadata.SUBGRAPHS: [graph]}
    builder = flatbuffers.Builder()
    builder.Finish(_add(builder, root), IDENTIFIER)
    return bytes(builder.Output())


def _add(builder: flatbuffers.Builder, value: str | Sequence[float] | _Table | Sequence[_Table]) -> int:
    """Write what a field refers to, and before it what that refers to, and give its place."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, dict):
        places = {
            field: part if isinstance(part, int | float) else _add(builder, part) for field, part in value.items()
        }
        builder.StartObject(max(value, default=-1) + 1)
        for field, place in places.items():
            if isinstance(value[field], int):
                builder.PrependInt8Slot(field, place, 0)
            elif isinstance(value[field], float):
                builder.PrependFloat32Slot(field, place, 0.0)
            else:
                builder.PrependUOffsetTRelativeSlot(field, place, 0)
        return builder.EndObject()
    if not isinstance(value[0], dict):
        return builder.CreateNumpyVector(np.asarray(value, np.float32))
    tables = [_add(builder, table) for table in value]
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return builder.EndVector()


def _taken(model: schema.ModelT, name: bytes) -> list[bytes]:
    """What a model has under a name."""
    entries = [entry for entry in model.metadata or [] if entry.name == name]
    data = [model.buffers[entry.buffer].data for entry in entries]
    return [b"" if values is None else bytes(values) for values in data]


def _put(model: schema.ModelT, name: bytes, value: bytes) -> None:
    """Store a value under a name, once. The buffers of others keep their numbers, by which tensors know them."""
    entries = model.metadata or []
    places = [entry.buffer for entry in entries if entry.name == name]
    for place in places[1:]:
        model.buffers[place] = schema.BufferT()
    made = schema.MetadataT()
    made.name, made.buffer = name, places[0] if places else len(model.buffers)
    model.buffers[made.buffer : made.buffer + 1] = [flatbuffer.buffer(np.frombuffer(value, np.uint8))]
    model.metadata = [entry for entry in entries if entry.name != name] + [made]


def _with_file(data: bytes, name: str, text: str) -> bytes:
    """A model with a text file zipped onto its end: not compressed, or MediaPipe and the Task Library refuse it."""
    whole = io.BytesIO()
    whole.write(data)
    file = zipfile.ZipInfo(name)  # of 1980, whenever and on whatever system it is made
    file.create_system, file.external_attr = 3, 0o644 << 16
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(file, text)
    return whole.getvalue()
