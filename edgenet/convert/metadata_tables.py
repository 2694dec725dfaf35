"""The tables of TFLite Metadata that describe an image classifier, and their encoding as a flatbuffer.

The tables are those of metadata_schema.fbs of tflite-support, version 1.5.0 (`edgenet.tflite.metadata_schema`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np

from edgenet.images import resize_options
from edgenet.records import Preprocessing
from edgenet.tflite.metadata_schema import (
    METADATA_IDENTIFIER,
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

# A table of the schema. The keys are field numbers; a value is an 8-bit int, a float, a string, a list of floats,
# another table or a list of tables.
Table = dict[int, Any]

# Every field used here is in the schema's first version (metadata_version.cc of tflite-support).
MIN_PARSER_VERSION = "1.0.0"
# The score threshold for logits, which have no lower limit.
MIN_LOGIT = -1e30
# The limits of integer tensors, which do not depend on the normalization. Those of uint8 are as in metadata_info.py of
# tflite-support, which writes none for int8.
_INTEGER_LIMITS = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}


def image_table(recipe: Preprocessing, dtype: str) -> Table:
    """Return the TensorMetadata of the input.

    Args:
        recipe: The preprocessing of images.
        dtype: The dtype of the input.
    """
    mean, std = recipe.mean, recipe.std
    if len({*zip(mean, std, strict=True)}) == 1:
        mean, std = mean[:1], std[:1]
    low, high = ([(limit - m) / s for m, s in zip(mean, std, strict=True)] for limit in (0, 255))
    if dtype in _INTEGER_LIMITS:
        low, high = ([limit] for limit in _INTEGER_LIMITS[dtype])
    colours = "grey" if recipe.channels == 1 else recipe.order
    # The schema has no BGR. With an unknown colour space, libraries reject the model instead of swapping red and blue.
    spaces = {"grey": ImageProperties.GRAYSCALE, "RGB": ImageProperties.RGB}
    return {
        TensorMetadata.NAME: "image",
        TensorMetadata.DESCRIPTION: f"Image to be classified, {colours}, {recipe.height} x {recipe.width} pixels: "
        f"{resize_options.describe(recipe.resize)}",
        TensorMetadata.CONTENT: {
            Content.KIND: Content.IMAGE,
            Content.PROPERTIES: {ImageProperties.COLOR_SPACE: spaces.get(colours, ImageProperties.UNKNOWN)},
        },
        # The schema says: "Quantized models share the same normalization parameters as their corresponding float
        # models". Libraries then quantize the normalized image by the input's scale and zero point, which gives the
        # pixels again.
        TensorMetadata.UNITS: [
            {
                ProcessUnit.KIND: ProcessUnit.NORMALIZATION,
                ProcessUnit.OPTIONS: {NormalizationOptions.MEAN: mean, NormalizationOptions.STD: std},
            }
        ],
        TensorMetadata.STATS: {Stats.MAX: high, Stats.MIN: low},
    }


def scores_table(kind: str, dtype: str, labels: str) -> Table:
    """Return the TensorMetadata of the output.

    Args:
        kind: The kind of scores: softmax, sigmoid or logits.
        dtype: The dtype of the output.
        labels: The name of the file of class names.
    """
    name, description = {
        "softmax": ("probability", "Probability of each class; they sum to 1"),
        "sigmoid": ("probability", "Probability of each class, independent of the others"),
        "logits": ("logits", "Logit of each class: unbounded; the highest is the most likely class"),
    }[kind]
    table: Table = {
        TensorMetadata.NAME: name,
        TensorMetadata.DESCRIPTION: description,
        TensorMetadata.CONTENT: {Content.KIND: Content.FEATURE, Content.PROPERTIES: {}},
        TensorMetadata.FILES: [
            {
                AssociatedFile.NAME: labels,
                AssociatedFile.DESCRIPTION: "Names of the classes, one on each line, in the order of the scores",
                AssociatedFile.TYPE: AssociatedFile.AXIS_LABELS,
            }
        ],
    }
    if kind == "logits":
        # Without a threshold, the Task Library omits classes whose score is below 0.
        threshold = {ScoreThresholdingOptions.GLOBAL: MIN_LOGIT}
        table[TensorMetadata.UNITS] = [{ProcessUnit.KIND: ProcessUnit.THRESHOLD, ProcessUnit.OPTIONS: threshold}]
    else:
        low, high = _INTEGER_LIMITS.get(dtype, (0.0, 1.0))
        table[TensorMetadata.STATS] = {Stats.MAX: [high], Stats.MIN: [low]}
    return table


def model_table(about: Mapping[int, str], image: Table, scores: Table) -> Table:
    """Return the ModelMetadata.

    Args:
        about: Its descriptive texts, by field.
        image: The input's table.
        scores: The output's table.
    """
    graph = {SubGraphMetadata.INPUTS: [image], SubGraphMetadata.OUTPUTS: [scores]}
    version = {ModelMetadata.MIN_PARSER_VERSION: MIN_PARSER_VERSION}
    return {**about, **version, ModelMetadata.SUBGRAPHS: [graph]}


def build(table: Table) -> bytes:
    """Return a ModelMetadata table as the bytes of a flatbuffer."""
    builder = flatbuffers.Builder()
    builder.Finish(_add(builder, table), METADATA_IDENTIFIER)
    return bytes(builder.Output())


def _add(builder: flatbuffers.Builder, value: Any) -> int:
    """Write a value of a Table, after everything that it refers to, and return its offset."""
    if isinstance(value, str):
        offset: int = builder.CreateString(value)
        return offset
    if isinstance(value, dict):
        return _add_table(builder, value)
    if isinstance(value[0], dict):
        return _add_tables(builder, value)
    vector: int = builder.CreateNumpyVector(np.asarray(value, np.float32))
    return vector


def _add_table(builder: flatbuffers.Builder, table: Table) -> int:
    # Fields that are not numbers are written before the table, which has their offsets.
    parts = {field: part if isinstance(part, int | float) else _add(builder, part) for field, part in table.items()}
    builder.StartObject(max(table, default=-1) + 1)
    for field, part in parts.items():
        if isinstance(table[field], int):
            builder.PrependInt8Slot(field, part, 0)
        elif isinstance(table[field], float):
            builder.PrependFloat32Slot(field, part, 0.0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, part, 0)
    offset: int = builder.EndObject()
    return offset


def _add_tables(builder: flatbuffers.Builder, tables: Sequence[Table]) -> int:
    offsets = [_add(builder, table) for table in tables]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    vector: int = builder.EndVector()
    return vector
