"""What jobs of a sweep take, in seconds on the reference machine: computed from the sizes of models and images.

The reference machine is a virtual one with an x86-64 CPU that reaches REFERENCE_PEAK on one thread. The constants were
fitted to 12 exports of MobileNetV1 (13 to 568 million multiply-adds, 10 and 1,000 classes, 50 to 200 calibration and 50
to 1,000 evaluation images, TensorFlow 2.19 on one thread) and to 8 benchmarks: the CPU time of each step of an export,
and the wall-clock time of a benchmark. 11 of the exports are within 15% of what is computed, one took 27% less; the
benchmarks, which other programs disturbed, mostly are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenet.bundle import archive
from edgenet.bundle import bundle as bundles
from edgenet.model import cost
from edgenet.records.enums import Variant
from edgenet.sweep.plan import BenchmarkPlan
from edgenet.sweep.plan_models import ModelPlan, Source

# Multiply-adds per second of `edgenet.benchmarking.peak`, in float32.
REFERENCE_PEAK = 56e9
# Of a convolutional network, for each weight: MobileNetV1 with 224 pixels has 134, ResNet-50 has 153.
MULTIPLY_ADDS_PER_WEIGHT = 140
# Of a JPEG file, for each byte.
DECODE_SECONDS = 2.5e-8
# A new process with Python and numpy, or with LiteRT, too; or with TensorFlow.
START, START_LITERT, START_TENSORFLOW = 1.5, 0.35, 5.5
# Fresh processes of each file beside those that measure latency, as in `edgenet.benchmarking.timing`.
STARTS = 3
WARMUP, COLD = 0.25, 0.012
MIN_COUNT, MAX_COUNT = 5, 100
# Drift is measured on all cores; boards have as many as the reference machine, or more.
CORES = 2
# The machine's peak, for each number of threads.
PEAK = 0.7
# Trying networks for a budget of drift, in conversions to int8.
SEARCH_CONVERSIONS = 10


@dataclass(frozen=True)
class ModelCost:
    """The size of a model.

    Attributes:
        multiply_adds: Of one inference, in millions.
        variants: The variants of its bundle.
        is_guessed: Whether the multiply-adds come from the size of a file.
    """

    multiply_adds: float
    variants: tuple[str, ...]
    is_guessed: bool = False

    @property
    def latency(self) -> float:
        """Seconds of an inference, on average of the variants, on one thread."""
        return 5e-5 + 1.4e-5 * self.multiply_adds

    @property
    def scoring(self) -> float:
        """Seconds that a variant takes for an image: its inference, and comparing its scores."""
        return 0.0004 + 1.6e-5 * self.multiply_adds


@dataclass(frozen=True)
class Images:
    """A set of images.

    Attributes:
        count: How many there are.
        bytes: Of a file, on average.
    """

    count: int
    bytes: float = 0.0

    @property
    def decoding(self) -> float:
        """Seconds to decode all of them."""
        return self.count * self.bytes * DECODE_SECONDS


@dataclass(frozen=True)
class Seconds:
    """What a job takes.

    Attributes:
        fixed: On any machine, such as the time that a model is measured for.
        computed: On the reference machine; others take a multiple of it.
    """

    fixed: float
    computed: float

    def on(self, slowdown: float) -> float:
        """Seconds on a machine that takes `slowdown` times as long as the reference machine."""
        return self.fixed + slowdown * self.computed


def of_model(model: ModelPlan, variants: Sequence[str]) -> ModelCost:
    """The size of a model; that of a bundle or of a file is guessed by its bytes.

    Args:
        model: The model.
        variants: Those that exports of the sweep write.
    """
    if spec := model.spec:
        millions = sum(layer.multiply_adds for layer in cost.layers(spec)) / 1e6
        return ModelCost(millions, tuple(variants))
    path = model.path
    assert path is not None  # a model without a path has a spec
    if model.source != Source.BUNDLE:
        return ModelCost(_guessed(_bytes(path) / 4), tuple(variants), is_guessed=True)
    if archive.is_archive(path):
        # A weight takes 4, 2, 1 and 1 bytes in the variants, and 4 in the Keras model.
        return ModelCost(_guessed(_bytes(path) / 12), tuple(variants), is_guessed=True)
    manifest = bundles.load(path).manifest
    own = tuple(variant.name for variant in manifest.variants)
    largest = max((manifest.files[variant.file].bytes for variant in manifest.variants), default=0)
    return ModelCost(_guessed(largest / 4), own, is_guessed=True)


def export(model: ModelCost, calibration: Images, evaluation: Images) -> Seconds:
    """An export, on one thread."""
    millions, count = model.multiply_adds, calibration.count
    quantized = 0.8 + count * (0.009 + 0.00029 * millions)
    conversions = {
        Variant.DYNAMIC: 0.3 + count * (0.0085 + 0.00014 * millions),
        Variant.INT8: quantized,
        Variant.MIXED: quantized,
    }
    seconds = START_TENSORFLOW + 3.9 + 0.049 * millions
    seconds += sum(conversions.get(Variant(name), 0.1) for name in model.variants)
    seconds += evaluation.count * (0.0024 + 3.4e-5 * millions + len(model.variants) * model.scoring)
    # Calibration images are decoded once for each way of resizing that is tried.
    return Seconds(0.0, seconds + 3 * calibration.decoding + (1 + len(model.variants)) * evaluation.decoding)


def search(model: ModelCost, calibration: Images) -> float:
    """What an export takes longer if it searches for a file that keeps a budget."""
    return SEARCH_CONVERSIONS * (0.8 + calibration.count * (0.009 + 0.00029 * model.multiply_adds))


def evaluate(model: ModelCost, images: Images) -> Seconds:
    """Scoring images with the Keras model and all variants, on one thread."""
    each = 0.0024 + 3.4e-5 * model.multiply_adds + len(model.variants) * model.scoring
    return Seconds(0.0, START_TENSORFLOW + images.count * each + images.decoding)


def measure(model: ModelCost, evaluation: Images, benchmark: BenchmarkPlan, threads: int) -> Seconds:
    """A benchmark.

    Args:
        model: The model.
        evaluation: The images of its bundle.
        benchmark: How it is measured.
        threads: How many numbers of threads it is timed with.
    """
    variants = len(benchmark.variants or model.variants)
    turn = min(max(benchmark.seconds, MIN_COUNT * model.latency), MAX_COUNT * model.latency)
    timed = threads * variants * (WARMUP + benchmark.rounds * (COLD + turn)) + threads * PEAK
    started = START + variants * (STARTS + threads) * START_LITERT
    drift = evaluation.count * (0.001 + variants * model.scoring) + evaluation.decoding
    return Seconds(timed, started + drift / CORES)


def _guessed(weights: float) -> float:
    """Millions of multiply-adds of a network with this many weights."""
    return weights * MULTIPLY_ADDS_PER_WEIGHT / 1e6


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
