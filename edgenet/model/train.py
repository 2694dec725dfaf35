"""Train the bundled model: MobileNetV1 0.5 at 96 pixels on Fashion-MNIST."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from edgenet.files import check_writable, write_whole
from edgenet.images import preprocess as pixels
from edgenet.images.bundled import SPEC, WEIGHTS
from edgenet.images.input_range import InputRange
from edgenet.model import dataset, keras_model, mobilenet, weights
from edgenet.records import ModelSpec

BATCH = 128


@dataclass(frozen=True)
class Stage:
    """Some epochs at one input size. Small pictures first: half the epochs for a quarter of the work."""

    size: int
    epochs: int
    peak_rate: float


STAGES = (Stage(size=64, epochs=12, peak_rate=4e-3), Stage(size=96, epochs=12, peak_rate=2e-3))


def train(folder: Path, out: Path, stages: tuple[Stage, ...] = STAGES, limit: int | None = None) -> None:
    """Train on Fashion-MNIST in `folder`; write weights, Keras model and model card to `out`.

    5,000 training images are kept aside and scored after each epoch; every choice in this file was made on them. The
    official test set is scored once, at the end, with the weights as stored. `limit` takes only so many training
    images, for trying the way out.
    """
    started = time.monotonic()
    images, labels = dataset.load(folder, "train")
    training, aside = dataset.kept_aside(len(images))
    training = training[:limit]
    test_images, test_labels = dataset.load(folder, "t10k")

    path = out / WEIGHTS.name
    check_writable(path)
    keras.utils.set_random_seed(dataset.SEED)
    model = None
    for stage in stages:
        spec = ModelSpec(size=stage.size, alpha=SPEC.alpha, classes=SPEC.classes)
        larger = mobilenet.build(spec)  # fully convolutional: the same weights fit every input size
        if model is not None:
            larger.set_weights(model.get_weights())
        model = larger
        _fit(model, stage, Augmented(images[training], labels[training], stage.size), images[aside], labels[aside])

    final = mobilenet.build(SPEC)
    final.set_weights(model.get_weights())
    write_whole(path, weights.to_bytes(final))
    weights.assign(final, path)
    chosen_by = accuracy(final, images[aside], labels[aside])
    measured = accuracy(final, test_images, test_labels)
    minutes = (time.monotonic() - started) / 60
    write_whole(path.with_suffix(".keras"), keras_model.to_bytes(final))
    write_whole(out / "MODEL_CARD.md", card(stages, len(training), chosen_by, measured, minutes).encode())
    print(f"top-1 on the {len(test_labels):,} test images: {measured:.2%}; wrote {path}")


class Augmented(keras.utils.PyDataset):
    """Batches of training pictures: mirrored, shifted by up to 2 of 28 pixels, a patch erased from half of them.

    Yields float32 (batch, size, size, 3) in [-1, 1] and labels (batch,). The draws depend on the epoch and the batch
    alone, so they are the same in every run.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, size: int):
        super().__init__()
        self.images, self.labels, self.size = images, labels, size
        self.epoch = 0
        self.on_epoch_begin()

    def on_epoch_begin(self):
        self.order = np.random.default_rng((dataset.SEED, self.size, self.epoch)).permutation(len(self.images))

    def on_epoch_end(self):
        self.epoch += 1
        self.on_epoch_begin()

    def __len__(self) -> int:
        return len(self.images) // BATCH

    def __getitem__(self, batch: int):
        random = np.random.default_rng((dataset.SEED, self.size, self.epoch, batch))
        chosen = self.order[batch * BATCH : (batch + 1) * BATCH]
        changed = np.stack([augment(image, random) for image in self.images[chosen]])
        return enlarge(changed, self.size), self.labels[chosen]


def augment(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mirror, shift and erase a part of one picture (28, 28): random erasing as in arXiv:1708.04896."""
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
    """uint8 (n, 28, 28) to float32 (n, size, size, 3) in [-1, 1], as `edgenet.images.preprocess` does it for a file.

    Bilinear resizing is linear along each axis, so Pillow's own weights serve a whole batch as a matrix product. Pillow
    resizes rows first, in fixed point of 22 bits, and rounds to whole levels after each axis.
    """
    identity = Image.fromarray(np.eye(images.shape[1], dtype=np.float32))
    weights = np.asarray(identity.resize((images.shape[1], size), Image.Resampling.BILINEAR))
    taps = np.rint(weights.astype(np.float64) * (1 << 22)) / (1 << 22)
    rows = np.floor(images @ taps.T + 0.5)
    grey = np.floor(taps @ rows + 0.5)
    three = np.repeat(grey[..., None], 3, axis=-1)
    return pixels.normalize(three, InputRange().recipe(size, size, 3))


def accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 accuracy on uint8 images (n, 28, 28)."""
    size = model.input_shape[1]
    right = 0
    for start in range(0, len(images), 500):
        scores = model.predict_on_batch(enlarge(images[start : start + 500], size))
        right += int((scores.argmax(axis=1) == labels[start : start + 500]).sum())
    return right / len(images)


def _fit(model, stage: Stage, batches: Augmented, aside_images, aside_labels) -> None:
    steps = stage.epochs * len(batches)
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(
            stage.peak_rate / 20, steps - steps // 20, warmup_target=stage.peak_rate, warmup_steps=steps // 20
        ),
        weight_decay=0.05,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(optimizer, _smoothed_crossentropy, metrics=["accuracy"])

    def score(epoch, logs):
        print(
            f"  {stage.size} px, epoch {epoch + 1} of {stage.epochs}: "
            f"kept-aside top-1 {accuracy(model, aside_images, aside_labels):.2%}",
            flush=True,
        )

    model.fit(
        batches,
        epochs=stage.epochs,
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=score)],
    )


def _smoothed_crossentropy(labels, scores):
    """Cross-entropy with label smoothing of 0.05 (Szegedy et al., arXiv:1512.00567)."""
    targets = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32"), SPEC.classes)
    return keras.losses.categorical_crossentropy(targets, scores, label_smoothing=0.05)


def card(stages, count: int, aside: float, test: float, minutes: float) -> str:
    """The model card, as Markdown."""
    schedule = ", then ".join(f"{stage.epochs} epochs at {stage.size} px" for stage in stages)
    return f"""# {SPEC.name}, trained on Fashion-MNIST

| | |
|---|---|
| architecture | MobileNetV1 (arXiv:1704.04861), alpha {SPEC.alpha:g}, {SPEC.size} px, {SPEC.classes} classes |
| training data | {count:,} of the 60,000 official training images of Fashion-MNIST (arXiv:1708.07747, MIT licence) |
| schedule | {schedule}; AdamW, one cosine a stage, label smoothing 0.05, flips, shifts, random erasing |
| seed | {dataset.SEED} |
| top-1, 5,000 training images kept aside | {aside:.2%} (all choices were made on these) |
| top-1, official test set, 10,000 images | {test:.2%} (measured once, with the stored weights) |
| training time | {minutes:.0f} minutes |
| storage | convolution kernels float16, the rest float32 |

**Use.** To try the way from Keras to a phone on real pictures. It knows grey product photos, 28 pixels wide, cut out
on black, enlarged to {SPEC.size} pixels: not photos of people wearing clothes, and nothing else.
"""
