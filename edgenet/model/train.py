"""Train the bundled model: MobileNetV1 0.5 at 96 pixels on Fashion-MNIST."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from edgenet.files import check_writable, write_atomic
from edgenet.images import preprocess as pixels
from edgenet.images.bundled import SPEC, WEIGHTS
from edgenet.images.input_range import InputRange
from edgenet.model import dataset, keras_model, mobilenet, weights
from edgenet.records import ModelSpec

BATCH = 128


@dataclass(frozen=True)
class Stage:
    """A number of epochs at one input size. Small images come first: half of the epochs take a quarter of the time.

    Attributes:
        size: Height and width of the input in pixels.
        epochs: Number of epochs.
        peak_learning_rate: Of the cosine schedule of this stage.
    """

    size: int
    epochs: int
    peak_learning_rate: float


STAGES = (Stage(size=64, epochs=12, peak_learning_rate=4e-3), Stage(size=96, epochs=12, peak_learning_rate=2e-3))


def train(folder: Path, out: Path, stages: tuple[Stage, ...] = STAGES, limit: int | None = None) -> None:
    """Train on Fashion-MNIST, and write the weights, the Keras model and the model card.

    5,000 of the training images are validation images, scored after each epoch; all hyperparameters were chosen with
    them. The official test set is scored once, at the end, with the weights as stored.

    Args:
        folder: The folder of the dataset.
        out: The folder to write to.
        stages: The schedule.
        limit: Use only this many training images, for a quick try.

    Raises:
        EdgenetError: A file of the dataset is missing or damaged, or `out` cannot be written to.
    """
    started = time.monotonic()
    images, labels = dataset.load(folder, "train")
    training, validation = dataset.validation_split(len(images))
    training = training[:limit]
    test_images, test_labels = dataset.load(folder, "t10k")

    path = out / WEIGHTS.name
    check_writable(path)
    keras.utils.set_random_seed(dataset.SEED)
    model: keras.Model | None = None
    for stage in stages:
        spec = ModelSpec(size=stage.size, alpha=SPEC.alpha, classes=SPEC.classes)
        larger = mobilenet.build(spec)  # fully convolutional: the same weights fit every input size
        if model is not None:
            larger.set_weights(model.get_weights())
        model = larger
        _fit(
            model,
            stage,
            Augmented(images[training], labels[training], stage.size),
            images[validation],
            labels[validation],
        )

    final = mobilenet.build(SPEC)
    if model is not None:
        final.set_weights(model.get_weights())
    write_atomic(path, weights.to_bytes(final))
    weights.assign(final, path)
    validation_accuracy = accuracy(final, images[validation], labels[validation])
    test_accuracy = accuracy(final, test_images, test_labels)
    minutes = (time.monotonic() - started) / 60
    write_atomic(path.with_suffix(".keras"), keras_model.to_bytes(final))
    write_atomic(
        out / "MODEL_CARD.md", card(stages, len(training), validation_accuracy, test_accuracy, minutes).encode()
    )
    print(f"top-1 on the {len(test_labels):,} test images: {test_accuracy:.2%}; wrote {path}")


class Augmented(keras.utils.PyDataset):
    """Batches of augmented training images: half of them mirrored, all shifted by up to 2 of 28 pixels, a patch erased
    from half of them.

    An item has the images, float32 (batch, size, size, 3) from -1 to 1, and the labels (batch,). The random numbers
    depend only on the epoch and the batch, so they are the same in every run.

    Args:
        images: uint8 (n, 28, 28).
        labels: uint8 (n,).
        size: Height and width of the model's input in pixels.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, size: int):
        super().__init__()
        self.images, self.labels, self.size = images, labels, size
        self.epoch = 0
        self.on_epoch_begin()

    def on_epoch_begin(self) -> None:
        self.order = np.random.default_rng((dataset.SEED, self.size, self.epoch)).permutation(len(self.images))

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self.on_epoch_begin()

    def __len__(self) -> int:
        return len(self.images) // BATCH

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng((dataset.SEED, self.size, self.epoch, batch))
        chosen = self.order[batch * BATCH : (batch + 1) * BATCH]
        changed = np.stack([augment(image, random) for image in self.images[chosen]])
        return enlarge(changed, self.size), self.labels[chosen]


def augment(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mirror, shift and erase a part of an image, uint8 (28, 28): random erasing as in arXiv:1708.04896."""
    if random.random() < 0.5:
        image = image[:, ::-1]
    down, right = random.integers(0, 5, 2)
    image = np.pad(image, 2)[down : down + 28, right : right + 28]
    if random.random() < 0.5:
        height, width = random.integers(4, 13, 2)
        top, left = random.integers(0, 28 - height), random.integers(0, 28 - width)
        image[top : top + height, left : left + width] = random.integers(0, 256)
    return image


def enlarge(images: np.ndarray, size: int) -> np.ndarray:
    """Enlarge and normalize a batch of images, with the same result as `edgenet.images.preprocess` gives for a file.

    Bilinear resizing is linear along each axis, so a matrix product with Pillow's own weights resizes a whole batch.
    Pillow resizes rows first, in fixed point with 22 bits, and rounds to integers after each axis.

    Args:
        images: uint8 (n, 28, 28), grey.
        size: Height and width of the result in pixels.

    Returns:
        float32 (n, size, size, 3), from -1 to 1.
    """
    identity = Image.fromarray(np.eye(images.shape[1], dtype=np.float32))
    weights = np.asarray(identity.resize((images.shape[1], size), Image.Resampling.BILINEAR))
    taps = np.rint(weights.astype(np.float64) * (1 << 22)) / (1 << 22)
    rows = np.floor(images @ taps.T + 0.5)
    grey = np.floor(taps @ rows + 0.5)
    colour = np.repeat(grey[..., None], 3, axis=-1)
    return pixels.normalize(colour, InputRange().recipe(size, size, 3))


def accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """The top-1 accuracy on images, uint8 (n, 28, 28), with labels (n,), as a fraction."""
    size = model.input_shape[1]
    correct = 0
    for start in range(0, len(images), 500):
        scores = model.predict_on_batch(enlarge(images[start : start + 500], size))
        correct += int((scores.argmax(axis=1) == labels[start : start + 500]).sum())
    return correct / len(images)


def _fit(
    model: keras.Model, stage: Stage, batches: Augmented, validation_images: np.ndarray, validation_labels: np.ndarray
) -> None:
    steps = stage.epochs * len(batches)
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(
            stage.peak_learning_rate / 20,
            steps - steps // 20,
            warmup_target=stage.peak_learning_rate,
            warmup_steps=steps // 20,
        ),
        weight_decay=0.05,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(optimizer, _smoothed_crossentropy, metrics=["accuracy"])

    def score(epoch: int, logs: Any) -> None:
        print(
            f"  {stage.size} px, epoch {epoch + 1} of {stage.epochs}: "
            f"validation top-1 {accuracy(model, validation_images, validation_labels):.2%}",
            flush=True,
        )

    model.fit(
        batches,
        epochs=stage.epochs,
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=score)],
    )


def _smoothed_crossentropy(labels: keras.KerasTensor, scores: keras.KerasTensor) -> keras.KerasTensor:
    """Cross-entropy with label smoothing of 0.05 (Szegedy et al., arXiv:1512.00567)."""
    targets = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32"), SPEC.classes)
    return keras.losses.categorical_crossentropy(targets, scores, label_smoothing=0.05)


def card(stages: Sequence[Stage], count: int, validation: float, test: float, minutes: float) -> str:
    """The model card, as Markdown.

    Args:
        stages: The schedule.
        count: The number of training images.
        validation: Top-1 accuracy on the validation images, as a fraction.
        test: Top-1 accuracy on the test images, as a fraction.
        minutes: The duration of the training.
    """
    schedule = ", then ".join(f"{stage.epochs} epochs at {stage.size} px" for stage in stages)
    return f"""# {SPEC.name}, trained on Fashion-MNIST

| | |
|---|---|
| architecture | MobileNetV1 (arXiv:1704.04861), alpha {SPEC.alpha:g}, {SPEC.size} px, {SPEC.classes} classes |
| training data | {count:,} of the 60,000 official training images of Fashion-MNIST (arXiv:1708.07747, MIT licence) |
| schedule | {schedule}; AdamW, one cosine per stage, label smoothing 0.05, flips, shifts, random erasing |
| seed | {dataset.SEED} |
| top-1, 5,000 validation images (of the training images) | {validation:.2%} (hyperparameters were chosen with these) |
| top-1, official test set, 10,000 images | {test:.2%} (measured once, with the stored weights) |
| training time | {minutes:.0f} minutes |
| storage | kernels float16, the rest float32 |

**Use.** To try the whole workflow from Keras to a phone with real images. It was trained on grey product photos,
28 x 28 pixels on black, enlarged to {SPEC.size} pixels. It does not work on photos of people wearing clothes.
"""
