"""What each step of the quantizer brings, on a user's own model and pictures."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from edgenet.benchmarking import benchmark
from edgenet.bundle.bundle import Bundle
from edgenet.convert.converter import Converter
from edgenet.images import preprocess
from edgenet.model import keras_model
from edgenet.progress import Progress
from edgenet.quantize.quantizer import Steps
from edgenet.records import Drift, Variant

STOCK = "stock converter"
STEPS = {
    "bias correction": Steps(bias=True, compensation=False, logits=False),
    "+ compensated rounding": Steps(bias=True, compensation=True, logits=False),
    "+ finer logits (the default)": Steps(),
}


@dataclass(frozen=True)
class Row:
    """One way to make int8, how far it drifts, and the seconds that the conversion took."""

    name: str
    drift: Drift
    seconds: float


def ablate(bundle: Bundle, calibration: Path, progress: Progress) -> Iterator[Row]:
    """Convert the bundle's Keras model to int8 in each way, and measure the drift on its evaluation pictures.

    Raises EdgenetError when there are no calibration pictures, or no Keras model in the bundle.
    """
    pictures = partial(preprocess.load_all, preprocess.find(calibration).paths, bundle.manifest.preprocessing)
    model = keras_model.reload(bundle.file(bundle.manifest.model), bundle.manifest.preprocessing)
    converter = Converter(model, bundle.manifest.batch)
    ways = {
        STOCK: converter.stock_int8,
        **{name: partial(converter.int8, steps=steps) for name, steps in STEPS.items()},
    }
    with TemporaryDirectory() as folder:
        for name, convert in ways.items():
            progress.step(name.lstrip("+ "))
            start = time.perf_counter()
            data = convert(pictures)
            seconds = time.perf_counter() - start
            path = Path(folder) / "int8.tflite"
            path.write_bytes(data)
            variant = Variant("int8", str(path), "uint8", "uint8", None)
            yield Row(name, benchmark.measure_drift(bundle, [variant], progress)["int8"], seconds)
