"""`edgenet calibrate` and `edgenet export` on images in folders of their classes: accuracy has the last word."""

import json

import pytest
from colour_models import NAMES, labelled, nearest_colour, save

from edgenet.images.input_range import COMMON

RAW, TF = COMMON["0,255"], COMMON["-1,1"]


@pytest.fixture
def work(tmp_path):
    """A model, model.keras, made by `make`; 60 images with and without classes."""
    save(*labelled(60), tmp_path / "classes")
    save(*labelled(60), tmp_path / "flat", folders=False)
    (tmp_path / "labels.txt").write_text("\n".join(NAMES) + "\n")

    def make(**options):
        nearest_colour(**options).save(tmp_path / "model.keras")

    return make


@pytest.mark.parametrize("labels", [["--labels", "labels.txt"], []])
def test_calibrate_chooses_the_range_by_accuracy(run_here, work, labels):
    work(expected=RAW)
    done = run_here("calibrate", "classes", "--model", "model.keras", *labels)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "note input range 0,255 chosen: 60 of 60 calibration images right, 15 with -1,1 (p < 0.001); " in text
    assert "--input-range sets another" in text


def test_a_frozen_backbone_passes_with_the_range_that_classifies_better(run_here, work):
    work(expected=RAW, backbone=TF)
    options = ("--model", "model.keras", "--labels", "labels.txt", "--input-range", "0,255")
    done = run_here("calibrate", "classes", *options)
    assert done.returncode == 0, done.stderr
    assert "60 of 60 images are right with --input-range 0,255, 15 with --input-range -1,1, so" in done.stdout
    # Without classes, there are only the statistics of the backbone.
    assert run_here("calibrate", "flat", *options).returncode == 1


def test_export_says_what_it_chose_and_how_good_keras_is(run_here, work, tmp_path):
    work(expected=RAW)
    words = ("--model", "model.keras", "--calibration", "classes", "--variants", "float32", "--no-apps", "--out", "out")
    done = run_here("export", *words)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "Keras: accuracy 1.000 (chance " in text
    assert "calibration: note: input range 0,255 chosen: 30 of 30 calibration images right, " in text
    assert "--input-range sets another" in text
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["preprocessing"]["mean"] == [0, 0, 0]
    assert manifest["reference_scores"]["accuracy"]["value"] == 1.0
