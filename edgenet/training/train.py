"""Trains MobileNetV1 on photos in class folders: data, features, the last layer, all layers, the test."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import keras
import numpy as np

from edgenet.images.input_range import InputRange
from edgenet.machine import host
from edgenet.model.recipe_file import TrainedRecipe
from edgenet.progress import SILENT, Progress
from edgenet.records import ModelSpec, Preprocessing, Training
from edgenet.records.training import Epoch
from edgenet.training import check, checkpoint, features, fitting, folder, head, report, start
from edgenet.training.check import CheckedPhotos
from edgenet.training.fitting import FROM_SCRATCH, PRETRAINED, Images
from edgenet.training.head import LinearHead
from edgenet.training.options import TrainOptions
from edgenet.training.outcome import Outcome, PartOutcome
from edgenet.training.pixels import PixelFile, decode_all, margin_side
from edgenet.training.start import HEAD, Start

LINEAR_HEAD, FINE_TUNED = "linear head", "fine-tuned"
# Of the meaning of what is kept from a training that was killed.
VERSION = 1
# Cross-validated scores of training images are for finding wrong folders; of more images they take too long.
MAX_CROSS_VALIDATED = 20_000


@dataclass(frozen=True)
class TrainedModel:
    """A trained model.

    Attributes:
        model: From float32 images (batch, size, size, 3) in [-1, 1] to probabilities (batch, classes).
        name: Its name.
        folder: Where its files are.
        labels: The class names, in the order of the scores.
        train: The training images, each with its class.
        test: The test images, likewise.
        training: What was found.
    """

    model: keras.Model
    name: str
    folder: Path
    labels: tuple[str, ...]
    train: tuple[tuple[Path, int], ...]
    test: tuple[tuple[Path, int], ...]
    training: Training

    @property
    def file(self) -> Path:
        """The model's file."""
        return self.folder / f"{self.name}.keras"


class _Clock:
    """The time of each phase, in seconds."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began

    def spent(self) -> float:
        return time.monotonic() - self.started


def train(
    photos: Path,
    options: TrainOptions,
    out: Path,
    name: str,
    progress: Progress = SILENT,
    interrupted: Callable[[], None] = lambda: None,
) -> TrainedModel:
    """Train a model, and write it with everything that is known of it into a folder.

    Args:
        photos: The folder with the class folders.
        options: The choices of the user.
        out: The folder to write to.
        name: Of the model.
        progress: Listens to the work.
        interrupted: Called when a KeyboardInterrupt has ended the training of all layers early, which is no error.

    Raises:
        EdgenetError: A model cannot be trained on these photos, the weights do not fit, or `out` cannot be written to.
    """
    clock = _Clock()
    with clock.phase("data"):
        checked, split = check.prepare(photos, seed=options.seed, skip_broken=options.skip_broken, progress=progress)
    classes = checked.photos.classes
    with clock.phase("start"):
        progress.step("loading the weights")
        begin = start.find(options, len(classes), progress)
        model, size = begin.model, begin.spec.size
        folder.check(out, name, size)
        recipe = InputRange().recipe(size, size, 3)
        kept = checkpoint.Progressed(out, _key(checked, options, begin, recipe))
    with clock.phase("data"):
        plain, larger = PixelFile(kept.file("plain"), size), PixelFile(kept.file("larger"), margin_side(size))
        if not (plain.path.exists() and larger.path.exists()):
            progress.step(f"decoding {len(checked.photos.paths):,} images")
            decode_all(checked.photos.paths, recipe, plain.path, larger.path, progress)
    labels = np.array(checked.photos.labels, np.int64)
    parts = [np.array(part) for part in split.parts]
    images = Images(plain, larger, labels, parts[0], parts[1], recipe, len(classes))
    with clock.phase("features"):
        # Test images wait until the end.
        seen = np.sort(np.concatenate(parts[:2]))
        progress.step("computing features")
        run = features.Network(model, size)
        rows = kept.once("features.npz", lambda: {"features": run.images(plain, seen, recipe, progress)[0]})["features"]
        of_training, of_validation = (rows[np.searchsorted(seen, part)] for part in parts[:2])
    with clock.phase(LINEAR_HEAD):
        progress.step("fitting the last layer")
        fitted, row = _fit_head(kept, images, of_training, of_validation)
        model.get_layer(HEAD).set_weights([fitted.kernel[None, None], fitted.bias])
        of_head = model.get_weights()
    history, state = [replace(row, seconds=clock.seconds[LINEAR_HEAD])], None
    schedule = PRETRAINED if begin.is_pretrained else FROM_SCRATCH
    if options.epochs is not None:
        schedule = replace(schedule, epochs=options.epochs)
    with clock.phase(fitting.PHASE):
        if schedule.epochs:
            state = fitting.fit(
                model,
                run,
                images,
                schedule,
                row.validation_loss or 0.0,
                seconds=options.minutes * 60 - clock.spent(),
                seed=options.seed,
                mirror=options.mirror,
                file=kept.file("state.npz"),
                progress=progress,
                interrupted=interrupted,
            )
            history += state.history
    final = LINEAR_HEAD if state is None or state.weights is None else FINE_TUNED
    model.set_weights(of_head if state is None or state.weights is None else state.weights)
    reason = _reason(final, state)
    was_interrupted = state is not None and "interrupted" in state.reason
    if was_interrupted:
        progress.note(f"interrupted: the best model so far is kept ({final}); the same command goes on where it was")
    with clock.phase("test"):
        progress.step("testing")
        validation, test = _outcomes(model, run, of_head, images, parts[1:], checked, progress)
        of_train = _cross_validated(checked, images, of_training, fitted.penalty)
    outcome = Outcome(
        name=name,
        check=checked.check,
        validation=validation,
        test=test,
        history=history,
        kept=final,
        reason=reason,
        given=_given(options),
        options=_resolved(options, begin, schedule, fitted),
        seconds=clock.seconds,
        versions=host.versions(),
        train=of_train,
    )
    progress.step("writing the model")
    training = report.summarize(outcome, photos)
    how = TrainedRecipe(recipe, classes)
    folder.write(out, name, model, begin.spec, how, training, history)
    if not was_interrupted:
        kept.remove()
    model.edgenet_recipe = how
    pairs = [tuple((checked.photos.paths[i], checked.photos.labels[i]) for i in part) for part in split.parts]
    return TrainedModel(model, name, out, classes, pairs[0], pairs[2], training)


def _key(checked: CheckedPhotos, options: TrainOptions, begin: Start, recipe: Preprocessing) -> str:
    """A digest of everything that the model depends on, but for the time that it may take."""
    chosen = {field.name: str(getattr(options, field.name)) for field in fields(options) if field.name != "minutes"}
    photos = checked.photos
    images = [(photos.file(i), checked.prints[i].file_digest) for i in range(len(photos.paths))]
    everything = [VERSION, images, photos.classes, chosen, begin.weights, begin.digest, str(begin.spec), str(recipe)]
    everything += [sorted(host.versions().items()), str((PRETRAINED, FROM_SCRATCH))]
    return hashlib.sha256(json.dumps(everything).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _fit_head(
    kept: checkpoint.Progressed, images: Images, rows: np.ndarray, validation_rows: np.ndarray
) -> tuple[LinearHead, Epoch]:
    labels, of_validation = images.labels[images.train], images.labels[images.validation]

    def work() -> dict[str, np.ndarray]:
        found = head.fit(rows, labels, validation_rows, of_validation, images.classes)
        return {"kernel": found.kernel, "bias": found.bias, "penalty": np.array(found.penalty)}

    arrays = kept.once("head.npz", work)
    fitted = LinearHead(arrays["kernel"], arrays["bias"], float(arrays["penalty"]))
    scores, on_validation = fitted.scores(rows), fitted.scores(validation_rows)
    row = Epoch(
        LINEAR_HEAD,
        1,
        head.cross_entropy(scores, labels),
        float((scores.argmax(axis=1) == labels).mean()),
        head.cross_entropy(on_validation, of_validation),
        float((on_validation.argmax(axis=1) == of_validation).mean()),
        0.0,
    )
    return fitted, row


def _reason(final: str, state: fitting.State | None) -> str:
    if state is None:
        return "no layers but the last one were to be trained"
    if final == LINEAR_HEAD:
        return f"training all layers brought no lower loss on the validation images ({state.reason})"
    return f"epoch {state.best} has the lowest loss on the validation images ({state.reason})"


def _outcomes(
    model: keras.Model,
    run: features.Network,
    of_head: list[np.ndarray],
    images: Images,
    parts: Sequence[np.ndarray],
    checked: CheckedPhotos,
    progress: Progress,
) -> list[PartOutcome]:
    """The scores of the model and of the linear head, for validation and test images."""
    size = len(parts[0])
    chosen = np.concatenate(parts)
    _, final = run.images(images.plain, chosen, images.recipe, progress)
    weights = model.get_weights()
    if all(np.array_equal(one, other) for one, other in zip(weights, of_head, strict=True)):
        simple = final
    else:
        model.set_weights(of_head)
        _, simple = run.images(images.plain, chosen, images.recipe, progress)
        model.set_weights(weights)
    return [
        PartOutcome([checked.photos.file(i) for i in part], images.labels[part], final[rows], simple[rows])
        for part, rows in zip(parts, (slice(size), slice(size, None)), strict=True)
    ]


def _cross_validated(checked: CheckedPhotos, images: Images, rows: np.ndarray, penalty: float) -> PartOutcome | None:
    if len(images.train) > MAX_CROSS_VALIDATED:
        return None
    labels, groups = images.labels[images.train], np.array(checked.groups.of)[images.train]
    scores = head.out_of_fold(rows, labels, groups, images.classes, penalty)
    return PartOutcome([checked.photos.file(i) for i in images.train], labels, scores, scores)


def _given(options: TrainOptions) -> dict[str, str]:
    default = TrainOptions()
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {name: str(value) for name, value in values.items() if value != getattr(default, name)}


def _resolved(options: TrainOptions, begin: Start, schedule: fitting.Schedule, fitted: LinearHead) -> dict[str, str]:
    spec: ModelSpec = begin.spec
    return {
        "weights": begin.weights,
        "alpha": f"{spec.alpha:g}",
        "size": str(spec.size),
        "seed": str(options.seed),
        "minutes": f"{options.minutes:g}",
        "mirror": str(options.mirror),
        "penalty of the last layer": f"{fitted.penalty:g}",
        "epochs": str(schedule.epochs),
        "patience": str(schedule.patience),
        "learning rate": f"{schedule.rate:g}",
        "weight decay": f"{schedule.decay:g}",
        "batch": str(features.BATCH),
        "label smoothing": f"{fitting.SMOOTHING:g}",
        "batch normalization": "fixed statistics" if schedule.fixed_statistics else "trained",
    }
