"""What is known of photos before a model is trained on them, and of the model afterwards."""

from dataclasses import dataclass
from typing import ClassVar

from edgenet.records.bundle import Finding
from edgenet.records.drift import Interval
from edgenet.records.enums import Level
from edgenet.records.shown import Shown


@dataclass(frozen=True)
class PhotoClass:
    """A class of a data set. Numbers are of readable images; those of the parts are 0 where there is no split."""

    name: str
    images: int
    # Images that are copies of another one of the class: of two equal files, one.
    copies: int
    # Images beside which there are others that show nearly the same: frames of one film, crops, copies.
    similar: int
    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class ImageSizes:
    """Height and width in pixels, of upright images by their number of pixels."""

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]


@dataclass(frozen=True)
class SharedImage:
    """One image that is in several classes."""

    # Paths below the folder, with slashes, and the class of each.
    files: tuple[str, ...]
    classes: tuple[str, ...]
    # Whether the files have the same pixels; otherwise they show nearly the same.
    exact: bool


@dataclass(frozen=True)
class DataCheck:
    """What is known of photos in class folders."""

    folder: str
    # Sorted by name.
    classes: tuple[PhotoClass, ...]
    sizes: ImageSizes
    # Files that cannot be read, with the reason.
    broken: tuple[tuple[str, str], ...]
    # Those in several classes, equal ones first.
    shared: tuple[SharedImage, ...]
    # Sets of images that show nearly the same, and the number of images in the largest.
    groups: int
    largest_group: int
    # Of the split.
    seed: int
    findings: tuple[Finding, ...]

    @property
    def images(self) -> int:
        """The number of readable images."""
        return sum(one.images for one in self.classes)

    @property
    def parts(self) -> tuple[int, int, int]:
        """Images for training, validation and test; 0 where there is no split."""
        return (
            sum(one.train for one in self.classes),
            sum(one.validation for one in self.classes),
            sum(one.test for one in self.classes),
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What makes training impossible."""
        return tuple(finding.text for finding in self.findings if finding.level == Level.WRONG)


@dataclass(frozen=True)
class Thumbnail:
    """A small copy of an image."""

    # Its path below the folder, with slashes.
    file: str
    # JPEG in base64.
    data: str


@dataclass(frozen=True)
class DataSamples:
    """Images to show."""

    # Some of each class, by the index of the class in the check; fewer where there are many classes.
    classes: tuple[tuple[Thumbnail, ...], ...]
    # The files of some of the shared images, by their index there.
    shared: tuple[tuple[Thumbnail, ...], ...]


@dataclass(frozen=True)
class TrainedClass:
    """A class of a trained model."""

    name: str
    # Images of each part.
    train: int
    validation: int
    test: int
    # Test images of the class that are classified correctly, and test images that are put into it.
    correct: int
    predicted: int
    # The fraction of its test images that are classified correctly.
    accuracy: Interval


@dataclass(frozen=True)
class Baseline:
    """What a simpler classifier reaches on the same test images."""

    name: str
    accuracy: Interval
    # Test images that only the model, or only the baseline, classifies correctly.
    only_model: int
    only_baseline: int
    # The accuracy of the model minus this one.
    difference: Interval
    # Of McNemar's test.
    p_value: float


@dataclass(frozen=True)
class Confusion:
    """How many test images of one class are put into another one, or the same."""

    # Indices of classes.
    label: int
    predicted: int
    images: int


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of which the model is about equally sure."""

    images: int
    # The mean of the best scores.
    confidence: float
    # The fraction that is classified correctly.
    accuracy: Interval


@dataclass(frozen=True)
class Reliability:
    """How well the best score, as a probability, tells how often it is right."""

    # The expected calibration error: the mean distance of confidence and accuracy in the bins.
    error: float
    # What this would be on as many images if the scores were perfectly calibrated.
    expected: float
    # By confidence, with equally many images.
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Accepted:
    """The images whose best score reaches a threshold."""

    images: int
    # Of all images of the part.
    coverage: Interval
    # The fraction of the accepted ones that is classified correctly; None without any.
    precision: Interval | None


@dataclass(frozen=True)
class Threshold:
    """The best score from which on an app may show its class, for a wanted precision."""

    precision: float
    # None where no threshold reaches the precision on enough validation images.
    score: float | None
    # Validation images choose the score, test images show what it is worth; None without a score.
    validation: Accepted | None
    test: Accepted | None


@dataclass(frozen=True)
class Suspect:
    """An image that is perhaps in the folder of the wrong class."""

    # Its path below the folder of the photos, with slashes.
    file: str
    # training, validation or test.
    part: str
    # Indices of its class and of the class that it is put into, and their scores.
    label: int
    predicted: int
    label_score: float
    predicted_score: float
    # A small copy, JPEG in base64; empty where there is none.
    thumbnail: str = ""


@dataclass(frozen=True)
class Epoch:
    """A step of the training: an epoch, or a fit. None: not computed."""

    phase: str
    # From 1 in each phase.
    epoch: int
    loss: float | None
    accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class Training(Shown):
    """A model that was trained on photos in class folders, and what it is worth on its test images.

    Nothing about the model was chosen by the test images.
    """

    name: str
    # The folder of the photos.
    photos: str
    # In the order of the scores.
    classes: tuple[TrainedClass, ...]
    # Of the test and of the validation images. The model was chosen by the latter, which makes their accuracy too high.
    accuracy: Interval
    validation_accuracy: Interval
    baselines: tuple[Baseline, ...]
    # Those above 0, by label and predicted class.
    confusion: tuple[Confusion, ...]
    # Of the test images, and the error of the validation images.
    reliability: Reliability
    validation_calibration_error: float
    thresholds: tuple[Threshold, ...]
    # The most suspicious ones first.
    suspects: tuple[Suspect, ...]
    history: tuple[Epoch, ...]
    # The weights that were kept, such as "linear head" or "fine-tuned", and why.
    kept: str
    reason: str
    # By name, as text: those that the user gave, and all of them as they were used.
    given: dict[str, str]
    options: dict[str, str]
    # Of each phase.
    seconds: dict[str, float]
    # About the photos.
    findings: tuple[Finding, ...]
    versions: dict[str, str]

    @property
    def parts(self) -> tuple[int, int, int]:
        """Images for training, validation and test."""
        return (
            sum(one.train for one in self.classes),
            sum(one.validation for one in self.classes),
            sum(one.test for one in self.classes),
        )

    KIND: ClassVar[str] = "edgenet training"
    FORMAT: ClassVar[int] = 1
