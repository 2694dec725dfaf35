"""Export: a Keras model and pictures become a bundle."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np

import edgenet
from edgenet import files
from edgenet.apps import conformance
from edgenet.benchmarking import benchmark
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import Bundle
from edgenet.calibration import fit
from edgenet.convert import inspection, metadata
from edgenet.convert.converter import Converter, Pictures
from edgenet.convert.metadata import About
from edgenet.convert.options import DYNAMIC, FLOAT16, FLOAT32, INT8, VARIANTS, Options
from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images import preprocess
from edgenet.images.splits import Sets
from edgenet.litert import delegate
from edgenet.litert.runner import Runner
from edgenet.machine import host
from edgenet.model.classifier import Classifier
from edgenet.progress import Progress
from edgenet.records import Calibration, Manifest, Picture, Preprocessing, Variant
from edgenet.scores import check_finite

# Pictures in one call of the Keras model.
KERAS_BATCH = 32
# Pictures that calibrate a file of which only the operators are looked at.
FEW_PICTURES = 2


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
    force: bool = False,
) -> Bundle:
    """Write the bundle of a classifier to the folder `out`, in the place of a bundle that is there.

    Of that one, the files go that its manifest names; all others stay, results among them, which are those of another
    export now. about: what the files say of themselves. force: whether files may go that the earlier bundle does not
    name and whose place a new one takes.

    Raises EdgenetError, and leaves `out` as it was, when anything does not fit.
    """
    if len(labels) != classifier.classes:
        raise EdgenetError(
            f"{name}: expected a label for each of {classifier.classes:,} classes, found {len(labels):,}"
        )
    if same := class_names.repeated(labels):
        some = ", ".join(same[:3]) + (", ..." if len(same) > 3 else "")
        progress.note(f"labels: several classes have one name ({some}); nobody will tell them apart in an app")
    recipe = classifier.recipe
    evaluated = tuple(
        Picture(f"{bundles.EVALUATION}/{path.relative_to(sets.folder).as_posix()}", label)
        for path, label in zip(sets.evaluation, sets.truth, strict=True)
    )
    replaced = bundles.check_replaceable(out, _coming(options, evaluated), force)

    with files.whole_folder(out, replaced) as folder:
        progress.step(f"looking at {len(sets.calibration):,} calibration images")
        examination = fit.examine(classifier, sets.calibration, progress)
        for finding in examination.findings:
            if finding.level in ("warning", "wrong"):
                progress.note(f"calibration: {finding.text}")
        seen = dict(zip(examination.digests, sets.calibration, strict=True))
        progress.step(f"Keras on {len(sets.evaluation):,} evaluation images")
        shown = (pixels for pixels, _ in _disjoint(_pictures(sets.evaluation, recipe), seen))
        evaluation.write_scores(
            folder / bundles.REFERENCE,
            _finite(classifier.scores(preprocess.batches(shown, KERAS_BATCH)), name, sets.evaluation, labels),
            (len(sets.evaluation), classifier.classes),
        )
        for path, picture in zip(sets.evaluation, evaluated, strict=True):
            (folder / picture.file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / picture.file)
        (folder / bundles.LABELS).write_text("\n".join(labels) + "\n", encoding="utf-8")
        model = classifier.save(folder)

        calibrated = sha256("".join(examination.digests).encode()).hexdigest()
        progress.step("converting")
        converter, variants = Converter(classifier, options.batch), []
        pictures = partial(preprocess.load_all, sets.calibration, recipe)
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
            delegate.check_delegation(variant, data, partial(_stock, converter, pictures, variant, options))
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
    return Bundle(out, manifest)


def _coming(options: Options, evaluated: Sequence[Picture]) -> list[str]:
    """The files of the new bundle, as far as they are known beforehand, and the places that a Keras model can have."""
    own = (bundles.MANIFEST, bundles.LABELS, bundles.REFERENCE, "model.keras", "saved_model")
    return [*own, *(f"{variant}.tflite" for variant in options.variants), *(picture.file for picture in evaluated)]


def _finite(
    batches: Iterable[np.ndarray], name: str, paths: Sequence[Path], labels: Sequence[str]
) -> Iterator[np.ndarray]:
    """Pass Keras' scores through. Raises EdgenetError at one that is NaN or infinite."""
    done = 0
    for scores in batches:
        some = [str(path) for path in paths[done : done + len(scores)]]
        check_finite(scores, name, some, labels)
        done += len(scores)
        yield scores


def _stock(converter: Converter, pictures: Pictures, variant: str, options: Options) -> bytes:
    """The stock converter's file of a variant, of which only the operators matter: a few pictures will do."""
    if variant == INT8:
        return converter.stock_int8(lambda: islice(pictures(), FEW_PICTURES), options.interface)
    return {FLOAT32: converter.float32, FLOAT16: converter.float16, DYNAMIC: converter.stock_dynamic}[variant]()


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
    return zip(preprocess.load_all(paths, recipe), paths, strict=True)


def _disjoint(pictures: Iterator[tuple[np.ndarray, Path]], seen: dict[str, Path]) -> Iterator[tuple[np.ndarray, Path]]:
    """Pass the evaluation pictures through. Raises EdgenetError at one that was calibrated with."""
    for pixels, path in pictures:
        twin = seen.get(preprocess.digest(pixels))
        if twin:
            raise EdgenetError(
                f"{path}: expected evaluation images that are not calibrated with, found the same picture as {twin}; "
                "remove one of them"
            )
        yield pixels, path
