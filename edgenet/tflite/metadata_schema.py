"""TFLite Metadata: the names and field numbers of the schema that edgenet reads and writes.

The schema is metadata_schema.fbs of tflite-support, version 1.5.0. Tables are described by the numbers of their fields
because no package that a device needs has the generated classes.
"""

# The name of the metadata's entry in a .tflite file, and the identifier in bytes 4 to 8 of the metadata.
METADATA_ENTRY = b"TFLITE_METADATA"
METADATA_IDENTIFIER = b"M001"
# edgenet's own entry: where the model comes from, as JSON.
PROVENANCE_ENTRY = b"EDGENET_PROVENANCE"
# edgenet's own entry of a file with equalized channels: how to scale those of the float32 file likewise
# (`edgenet.quantize.equalization.apply`).
EQUALIZATION_ENTRY = b"EDGENET_EQUALIZATION"
# The converter's entry: the first TensorFlow Lite version that can run the model.
RUNTIME_ENTRY = b"min_runtime_version"
# TensorFlow Lite's entry for computing with lower precision than float32, and its value for half precision, sums
# included (reduced_precision_metadata.h of its converter).
PRECISION_ENTRY = b"reduced_precision_support"
HALF_ARITHMETIC = b"fp16accfp16"


class ModelMetadata:
    NAME, DESCRIPTION, VERSION, SUBGRAPHS, AUTHOR, LICENSE = range(6)
    MIN_PARSER_VERSION = 7


class SubGraphMetadata:
    INPUTS, OUTPUTS = 2, 3


class TensorMetadata:
    NAME, DESCRIPTION = 0, 1
    CONTENT, UNITS, STATS, FILES = range(3, 7)


class Content:
    KIND, PROPERTIES = 0, 1
    # Kinds.
    FEATURE, IMAGE = 1, 2


class ImageProperties:
    COLOR_SPACE = 0
    # Colour spaces.
    UNKNOWN, RGB, GRAYSCALE = range(3)


class ProcessUnit:
    KIND, OPTIONS = 0, 1
    # Kinds.
    NORMALIZATION, THRESHOLD = 1, 3


class NormalizationOptions:
    MEAN, STD = 0, 1


class ScoreThresholdingOptions:
    GLOBAL = 0


class Stats:
    MAX, MIN = 0, 1


class AssociatedFile:
    NAME, DESCRIPTION, TYPE = range(3)
    # A type.
    AXIS_LABELS = 2
