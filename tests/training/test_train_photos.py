"""A model trained on small drawn images: its files, and that a training that was killed ends as one that was not."""

import csv
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from photo_folders import class_folders
from training_listener import Listener

from edgenet import inputs
from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.model import keras_model
from edgenet.progress import SILENT
from edgenet.quiet import quiet
from edgenet.records import Resize
from edgenet.training import fitting
from edgenet.training import train as training
from edgenet.training.options import TrainOptions
from edgenet.training.schedule import FROM_SCRATCH

CLASSES = {"ant": 9, "bee": 8, "sea urchin": 7}
OPTIONS = TrainOptions(weights="none", alpha=0.1, size=32, seed=3, epochs=2)
WRITTEN = {"MODEL_CARD.md", "labels.txt", "log.csv", "small.keras", "small_32.npz", "training.html", "training.json"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("photos"), CLASSES)


def run(photos, out, options=OPTIONS, listener=None, interrupted=lambda: None):
    with quiet():
        return training.train(photos, options, out, "small", listener or Listener(), interrupted)


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    return run(photos, tmp_path_factory.mktemp("out") / "small")


def test_the_files(trained):
    assert {path.name for path in trained.folder.iterdir()} == WRITTEN
    assert (trained.folder / "labels.txt").read_text().splitlines() == list(CLASSES)
    with open(trained.folder / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["linear head", "fine-tuning", "fine-tuning"]
    assert inputs.training_among(trained.folder) == trained.training


def test_no_photo_is_in_two_parts(trained):
    assert not {path for path, _ in trained.train} & {path for path, _ in trained.test}
    assert {label for _, label in trained.train} == {label for _, label in trained.test} == {0, 1, 2}


def test_the_file_knows_pixels_and_labels_of_the_training(trained, tmp_path):
    alone = shutil.copy(trained.file, tmp_path)  # without the labels.txt beside it
    with quiet():
        classifier = keras_model.load(tmp_path / "small.keras")
    assert classifier.recipe.resize == Resize()
    assert classifier.resize_known
    assert classifier.recipe.range == (-1, 1)
    assert inputs.class_labels(None, classifier, str(alone), ()) == list(CLASSES)
    # The scores of the test images, as the training's record counts them.
    paths, labels = zip(*trained.test, strict=True)
    pixels = np.stack(list(preprocess.load_all(paths, classifier.recipe)))
    with quiet():
        scores = np.concatenate(list(classifier.scores([pixels])))
    right = float((scores.argmax(axis=1) == np.array(labels)).mean())
    assert right == pytest.approx(trained.training.accuracy.value)


def test_the_model_in_memory_knows_them_too(trained):
    with quiet():
        classifier = keras_model.from_keras(trained.model, "small")
    assert classifier.recipe.resize == Resize()
    assert classifier.range_source == "given"
    assert inputs.class_labels(None, classifier, "small", ()) == list(CLASSES)


# A crash after the first epoch: the second begins with the state that was kept.
@pytest.mark.slow
def test_a_training_that_was_broken_off_ends_with_the_same_model(trained, photos, tmp_path):
    out = tmp_path / "small"
    with pytest.raises(RuntimeError):
        run(photos, out, listener=Listener("fine-tuning, epoch 2"))
    assert {path.name for path in out.iterdir()} == {".progress"}
    again = Listener()
    run(photos, out, listener=again)
    assert not [step for step in again.steps if step.startswith(("decoding", "fine-tuning, epoch 1"))]
    assert (out / "small.keras").read_bytes() == trained.file.read_bytes()
    assert {path.name for path in out.iterdir()} == WRITTEN


def test_ctrl_c_keeps_the_best_so_far(photos, tmp_path):
    listener, heard = Listener("fine-tuning, epoch 2", KeyboardInterrupt), []
    found = run(photos, tmp_path / "small", listener=listener, interrupted=lambda: heard.append(1))
    assert heard == [1]
    assert "interrupted" in found.training.reason
    assert any("the same command goes on where it was" in note for note in listener.notes)
    assert found.file.is_file()
    assert [row.epoch for row in found.training.history] == [1, 1]


def test_files_of_others_are_not_replaced(photos, tmp_path):
    (tmp_path / "labels.txt").write_text("mine")
    with pytest.raises(EdgenetError, match=r"labels\.txt: this file would be overwritten; choose another folder"):
        run(photos, tmp_path)
    assert (tmp_path / "labels.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"minutes": 0}, "minutes: must be above 0"),
        ({"minutes": float("nan")}, "minutes: must be above 0"),
        ({"seed": -1}, "seed: must be from 0"),
        ({"epochs": -1}, "epochs: must be from 0"),
        ({"size": 100}, "size: must be a multiple of 32"),
    ],
)
def test_options_out_of_range(values, message):
    with pytest.raises(EdgenetError, match=message):
        TrainOptions(**values)


def test_two_trainings_in_one_folder_are_refused(photos, tmp_path):
    class Second(Listener):
        """Starts another training while the first is at work."""

        def step(self, text):
            super().step(text)
            if text.startswith("computing features"):
                code = (
                    "import sys; from pathlib import Path; from edgenet.training import checkpoint\n"
                    "with checkpoint.Progressed(Path(sys.argv[1]), 'another'): pass"
                )
                self.second = subprocess.run(
                    [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
                )

    listener = Second()
    run(photos, tmp_path, replace(OPTIONS, epochs=0), listener)
    assert "another training is running in this folder; wait for it, or give another folder" in listener.second.stderr
    assert {path.name for path in tmp_path.iterdir()} == WRITTEN


def test_where_there_is_no_time_for_an_epoch_the_last_layer_alone_is_trained(photos, tmp_path):
    found = run(photos, tmp_path, replace(OPTIONS, minutes=1e-6, epochs=None))
    assert found.training.kept == "linear head"
    assert "there was no time for an epoch" in found.training.reason
    assert [row.phase for row in found.training.history] == ["linear head"]


@pytest.mark.parametrize("left", [0.0, -5.0, 1e-6])
def test_an_epoch_that_would_take_longer_than_what_is_left_is_not_begun(monkeypatch, tmp_path, left):
    """The time is over during the first steps, which tell how long an epoch takes."""
    images = fitting.Images(None, None, np.zeros(64, np.int64), np.arange(64), np.arange(3), None, 2)
    now = iter(np.arange(0, 1_000, 10.0))  # each look at the clock is 10 seconds later
    monkeypatch.setattr(fitting.time, "monotonic", lambda: float(next(now)))
    trainer = SimpleNamespace(
        images=images,
        schedule=FROM_SCRATCH,
        batches=lambda random: [np.arange(32), np.arange(32, 64)],
        changed=lambda batches, *rest: ((batch, None) for batch in batches),
        step=lambda *arguments: (1.0, 1),
    )
    state = fitting._epoch(trainer, fitting.State(1.0), 0, True, left, SILENT)
    assert state.epochs == 0
    assert state.reason == fitting.NO_TIME
