"""The contents of a bundle."""

from dataclasses import dataclass
from typing import ClassVar

from edgenet.records.apps import Conformance
from edgenet.records.budget import BudgetSearch
from edgenet.records.drift import Drift, Interval
from edgenet.records.enums import Level, ScoreKind, Variant
from edgenet.records.model import Preprocessing
from edgenet.records.shown import Shown

# Layers in a sentence.
MAX_NAMES = 6


@dataclass(frozen=True)
class EvaluationImage:
    """An evaluation image: its path in the bundle, and its class where that is known."""

    file: str
    label: int | None


@dataclass(frozen=True)
class VariantFile:
    """One .tflite file of a bundle."""

    name: str
    file: str
    input_dtype: str
    output_dtype: str
    # On the exporting machine.
    drift: Drift | None
    # The operators of a mixed file that compute in float32, by the names of their layers, in their order.
    float_layers: tuple[str, ...] = ()
    # What its other layers are: int8 or dynamic.
    others: str = Variant.INT8.value

    @property
    def precision(self) -> str:
        """Which layers of a mixed file compute in float32, for print; empty for another file."""
        layers = self.float_layers
        if len(layers) > MAX_NAMES:
            layers = (*layers[: MAX_NAMES - 1], "...", layers[-1])
        return f"{self.name}: {self.others}, but float32 in {', '.join(layers)}" if layers else ""


@dataclass(frozen=True)
class FileHash:
    """The content that a file of the bundle must have."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Finding:
    """An observation about calibration images, or about a machine."""

    level: Level
    text: str


@dataclass(frozen=True)
class ReferenceScores:
    """The Keras model's own scores on the evaluation images."""

    # Mean over all images of the best score, as a probability.
    mean_top_score: float
    # Fraction of the labelled images that are classified correctly; None without labels.
    accuracy: Interval | None = None
    # Accuracy of the best guess without looking: 1 / classes, or the fraction of the most frequent class if that is
    # larger.
    chance: float | None = None


@dataclass(frozen=True)
class Calibration:
    """The calibration images (the representative dataset) of the integer variants."""

    images: int
    # Of the images' SHA-256s, in order.
    sha256: str
    findings: tuple[Finding, ...]
    # Distance to the training data by the input range that was tried (`edgenet.calibration`); empty where the model
    # does not tell. Keys are input ranges as text: "-1,1", or "123.68,116.779,103.939,1,1,1 BGR".
    distances: dict[str, float]


@dataclass(frozen=True)
class Manifest(Shown):
    """The contents of a bundle."""

    name: str
    # The length of the scores, and what they are.
    classes: int
    scores: ScoreKind
    # The Keras model's file in the bundle, or the folder of a SavedModel.
    model: str
    preprocessing: Preprocessing
    # Images in one inference.
    batch: int
    variants: tuple[VariantFile, ...]
    # In the order of the reference scores.
    evaluation: tuple[EvaluationImage, ...]
    calibration: Calibration
    # What mobile libraries made of the variants on the exporting machine.
    apps: tuple[Conformance, ...]
    versions: dict[str, str]
    # Every other file, by its path in the bundle.
    files: dict[str, FileHash]
    # What was added to the end of the Keras model, in order: "squeeze", "sigmoid", "two_classes", "softmax"
    # (`edgenet.model.head`). The variants have it, the Keras model's file does not.
    output: tuple[str, ...] = ()
    # None in manifests of earlier versions.
    reference_scores: ReferenceScores | None = None
    # About the Keras model's scores, and about variants that disagree with it.
    findings: tuple[Finding, ...] = ()
    # The files that were tried to keep a budget of drift; None where there was none to keep.
    budget: BudgetSearch | None = None

    @property
    def multi_label(self) -> bool:
        """Whether each label is decided by itself, instead of the class with the highest score.

        That is so where scores are independent of each other (sigmoid), unless evaluation images have a class: one
        class each, as their folders give it, means that the model is used for its top class.
        """
        return self.scores == ScoreKind.SIGMOID and all(image.label is None for image in self.evaluation)

    KIND: ClassVar[str] = "edgenet bundle"
    FORMAT: ClassVar[int] = 7
