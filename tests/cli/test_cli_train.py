"""`edgenet train PHOTOS`, as a user types it."""

import argparse
import os
import signal
import sys
import time
from types import SimpleNamespace

import made_trainings
import pytest
from commands import run, start
from photo_folders import class_folders

from edgenet.bundle.bundle import load as load_bundle
from edgenet.cli.commands import train
from edgenet.errors import EdgenetError
from edgenet.phone import files
from edgenet.training import fashion_mnist
from edgenet.training import train as training

SMALL = ("--weights", "none", "--alpha", "0.1", "--size", "32", "--epochs", "2", "--seed", "3")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("some") / "my photos", {"ant": 9, "bee": 8, "sea urchin": 7})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere: no such folder"),
        (("--seed", "1"), "--seed: goes with a folder of photos only"),
        (("--no-mirror",), "--no-mirror: goes with a folder of photos only"),
        (("--export",), "--export: goes with a folder of photos only"),
        (("photos", "--data", "mine"), "--data: is for the bundled model"),
        (("photos", "--minutes", "0"), "--minutes: must be above 0"),
        (("photos", "--size", "100"), "--size: must be a multiple of 32"),
    ],
)
def test_errors_before_tensorflow_is_loaded(tmp_path, arguments, message):
    done = run(tmp_path, "train", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {message}")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_from_photos_to_a_bundle(photos, tmp_path):
    done = run(tmp_path, "train", photos, *SMALL, "--export")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "build" / "train" / "my photos"
    assert (folder / "my photos.keras").is_file()
    assert not (folder / ".progress").exists()
    bundle = load_bundle(tmp_path / "build" / "my photos")
    assert bundle.manifest.name == "my photos"
    # Accuracy is measured on the test photos: one or two of each class.
    labels = [image.label for image in bundle.manifest.evaluation]
    assert set(labels) == {0, 1, 2}
    assert len(labels) < 8
    assert "edgenet benchmark 'build/my photos'" in done.stdout


# Killed in each phase, the same command ends with the same model.
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_in_each_phase(photos, tmp_path):
    def train(name):
        return "train", photos, *SMALL, "--out", tmp_path / name / "out"

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    assert run(tmp_path, *train("whole")).returncode == 0
    phases = ("decoding", "computing features", "fine-tuning, epoch 1", "fine-tuning, epoch 2", "testing", "writing")
    killed = 0
    for phase in phases:
        process = start(tmp_path, *train("killed"), start_new_session=True)
        for line in process.stderr:
            if line.startswith(phase):
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
                break
        process.wait()
    assert killed == len(phases)
    assert run(tmp_path, *train("killed")).returncode == 0
    whole, again = tmp_path / "whole" / "out", tmp_path / "killed" / "out"
    assert {path.name for path in again.iterdir()} == {path.name for path in whole.iterdir()}
    assert (again / "my photos.keras").read_bytes() == (whole / "my photos.keras").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_keeps_the_best_so_far(photos, tmp_path):
    arguments = [*SMALL[:6], "--epochs", "5000", "--minutes", "60"]
    process = start(tmp_path, "train", photos, *arguments, start_new_session=True)
    for line in process.stderr:
        if line.startswith("fine-tuning, epoch 3"):
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the parent process and its child
    began = time.monotonic()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "note: interrupted: the best model so far is kept" in errors
    assert time.monotonic() - began < 100
    assert (tmp_path / "build" / "train" / "my photos" / "my photos.keras").is_file()
    assert "Model: build/train/my photos/my photos.keras" in output


def test_the_bundled_model_is_shown_like_any_other(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    for path in fashion_mnist.paths(tmp_path / "data"):
        path.touch()
    asked = []

    def train_bundled(folder, out, *listeners):
        asked.append((folder, out))
        return SimpleNamespace(training=made_trainings.training(), file=out / "some.keras")

    monkeypatch.setattr(training, "train_bundled", train_bundled)
    parser = argparse.ArgumentParser()
    train.add(parser)
    train.run(parser.parse_args(["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]))
    assert asked == [(tmp_path / "data", tmp_path / "out")]
    printed = capsys.readouterr().out
    assert "majority class" in printed and "Training(" not in printed
    assert f"Model: {tmp_path / 'out' / 'some.keras'}" in printed


def test_what_serve_needs_is_checked_before_the_training(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LITERT", tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    train.add(parser)
    with pytest.raises(EdgenetError, match=r"^LiteRT\.js is not installed in .*nowhere; run `make web`"):
        train.run(parser.parse_args([str(photos), "--serve"]))
    assert not list(tmp_path.iterdir())
