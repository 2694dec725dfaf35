"""What callers of the public functions pass, turned into what the stages take."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenet.analysis import loading, record_folder
from edgenet.analysis.record_folder import Kind, RecordFolder
from edgenet.bundle import archive
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.errors import EdgenetError
from edgenet.images import model_labels
from edgenet.images.input_range import parse_input
from edgenet.images.resize_options import RESIZE_PARAMETERS, ResizeOptions
from edgenet.model.requirements import require_tensorflow
from edgenet.progress import SILENT, Progress
from edgenet.records import Resize, Results, Sweep, Training
from edgenet.tflite import zipped

if TYPE_CHECKING:
    from edgenet.benchmarking.subject import Subject
    from edgenet.model.classifier import KerasClassifier

PathLike = str | os.PathLike[str]
# True shows a bar in a terminal or notebook; an object listens; False and None are silent.
Listener = bool | Progress | None
# Classes of a file that does not name them.
MAX_CLASSES = 100_000


def subject(
    model: "Bundle | PathLike",
    variants: Sequence[str] | None,
    keras: bool,
    of_file: dict[str, Any],
    stack: ExitStack,
    progress: Progress,
) -> "Subject":
    """What to measure. `stack` ends its processes, and removes its temporary files."""
    from edgenet.benchmarking.subject import Subject

    if isinstance(model, Bundle) or not is_single_file(Path(model)):
        for name, value in of_file.items():
            if value is not None:
                raise EdgenetError("a bundle has its own images and preprocessing; leave it out", parameter=name)
        progress.step("checking the bundle")
        bundle = verified_bundle(model)
        return Subject.from_bundle(bundle, bundle.variants(variants), keras=keras)
    if variants is not None:
        raise EdgenetError(f"{model} is a single file; leave it out", parameter="variants")
    return file_subject(Path(model), keras, of_file, stack, progress)


def is_single_file(path: Path) -> bool:
    """Whether this is a .tflite file, or a zip archive of one."""
    return path.suffix == ".tflite" or zipped.is_zip(path)


def file_subject(path: Path, keras: bool, options: dict[str, Any], stack: ExitStack, progress: Progress) -> "Subject":
    """A .tflite file to measure. options: of `edgenet.benchmark`, by name; `stack` as in `subject`."""
    from edgenet.benchmarking import single_file
    from edgenet.images import sources
    from edgenet.tflite.metadata import read_metadata

    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgenet-")))
    labels, images, truth = options["labels"], options["images"], options["truth"]
    if zipped.is_zip(path):
        path, archived_labels = zipped.unpack(path, scratch / "model")
        labels = labels or archived_labels
    if labels is None:
        labels = getattr(images, "class_names", None)
    if labels is not None and images is not None:
        read = model_labels.read(labels)
        labels = list(read.names)
        for note in read.notes:
            progress.note(note.replace(f"{scratch / 'model'}{os.sep}", ""))  # from an archive
    if images is not None and not isinstance(images, str | os.PathLike):
        # Without names, any class is taken here: how many there are is known when the file is loaded.
        known = labels or read_metadata(path)[1] or [str(number) for number in range(MAX_CLASSES)]
        found = sources.in_one_folder(sources.from_any(images, scratch / "images", labels=known), scratch / "images")
        for note in found.notes:
            progress.note(note)
        images, truth = found.folder, truth or found.classes
    reference = options["reference"]
    if reference is not None and not isinstance(reference, str | os.PathLike):
        reference.save(scratch / "reference.keras")
        reference = scratch / "reference.keras"
    if reference is not None and Path(reference).suffix != ".tflite":
        require_tensorflow("benchmark")
    input_range, order = parse_input(options["input_range"], options["channel_order"])
    chosen = single_file.SingleFileOptions(
        path,
        images=None if images is None else Path(images),
        truth=Path(truth) if isinstance(truth, str | os.PathLike) else truth,
        labels=labels,
        reference=None if reference is None else Path(reference),
        input_range=input_range,
        channel_order=order,
        resize=ResizeOptions(**{name: options[name] for name in RESIZE_PARAMETERS}),
        size=height_and_width(options["size"]),
        skip_broken=bool(options["skip_broken"]),
    )
    return stack.enter_context(single_file.open_subject(chosen, progress, keras=keras))


def loaded_results(
    results: "Results | Bundle | PathLike | Sequence[Results | Bundle | PathLike]",
) -> list[loading.LoadedResults]:
    """Results from records, files and bundles, in their order; one of them may stand alone."""
    return loading.named(_loaded(results, loading.load))


def loaded_baselines(
    results: "Results | Bundle | PathLike | Sequence[Results | Bundle | PathLike]",
) -> list[loading.LoadedResults]:
    """Results that others are compared with, as `loaded_results`; a folder that is not a bundle's has several."""
    return [loading.as_baseline(one) for one in loading.named(_loaded(results, loading.load_baselines))]


def _loaded(
    results: "Results | Bundle | PathLike | Sequence[Results | Bundle | PathLike]",
    load: Callable[[Sequence[Path]], list[loading.LoadedResults]],
) -> list[loading.LoadedResults]:
    loaded: list[loading.LoadedResults] = []
    for one in [results] if isinstance(results, Results | Bundle | str | os.PathLike) else results:
        if isinstance(one, Results):
            loaded += loading.from_records([one])
        else:
            loaded += load([one.folder if isinstance(one, Bundle) else Path(one)])
    return loaded


def loaded_sweep(sweep: "Sweep | PathLike") -> Sweep:
    """A sweep, or that in a folder or file. Raises EdgenetError when there is none."""
    return sweep if isinstance(sweep, Sweep) else record_folder.SWEEP.load(Path(sweep))


def sweep_among(results: Any) -> Sweep | None:
    """The sweep, where that is what a report is to be made of; None for anything else. Raises as `_alone`."""
    return _alone(results, record_folder.SWEEP, "a sweep")


def training_among(results: Any) -> Training | None:
    """The training, where that is what a report is to be made of; None for anything else. Raises as `_alone`."""
    return _alone(results, record_folder.TRAINING, "a training")


def _alone(results: Any, folder: RecordFolder[Kind], what: str) -> Kind | None:
    """The record of a kind among results: itself, its folder or file.

    Raises:
        EdgenetError: There are others beside it, or it cannot be read.
    """
    several = results if isinstance(results, list | tuple) else [results]
    found: list[Any] = [
        one
        for one in several
        if isinstance(one, folder.kind) or (isinstance(one, str | os.PathLike) and folder.holds(Path(one)))
    ]
    if found and len(several) > 1:
        raise EdgenetError(f"report: {what} has a report of its own; give it alone")
    for one in found:
        return one if isinstance(one, folder.kind) else folder.load(Path(one))
    return None


def verified_bundle(bundle: "Bundle | PathLike") -> Bundle:
    """A bundle, or that at a path, whose files were checked against its manifest."""
    if not isinstance(bundle, Bundle):
        bundle = archive.open_bundle(Path(bundle))
    bundles.verify(bundle)
    return bundle


def keras_classifier(
    model: Any,
    name: str,
    size: "int | Sequence[int] | None",
    input_range: str | Sequence[float] | None,
    channel_order: str | None,
    *,
    resize: ResizeOptions = ResizeOptions(),
    default_resize: Resize | None = None,
    softmax: bool = False,
    keep_config: bool = False,
    drop_layer: "str | Sequence[str]" = (),
) -> "KerasClassifier":
    """A Keras model, or a file of one, as a classifier. Raises EdgenetError when it is none."""
    from edgenet.model import keras_file, keras_model
    from edgenet.model.classifier import KerasClassifier

    if isinstance(model, KerasClassifier):
        return model
    expected, order = parse_input(input_range, channel_order)
    options: dict[str, Any] = {
        **{"input_range": expected, "channel_order": order, "size": height_and_width(size)},
        **{"resize": resize, "default_resize": default_resize, "softmax": softmax},
    }
    if isinstance(model, str | os.PathLike):
        dropped = (drop_layer,) if isinstance(drop_layer, str) else tuple(drop_layer)
        return keras_model.load(Path(model), **options, reading=keras_file.Options(keep_config, dropped))
    return keras_model.from_keras(model, name, **options)


def height_and_width(size: "int | Sequence[int] | None") -> tuple[int, int] | None:
    """The size of an input as callers give it: one number for a square, or height and width.

    Raises:
        EdgenetError: It is something else.
    """
    if size is None:
        return None
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise EdgenetError(f"must be a number of pixels, or height and width, got {size!r}", parameter="size")
    return sides


def model_name(model: Any) -> str:
    """The name of a model's bundle: that of its file, or its own."""
    if isinstance(model, str | os.PathLike):
        return Path(model).resolve().stem
    return str(getattr(model, "name", "model")).replace("/", "_").replace("\\", "_") or "model"


def class_labels(
    given: model_labels.Labels | None,
    classifier: "KerasClassifier",
    name: str,
    sources: Sequence[Any],
    progress: Progress = SILENT,
) -> list[str]:
    """The class names of a model as `edgenet.images.model_labels.choose` finds them."""
    return model_labels.choose(given, classifier.classes, name, sources, classifier.labels_file, progress)


@contextmanager
def listening(progress: Listener) -> Iterator[Progress]:
    """The progress listener of a call: a bar, which is closed at the end, the caller's object, or a silent one."""
    if progress is None or progress is False:
        yield SILENT
    elif progress is True:
        from edgenet.terminal import TerminalProgress

        bar = TerminalProgress()
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield progress
