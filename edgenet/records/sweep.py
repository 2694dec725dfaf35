"""The results of a sweep: each file of each model on each device."""

from dataclasses import dataclass
from typing import ClassVar

from edgenet.records.drift import Interval
from edgenet.records.enums import Grade
from edgenet.records.shown import Shown


@dataclass(frozen=True)
class SweepEntry:
    """One file on one device, on one number of threads."""

    # The name of the bundle; unique in the sweep.
    model: str
    # Of a MobileNetV1 whose weights the plan names; None for other models.
    alpha: float | None
    # Height and width of the input in pixels.
    height: int
    width: int
    variant: str
    device: str
    threads: int
    # Of the file.
    bytes: int
    # Of one inference; None where it is not known.
    multiply_adds: int | None
    # Seconds of the median inference. Without enough rounds for an interval, low and high are the median.
    latency: Interval
    # The 90th percentile, in seconds.
    p90: float
    # Relative to the base file of the same row, on as many threads.
    speedup: Interval | None
    # Of the latency measurement.
    quality: Grade
    # The fraction of images whose top class is Keras'; None without a reference, and for a multi-label model.
    agreement: Interval | None
    # The fraction of images classified correctly; None without classes.
    accuracy: Interval | None
    # Images that agreement or accuracy are of.
    images: int
    # Top-1 accuracy on ImageNet's validation set that was published for the float model; None where there is none.
    published_accuracy: float | None
    # Paths below the folder of the sweep, with slashes.
    file: str
    results: str


@dataclass(frozen=True)
class SweepFailure:
    """A row that failed as often as it may."""

    model: str
    # None where the model could not be exported.
    device: str | None
    problem: str


@dataclass(frozen=True)
class Sweep(Shown):
    """A sweep: many models on many devices."""

    name: str
    # In the order of the plan: by model, device, variant and threads.
    entries: tuple[SweepEntry, ...]
    failures: tuple[SweepFailure, ...]
    # Rows of the plan that are not measured yet.
    missing: int
    # SHA-256 of the plan's file.
    plan: str
    versions: dict[str, str]

    KIND: ClassVar[str] = "edgenet sweep"
    FORMAT: ClassVar[int] = 1
