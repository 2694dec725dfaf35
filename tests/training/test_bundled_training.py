"""The bundled model is trained by the same code as any other, on Fashion-MNIST: here on a few images of noise."""

import csv
from dataclasses import replace
from pathlib import Path

import fashion_files
import numpy as np
import pytest
from training_listener import Listener

from edgenet import inputs
from edgenet.cli.main import main
from edgenet.errors import EdgenetError
from edgenet.images import bundled
from edgenet.images.input_range import InputRange
from edgenet.model import keras_model, weights
from edgenet.progress import SILENT
from edgenet.quiet import quiet
from edgenet.training import checkpoint, fashion_mnist, train
from edgenet.training.data import of_fashion_mnist
from edgenet.training.schedule import BUNDLED

# 340 training images, 40 of them for validation, and 50 test images.
COUNTS = {"train": 340, "t10k": 50}
VALIDATION = 40
STAGES = (replace(BUNDLED[0], epochs=1, size=32), replace(BUNDLED[1], epochs=2))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Fashion-MNIST's four files, with noise that is lighter from class to class."""
    folder = tmp_path_factory.mktemp("source")
    random = np.random.default_rng(1)
    for split, count in COUNTS.items():
        labels = np.arange(count, dtype=np.uint8) % 10
        images = (random.integers(0, 40, (count, 28, 28)) + 20 * labels[:, None, None]).astype(np.uint8)
        fashion_files.write(folder, {f"{split}-images-idx3-ubyte": images, f"{split}-labels-idx1-ubyte": labels})
    return folder


@pytest.fixture(autouse=True)
def few_validation_images(monkeypatch):
    monkeypatch.setattr(fashion_mnist, "VALIDATION_IMAGES", VALIDATION)


def run(source: Path, out: Path, listener=None) -> train.TrainedModel:
    with quiet():
        return train.train_bundled(source, out, listener or Listener(), stages=STAGES)


@pytest.fixture(scope="module")
def trained(source, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "VALIDATION_IMAGES", VALIDATION)
        return run(source, tmp_path_factory.mktemp("trained") / "out")


def test_the_official_test_images_are_the_test(source, tmp_path):
    data = of_fashion_mnist(source)
    assert data.check.parts == (300, 40, 50)
    assert data.classes == fashion_mnist.LABELS
    images, labels = fashion_mnist.load(source, "t10k")
    test = data.parts[2]
    np.testing.assert_array_equal(data.labels[test], labels)
    assert [data.names[image] for image in test[:2]] == ["t10k/0", "t10k/1"]
    plain, larger = data.pixels(InputRange().recipe(28, 28, 3), checkpoint.Progressed(tmp_path, "key"), SILENT)
    np.testing.assert_array_equal(plain.read(test)[..., 0], images)  # at their own size nothing is resized
    assert larger.read(test[:1]).shape == (1, 32, 32, 3)
    # Calibration images of the bundle are of the validation images: none is trained on.
    np.testing.assert_array_equal(data.parts[1], fashion_mnist.validation_split(COUNTS["train"])[1])


@pytest.mark.slow
def test_a_training_in_stages_writes_what_any_training_writes(source, trained):
    stem = bundled.SPEC.name
    assert {path.name for path in trained.folder.iterdir()} == {
        *("MODEL_CARD.md", "labels.txt", "log.csv", "training.html", "training.json"),
        *(f"{stem}.keras", f"{stem}.npz"),
    }
    with open(trained.folder / "log.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "1", "1", "2"]
    record = inputs.training_among(trained.folder)
    assert record.options["epochs"] == "1, then 2"
    assert record.options["size"] == "32, then 96"
    # The stored files have the accuracy that the record says.
    classifier = keras_model.load(trained.file)
    test = of_fashion_mnist(source).parts[2]
    pixels = of_fashion_mnist(source).pixels(classifier.recipe, None, SILENT)[0].read(test)
    with quiet():
        scores = np.concatenate(list(classifier.scores([pixels])))
    right = float((scores.argmax(axis=1) == np.arange(50) % 10).mean())
    assert right == record.accuracy.value
    loaded = weights.load(trained.folder / f"{stem}.npz")
    for one, other in zip(loaded.get_weights(), trained.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2**-10, atol=2**-24)  # kernels are stored as float16


@pytest.mark.slow
def test_broken_off_in_the_second_stage_it_ends_with_the_same_model(source, trained, tmp_path):
    with pytest.raises(RuntimeError):
        run(source, tmp_path / "out", Listener("fine-tuning, epoch 2"))
    again = Listener()
    run(source, tmp_path / "out", again)
    assert [step for step in again.steps if "epoch" in step] == [
        step for step in again.steps if step.startswith("fine-tuning, epoch 2")
    ]
    name = trained.file.name
    assert (tmp_path / "out" / name).read_bytes() == trained.file.read_bytes()


def test_missing_files(tmp_path):
    with pytest.raises(EdgenetError, match=r"train-images-idx3-ubyte\.gz: no such file of Fashion-MNIST"):
        train.train_bundled(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_of_other_images(source, tmp_path):
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    fashion_files.write(tmp_path, {"t10k-labels-idx1-ubyte": np.zeros(49, np.uint8)})
    with pytest.raises(EdgenetError, match=r"not as many labels as images; install the data set again$"):
        of_fashion_mnist(tmp_path)


def test_a_place_that_cannot_be_written_is_refused_before_tensorflow_is_loaded(source, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["train", "--data", str(source), "--out", str(tmp_path / "file" / "out")]) == 1
    assert "cannot be written to (" in capsys.readouterr().err
