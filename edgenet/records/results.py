"""What a benchmark found."""

from dataclasses import dataclass
from typing import ClassVar

from edgenet.records.bundle import Finding
from edgenet.records.drift import Drift, Interval

# The name of the Keras model among measurements, beside those of the variants.
KERAS = "keras"
# The interface that browsers are measured through.
LITERT_JS = "LiteRT.js"


@dataclass(frozen=True)
class Latency:
    """Seconds of single inferences on `threads` threads, a tuple for each round.

    interval: of the median; speed: how many times as fast as the base, on as many threads. None for too few rounds or
    no base.
    """

    threads: int
    rounds: tuple[tuple[float, ...], ...]
    interval: Interval | None
    speed: Interval | None
    median: float
    p90: float
    p99: float
    minimum: float
    mean: float
    std: float
    count: int


@dataclass(frozen=True)
class Start:
    """A fresh process: seconds to load the model and for its first inference, peak memory in bytes.

    baseline_bytes: what the process held before it loaded the model (Python, numpy and the runtime). Both are None
    where the machine does not tell, as a browser.
    """

    load: float
    first: float
    peak_bytes: int | None
    baseline_bytes: int | None


@dataclass(frozen=True)
class Delegation:
    """How many of a file's operators the CPU delegate, XNNPACK, runs."""

    operators: int
    delegated: int


@dataclass(frozen=True)
class LayerTime:
    """One operator on its own: its name and kind, the multiply-adds of one inference, seconds."""

    name: str
    kind: str
    multiply_adds: int
    seconds: float


@dataclass(frozen=True)
class Measurement:
    """All that was measured of one variant, or of Keras (whose drift is nothing, and whose file is model.keras).

    starts: one for each fresh process. multiply_adds: of one inference. layers: empty unless asked for. None and empty
    for Keras. arithmetic: the dtype of most multiply-adds, float32 or int8; None where it is another, or not known.
    """

    name: str
    bytes: int
    starts: tuple[Start, ...]
    latency: tuple[Latency, ...]
    drift: Drift | None
    multiply_adds: int | None
    delegation: Delegation | None
    layers: tuple[LayerTime, ...]
    arithmetic: str | None = None


@dataclass(frozen=True)
class Machine:
    """Where the numbers come from. None: the machine does not tell."""

    cpu: str
    architecture: str
    cores: int
    governor: str | None
    memory_bytes: int | None
    system: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Condition:
    """How far latencies can be trusted: good, fair or poor, and why.

    unseen: what the machine does not tell. others: cores that other processes kept busy. megahertz, celsius: the lowest
    and the highest of the fastest core's clock, and of the hottest part.
    """

    grade: str
    reasons: tuple[str, ...]
    unseen: tuple[str, ...]
    others: float | None
    megahertz: tuple[float, ...] | None
    celsius: tuple[float, ...] | None
    governor: str | None


@dataclass(frozen=True)
class Peak:
    """Multiply-adds a second that the machine reaches in one kind of arithmetic, float32 or int8."""

    arithmetic: str
    threads: int
    multiply_adds: float


@dataclass(frozen=True)
class Results:
    """One run of the benchmark.

    bundle: the name of what was measured. reference: what drift is measured against, None for nothing. base: what
    `Latency.speed` is a ratio to. api: LiteRT's interface that was timed, or LiteRT.js. labels: the class names, in the
    order of the scores; empty where there are none. evaluation: SHA-256 of the evaluation images' SHA-256s, sorted.
    thumbnails: pictures that flipped, as the models saw them, by file: JPEG in base64. calibration: what the export
    found. `files`: the SHA-256 of the files, by path; `created`: UTC, ISO 8601; `command`: what was typed.
    """

    bundle: str
    reference: str | None
    base: str | None
    api: str
    created: str
    machine: Machine
    batch: int
    measurements: tuple[Measurement, ...]
    condition: Condition
    peaks: tuple[Peak, ...]
    labels: tuple[str, ...]
    evaluation: str | None
    thumbnails: dict[str, str]
    calibration: tuple[Finding, ...]
    command: str
    files: dict[str, str]
    notes: tuple[str, ...]

    KIND: ClassVar[str] = "edgenet results"
    FORMAT: ClassVar[int] = 6

    @property
    def reference_name(self) -> str:
        """As people read it."""
        return "Keras" if self.reference in (KERAS, None) else self.reference
