"""The phases of a training: features of the frozen network, the last layer, all layers, the test.

Each goes on where it was when the process was killed.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import keras
import numpy as np

from edgenet.images.input_range import InputRange
from edgenet.machine import host
from edgenet.model import mobilenet
from edgenet.progress import Progress
from edgenet.records.training import Epoch
from edgenet.training import fitting, head
from edgenet.training.checkpoint import Progressed
from edgenet.training.clock import Clock
from edgenet.training.data import TrainingData
from edgenet.training.features import Network
from edgenet.training.fitting import Images
from edgenet.training.head import LinearHead
from edgenet.training.options import NONE, TrainOptions
from edgenet.training.outcome import PartOutcome
from edgenet.training.schedule import Schedule
from edgenet.training.start import HEAD, Start

LINEAR_HEAD, FINE_TUNED = "linear head", "fine-tuned"
# Of the meaning of what is kept from a training that was killed.
VERSION = 2
# Cross-validated scores of training images are for finding wrong folders; of more images they take too long.
MAX_CROSS_VALIDATED = 20_000


def key(data: TrainingData, options: TrainOptions, stages: Sequence[Schedule], begin: Start) -> str:
    """A digest of everything that the model depends on, but for the time that it may take."""
    chosen = {field.name: str(getattr(options, field.name)) for field in fields(options) if field.name != "minutes"}
    everything = [VERSION, data.digest, chosen, begin.weights, begin.digest, str(begin.spec), str(stages)]
    everything += [sorted(host.versions().items())]
    return hashlib.sha256(json.dumps(everything).encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Trained:
    """What the training of all layers came to.

    Attributes:
        kept: The weights that were kept: "linear head" or "fine-tuned".
        reason: Why, a sentence without its end.
        history: Its epochs.
        was_interrupted: Whether the user ended it.
    """

    kept: str
    reason: str
    history: tuple[Epoch, ...]
    was_interrupted: bool


class Phases:
    """A model and the images that it is trained on.

    Args:
        data: The images.
        begin: What the training starts from.
        kept: What is finished already.
        clock: Gets the time of each phase.
        progress: Listens to the work.

    Attributes:
        model: The model; each phase changes its weights.
        recipe: How it takes images.
    """

    def __init__(self, data: TrainingData, begin: Start, kept: Progressed, clock: Clock, progress: Progress):
        self.model: keras.Model = begin.model
        self.recipe = InputRange().recipe(begin.spec.size, begin.spec.size, 3)
        self._data, self._begin, self._kept, self._clock, self._progress = data, begin, kept, clock, progress
        with clock.phase("data"):
            self._images = self._at(begin.spec.size)
        with clock.phase("features"):
            self._network = Network(self.model, begin.spec.size)
        self._untrained = self.model.get_weights()

    def linear_head(self) -> tuple[LinearHead, Epoch]:
        """Fit the last layer, on features of the frozen network. Returns it, and a row for the history."""
        train, validation, _ = self._data.parts
        seen = np.sort(np.concatenate([train, validation]))  # test images wait until the end

        def features() -> dict[str, np.ndarray]:
            return {"features": self._network.images(self._images.plain, seen, self.recipe, self._progress)[0]}

        with self._clock.phase("features"):
            self._progress.step("computing features")
            rows = self._kept.once("features.npz", features)["features"]
            of_train, of_validation = (rows[np.searchsorted(seen, part)] for part in (train, validation))
            self._features = of_train
        with self._clock.phase(LINEAR_HEAD):
            self._progress.step("fitting the last layer")
            labels, others = self._data.labels[train], self._data.labels[validation]
            fitted = self._fitted(of_train, labels, of_validation, others)
            row = head.as_epoch(LINEAR_HEAD, fitted, of_train, labels, of_validation, others)
            self._set_linear(fitted)
        return fitted, replace(row, seconds=self._clock.seconds[LINEAR_HEAD])

    def all_layers(
        self,
        of_head: LinearHead,
        stages: Sequence[Schedule],
        options: TrainOptions,
        row: Epoch,
        interrupted: Callable[[], None],
    ) -> Trained:
        """Train all layers, stage by stage, and keep the result if it is better on the validation images.

        Args:
            of_head: The fitted last layer.
            stages: How; those with no epochs are left out.
            options: The choices of the user.
            row: Of the last layer, in the history.
            interrupted: Called when a KeyboardInterrupt has ended the training early.
        """
        history: tuple[Epoch, ...] = ()
        state = None
        if self._begin.weights == NONE:
            # Batch normalization has statistics of no images yet: once it has, this head fits no more.
            self.model.set_weights(self._untrained)
        with self._clock.phase(fitting.PHASE):
            for number, stage in enumerate(stages):
                if not stage.epochs:
                    continue
                model, network, images = self._sized(stage.size or self._begin.spec.size)
                state = fitting.fit(
                    model,
                    network,
                    images,
                    stage,
                    row.validation_loss or 0.0,
                    seconds=options.minutes * 60 - self._clock.spent(),
                    seed=options.seed,
                    mirror=options.mirror,
                    file=self._kept.file(f"stage_{number}.npz"),
                    progress=self._progress,
                    interrupted=interrupted,
                )
                history += state.history
                self.model.set_weights(state.weights or model.get_weights())
                if state.was_interrupted:
                    break
        if state is None or state.weights is None:  # of the last stage, at the size of the model
            self._set_linear(of_head)
        return _trained(state, history)

    def test(self, of_head: LinearHead, trained: Trained) -> tuple[PartOutcome, PartOutcome, PartOutcome | None]:
        """The scores of the model and of the linear head.

        Args:
            of_head: The fitted last layer.
            trained: What was kept.

        Returns:
            Of validation and test images; and of training images, by heads that were fitted without each.
        """
        with self._clock.phase("test"):
            self._progress.step("testing")
            parts = self._data.parts[1:]
            chosen, size = np.concatenate(parts), len(parts[0])
            final = simple = self._scores(chosen)
            if trained.kept != LINEAR_HEAD:
                weights = self.model.get_weights()
                self._set_linear(of_head)
                simple = self._scores(chosen)
                self.model.set_weights(weights)
            validation, test = (
                PartOutcome([self._data.names[i] for i in part], self._data.labels[part], final[rows], simple[rows])
                for part, rows in zip(parts, (slice(size), slice(size, None)), strict=True)
            )
            return validation, test, self._cross_validated(of_head.penalty)

    def _fitted(
        self, rows: np.ndarray, labels: np.ndarray, validation_rows: np.ndarray, validation_labels: np.ndarray
    ) -> LinearHead:
        def work() -> dict[str, np.ndarray]:
            found = head.fit(rows, labels, validation_rows, validation_labels, len(self._data.classes))
            return {"kernel": found.kernel, "bias": found.bias, "penalty": np.array(found.penalty)}

        arrays = self._kept.once("head.npz", work)
        return LinearHead(arrays["kernel"], arrays["bias"], float(arrays["penalty"]))

    def _set_linear(self, fitted: LinearHead) -> None:
        """Make the model the frozen network with this last layer."""
        self.model.set_weights(self._untrained)
        self.model.get_layer(HEAD).set_weights([fitted.kernel[None, None], fitted.bias])

    def _scores(self, images: np.ndarray) -> np.ndarray:
        return self._network.images(self._images.plain, images, self.recipe, self._progress)[1]

    def _at(self, size: int) -> Images:
        """The images at a size in pixels."""
        data, recipe = self._data, InputRange().recipe(size, size, 3)
        plain, larger = data.pixels(recipe, self._kept, self._progress)
        return Images(plain, larger, data.labels, data.parts[0], data.parts[1], recipe, len(data.classes))

    def _sized(self, size: int) -> tuple[keras.Model, Network, Images]:
        """The model with its images at a size in pixels: it is fully convolutional, so that its weights fit any."""
        if size == self._begin.spec.size:
            return self.model, self._network, self._images
        other = mobilenet.build(replace(self._begin.spec, size=size))
        other.set_weights(self.model.get_weights())
        return other, Network(other, size), self._at(size)

    def _cross_validated(self, penalty: float) -> PartOutcome | None:
        data, train = self._data, self._data.parts[0]
        if len(train) > MAX_CROSS_VALIDATED:
            return None
        labels = data.labels[train]
        scores = head.out_of_fold(self._features, labels, data.groups[train], len(data.classes), penalty)
        return PartOutcome([data.names[i] for i in train], labels, scores, scores)


def _trained(state: fitting.State | None, history: tuple[Epoch, ...]) -> Trained:
    if state is None:
        return Trained(LINEAR_HEAD, "no layers but the last one were to be trained", history, False)
    if state.weights is None:
        kept, reason = LINEAR_HEAD, "training all layers brought no lower loss on the validation images"
    else:
        kept, reason = FINE_TUNED, f"epoch {state.best} has the lowest loss on the validation images"
    return Trained(kept, f"{reason} ({state.reason})", history, state.was_interrupted)
