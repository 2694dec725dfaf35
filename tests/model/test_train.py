"""Training: what it feeds the network, and a run on a few images of noise."""

import contextlib
import gzip
import io
import math
import re
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from recipes import RECIPE, square

from edgenet.errors import EdgenetError
from edgenet.images import bundled, preprocess
from edgenet.model import dataset, mobilenet, train, weights


def noise(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def ramps(count: int) -> np.ndarray:
    """Smooth images, each steeper than the one before: many of their resized values are halfway between two."""
    return np.stack([np.add.outer(np.arange(28), np.arange(28)) * steep for steep in range(1, count + 1)]).astype(
        np.uint8
    )


@pytest.mark.parametrize("size", [32, 64, 96, 224])
@pytest.mark.parametrize("images", [noise(20), ramps(4)], ids=["noise", "ramps"])
def test_enlarge_is_what_images_load_does_with_the_same_image(tmp_path, images, size):
    enlarged = train.enlarge(images, size)
    assert enlarged.shape == (len(images), size, size, 3)
    assert enlarged.dtype == np.float32
    for number, image in enumerate(images):
        path = tmp_path / f"{number}.png"
        Image.fromarray(image).save(path)
        # Exactly: both end in whole pixels. An exported model then sees what it was trained with.
        np.testing.assert_array_equal(
            enlarged[number], preprocess.normalize(preprocess.load(path, square(size)), RECIPE)
        )


def test_enlarge_of_one_image_does_not_depend_on_its_batch():
    images = noise(6)
    np.testing.assert_array_equal(train.enlarge(images, 96)[2:3], train.enlarge(images[2:3], 96))


def test_augment_keeps_shape_and_dtype_and_the_original():
    original = noise(1)[0]
    before = original.copy()
    random = np.random.default_rng(4)
    changed = [train.augment(original, random) for _ in range(200)]
    for image in changed:
        assert image.shape == (28, 28)
        assert image.dtype == np.uint8
    np.testing.assert_array_equal(original, before)
    # 2 mirrorings x 25 shifts, half of them with a patch: 200 draws are not all alike.
    assert len({image.tobytes() for image in changed}) > 50


def test_augment_is_decided_by_its_generator():
    original = noise(1)[0]
    first, second = (
        [train.augment(original, random).tobytes() for _ in range(20)]
        for random in (np.random.default_rng(9), np.random.default_rng(9))
    )
    assert first == second


def test_augment_shifts_by_two_at_most_mirrors_and_erases_a_part():
    # A single bright column tells where the image went, and how it was turned.
    original = np.zeros((28, 28), np.uint8)
    original[:, 5] = 255
    random = np.random.default_rng(8)
    columns, erased = set(), 0
    for _ in range(400):
        image = train.augment(original, random)
        column = int((image == 255).sum(axis=0).argmax())
        columns.add(column)
        patch = image.copy()
        patch[:, column] = 0
        erased += bool(patch.any())
        # 12 x 12 is the largest patch.
        assert np.count_nonzero(patch) <= 144
    # Column 5 moves to 3...7; mirrored it is column 22, which moves to 20...24.
    assert columns == {3, 4, 5, 6, 7, 20, 21, 22, 23, 24}
    # Half of 400, with a deviation of 10; a patch of value 0 shows on nothing but the column, one of 256.
    assert 150 < erased < 250


@pytest.fixture
def batches() -> train.Augmented:
    labels = np.arange(300, dtype=np.uint8) % 10
    return train.Augmented(noise(300), labels, 32)


def test_batches_are_the_same_in_every_run(batches):
    again = train.Augmented(noise(300), np.arange(300, dtype=np.uint8) % 10, 32)
    assert len(batches) == len(again) == 2  # 300 // 128: a smaller last batch is left for the next epoch
    for epoch in range(2):
        # In another order of asking: workers ask as they please.
        mine, other = ([data[batch] for batch in (0, 1)] for data in (batches, again))
        later = again[1]
        for (pixels, labels), (same_pixels, same_labels) in zip(mine, other, strict=True):
            np.testing.assert_array_equal(pixels, same_pixels)
            np.testing.assert_array_equal(labels, same_labels)
        np.testing.assert_array_equal(later[0], mine[1][0])
        if epoch == 0:
            batches.on_epoch_end()
            again.on_epoch_end()


def test_batches_differ_between_epochs(batches):
    pixels, labels = batches[0]
    assert pixels.shape == (128, 32, 32, 3)
    assert pixels.dtype == np.float32
    assert pixels.min() >= -1
    assert pixels.max() <= 1
    batches.on_epoch_end()
    assert not np.array_equal(batches[0][1], labels)


def test_an_epoch_takes_each_image_once_with_its_own_label():
    # Each image is of one grey value, its label: most of its pixels keep it, whatever shift and patch do.
    labels = np.arange(256, dtype=np.uint8)
    data = train.Augmented(np.broadcast_to(labels[:, None, None], (256, 28, 28)), labels, 32)
    seen = []
    for batch in range(len(data)):
        pixels, given = data[batch]
        values = np.rint((pixels[..., 0] + 1) * 127.5).astype(int).reshape(len(pixels), -1)
        for image, label in zip(values, given, strict=True):
            assert Counter(image.tolist()).most_common(1)[0][0] == label
        seen += given.tolist()
    assert sorted(seen) == list(range(256))


@pytest.mark.parametrize("count", [1, 37, 501])
def test_accuracy_is_the_share_of_right_top_classes(count):
    # The class is the brightness, in ten steps; 501 images are more than it scores at once.
    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    scores = keras.layers.Dense(10, name="scores")(pooled)
    model = keras.Model(inputs, scores)
    # 2 c x - c**2 is greatest for the c nearest to x.
    centres = np.linspace(-0.9, 0.9, 10)
    model.get_layer("scores").set_weights([np.tile(2 * centres / 3, (3, 1)), -(centres**2)])
    labels = np.arange(count) % 10
    images = np.broadcast_to(np.rint((centres[labels] + 1) * 127.5).astype(np.uint8)[:, None, None], (count, 28, 28))
    assert train.accuracy(model, images, labels) == 1.0
    wrong = np.where(np.arange(count) % 3 == 0, (labels + 1) % 10, labels)
    assert train.accuracy(model, images, wrong) == (count - math.ceil(count / 3)) / count


STAGES = (train.Stage(32, 1, 1e-3), train.Stage(64, 2, 5e-4))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Fashion-MNIST's four files, with 340 and 50 images of noise."""
    folder = tmp_path_factory.mktemp("source")
    for split, count in (("train", 340), ("t10k", 50)):
        for part, array in (("images-idx3", noise(count)), ("labels-idx1", np.arange(count, dtype=np.uint8) % 10)):
            header = bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
            (folder / f"{split}-{part}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    return folder


@pytest.fixture(scope="module")
def run(source):
    """Trains on 256 of 300 images, with 40 more for validation, and writes to a folder. Returns what it prints."""

    def train_into(out: Path) -> str:
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
            patch.setattr(dataset, "VALIDATION_IMAGES", 40)
            train.train(source, out, stages=STAGES, limit=256)
        return printed.getvalue()

    return train_into


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory) -> tuple[Path, str]:
    """The folder of one run, and what it printed."""
    out = tmp_path_factory.mktemp("trained") / "out"
    return out, run(out)


@pytest.mark.slow
def test_a_run_writes_weights_and_a_card_that_tells_of_them(source, trained, monkeypatch):
    out, printed = trained
    stem = bundled.WEIGHTS.stem
    assert sorted(path.name for path in out.iterdir()) == ["MODEL_CARD.md", f"{stem}.keras", f"{stem}.npz"]
    model = mobilenet.build(bundled.SPEC)
    fresh = model.get_weights()
    weights.assign(model, out / bundled.WEIGHTS.name)
    assert not np.array_equal(model.get_weights()[0], fresh[0])

    monkeypatch.setattr(dataset, "VALIDATION_IMAGES", 40)
    _, validation = dataset.validation_split(340)
    validation_images, validation_labels = (part[validation] for part in dataset.load(source, "train"))
    top1 = train.accuracy(model, *dataset.load(source, "t10k"))
    validation_top1 = train.accuracy(model, validation_images, validation_labels)
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", card, re.MULTILINE))
    assert rows["top-1, official test set, 10,000 images"].startswith(f"{top1:.2%} ")
    assert rows["top-1, 5,000 validation images (of the training images)"].startswith(f"{validation_top1:.2%} ")
    assert rows["schedule"].startswith("1 epochs at 32 px, then 2 epochs at 64 px;")
    assert rows["training data"].startswith("256 of the 60,000 ")

    for size, epoch, epochs in ((32, 1, 1), (64, 1, 2), (64, 2, 2)):
        assert re.search(rf"^  {size} px, epoch {epoch} of {epochs}: validation top-1 [\d.]+%$", printed, re.MULTILINE)
    assert f"top-1 on the 50 test images: {top1:.2%}; wrote {out / bundled.WEIGHTS.name}\n" in printed


@pytest.mark.slow
def test_two_runs_give_the_same_weights(run, trained, tmp_path):
    run(tmp_path)
    assert (tmp_path / bundled.WEIGHTS.name).read_bytes() == (trained[0] / bundled.WEIGHTS.name).read_bytes()


def test_missing_files(tmp_path):
    with pytest.raises(EdgenetError, match=r"train-images-idx3-ubyte\.gz: no such file of Fashion-MNIST"):
        train.train(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_refused_before_the_training(source, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "VALIDATION_IMAGES", 40)

    def fit(*arguments):
        pytest.fail("the training began")

    monkeypatch.setattr(train, "_fit", fit)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EdgenetError, match=r"cannot be written to \("):
        train.train(source, tmp_path / "file" / "out", stages=STAGES, limit=256)


def test_card_says_what_was_done():
    text = train.card(train.STAGES, 55_000, 0.92344, 0.9199, 83.4)
    assert text.startswith("# mobilenet_v1_0.5_96, trained on Fashion-MNIST\n")
    assert "55,000 of the 60,000 official training images" in text
    assert "12 epochs at 64 px, then 12 epochs at 96 px" in text
    assert "| seed | 17 |" in text
    assert "| 92.34% (hyperparameters were chosen with these) |" in text
    assert "10,000 images | 91.99% (measured once, with the stored weights) |" in text
    assert "| training time | 83 minutes |" in text
