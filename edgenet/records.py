"""What is passed between the stages: frozen dataclasses, and their JSON form."""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from types import UnionType
from typing import ClassVar, TypeVar, get_args, get_origin, get_type_hints

from edgenet.errors import EdgenetError

Record = TypeVar("Record", "Manifest", "Results")

# Where no labels and no weights decide it: the default of the builder that this one follows.
DEFAULT_CLASSES = 17

# The name of the Keras model among measurements, beside those of the variants.
KERAS = "keras"

# The range of each parameter of a model.
ALLOWED = {
    "size": "a multiple of 32, from 32 up",
    "alpha": "from 0.05 to 4",
    "depth_multiplier": "an integer from 1 to 8",
    "dropout": "from 0 to below 1",
    "classes": "an integer from 2 up",
}


@dataclass(frozen=True)
class ModelSpec:
    """The free parameters of MobileNetV1 (arXiv:1704.04861, section 3).

    size: height and width of the input in pixels. alpha: width multiplier. depth_multiplier: depthwise filters for
    each input channel. dropout: rate in front of the last layer. classes: number of output classes.

    Raises EdgenetError when a value is out of its range.
    """

    size: int = 224
    alpha: float = 1.0
    depth_multiplier: int = 1
    dropout: float = 1e-3
    classes: int = DEFAULT_CLASSES

    def __post_init__(self):
        _require("size", self.size, isinstance(self.size, int) and self.size >= 32 and self.size % 32 == 0)
        _require("alpha", self.alpha, math.isfinite(self.alpha) and 0.05 <= self.alpha <= 4.0)
        whole = isinstance(self.depth_multiplier, int)
        _require("depth_multiplier", self.depth_multiplier, whole and 1 <= self.depth_multiplier <= 8)
        _require("dropout", self.dropout, 0.0 <= self.dropout < 1.0)
        _require("classes", self.classes, isinstance(self.classes, int) and self.classes >= 2)

    @property
    def name(self) -> str:
        """For instance mobilenet_v1_0.5_96."""
        name = f"mobilenet_v1_{self.alpha:g}_{self.size}"
        return name if self.depth_multiplier == 1 else f"{name}_dm{self.depth_multiplier}"


def _require(field: str, value, holds: bool) -> None:
    if not holds:
        raise EdgenetError(f"{field} must be {ALLOWED[field]}; found {value!r}")


@dataclass(frozen=True)
class Preprocessing:
    """The recipe from a picture to a model's input; `edgenet.images` is the code.

    The picture, upright, as 8-bit RGB (or grey, for one channel), is resized, bilinear and antialiased, until it just
    covers a rectangle of height / crop by width / crop (rounded), and the central height by width pixels are cut out.
    The input is (pixel - mean) / std, with a mean and std for each channel, in RGB; with order BGR, the channels are
    swapped afterwards. A uint8 input whose scale and zero point are those of the pixels takes the pixels themselves.
    """

    height: int
    width: int
    channels: int = 3
    crop: float = 1.0
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    order: str = "RGB"
    resize: str = "upright, alpha over white, shorter side to size / crop, bilinear, antialiased, then the centre"

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value that a pixel can become."""
        both = list(zip(self.mean, self.std, strict=True))
        return min((0 - mean) / std for mean, std in both), max((255 - mean) / std for mean, std in both)


@dataclass(frozen=True)
class Picture:
    """An evaluation image: its path in the bundle, and its class where that is known."""

    file: str
    label: int | None


@dataclass(frozen=True)
class Flip:
    """A picture for which a variant's top class is not Keras'."""

    file: str
    reference: int
    variant: int


@dataclass(frozen=True)
class Drift:
    """How far a variant's scores are from Keras' on the evaluation images.

    Or from those of another reference; agreement and top5 are None without one, and flips are none.

    agreement: share of pictures with the same top class. top5: share whose Keras top class is among the variant's
    five best. ties: share whose best score is shared by several classes (the lowest index wins). accuracy and
    reference_accuracy: share of right top classes, for the variant and for Keras; None without labels.
    """

    images: int
    agreement: float | None
    top5: float | None
    ties: float
    accuracy: float | None
    reference_accuracy: float | None
    flips: tuple[Flip, ...]

    @property
    def accuracy_change(self) -> float | None:
        if self.accuracy is None or self.reference_accuracy is None:
            return None
        return self.accuracy - self.reference_accuracy


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
    tried with (`edgenet.export.calibration`); empty where the model does not tell.
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
    pictures in one inference. evaluation: in the order of the reference scores. files: every other file, by its path
    in the bundle.
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
    versions: dict[str, str]
    files: dict[str, File]

    KIND: ClassVar[str] = "edgenet bundle"
    FORMAT: ClassVar[int] = 2


@dataclass(frozen=True)
class Interval:
    """A value, and the ends between which it lies with 95 % (`edgenet.runtime.trust`)."""

    value: float
    low: float
    high: float


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

    baseline_bytes: what the process held before it loaded the model (Python, numpy and the runtime).
    """

    load: float
    first: float
    peak_bytes: int
    baseline_bytes: int


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
    for Keras.
    """

    name: str
    bytes: int
    starts: tuple[Start, ...]
    latency: tuple[Latency, ...]
    drift: Drift | None
    multiply_adds: int | None
    delegation: Delegation | None
    layers: tuple[LayerTime, ...]


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
    `Latency.speed` is a ratio to. api: LiteRT's interface that was timed. `files`: the SHA-256 of the files, by path;
    `created`: UTC, ISO 8601.
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
    files: dict[str, str]
    notes: tuple[str, ...]

    KIND: ClassVar[str] = "edgenet results"
    FORMAT: ClassVar[int] = 3


def to_json(record: Manifest | Results) -> bytes:
    """A record as JSON: what it is, its format's version, its fields, and a digest that shows a change or a cut."""
    body = {"kind": record.KIND, "format": record.FORMAT, **dataclasses.asdict(record)}
    return (json.dumps({**body, "digest": _digest(body)}, indent=1, ensure_ascii=False) + "\n").encode()


def from_json(kind: type[Record], data: bytes, where: str) -> Record:
    """Read what `to_json` wrote.

    Raises EdgenetError, with `where`, when it is not such a record, of a newer format, cut off or changed.
    """
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EdgenetError(f"{where}: expected an {kind.KIND}, found no whole JSON; make it again") from error
    if not isinstance(body, dict) or body.get("kind") != kind.KIND:
        raise EdgenetError(f"{where}: expected an {kind.KIND}, found another kind of file")
    if body.get("format") != kind.FORMAT:
        older = isinstance(body.get("format"), int) and body["format"] < kind.FORMAT
        raise EdgenetError(
            f"{where}: expected format {kind.FORMAT} of an {kind.KIND}, found {body.get('format')!r}; "
            + ("make it again" if older else "use the edgenet that made it, or a newer one")
        )
    if body.pop("digest", None) != _digest(body):
        raise EdgenetError(f"{where}: expected an {kind.KIND} as it was written, found it changed; make it again")
    try:
        return _build(kind, body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EdgenetError(f"{where}: expected an {kind.KIND}, found fields that do not fit; make it again") from error


def _digest(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _build(kind, value):
    """`value`, as JSON has it, as the type that a field is annotated with."""
    if dataclasses.is_dataclass(kind):
        types = get_type_hints(kind)
        return kind(**{field.name: _build(types[field.name], value[field.name]) for field in dataclasses.fields(kind)})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _build(arguments[0], value)
    if origin is tuple:
        return tuple(_build(arguments[0], item) for item in value)
    if origin is dict:
        return {key: _build(arguments[1], item) for key, item in value.items()}
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
