"""The results of a benchmark."""

from dataclasses import dataclass
from typing import ClassVar

from edgenet.records.bundle import Finding
from edgenet.records.drift import Drift, Interval
from edgenet.records.enums import Api, Arithmetic, Grade
from edgenet.records.shown import Shown

# The name of the Keras model among measurements, beside those of the variants.
KERAS = "keras"


@dataclass(frozen=True)
class Latency:
    """Seconds of single inferences on `threads` threads."""

    threads: int
    # All samples, a tuple for each round.
    rounds: tuple[tuple[float, ...], ...]
    # Of the median; None for too few rounds.
    interval: Interval | None
    # Relative to the base on as many threads; None for too few rounds, or for the base itself.
    speedup: Interval | None
    median: float
    p90: float
    p99: float
    minimum: float
    mean: float
    std: float
    count: int


@dataclass(frozen=True)
class Start:
    """A fresh process: seconds to load the model and for its first inference, and memory.

    Memory is None where it is not available, as in a browser.
    """

    load: float
    first: float
    peak_bytes: int | None
    # What the process held before it loaded the model: Python, numpy and the runtime.
    baseline_bytes: int | None


@dataclass(frozen=True)
class Delegation:
    """How many of a file's operators the CPU delegate, XNNPACK, runs."""

    operators: int
    delegated: int


@dataclass(frozen=True)
class LayerTime:
    """One operator, timed on its own."""

    name: str
    kind: str
    # Of one inference.
    multiply_adds: int
    seconds: float


@dataclass(frozen=True)
class Measurement:
    """What was measured of one variant, or of the Keras model."""

    name: str
    bytes: int
    # One for each fresh process.
    starts: tuple[Start, ...]
    latency: tuple[Latency, ...]
    # None for Keras, and where drift was not measured.
    drift: Drift | None
    # Of one inference; None for Keras.
    multiply_adds: int | None
    delegation: Delegation | None
    # Empty unless layers were timed.
    layers: tuple[LayerTime, ...]
    # Of most multiply-adds; None where it is another, or not known.
    arithmetic: Arithmetic | None = None


@dataclass(frozen=True)
class Machine:
    """The machine that was measured on. None: not available."""

    cpu: str
    architecture: str
    cores: int
    governor: str | None
    memory_bytes: int | None
    system: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Quality:
    """The quality of the latency measurement, and the reasons for it."""

    grade: Grade
    reasons: tuple[str, ...]
    # What could not be read on this machine.
    unavailable: tuple[str, ...]
    # Cores that other processes kept busy, on average.
    other_load: float | None
    # The lowest and the highest frequency of the fastest core, and temperature of the hottest sensor.
    frequency_mhz: tuple[float, ...] | None
    temperature_celsius: tuple[float, ...] | None
    governor: str | None


@dataclass(frozen=True)
class Peak:
    """The most multiply-adds per second that the machine reaches in one kind of arithmetic."""

    arithmetic: Arithmetic
    threads: int
    multiply_adds: float


@dataclass(frozen=True)
class MeasuredModel:
    """The bundle, or the single file, that was measured."""

    name: str
    # Images in one inference.
    batch: int
    # The class names, in the order of the scores; empty where they are not known.
    labels: tuple[str, ...]
    # What the export found about its calibration images.
    calibration: tuple[Finding, ...]
    # SHA-256 of its files, by path.
    files: dict[str, str]


@dataclass(frozen=True)
class Evaluation:
    """The images that drift was measured on."""

    # Of the images' SHA-256s, sorted: the same for the same images, wherever they are. None without images.
    sha256: str | None
    # Images that flipped, at the model's input size, by file: JPEG in base64.
    thumbnails: dict[str, str]
    # Labelled images that the reference classifies wrongly, by file: with the flips they say which images each variant
    # classifies correctly. None for a single file, without labels, for a multi-label model, and in an older format.
    reference_errors: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Run:
    """How and when it was measured."""

    # UTC, ISO 8601.
    created: str
    # As it was typed; empty for a call from Python.
    command: str
    api: Api
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Results(Shown):
    """One run of the benchmark."""

    model: MeasuredModel
    # What drift is measured against: KERAS, or the name of a file. None for nothing.
    reference: str | None
    # The variant that speedups are relative to.
    base: str | None
    measurements: tuple[Measurement, ...]
    evaluation: Evaluation
    machine: Machine
    quality: Quality
    peaks: tuple[Peak, ...]
    run: Run

    KIND: ClassVar[str] = "edgenet results"
    FORMAT: ClassVar[int] = 8

    @property
    def reference_name(self) -> str:
        """For print."""
        return "Keras" if self.reference in (KERAS, None) else str(self.reference)

    @property
    def multi_label(self) -> bool:
        """Whether drift was measured of labels, each by itself, and not of the top class."""
        return any(measured.drift and measured.drift.label_agreement for measured in self.measurements)
