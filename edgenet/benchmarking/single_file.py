"""A single .tflite file of any origin as the subject of a benchmark, alone or against a reference."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgenet import cores, files
from edgenet.benchmarking.drift import Scorers
from edgenet.benchmarking.evaluation_images import EvaluationImages
from edgenet.benchmarking.loaded_model import LoadedModel
from edgenet.benchmarking.range_inference import infer_ranges
from edgenet.benchmarking.subject import EvaluationData, Subject, TimedModels, evaluation_digest
from edgenet.errors import EdgenetError
from edgenet.images import broken, class_folders, listing
from edgenet.images import labels as class_names
from edgenet.images.input_range import InputRange
from edgenet.images.resize_options import ResizeOptions
from edgenet.progress import SILENT, Progress
from edgenet.records import KERAS, MeasuredModel


@dataclass(frozen=True)
class SingleFileOptions:
    """What to measure of a .tflite file.

    Attributes:
        path: The file.
        images: A folder of evaluation images; None to measure latency only.
        truth: The class of each image: a file (see `edgenet.images.class_truth.from_file`), or class indices in the
            order of the sorted image files, None for an unknown one. By default, from the names of the folders.
        labels: The class names, or a file of them; by default those in the file, or ImageNet's for as many classes.
        reference: Another .tflite file, or the Keras model, that drift is measured against.
        input_range: The input range; by default that in the file, or it is inferred from the images.
        channel_order: RGB or BGR, if it is not that in the file.
        resize: How images are resized; by default as the file says.
        size: Height and width of the input, for a file that leaves them free.
        skip_broken: Whether to leave out image files that cannot be read, instead of failing.

    Raises:
        EdgenetError: An option needs images, and there are none.
    """

    path: Path
    images: Path | None = None
    truth: Path | Sequence[int | None] | None = None
    labels: Path | Sequence[str] | None = None
    reference: Path | None = None
    input_range: InputRange | None = None
    channel_order: str | None = None
    resize: ResizeOptions = ResizeOptions()
    size: tuple[int, int] | None = None
    skip_broken: bool = False

    def __post_init__(self) -> None:
        if self.images is not None:
            return
        if self.reference is not None:
            raise EdgenetError("give a folder of images to compare with the reference on", parameter="images")
        for name in ("truth", "labels", "skip_broken"):
            if getattr(self, name) not in (None, False):
                raise EdgenetError(f"give a folder of images to use {name}= with", parameter="images")


@contextmanager
def open_subject(options: SingleFileOptions, progress: Progress = SILENT, *, keras: bool = True) -> Iterator[Subject]:
    """Load a file and its reference, in child processes that end with the block, as the subject of a benchmark.

    Args:
        options: What to measure.
        progress: Listens to the loading.
        keras: Whether to time the reference if it is a Keras model.

    Raises:
        EdgenetError: A file cannot be run, or does not fit its reference, labels or images.
    """
    with ExitStack() as processes:
        progress.step("loading the model")
        model = _load(options.path, options, processes, cores.available())
        reference = None
        if options.reference and options.reference.suffix == ".tflite":
            reference = _load(options.reference, options, processes)
        elif options.reference:
            progress.step("loading TensorFlow")
            reference = LoadedModel.from_keras(
                options.reference, options.input_range, options.channel_order, options.size
            )
        yield make_subject(model, options, reference, keras=keras, progress=progress)


def _load(path: Path, options: SingleFileOptions, processes: ExitStack, count: int = 1) -> LoadedModel:
    """Load a .tflite file in `count` processes, which `processes` ends."""
    model = processes.enter_context(closing(LoadedModel.from_tflite(path, options.size, count)))
    # The options are about the measured file; a reference uses its own range if it states one.
    if options.input_range and (model.range_assumed or path == options.path):
        model.recipe = options.input_range.recipe(*model.recipe.shape, model.recipe.resize)
        model.range_assumed = False
    order = options.channel_order or model.recipe.order
    model.recipe = replace(model.recipe, resize=options.resize.applied_to(model.recipe.resize), order=order)
    return model


def make_subject(
    model: LoadedModel,
    options: SingleFileOptions,
    reference: LoadedModel | None = None,
    *,
    keras: bool = True,
    progress: Progress = SILENT,
) -> Subject:
    """A loaded file and its reference as the subject of a benchmark.

    Args:
        model: The file.
        options: What to measure of it.
        reference: What it is compared with.
        keras: Whether to time the reference if it is a Keras model.
        progress: Listens to a search for broken images.

    Raises:
        EdgenetError: The file does not fit its reference, labels or images.
    """
    if reference:
        _check_shapes(model, reference)
        if reference.name == model.name:
            reference.name = f"{reference.name} (reference)"
    models = [model, *([reference] if reference else [])]
    labels: list[str] = []
    notes: list[str] = []
    data = EvaluationData(reference=None if reference is None else KERAS if reference.keras else reference.name)
    digests: dict[str, str] = {}
    if options.images:
        found = listing.find_images(options.images)
        if note := found.note():
            notes.append(f"{options.images}: {note}")
        labels = _shared_labels(options, models, found.paths, notes)
        unreadable = broken.find(found.paths, progress) if options.skip_broken else {}
        paths, left_out = broken.without(found.paths, options.images, unreadable)
        if left_out:
            notes.append(left_out)
        images = EvaluationImages(found.paths, options.images, labels, options.truth, unreadable)
        notes += images.notes
        infer_ranges(model, reference, images)
        if reference or images.labelled:
            digests = {path.relative_to(options.images).as_posix(): files.sha256(path) for path in paths}
            data = replace(
                data,
                # Nothing says what the scores of a file of any origin are.
                multi_label=False if images.labelled else None,
                images=len(paths),
                chunks=partial(images.chunks, model.recipe, reference),
                open_scorers=partial(_scorers, model),
                sha256=evaluation_digest(digests.values()),
            )
        else:
            notes.append("No reference and no labels, so drift and accuracy are not reported.")
    else:
        infer_ranges(model, reference, None)
    timed = {one.name: one.path for one in models if not one.keras}
    return Subject(
        model=MeasuredModel(
            name=model.name,
            batch=model.batch,
            labels=tuple(labels),
            calibration=(),
            files={name: files.sha256(path) for name, path in timed.items()} | digests,
        ),
        timed=TimedModels(
            files=timed,
            keras=reference.path if reference and reference.keras and keras else None,
            recipe=model.recipe,
            base=next((name for name in timed if name != model.name), None),
        ),
        evaluation=data,
        notes=(*notes, *(note for one in models for note in one.notes)),
    )


def _scorers(model: LoadedModel) -> AbstractContextManager[Scorers]:
    return nullcontext({model.name: model.scorers()})


def _check_shapes(model: LoadedModel, reference: LoadedModel) -> None:
    """With other shapes, drift would include the difference of the resized images."""
    if reference.recipe.shape != model.recipe.shape:
        raise EdgenetError(
            f"{reference.path}: its input has the shape {reference.recipe.shape}, but that of {model.path} has "
            f"{model.recipe.shape}; give a reference with the same input"
        )


def _shared_labels(
    options: SingleFileOptions, models: Sequence[LoadedModel], paths: Sequence[Path], notes: list[str]
) -> list[str]:
    """The names of the classes that all models have. One model may have one more, a background class in front.

    Sets the number of extra classes of each model. If the names are taken from the folders of the images, adds a note.
    """
    counts = {model.name: model.classes for model in models}
    shared = min(counts.values())
    if options.labels is None:
        labels = models[0].labels
        if labels is None and options.images and options.truth is None and shared not in (1000, 1001):
            labels = class_folders.class_names(paths, options.images, shared)
            if labels and all(map(str.isdecimal, labels)):
                labels = None  # numbers are those of the classes
            if labels:
                notes.append(
                    f"{models[0].name} has no labels, so the names of the folders in {options.images} are used, sorted "
                    "as Keras sorts them"
                )
        if labels is None and shared in (1000, 1001):
            labels = class_names.imagenet()
        if labels is None or len(labels) not in (shared, shared + 1):
            labels = [str(number) for number in range(shared)]
    else:
        labels = class_names.read(options.labels) if isinstance(options.labels, Path) else list(options.labels)
    counts["labels"] = len(labels)
    shared = min(counts.values())
    if max(counts.values()) > shared + 1:
        listed = ", ".join(f"{count:,} in {name}" for name, count in counts.items())
        raise EdgenetError(
            f"{options.path}: the numbers of classes do not match ({listed}); they may differ by one background class"
        )
    for model in models:
        model.leave_out(model.classes - shared)
    return labels[len(labels) - shared :]
