"""A .tflite file in a zip archive, as Teachable Machine lets people download it, float and quantized."""

import json
import os
import zipfile

import pytest
from commands import error_of, output_of

LABELS = ["ant", "bee", "cat", "sea urchin"]


@pytest.fixture(params=["float32", "int8"])
def downloaded(request, tiny_bundle, tmp_path):
    with zipfile.ZipFile(tmp_path / "converted_tflite.zip", "w") as archive:
        archive.write(tiny_bundle.file(f"{request.param}.tflite"), "model.tflite")
        archive.writestr("labels.txt", "".join(f"{number} {name}\n" for number, name in enumerate(LABELS)))
    return tiny_bundle.file(f"{request.param}.tflite")


def test_it_is_classified_with_the_labels_in_the_archive(downloaded, run_here, pictures):
    image = next((pictures / "evaluation" / "ant").iterdir())
    done = run_here("classify", "converted_tflite.zip", image, "--json")
    alone = run_here("classify", downloaded, image, "--json")
    assert (done.returncode, done.stdout) == (0, alone.stdout)
    assert done.stderr == "note: labels.txt: the numbers before the names are their classes\n"


@pytest.mark.slow
def test_it_is_measured_with_the_labels_in_the_archive(downloaded, run_here, pictures, tmp_path):
    options = ("--images", pictures / "evaluation", "--threads", 1, "--rounds", 2, "--seconds", 0.01)
    output_of(run_here("benchmark", "converted_tflite.zip", *options, "--json", "zipped.json"))
    output_of(run_here("benchmark", downloaded, *options, "--json", "alone.json"))
    zipped, alone = (json.loads((tmp_path / name).read_text()) for name in ("zipped.json", "alone.json"))
    assert zipped["model"]["labels"] == alone["model"]["labels"] == LABELS
    assert zipped["measurements"][0]["drift"] == alone["measurements"][0]["drift"]


def test_archives_of_something_else(run_here, tmp_path):
    for name in ("a.tflite", "b.tflite"):
        with zipfile.ZipFile(tmp_path / "own.zip", "a") as archive:
            archive.writestr(name, b"x")
    for verb in (("benchmark", "own.zip"), ("classify", "own.zip", "photo.jpg")):
        assert "expected an archive with one model, got 2 (a.tflite, b.tflite)" in error_of(run_here(*verb))
    with zipfile.ZipFile(tmp_path / "keras.zip", "w") as archive:
        archive.writestr("saved/saved_model.pb", b"x")
    assert "a Keras model, not a .tflite file; convert it with edgenet export" in error_of(
        run_here("classify", "keras.zip", "x")
    )
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    assert "damaged" in error_of(run_here("benchmark", "broken.zip"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes that have a name")
def test_a_pipe_is_refused_before_it_is_opened(run_here, tmp_path):
    # Opening one would wait for whoever writes to it.
    for name in ("pipe.tflite", "pipe.zip"):
        os.mkfifo(tmp_path / name)
    for name in ("pipe.tflite", "pipe.zip"):
        assert error_of(run_here("classify", name, "photo.jpg")) == f"{name}: not a regular file"
    assert error_of(run_here("benchmark", "pipe.tflite")) == "pipe.tflite: not a regular file"
    assert error_of(run_here("benchmark", "pipe.zip")).startswith("pipe.zip: not a bundle")
