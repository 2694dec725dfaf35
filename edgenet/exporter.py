"""Export: a Keras model and images become a bundle.

The stages are called in the order of the folders: images, calibration, the search for a file that keeps
a budget, conversion with its checks, bundle, drift.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np

import edgenet
from edgenet import files
from edgenet.app_code import writer as app_code
from edgenet.benchmarking import low_agreement
from edgenet.benchmarking.drift import decision_note, measure_drift
from edgenet.budget import search
from edgenet.budget.judge import Budget
from edgenet.budget.search import Found
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import Bundle
from edgenet.calibration import fit, reference
from edgenet.calibration.reference import ReferenceTally
from edgenet.convert import inspection, metadata
from edgenet.convert.converter import Converter, RepresentativeDataset
from edgenet.convert.metadata import About
from edgenet.convert.options import Options
from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images import preprocess, resize_entry
from edgenet.images.bit_depth import UsedBits
from edgenet.images.resize_options import describe
from edgenet.images.splits import DataSplit
from edgenet.litert import delegate
from edgenet.litert.runner import Runner
from edgenet.machine import host
from edgenet.model.classifier import KerasClassifier
from edgenet.progress import SILENT, Progress
from edgenet.records import (
    Calibration,
    ChannelOrder,
    EvaluationImage,
    Finding,
    Level,
    Manifest,
    Preprocessing,
    Quantizer,
    ScoreKind,
    Variant,
    VariantFile,
)
from edgenet.scores import check_finite
from edgenet.tflite.graph import CHANNEL_AXIS, Graph
from edgenet.tflite.layer_names import LayerNames

# Images in one call of the Keras model.
KERAS_BATCH = 32
# Calibration images of a file of which only the operators are looked at.
FEW_IMAGES = 2


@dataclass(frozen=True)
class Inputs:
    """What is exported.

    Args:
        classifier: The Keras model.
        name: Its name in the bundle.
        labels: The class names, in the order of the scores.
        split: The calibration and the evaluation images.
        about: What the files say about themselves; the name alone by default.
    """

    classifier: KerasClassifier
    name: str
    labels: Sequence[str]
    split: DataSplit
    about: About | None = None

    @property
    def recipe(self) -> Preprocessing:
        return self.classifier.recipe

    @property
    def evaluation(self) -> tuple[EvaluationImage, ...]:
        """The evaluation images, by their paths in the bundle."""
        return tuple(
            EvaluationImage(f"{bundles.EVALUATION}/{path.relative_to(self.split.folder).as_posix()}", label)
            for path, label in zip(self.split.evaluation, self.split.truth, strict=True)
        )


def export(
    inputs: Inputs, out: Path, options: Options = Options(), *, force: bool = False, progress: Progress = SILENT
) -> Bundle:
    """Write the bundle of a classifier.

    Of a bundle that is there, the files that its manifest names are replaced; all others stay, results among them.

    Args:
        inputs: The model and its images.
        out: The folder of the bundle.
        options: Variants, data types, batch, quantizer, arithmetic.
        force: Whether to replace files that the earlier bundle does not name where a new one takes their place.
        progress: Listens to the work.

    Returns:
        The bundle, with the drift of each variant in its manifest.

    Raises:
        EdgenetError: When anything does not fit; `out` is left as it was.
    """
    _check_labels(inputs, progress)
    replaced = bundles.check_replaceable(out, _new_files(options, inputs), force)
    with files.atomic_folder(out, replaced) as folder, tempfile.TemporaryDirectory(prefix="edgenet-") as scratch:
        calibration, examination = _calibrate(inputs, Path(scratch), progress)
        inputs = replace(inputs, classifier=inputs.classifier.with_recipe(examination.recipe))
        tally = _write_reference(inputs, folder, examination, progress)
        doubts = reference.doubts(inputs.classifier, inputs.split, inputs.labels, examination, tally, progress)
        for finding in doubts:
            progress.note(finding.text)
        model = inputs.classifier.save(folder)
        progress.step("tracing the model")
        converter = Converter(inputs.classifier, options.batch)
        found = _search(inputs, converter, calibration, examination.scores, options, Path(scratch), progress)
        converted = _convert(inputs, converter, calibration, examination, options, found, folder, progress)
        manifest = Manifest(
            name=inputs.name,
            classes=inputs.classifier.classes,
            scores=examination.scores,
            model=model,
            preprocessing=inputs.recipe,
            batch=options.batch,
            variants=tuple(converted),
            evaluation=inputs.evaluation,
            calibration=Calibration(
                images=len(inputs.split.calibration),
                sha256=_combined(examination.digests),
                findings=examination.findings,
                distances=examination.distances,
            ),
            apps=(),
            versions=host.versions(),
            files={},
            output=inputs.classifier.output,
            reference_scores=tally.record(inputs.split.truth),
            budget=found.record if found else None,
        )
        if note := decision_note(manifest):
            progress.note(note)
        progress.step("measuring drift")
        drifts = measure_drift(Bundle(folder, manifest), converted, progress)
        manifest = replace(manifest, variants=tuple(replace(v, drift=drifts[v.name]) for v in converted))
        disagreements = _disagreements(manifest, folder)
        for finding in disagreements:
            progress.note(finding.text)
        manifest = replace(manifest, findings=(*doubts, *disagreements))
        progress.step("writing the app's code")
        app_code.write(folder, manifest, inputs.labels)
        progress.step("hashing")
        manifest = bundles.seal(folder, manifest).manifest
    return Bundle(out, manifest)


def _check_labels(inputs: Inputs, progress: Progress) -> None:
    classes = inputs.classifier.classes
    if len(inputs.labels) != classes:
        raise EdgenetError(
            f"{inputs.name}: expected a label for each of {classes:,} classes, got {len(inputs.labels):,}"
        )
    if same := class_names.duplicates(inputs.labels):
        some = ", ".join(same[:3]) + (", ..." if len(same) > 3 else "")
        progress.note(f"labels: several classes have the same name ({some}); an app cannot tell them apart")


def _new_files(options: Options, inputs: Inputs) -> list[str]:
    """The files of the new bundle that are known beforehand, and the places that a Keras model can have."""
    own = (bundles.MANIFEST, bundles.LABELS, bundles.REFERENCE, "model.keras", "saved_model")
    images = (image.file for image in inputs.evaluation)
    return [*own, *app_code.PATHS, *(f"{variant}.tflite" for variant in options.variants), *images]


def _calibrate(inputs: Inputs, scratch: Path, progress: Progress) -> tuple[RepresentativeDataset, fit.Examination]:
    """Decode the calibration images, once for all that follows, and check whether they match the model.

    Returns:
        The images, which stay on disk; and the findings.
    """
    paths, file = inputs.split.calibration, scratch / "calibration.npy"
    if not inputs.classifier.resize_given:
        progress.note(f"images: {describe(inputs.recipe.resize)}; like= or resize= sets another")
    progress.step(f"reading {len(paths):,} calibration images")
    used_bits = UsedBits()
    preprocess.decode_all(paths, inputs.recipe, file, used_bits)
    if note := used_bits.note():
        progress.note(f"calibration: {note}")
    images = partial(preprocess.read_decoded, file)
    progress.step("checking the calibration images")
    examination = fit.examine(inputs.classifier, paths, progress, images(), inputs.split.calibration_truth or None)
    for finding in examination.findings:
        is_told = finding in (*examination.choice, *examination.resizing.findings) and finding.level != Level.OK
        if is_told or finding.level in (Level.WARNING, Level.WRONG):
            progress.note(f"calibration: {finding.text}")
    return images, examination


def _write_reference(inputs: Inputs, folder: Path, examination: fit.Examination, progress: Progress) -> ReferenceTally:
    """Write the Keras model's scores, the evaluation images and the labels into the bundle, and count the scores."""
    paths, classifier = inputs.split.evaluation, inputs.classifier
    progress.step(f"Keras on {len(paths):,} evaluation images")
    known = dict(zip(examination.digests, inputs.split.calibration, strict=True))
    tally = ReferenceTally(classifier.classes, examination.scores)
    used_bits = UsedBits()
    decoded = zip(preprocess.load_all(paths, inputs.recipe, used_bits), paths, strict=True)
    pixels = preprocess.batches(_disjoint(decoded, known), KERAS_BATCH)
    evaluation.write_scores(
        folder / bundles.REFERENCE,
        _counted(_finite(classifier.scores(pixels), inputs), tally),
        (len(paths), classifier.classes),
    )
    if note := used_bits.note():
        progress.note(f"evaluation: {note}")
    for path, image in zip(paths, inputs.evaluation, strict=True):
        (folder / image.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / image.file)
    (folder / bundles.LABELS).write_bytes(("\n".join(inputs.labels) + "\n").encode())
    return tally


def _counted(batches: Iterable[np.ndarray], tally: ReferenceTally) -> Iterator[np.ndarray]:
    for scores in batches:
        tally.add(scores)
        yield scores


def _disagreements(manifest: Manifest, folder: Path) -> list[Finding]:
    """Variants with a low agreement."""
    top_score = manifest.reference_scores.mean_top_score if manifest.reference_scores else 0.0
    return list(
        low_agreement.findings(
            manifest.variants,
            {variant.name: (folder / variant.file).stat().st_size for variant in manifest.variants},
            nearly_uniform=reference.is_nearly_uniform(top_score, manifest.classes, manifest.scores),
            top_score=top_score,
        )
    )


def _finite(batches: Iterable[np.ndarray], inputs: Inputs) -> Iterator[np.ndarray]:
    """Pass the scores on. Raises EdgenetError at one that is NaN or infinite."""
    done = 0
    for scores in batches:
        names = [str(path) for path in inputs.split.evaluation[done : done + len(scores)]]
        check_finite(scores, inputs.name, names, inputs.labels)
        done += len(scores)
        yield scores


def _disjoint(images: Iterable[tuple[np.ndarray, Path]], calibrated: Mapping[str, Path]) -> Iterator[np.ndarray]:
    """Pass the evaluation images on. Raises EdgenetError at one that is a calibration image, too."""
    for pixels, path in images:
        if same := calibrated.get(preprocess.digest(pixels)):
            raise EdgenetError(
                f"{path}: this image is also in the calibration set ({same}); remove it from one of them"
            )
        yield pixels


def _search(
    inputs: Inputs,
    converter: Converter,
    calibration: RepresentativeDataset,
    scores: ScoreKind,
    options: Options,
    scratch: Path,
    progress: Progress,
) -> Found | None:
    """Search for the fastest file that keeps the budget; None if there is none to keep."""
    budget = Budget(options.max_drift, options.max_accuracy_drop)
    if not budget:
        return None
    stock = options.quantizer == Quantizer.STOCK
    conversions = search.Conversions(
        converter.float32,
        (lambda images: converter.stock_dynamic()) if stock else converter.dynamic,
        partial(converter.stock_int8 if stock else converter.int8, interface=options.interface),
        partial(converter.stock_mixed if stock else converter.mixed, interface=options.interface),
        None if stock else converter.dynamic,
    )
    found = search.search(
        budget,
        calibration,
        inputs.split.calibration_truth,
        conversions,
        inputs.recipe,
        scratch,
        progress,
        batch=options.batch,
        multi_label=scores == ScoreKind.SIGMOID and all(label is None for label in inputs.split.truth),
    )
    progress.note(found.record.text)
    chosen = None if found.record.chosen is None else found.record.trials[found.record.chosen].variant
    if chosen is not None and chosen not in options.variants:
        progress.note(f"the bundle has no {chosen} file: add {chosen} to variants=")
    return found


def _convert(
    inputs: Inputs,
    converter: Converter,
    calibration: RepresentativeDataset,
    examination: fit.Examination,
    options: Options,
    found: Found | None,
    folder: Path,
    progress: Progress,
) -> list[VariantFile]:
    """Write each variant, checked, with its metadata."""
    recipe, written = inputs.recipe, []
    kept = _Kept.select(converter.float32(), found.layers if found else options.keep_float)
    conversions = _conversions(converter, calibration, options, kept.positions, found)
    if found and not conversions:
        raise EdgenetError(f"{found.record.text}; add other variants", parameter="variants")
    others = found.others if found else Variant.INT8
    for variant, convert in conversions.items():
        progress.step(f"converting to {variant}")
        data = convert()
        for layer in converter.unquantized_layers:
            progress.note(f"{variant}: the weights of {layer} are quantized by the stock converter")
        inspection.check_variant(
            variant,
            data,
            batch=options.batch,
            parameters=inputs.classifier.kernel_parameters,
            input_range=recipe.range,
            interface=options.interface,
            float_layers=kept.weighted,
            others=others,
        )
        compared = others if variant == Variant.MIXED else variant
        delegate.check_delegation(variant, data, partial(_stock, converter, calibration, compared, options))
        half = variant == Variant.FLOAT16 and options.half_arithmetic
        if metadata.has_metadata(data):
            progress.note(f"{variant}: its own metadata is replaced")
        data = metadata.write(
            data,
            inputs.about or About(inputs.name),
            recipe,
            inputs.labels,
            examination.scores,
            _provenance(inputs.classifier, variant, _calibrating(variant, examination.digests, found), kept.names),
            half_arithmetic=half,
        )
        inspection.check_half_arithmetic(variant, data, half)
        path = folder / f"{variant}.tflite"
        path.write_bytes(data)
        runner = Runner(path, recipe)
        dtypes = runner.input_dtype.name, runner.output_dtype.name
        float_layers = kept.names if variant == Variant.MIXED else ()
        written.append(VariantFile(variant.value, path.name, *dtypes, None, float_layers, others.value))
    return written


@dataclass(frozen=True)
class _Kept:
    """The operators that stay in float32 in the mixed variant.

    Attributes:
        positions: Their indices among the operators of the float32 variant.
        names: Their names.
        weighted: How many of them are layers with weights.
    """

    positions: tuple[int, ...]
    names: tuple[str, ...]
    weighted: int

    @classmethod
    def select(cls, float32: bytes, layers: Sequence[str]) -> "_Kept":
        """The operators of some layers. Raises EdgenetError where one is not in the model, or all are."""
        graph = Graph(float32)
        names = LayerNames(graph)
        positions = names.select(layers)
        layers_with_weights = [n for n, op in enumerate(graph.operators) if graph.kind(op) in CHANNEL_AXIS]
        weighted = sum(position in positions for position in layers_with_weights)
        if weighted == len(layers_with_weights) and layers:
            raise EdgenetError("no layer with weights is left to quantize; use float32", parameter="keep_float")
        return cls(tuple(positions), tuple(map(names.shown, positions)), weighted)


def _conversions(
    converter: Converter,
    calibration: RepresentativeDataset,
    options: Options,
    kept: Sequence[int],
    found: Found | None,
) -> dict[Variant, Callable[[], bytes]]:
    """What makes each of the variants that are wanted, in the order of `Variant`.

    A mixed file that was found is written as it was judged; where none is needed or possible, there is none.
    """
    stock = options.quantizer == Quantizer.STOCK
    conversions: dict[Variant, Callable[[], bytes]] = {
        Variant.FLOAT32: converter.float32,
        Variant.FLOAT16: converter.float16,
        Variant.DYNAMIC: converter.stock_dynamic if stock else partial(converter.dynamic, calibration),
        Variant.INT8: partial(converter.stock_int8 if stock else converter.int8, calibration, options.interface),
        Variant.MIXED: partial(
            converter.stock_mixed if stock else converter.mixed, calibration, kept, options.interface
        ),
    }
    if found:
        conversions.pop(Variant.MIXED)
        if found.data is not None:
            conversions[Variant.MIXED] = partial(bytes, found.data)
    return {variant: convert for variant, convert in conversions.items() if variant in options.variants}


def _calibrating(variant: Variant, digests: Sequence[str], found: Found | None) -> Sequence[str]:
    """The digests of the images that a variant was made of."""
    return [digests[index] for index in found.fitted] if found and variant == Variant.MIXED else digests


def _stock(converter: Converter, calibration: RepresentativeDataset, variant: Variant, options: Options) -> bytes:
    """The stock converter's file of a variant, of which only the operators matter: a few images will do."""
    if variant in (Variant.INT8, Variant.MIXED):
        return converter.stock_int8(lambda: islice(calibration(), FEW_IMAGES), options.interface)
    if variant == Variant.DYNAMIC:
        return converter.stock_dynamic()
    return converter.stock_float16() if variant == Variant.FLOAT16 else converter.float32()


def _combined(digests: Sequence[str]) -> str:
    return sha256("".join(digests).encode()).hexdigest()


def _provenance(
    classifier: KerasClassifier, variant: Variant, calibrated: Sequence[str], kept: Sequence[str]
) -> dict[str, str]:
    """Where a file comes from: it stays with the file when the bundle does not."""
    found = {"edgenet": edgenet.__version__, "weights_sha256": classifier.digest}
    if variant in (Variant.DYNAMIC, Variant.INT8, Variant.MIXED):
        found["calibration_sha256"] = _combined(calibrated)
    if variant == Variant.MIXED:
        found["float_layers"] = ",".join(kept)
    if classifier.recipe.order != ChannelOrder.RGB:  # TFLite Metadata has no field for it
        found["channel_order"] = classifier.recipe.order
    return found | resize_entry.write(classifier.recipe.resize)
