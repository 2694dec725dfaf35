"""A model that was trained with Keras' own loaders has the accuracy in edgenet that Keras says, to the image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgenet
from edgenet.quiet import quiet

pytestmark = pytest.mark.slow  # 10 s to train, 5 s an export

SIDE = 32
NAMES = ["both", "left", "none", "right"]
# 4:3. Only the columns beyond the central square differ between the classes.
WIDTH, HEIGHT = 96, 72
BORDER = (WIDTH - HEIGHT) // 2


@dataclass(frozen=True)
class Trained:
    """A Keras model, and folders of its images."""

    model: object
    folder: Path

    def notes_and_bundle(self, out: Path, **options):
        notes = Notes()
        bundle = edgenet.export(
            self.model,
            labels=NAMES,
            calibration=self.folder / "calibration",
            evaluation=self.folder / "evaluation",
            out=out,
            variants=["float32"],
            apps=False,
            progress=notes,
            **options,
        )
        return notes.texts, bundle


class Notes:
    """A Progress that keeps the notes."""

    def __init__(self):
        self.texts = []

    def step(self, text: str) -> None:
        pass

    def count(self, done: int, total: int) -> None:
        pass

    def note(self, text: str) -> None:
        self.texts.append(text)


def draw(random: np.random.Generator, name: str) -> Image.Image:
    """Coarse noise with a bright strip at the left or right border, at both or at none, sometimes hardly visible."""
    coarse = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float64)
    for side in ("left", "right"):
        columns = slice(0, BORDER - 2) if side == "left" else slice(WIDTH - BORDER + 2, WIDTH)
        if name in (side, "both"):
            pixels[:, columns] += random.uniform(0, 120)
    return Image.fromarray((pixels + random.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module", params=["jpg", "png"])
def trained(request, tmp_path_factory) -> Trained:
    """A small network, trained with `image_dataset_from_directory` on stretched images."""
    folder, random = tmp_path_factory.mktemp("borders"), np.random.default_rng(5)
    for split, count in (("train", 200), ("calibration", 40), ("evaluation", 60)):
        for name in NAMES:
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                draw(random, name).save(folder / split / name / f"{number:03}.{request.param}")
    with quiet():
        import keras
        from keras import layers

        keras.utils.set_random_seed(5)
        image = x = keras.Input((SIDE, SIDE, 3))
        x = layers.Rescaling(1 / 127.5, -1)(x)
        x = layers.Conv2D(8, (8, 2), strides=(8, 2), activation="relu")(x)
        x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
        model = keras.Model(image, layers.Dense(len(NAMES), activation="softmax")(x), name="borders")
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(dataset(folder / "train", shuffle=True), epochs=12, shuffle=False, verbose=0)
    return Trained(model, folder)


def dataset(folder: Path, *, shuffle: bool = False):
    import keras

    return keras.utils.image_dataset_from_directory(
        folder, image_size=(SIDE, SIDE), batch_size=32, shuffle=shuffle, seed=1, verbose=False
    )


def correct_images(bundle) -> int:
    """By the record of Keras' own scores and by that of drift, which must be the same."""
    of_keras, drift = bundle.manifest.reference_scores.accuracy.value, bundle.manifest.variants[0].drift
    assert of_keras == drift.accuracy.change.reference_top1
    return round(of_keras * drift.images)


def test_accuracy_is_that_of_evaluate_to_the_image(trained, tmp_path):
    with quiet():
        images = dataset(trained.folder / "evaluation")
        _, accuracy = trained.model.evaluate(images, verbose=0)
        scores = trained.model.predict(images, verbose=0)
    notes, bundle = trained.notes_and_bundle(tmp_path / "out")
    assert correct_images(bundle) == round(accuracy * 240)
    assert 0.6 < accuracy < 0.99  # some images are on the edge, so that equal accuracies say something
    with np.load(bundle.file("reference.npz")) as stored:
        # Pixels of the same bits; sums of up to 2,048 products in float32, in another order.
        np.testing.assert_allclose(stored["scores"], scores, rtol=0, atol=1e-5)
    assert "images: stretch, bilinear, not antialiased (like keras-dataset); like= or resize= sets another" in notes
    assert not any("resizing" in note for note in notes)


def test_another_preset_is_far_worse_and_the_right_one_is_named(trained, tmp_path):
    _, right = trained.notes_and_bundle(tmp_path / "right")
    notes, wrong = trained.notes_and_bundle(tmp_path / "wrong", like="imagenet")
    assert correct_images(wrong) < 0.5 * correct_images(right)
    assert not any(note.startswith("images: ") for note in notes)
    (note,) = [note for note in notes if "resizing" in note]
    assert note.startswith("calibration: another way of resizing fits better: accuracy 0.")
    assert " with crop 0.875, bilinear, antialiased (like imagenet), on 160 labelled calibration images (p < " in note
    assert note.endswith('; give like="keras-dataset"')
    # The note is about calibration images: its numbers are those of such an export, not of evaluation images.
    assert note.removeprefix("calibration: ") in [finding.text for finding in wrong.manifest.calibration.findings]


def test_accuracy_is_that_of_a_generator_to_the_image(trained, tmp_path):
    with quiet():
        import tensorflow as tf

        generator = tf.keras.preprocessing.image.ImageDataGenerator().flow_from_directory(
            trained.folder / "evaluation", target_size=(SIDE, SIDE), class_mode="sparse", shuffle=False
        )
        _, accuracy = trained.model.evaluate(generator, verbose=0)
    _, bundle = trained.notes_and_bundle(tmp_path / "out", like="keras-generator")
    assert correct_images(bundle) == round(accuracy * 240)
