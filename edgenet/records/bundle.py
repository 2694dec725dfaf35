"""The contents of a bundle."""

from dataclasses import dataclass
from typing import ClassVar

from edgenet.records.apps import Conformance
from edgenet.records.drift import Drift
from edgenet.records.model import Preprocessing


@dataclass(frozen=True)
class Picture:
    """An evaluation image: its path in the bundle, and its class where that is known."""

    file: str
    label: int | None


@dataclass(frozen=True)
class Variant:
    """One .tflite file of a bundle, the dtypes of its input and output, and its drift on the exporting machine."""

    name: str
    file: str
    input_dtype: str
    output_dtype: str
    drift: Drift | None


@dataclass(frozen=True)
class File:
    """What a file of the bundle must be."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Finding:
    """Something that was found of calibration pictures, or of a machine.

    level: ok, note (good to know), warning (results may be worse for it) or wrong (they would mean nothing).
    """

    level: str
    text: str


@dataclass(frozen=True)
class Calibration:
    """The representative dataset of the integer variants. sha256: of its pictures' SHA-256s, in order.

    distances: how far the pictures are from those that the model was trained on, by the input range that they were
    tried with (`edgenet.calibration.fit`); empty where the model does not tell.
    """

    images: int
    sha256: str
    findings: tuple[Finding, ...]
    distances: dict[str, float]


@dataclass(frozen=True)
class Manifest:
    """The contents of a bundle.

    classes: length of the scores. scores: what they are: softmax (probabilities that sum to 1), sigmoid (a probability
    for each class) or logits. model: the Keras model's file in the bundle, or the folder of a SavedModel. batch:
    pictures in one inference. evaluation: in the order of the reference scores. apps: what mobile libraries made of
    the variants on the exporting machine. files: every other file, by its path in the bundle.
    """

    name: str
    classes: int
    scores: str
    model: str
    preprocessing: Preprocessing
    batch: int
    variants: tuple[Variant, ...]
    evaluation: tuple[Picture, ...]
    calibration: Calibration
    apps: tuple[Conformance, ...]
    versions: dict[str, str]
    files: dict[str, File]

    KIND: ClassVar[str] = "edgenet bundle"
    FORMAT: ClassVar[int] = 4
