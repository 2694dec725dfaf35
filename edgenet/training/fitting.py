"""Training of all layers: from the linear head on, as long as it brings something and there is time."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgenet.images import preprocess
from edgenet.progress import SILENT, Progress
from edgenet.records import Preprocessing
from edgenet.records.training import Epoch
from edgenet.training import augmentation, checkpoint
from edgenet.training.adamw import AdamW
from edgenet.training.features import LOGITS, Network
from edgenet.training.head import class_weights, cross_entropy
from edgenet.training.pixels import Pixels
from edgenet.training.schedule import Schedule, rate_of, warm_up

PHASE = "fine-tuning"
INTERRUPTED, NO_TIME = "the training was interrupted", "there was no time for an epoch"
# Szegedy et al., arXiv:1512.00567.
SMOOTHING = 0.05
# Of the gradient of all weights together.
CLIP_NORM = 1.0


@dataclass(frozen=True)
class Images:
    """What a model is trained on.

    Attributes:
        plain: All images at the size of the model's input.
        larger: All images, larger.
        labels: The class of each, int64 (n,).
        train: The images to train on.
        validation: Those that choose.
        recipe: Of the model.
        classes: The number of classes.
    """

    plain: Pixels
    larger: Pixels
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    recipe: Preprocessing
    classes: int


@dataclass
class State:
    """How far the training is.

    Attributes:
        epochs: Epochs that will be trained, unless it stops early; 0 until that is known.
        done: Epochs that are finished.
        best: The number of the epoch with the lowest loss on validation; 0 while that of the head is lower.
        loss: That loss, at first that of the head.
        lowest: The epoch with the lowest loss of all epochs: the first ones may be worse than the head, and get better.
        seconds: What the epochs took.
        history: Of each epoch.
        weights: Of the best epoch.
        reason: Why it ended.
    """

    loss: float
    epochs: int = 0
    done: int = 0
    best: int = 0
    lowest: int = 0
    seconds: float = 0.0
    history: tuple[Epoch, ...] = ()
    weights: list[np.ndarray] | None = None
    reason: str = ""

    @property
    def was_interrupted(self) -> bool:
        """Whether the user ended it."""
        return self.reason == INTERRUPTED


def fit(
    model: keras.Model,
    run: Network,
    images: Images,
    schedule: Schedule,
    loss: float,
    *,
    seconds: float,
    seed: int,
    mirror: bool,
    file: Path,
    progress: Progress,
    interrupted: Callable[[], None],
) -> State:
    """Train all layers. After each epoch the state is kept in `file`; where that exists, the training goes on from it.

    Args:
        model: With its head; it is changed.
        run: Runs it.
        images: To train on.
        schedule: How.
        loss: Of the model as it is, on the validation images.
        seconds: What the training may take, from now on.
        seed: Of the order and the changes of images.
        mirror: As in `augmentation.augment`.
        file: Where the state is kept.
        progress: Gets the epochs.
        interrupted: Called after a KeyboardInterrupt, which ends the training, but is no error.

    Returns:
        The state at the end; its `weights` are None where no epoch was better than the model as it was.
    """
    trainer = _Trainer(model, run, images, schedule)
    state = State(loss)
    if file.exists():
        state = trainer.restore(file)
    deadline = time.monotonic() + seconds - state.seconds
    try:
        while not state.reason:
            began = time.monotonic()
            if not state.done and began >= deadline:
                state.reason = NO_TIME
                break
            state = _epoch(trainer, state, seed, mirror, deadline, progress)
            if state.reason and not state.epochs:
                break
            state.seconds += time.monotonic() - began
            state.history = (*state.history[:-1], replace(state.history[-1], seconds=time.monotonic() - began))
            state.reason = _reason(state, schedule, deadline)
            trainer.keep(state, file)
    except KeyboardInterrupt:
        interrupted()
        state.reason = INTERRUPTED
    return state


def _reason(state: State, schedule: Schedule, deadline: float) -> str:
    """Why the training ends; empty while it goes on."""
    if state.done >= state.epochs:
        return "all epochs are done"
    if state.done - state.lowest >= schedule.patience:
        return f"{schedule.patience} epochs brought no lower loss on validation"
    return "the time is over" if time.monotonic() >= deadline else ""


def _epoch(trainer: "_Trainer", state: State, seed: int, mirror: bool, deadline: float, progress: Progress) -> State:
    """Train for an epoch."""
    number = state.done + 1
    images, schedule = trainer.images, trainer.schedule
    random = np.random.default_rng((seed, number))
    batches = trainer.batches(random)
    _show(progress, state, number, schedule, deadline)
    total, correct = 0.0, 0
    times: list[float] = []
    began = time.monotonic()
    for step, (batch, pixels) in enumerate(trainer.changed(batches, seed, number, mirror)):
        at = state.done * len(batches) + step
        lost, right = trainer.step(pixels, images.labels[batch], rate_of(at, len(batches), state.epochs, schedule))
        total, correct = total + lost * len(batch), correct + right
        progress.count(step + 1, len(batches))
        times.append(time.monotonic() - began)
        began += times[-1]
        if not state.epochs and step + 1 == min(len(batches), warm_up(len(batches))):
            # The first step builds the graph.
            one = float(np.median(times[1:] or times)) * len(batches)
            state.epochs = min(schedule.epochs, max(0, int((deadline - began) / one)) if one else schedule.epochs)
            if not state.epochs:
                state.reason = NO_TIME
                return state
    loss, accuracy = trainer.validate()
    if loss < state.loss:
        state.loss, state.best, state.weights = loss, number, trainer.model.get_weights()
    if all(loss < earlier.validation_loss for earlier in state.history if earlier.validation_loss is not None):
        state.lowest = number
    row = Epoch(PHASE, number, total / len(images.train), correct / len(images.train), loss, accuracy, 0.0)
    state.done, state.history = number, (*state.history, row)
    return state


def _show(progress: Progress, state: State, number: int, schedule: Schedule, deadline: float) -> None:
    so_far = ""
    if state.history:
        last = state.history[-1]
        so_far = f" (validation: loss {last.validation_loss:.3f}, accuracy {last.validation_accuracy:.1%})"
        if left := getattr(progress, "left", None):
            seconds = state.seconds / state.done * (state.epochs - state.done)
            left(max(0.0, min(seconds, deadline - time.monotonic())))
    size = f" at {schedule.size} pixels" if schedule.size else ""
    progress.step(f"{PHASE}{size}, epoch {number} of at most {state.epochs or schedule.epochs}{so_far}")


class _Trainer:
    """A model with its optimizer."""

    def __init__(self, model: keras.Model, run: Network, images: Images, schedule: Schedule):
        self.model, self.run, self.images, self.schedule = model, run, images, schedule
        self.optimizer = AdamW(model.trainable_variables, schedule.decay, CLIP_NORM)
        self._weights = class_weights(images.labels[images.train], images.classes)
        size = images.recipe.height
        network = keras.Model(model.input, model.get_layer(LOGITS).output)
        training, optimizer, variables = not schedule.fixed_statistics, self.optimizer, model.trainable_variables

        def step(
            pixels: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, rate: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                logits = network(pixels, training=training)
                losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
                loss = tf.reduce_mean(losses * weights)
            optimizer.apply(tape.gradient(loss, variables), rate)
            right = tf.equal(tf.argmax(logits, axis=1), tf.argmax(targets, axis=1))
            return loss, tf.reduce_sum(tf.cast(right, tf.int32))

        signature = [
            tf.TensorSpec((None, size, size, 3), tf.float32),
            tf.TensorSpec((None, images.classes), tf.float32),
            tf.TensorSpec((None,), tf.float32),
            tf.TensorSpec((), tf.float32),
        ]
        # A concrete function is traced once, any other one twice.
        self._step = tf.function(step, signature, autograph=False).get_concrete_function()

    def batches(self, random: np.random.Generator) -> list[np.ndarray]:
        """The training images in random order, in batches of nearly one size: none has an image or two only."""
        order = random.permutation(self.images.train)
        return np.array_split(order, max(1, math.ceil(len(order) / self.schedule.batch)))

    def changed(
        self, batches: Sequence[np.ndarray], seed: int, epoch: int, mirror: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each batch and its changed images, uint8 (n, size, size, 3), which are made while those before are used.

        Each image is changed as its own random numbers say, the same in every run.
        """
        size, how = self.images.recipe.height, self.schedule.augmentation

        def change(batch: np.ndarray) -> np.ndarray:
            return np.stack(
                [
                    augmentation.augment(one, size, np.random.default_rng((seed, epoch, image)), mirror, how)
                    for one, image in zip(self.images.larger.read(batch), batch, strict=True)
                ]
            )

        return zip(batches, preprocess.on_all_cores(change, batches), strict=True)

    def step(self, pixels: np.ndarray, labels: np.ndarray, rate: float) -> tuple[float, int]:
        """Train on a batch, uint8 (n, size, size, 3). Returns the loss and the number of right answers."""
        targets = np.full((len(labels), self.images.classes), SMOOTHING / self.images.classes, np.float32)
        targets[np.arange(len(labels)), labels] += 1 - SMOOTHING
        loss, right = self._step(
            tf.constant(preprocess.normalize(pixels, self.images.recipe)),
            tf.constant(targets),
            tf.constant(self._weights[labels]),
            tf.constant(rate, tf.float32),
        )
        return float(loss), int(right)

    def validate(self) -> tuple[float, float]:
        """The loss and the accuracy on the validation images."""
        images, labels = self.images, self.images.labels[self.images.validation]
        _, found = self.run.images(images.plain, images.validation, images.recipe, SILENT)
        return cross_entropy(found, labels), float((found.argmax(axis=1) == labels).mean())

    def keep(self, state: State, file: Path) -> None:
        """Write everything that the next epochs depend on."""
        checkpoint.write_arrays(file, dict(self._state_arrays(state)), _as_json(state))

    def restore(self, file: Path) -> State:
        """Go on from what `keep` wrote."""
        arrays, body = checkpoint.read_arrays(file)
        for name, variable in self._variables():
            variable.assign(arrays[name])
        history = tuple(Epoch(**row) for row in body.pop("history"))
        best = [arrays[f"best/{number}"] for number in range(len(self.model.weights))] if body["best"] else None
        return State(**body, history=history, weights=best)

    def _variables(self) -> Iterator[tuple[str, Any]]:
        for number, variable in enumerate(self.model.variables):  # with the states of random numbers
            yield f"model/{number}", variable
        for number, variable in enumerate(self.optimizer.state):
            yield f"optimizer/{number}", variable

    def _state_arrays(self, state: State) -> Iterator[tuple[str, np.ndarray]]:
        for name, variable in self._variables():
            yield name, variable.numpy()
        for number, array in enumerate(state.weights or []):
            yield f"best/{number}", array


def _as_json(state: State) -> dict[str, Any]:
    body = {name: value for name, value in vars(state).items() if name not in ("weights", "history")}
    return {**body, "history": [vars(row) for row in state.history]}
