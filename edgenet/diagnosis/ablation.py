"""What each step of the quantizer contributes, on a user's own model and images."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from edgenet.benchmarking.drift import measure_drift
from edgenet.bundle.bundle import Bundle
from edgenet.convert.converter import Converter
from edgenet.images import listing, preprocess
from edgenet.model import keras_model
from edgenet.progress import Progress
from edgenet.quantize.quantizer import Steps
from edgenet.records import Drift, VariantFile
from edgenet.records.enums import Variant

STOCK = "stock converter"
STEPS = {
    "bias correction": Steps(gptq=False, equalization=False, narrow_logits=False),
    "+ GPTQ": Steps(equalization=False, narrow_logits=False),
    "+ equalization": Steps(narrow_logits=False),
    "+ finer logits (the default)": Steps(),
}


@dataclass(frozen=True)
class AblationRow:
    """An int8 conversion with some of the steps.

    Attributes:
        name: The steps.
        drift: The drift of the file.
        seconds: How long the conversion took.
    """

    name: str
    drift: Drift
    seconds: float


def ablate(bundle: Bundle, calibration: Path, progress: Progress) -> Iterator[AblationRow]:
    """Convert the bundle's Keras model to int8 with more and more steps, and measure the drift.

    Args:
        bundle: The bundle; its evaluation images are used.
        calibration: The folder of calibration images.
        progress: Gets the steps.

    Yields:
        A row for TensorFlow's converter, then one for each of STEPS.

    Raises:
        EdgenetError: There are no calibration images, or the bundle has no Keras model.
    """
    paths = listing.find_images(calibration).paths
    model = keras_model.reload(
        bundle.file(bundle.manifest.model), bundle.manifest.preprocessing, bundle.manifest.output
    )
    converter = Converter(model, bundle.manifest.batch)
    with TemporaryDirectory() as folder:
        decoded = Path(folder) / "calibration.npy"
        preprocess.decode_all(paths, bundle.manifest.preprocessing, decoded)
        dataset = partial(preprocess.read_decoded, decoded)
        conversions: dict[str, Callable[[], bytes]] = {STOCK: partial(converter.stock_int8, dataset)}
        for name, steps in STEPS.items():
            conversions[name] = partial(converter.int8, dataset, steps=steps)
        for name, convert in conversions.items():
            progress.step(name.removeprefix("+ "))
            start = time.perf_counter()
            data = convert()
            seconds = time.perf_counter() - start
            path = Path(folder) / "int8.tflite"
            path.write_bytes(data)
            variant = VariantFile(Variant.INT8, str(path), "uint8", "uint8", None)
            yield AblationRow(name, measure_drift(bundle, [variant], progress)[Variant.INT8], seconds)
