"""What is passed between the stages: frozen dataclasses, and their JSON form."""

from edgenet.records.apps import Conformance
from edgenet.records.bundle import Calibration, File, Finding, Manifest, Picture, Variant
from edgenet.records.diagnosis import Diagnosis, Kept, LayerNoise
from edgenet.records.drift import ClassDrift, Drift, Flip, Guess, Interval, Probabilities
from edgenet.records.model import ALLOWED, DEFAULT_CLASSES, ModelSpec, Preprocessing
from edgenet.records.results import (
    KERAS,
    LITERT_JS,
    Condition,
    Delegation,
    Latency,
    LayerTime,
    Machine,
    Measurement,
    Peak,
    Results,
    Start,
)
from edgenet.records.serialization import Record, from_json, to_json

__all__ = [
    "ALLOWED",
    "DEFAULT_CLASSES",
    "KERAS",
    "LITERT_JS",
    "Calibration",
    "ClassDrift",
    "Condition",
    "Conformance",
    "Delegation",
    "Diagnosis",
    "Drift",
    "File",
    "Finding",
    "Flip",
    "Guess",
    "Interval",
    "Kept",
    "Latency",
    "LayerNoise",
    "LayerTime",
    "Machine",
    "Manifest",
    "Measurement",
    "ModelSpec",
    "Peak",
    "Picture",
    "Preprocessing",
    "Probabilities",
    "Record",
    "Results",
    "Start",
    "Variant",
    "from_json",
    "to_json",
]
