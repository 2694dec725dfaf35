"""Export: a Keras model and pictures become a bundle."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

import edgenet
from edgenet import files, images
from edgenet import labels as class_names
from edgenet.apps import conformance
from edgenet.errors import EdgenetError
from edgenet.export import calibration, inspection, metadata
from edgenet.export.convert import Converter, Pictures
from edgenet.export.metadata import About
from edgenet.export.options import DYNAMIC, FLOAT16, FLOAT32, INT8, VARIANTS, Options
from edgenet.export.sets import Sets
from edgenet.model.classifier import Classifier
from edgenet.records import Calibration, Manifest, Picture, Preprocessing, Variant
from edgenet.runtime import benchmark, host
from edgenet.runtime import bundle as bundles
from edgenet.runtime.bundle import Bundle
from edgenet.runtime.runner import Runner
from edgenet.terminal import Progress

# Pictures in one call of the Keras model.
KERAS_BATCH = 32


def export(
    classifier: Classifier,
    out: Path,
    progress: Progress,
    *,
    name: str,
    labels: Sequence[str],
    sets: Sets,
    options: Options = Options(),
    about: About | None = None,
) -> Bundle:
    """Write the bundle of a classifier to the folder `out`, in the place of a bundle that is there.

    about: what the files say of themselves.

    Raises EdgenetError, and leaves `out` as it was, when anything does not fit.
    """
    if len(labels) != classifier.classes:
        raise EdgenetError(
            f"{name}: expected a label for each of {classifier.classes:,} classes, found {len(labels):,}"
        )
    if same := class_names.repeated(labels):
        some = ", ".join(same[:3]) + (", ..." if len(same) > 3 else "")
        progress.note(f"labels: several classes have one name ({some}); nobody will tell them apart in an app")
    bundles.check_replaceable(out)
    recipe = classifier.recipe

    with files.whole_folder(out) as folder:
        progress.step(f"looking at {len(sets.calibration):,} calibration images")
        examination = calibration.examine(classifier, sets.calibration, progress)
        for finding in examination.findings:
            if finding.level in ("warning", "wrong"):
                progress.note(f"calibration: {finding.text}")
        seen = dict(zip(examination.digests, sets.calibration, strict=True))
        progress.step(f"Keras on {len(sets.evaluation):,} evaluation images")
        shown = (pixels for pixels, _ in _disjoint(_pictures(sets.evaluation, recipe), seen))
        bundles.write_scores(
            folder / bundles.REFERENCE,
            classifier.scores(images.batches(shown, KERAS_BATCH)),
            (len(sets.evaluation), classifier.classes),
        )
        evaluated = tuple(
            Picture(f"{bundles.EVALUATION}/{path.relative_to(sets.folder).as_posix()}", label)
            for path, label in zip(sets.evaluation, sets.truth, strict=True)
        )
        for path, picture in zip(sets.evaluation, evaluated, strict=True):
            (folder / picture.file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / picture.file)
        (folder / bundles.LABELS).write_text("\n".join(labels) + "\n", encoding="utf-8")
        model = classifier.save(folder)

        calibrated = sha256("".join(examination.digests).encode()).hexdigest()
        progress.step("converting")
        converter, variants = Converter(classifier, options.batch), []
        pictures = partial(images.load_all, sets.calibration, recipe)
        for variant, convert in _conversions(converter, pictures, options):
            progress.step(f"converting to {variant}")
            data = convert()
            for layer in converter.left:
                progress.note(f"{variant}: {layer} is left to the stock converter's rounding")
            inspection.check(
                variant,
                data,
                batch=options.batch,
                parameters=classifier.weights,
                pixels=recipe.range,
                interface=options.interface,
            )
            if metadata.carried(data):
                progress.note(f"{variant}: it has metadata already, which are replaced")
            data = metadata.write(
                data,
                about or About(name),
                recipe,
                labels,
                examination.scores,
                _provenance(classifier, variant, calibrated),
            )
            path = folder / f"{variant}.tflite"
            path.write_bytes(data)
            runner = Runner(path, recipe)
            variants.append(Variant(variant, path.name, runner.input_dtype.name, runner.output_dtype.name, None))

        progress.step("measuring drift")
        manifest = Manifest(
            name=name,
            classes=classifier.classes,
            scores=examination.scores,
            model=model,
            preprocessing=recipe,
            batch=options.batch,
            variants=tuple(variants),
            evaluation=evaluated,
            calibration=Calibration(
                images=len(sets.calibration),
                sha256=calibrated,
                findings=examination.findings,
                distances=examination.distances,
            ),
            apps=(),
            versions=host.versions(),
            files={},
        )
        drifts = benchmark.measure_drift(Bundle(folder, manifest), variants, progress)
        manifest = replace(manifest, variants=tuple(replace(v, drift=drifts[v.name]) for v in variants))
        if options.apps:
            progress.step("asking the Task Library")
            manifest = replace(manifest, apps=conformance.check(Bundle(folder, manifest)))
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


def _provenance(classifier: Classifier, variant: str, calibrated: str) -> dict[str, str]:
    """Where a file comes from: it stays with it when the bundle does not."""
    found = {"edgenet": edgenet.__version__, "weights_sha256": classifier.digest}
    if variant in (DYNAMIC, INT8):
        found["calibration_sha256"] = calibrated
    if classifier.recipe.order != "RGB":  # which TFLite Metadata has no word for
        found["channel_order"] = classifier.recipe.order
    return found


def _pictures(paths: Sequence[Path], recipe: Preprocessing) -> Iterator[tuple[np.ndarray, Path]]:
    return zip(images.load_all(paths, recipe), paths, strict=True)


def _disjoint(pictures: Iterator[tuple[np.ndarray, Path]], seen: dict[str, Path]) -> Iterator[tuple[np.ndarray, Path]]:
    """Pass the evaluation pictures through. Raises EdgenetError at one that was calibrated with."""
    for pixels, path in pictures:
        twin = seen.get(images.digest(pixels))
        if twin:
            raise EdgenetError(
                f"{path}: expected evaluation images that are not calibrated with, found the same picture as {twin}; "
                "remove one of them"
            )
        yield pixels, path
