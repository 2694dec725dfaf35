"""Zip archives of models, as Teachable Machine writes them."""

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.model import keras_model

tf_keras = pytest.importorskip("tf_keras")
PIXELS = np.random.default_rng(5).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")


def teachable():
    """The form of Teachable Machine's models: Sequential models in a Sequential model."""
    tf_keras.utils.set_random_seed(2)
    layers = tf_keras.layers
    image = tf_keras.Input((32, 32, 3))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2)(image)))
    base = tf_keras.Model(image, layers.ReLU(6.0)(layers.DepthwiseConv2D(3, use_bias=False)(x)))
    features = tf_keras.Sequential([base, layers.GlobalAveragePooling2D()])
    dense = tf_keras.Sequential([layers.Dense(10, activation="relu"), layers.Dense(3, activation="softmax")])
    model = tf_keras.Sequential([features, dense])
    model.build((None, 32, 32, 3))
    return model


def scores(model) -> np.ndarray:
    return model(PIXELS / np.float32(127.5) - 1, training=False).numpy()


def zipped(path: Path, folder: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "unzipped"
    path.mkdir()
    (path / "labels.txt").write_text("0 ant\n1 bee\n2 cat\n")
    return path


@pytest.mark.parametrize("prefix", ["", "converted/", "a folder/of mine/"])
def test_converted_keras(folder, tmp_path, prefix):
    model = teachable()
    model.save(folder / "keras_model.h5")
    path = zipped(tmp_path / "converted_keras.zip", folder, prefix)
    for classifier in (keras_model.load(path), keras_model.load(folder / "keras_model.h5")):
        assert classifier.recipe.range == (-1, 1)
        assert classifier.labels_file.read_text() == "0 ant\n1 bee\n2 cat\n"
        # One graph, with sums in another order.
        np.testing.assert_allclose(next(classifier.scores([PIXELS])), scores(model), rtol=0, atol=1e-6)


@pytest.mark.parametrize("prefix", ["", pytest.param("a folder/", marks=pytest.mark.slow)])
def test_converted_saved_model(folder, tmp_path, prefix):
    model = teachable()
    model.save(folder / "model.savedmodel", save_format="tf")
    path = zipped(tmp_path / "converted_savedmodel.zip", folder, prefix)
    own = folder / "model.savedmodel"
    for given in (path, own, own / "saved_model.pb"):
        classifier = keras_model.load(given)
        assert classifier.labels_file.name == "labels.txt"
        np.testing.assert_allclose(next(classifier.scores([PIXELS])), scores(model), rtol=0, atol=1e-6)
    (tmp_path / "bundle").mkdir()
    name = keras_model.load(path).save(tmp_path / "bundle")
    assert (tmp_path / "bundle" / name / "saved_model.pb").is_file()


def test_a_saved_model_at_the_top_of_an_archive(tmp_path):
    model = teachable()
    model.save(tmp_path / "own", save_format="tf")
    classifier = keras_model.load(zipped(tmp_path / "own.zip", tmp_path / "own"))
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), scores(model), rtol=0, atol=1e-6)
    assert classifier.labels_file is None


def test_a_keras_file_in_an_archive_beside_what_macos_adds(folder, tmp_path):
    keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]).save(
        folder / "own.keras"
    )
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._own.keras").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    assert keras_model.load(zipped(tmp_path / "own.zip", folder)).classes == 3


@pytest.mark.slow  # seconds
@pytest.mark.parametrize("kind", ["h5", "tf"])
def test_an_unpacked_archive(folder, kind):
    model = teachable()
    model.save(folder / ("keras_model.h5" if kind == "h5" else "model.savedmodel"), save_format=kind)
    classifier = keras_model.load(folder)
    assert classifier.labels_file == folder / "labels.txt"
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), scores(model), rtol=0, atol=1e-6)


@pytest.mark.parametrize("count", [0, 2])
def test_no_model_or_several(folder, tmp_path, count):
    for number in range(count):
        (folder / f"{number}.h5").write_bytes(b"x")
    path = zipped(tmp_path / "own.zip", folder)
    with pytest.raises(EdgenetError, match=f"expected an archive with one model, got {count or 'none'} "):
        keras_model.load(path)


def test_members_that_lead_out(tmp_path):
    path = tmp_path / "own.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../keras_model.h5", b"x")
    with pytest.raises(EdgenetError, match="outside"):
        keras_model.load(path)


def test_a_damaged_archive(folder, tmp_path):
    teachable().save(folder / "keras_model.h5")
    path = zipped(tmp_path / "own.zip", folder)
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(EdgenetError, match="the archive is damaged"):
        keras_model.load(path)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(EdgenetError, match="only a part"):
        keras_model.load(path)


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("model.tflite", b"\x1c\0\0\0TFL3" + bytes(20), r"a \.tflite file, which is converted already"),
        ("model.onnx", b"\x08\x07\x12\x07pytorch" + bytes(20), "an ONNX model"),
        ("model.pth", b"\x80\x02\x8a" + bytes(20), "a PyTorch model"),
        ("frozen.pb", b"\x0a\x20\x0a" + bytes(20), "one file of a SavedModel or a frozen graph"),
        ("model.json", b'{"class_name": "Sequential"}', "JSON, which has no weights"),
        ("model.h5", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        ("model.h5", b"<!DOCTYPE html><html></html>", "a web page"),
        ("model.h5", b"", "the file is empty"),
    ],
)
def test_what_people_take_for_a_keras_model(tmp_path, name, data, text):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(EdgenetError, match=text):
        keras_model.load(tmp_path / name)


def test_a_pytorch_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"x")
    with pytest.raises(EdgenetError, match="PyTorch"):
        keras_model.load(tmp_path / "model.pt")
