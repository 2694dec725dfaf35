"""Export: a Keras model and pictures become a bundle."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import keras
import numpy as np

from edgenet import files, images
from edgenet.errors import EdgenetError
from edgenet.export import inspection
from edgenet.export.convert import Converter, Pictures
from edgenet.export.options import DYNAMIC, FLOAT16, FLOAT32, INT8, VARIANTS, Options
from edgenet.model import keras_model
from edgenet.records import Calibration, Manifest, Picture, Preprocessing, Variant
from edgenet.runtime import benchmark, host
from edgenet.runtime import bundle as bundles
from edgenet.runtime.bundle import Bundle
from edgenet.runtime.runner import Runner
from edgenet.terminal import Progress

# Pictures in one call of the Keras model.
KERAS_BATCH = 32


def export(
    model: keras.Model,
    out: Path,
    progress: Progress,
    *,
    name: str,
    labels: Sequence[str],
    calibration: Path,
    evaluation: Path,
    options: Options = Options(),
) -> Bundle:
    """Write the bundle of `model` to the folder `out`, in the place of a bundle that is there.

    model: takes (batch, size, size, 3) in [-1, 1], gives (batch, classes). calibration, evaluation: folders of
    pictures, disjoint by content; evaluation pictures in folders named after a class give accuracy.

    Raises EdgenetError, and leaves `out` as it was, when anything does not fit.
    """
    keras_model.check(model, name)
    classes = model.outputs[0].shape[1]
    if len(labels) != classes:
        raise EdgenetError(f"{name}: expected a label for each of {classes} classes, found {len(labels)}")
    bundles.check_replaceable(out)
    size = model.inputs[0].shape[1]
    calibration_paths, evaluation_paths = images.find(calibration), images.find(evaluation)
    truth = images.labels_by_folder(evaluation_paths, list(labels))

    with files.whole_folder(out) as folder:
        progress.step(f"reading {len(calibration_paths)} calibration images")
        digests = [images.digest(pixels) for pixels in images.load_all(calibration_paths, size)]
        seen = dict(zip(digests, calibration_paths, strict=True))
        progress.step(f"Keras on {len(evaluation_paths)} evaluation images")
        shown = (pixels for pixels, _ in _disjoint(_pictures(evaluation_paths, size), seen))
        bundles.write_scores(
            folder / bundles.REFERENCE,
            keras_model.scores(model, images.batches(shown, KERAS_BATCH)),
            (len(evaluation_paths), classes),
        )
        evaluated = tuple(
            Picture(f"{bundles.EVALUATION}/{path.relative_to(evaluation).as_posix()}", label)
            for path, label in zip(evaluation_paths, truth, strict=True)
        )
        for path, picture in zip(evaluation_paths, evaluated, strict=True):
            (folder / picture.file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / picture.file)
        (folder / bundles.LABELS).write_text("\n".join(labels) + "\n", encoding="utf-8")
        (folder / bundles.KERAS_MODEL).write_bytes(keras_model.to_bytes(model))

        progress.step("converting")
        converter, variants = Converter(model, options.batch), []
        pictures = partial(images.load_all, calibration_paths, size)
        for variant, convert in _conversions(converter, pictures, options):
            progress.step(f"converting to {variant}")
            data = convert()
            for layer in converter.left:
                progress.note(f"{variant}: {layer} is left to the stock converter's rounding")
            weights = _kernel_weights(model)
            inspection.check(variant, data, batch=options.batch, parameters=weights, interface=options.interface)
            path = folder / f"{variant}.tflite"
            path.write_bytes(data)
            runner = Runner(path)
            variants.append(Variant(variant, path.name, runner.input_dtype.name, runner.output_dtype.name, None))

        progress.step("measuring drift")
        manifest = Manifest(
            name=name,
            classes=classes,
            preprocessing=Preprocessing(size),
            batch=options.batch,
            variants=tuple(variants),
            evaluation=evaluated,
            calibration=Calibration(len(calibration_paths), sha256("".join(digests).encode()).hexdigest()),
            versions=host.versions(),
            files={},
        )
        drifts = benchmark.measure_drift(Bundle(folder, manifest), variants, progress)
        manifest = replace(manifest, variants=tuple(replace(v, drift=drifts[v.name]) for v in variants))
        progress.step("hashing")
        manifest = bundles.seal(folder, manifest).manifest
        if (out / bundles.RESULTS).is_dir():
            shutil.copytree(out / bundles.RESULTS, folder / bundles.RESULTS)
    return Bundle(out, manifest)


def _conversions(
    converter: Converter, pictures: Pictures, options: Options
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    stock = options.quantizer == "stock"
    conversions = {
        FLOAT32: converter.float32,
        FLOAT16: converter.float16,
        DYNAMIC: converter.stock_dynamic if stock else lambda: converter.dynamic(pictures),
        INT8: lambda: (converter.stock_int8 if stock else converter.int8)(pictures, options.interface),
    }
    return ((variant, conversions[variant]) for variant in VARIANTS if variant in options.variants)


def _pictures(paths: Sequence[Path], size: int) -> Iterator[tuple[np.ndarray, Path]]:
    return zip(images.load_all(paths, size), paths, strict=True)


def _disjoint(pictures: Iterator[tuple[np.ndarray, Path]], seen: dict[str, Path]) -> Iterator[tuple[np.ndarray, Path]]:
    """Pass the evaluation pictures through. Raises EdgenetError at one that was calibrated with."""
    for pixels, path in pictures:
        twin = seen.get(images.digest(pixels))
        if twin:
            raise EdgenetError(
                f"{path}: expected evaluation images that are not calibrated with, found the same picture as {twin}; "
                "remove it from one of the two folders"
            )
        yield pixels, path


def _kernel_weights(model: keras.Model) -> int:
    """The number of weights in the model's kernels, which no conversion may lose."""
    return sum(int(np.prod(variable.shape)) for variable in model.weights if len(variable.shape) > 1)
