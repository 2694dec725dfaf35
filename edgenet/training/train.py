"""Trains MobileNetV1 on photos in class folders, or the bundled model on Fashion-MNIST."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras

from edgenet.images import bundled
from edgenet.machine import host
from edgenet.model.recipe_file import TrainedRecipe
from edgenet.progress import SILENT, Progress
from edgenet.records import Training
from edgenet.training import checkpoint, fashion_mnist, folder, report, start, used_options
from edgenet.training import data as training_data
from edgenet.training.clock import Clock
from edgenet.training.data import TrainingData
from edgenet.training.options import MAX_MINUTES, NONE, TrainOptions
from edgenet.training.outcome import Outcome
from edgenet.training.phases import Phases, key
from edgenet.training.schedule import BUNDLED, FROM_SCRATCH, PRETRAINED, Schedule


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


def train(
    photos: Path,
    options: TrainOptions,
    out: Path,
    name: str,
    progress: Progress = SILENT,
    interrupted: Callable[[], None] = lambda: None,
) -> TrainedModel:
    """Train a model on photos, and write it with everything that is known of it into a folder.

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
    clock = Clock()
    with clock.phase("data"):
        data = training_data.of_photos(photos, options, progress)
    return _train(data, options, None, out, name, clock, progress, interrupted)


def train_bundled(
    folder: Path,
    out: Path,
    progress: Progress = SILENT,
    interrupted: Callable[[], None] = lambda: None,
    stages: Sequence[Schedule] = BUNDLED,
) -> TrainedModel:
    """Train the bundled model anew, on Fashion-MNIST, and write it as `train` does.

    Args:
        folder: The folder of the data set.
        out, progress, interrupted: As in `train`.
        stages: How all layers are trained, one after the other.

    Raises:
        EdgenetError: A file of the data set is missing or damaged, or `out` cannot be written to.
    """
    clock = Clock()
    with clock.phase("data"):
        progress.step("reading Fashion-MNIST")
        data = training_data.of_fashion_mnist(folder)
    options = TrainOptions(NONE, bundled.SPEC.alpha, bundled.SPEC.size, MAX_MINUTES, fashion_mnist.SEED)
    return _train(data, options, stages, out, bundled.SPEC.name, clock, progress, interrupted)


def _train(
    data: TrainingData,
    options: TrainOptions,
    stages: Sequence[Schedule] | None,
    out: Path,
    name: str,
    clock: Clock,
    progress: Progress,
    interrupted: Callable[[], None],
) -> TrainedModel:
    """Train on images of any kind; where `stages` are None, as it suits the weights."""
    with clock.phase("start"):
        progress.step("loading the weights")
        begin = start.find(options, len(data.classes), progress)
        folder.check(out, name, begin.spec.size)
        if stages is None:
            stages = [PRETRAINED if begin.is_pretrained else FROM_SCRATCH]
        if options.epochs is not None:
            stages = [replace(stage, epochs=options.epochs) for stage in stages]
    with checkpoint.Progressed(out, key(data, options, stages, begin)) as kept:
        phases = Phases(data, begin, kept, clock, progress)
        of_head, row = phases.linear_head()
        trained = phases.all_layers(of_head, stages, options, row, interrupted)
        if trained.was_interrupted:
            progress.note(
                f"interrupted: the best model so far is kept ({trained.kept}); the same command goes on where it was"
            )
        validation, test, of_train = phases.test(of_head, trained)
        progress.step("writing the model")
        training = report.summarize(
            Outcome(
                name=name,
                check=data.check,
                validation=validation,
                test=test,
                history=[row, *trained.history],
                kept=trained.kept,
                reason=trained.reason,
                given=used_options.given(options) if data.paths else {},
                options=used_options.used(options, begin, stages, of_head.penalty),
                seconds=clock.seconds,
                versions=host.versions(),
                train=of_train,
            ),
            Path(data.check.folder),
        )
        how = TrainedRecipe(phases.recipe, data.classes)
        folder.write(out, name, phases.model, begin.spec, how, training, [row, *trained.history])
        if not trained.was_interrupted:
            kept.remove()
    phases.model.edgenet_recipe = how
    return TrainedModel(
        phases.model, name, out, data.classes, data.labelled(data.parts[0]), data.labelled(data.parts[2]), training
    )
