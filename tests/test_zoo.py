"""Models that other people trained, with photos: each exports as its owner would try it, and gives the scores of Keras.

The photos are ImageNet's, which most of these models were not trained on; variants are compared with Keras anyway.
"""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from places import IMAGENET, ZOO

import edgenet
from edgenet.images import preprocess
from edgenet.model import keras_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ZOO.is_dir() or not IMAGENET.is_dir(), reason="needs ../shared/zoo and ../shared/imagenet"),
]

# The options that README of the zoo names.
MODELS = {
    "teachable_machine.h5": {"labels": ZOO / "teachable_machine_labels.txt"},
    "efficientnet_lite0.keras": {
        "input_range": [127 / 255] * 3 + [128 / 255] * 3,
        "crop": 0.875,
        "labels": IMAGENET / "labels.txt",
    },
    "dog_breeds_mobilenetv2.h5": {},
    "mini_xception_grey.hdf5": {},
    "cifar10_vgg.h5": {},
}
# Written by Keras 2, so that tf-keras is another way to their scores.
OF_KERAS_2 = ["teachable_machine.h5", "mini_xception_grey.hdf5", "cifar10_vgg.h5"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """30 photos to calibrate and 20 to evaluate, without classes."""
    folder = tmp_path_factory.mktemp("photos")
    files = sorted((IMAGENET / "images").iterdir())[::8]
    for number, file in enumerate(files):
        part = folder / ("evaluation" if number % 5 in (1, 3) else "calibration")
        part.mkdir(exist_ok=True)
        (part / file.name).symlink_to(file)
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_exported(photos, tmp_path, name):
    bundle = edgenet.export(
        ZOO / name,
        out=tmp_path / "bundle",
        calibration=photos / "calibration",
        evaluation=photos / "evaluation",
        apps=False,
        **MODELS[name],
    )
    found = {variant.name: variant.drift.agreement.top1 for variant in bundle.manifest.variants}
    print(name, found)
    assert found["float32"] == 1.0


@pytest.mark.parametrize("name", OF_KERAS_2)
def test_scores_are_those_of_tf_keras(photos, name):
    tf_keras = pytest.importorskip("tf_keras")
    classifier = keras_model.load(ZOO / name)
    files = sorted((photos / "evaluation").iterdir())[:8]
    pixels = np.stack([preprocess.load(file, classifier.recipe) for file in files])
    expected = tf_keras.models.load_model(ZOO / name, compile=False)(preprocess.normalize(pixels, classifier.recipe))
    np.testing.assert_allclose(next(classifier.scores([pixels])), expected.numpy(), rtol=0, atol=1e-5)


def test_teachable_machine_as_downloaded(photos, tmp_path):
    archive = tmp_path / "converted_keras.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.write(ZOO / "teachable_machine.h5", "keras_model.h5")
        out.write(ZOO / "teachable_machine_labels.txt", "labels.txt")
    bundle = edgenet.export(archive, out=tmp_path / "bundle", calibration=photos / "calibration", apps=False)
    assert bundle.manifest.preprocessing.range == (-1, 1)
    labels = (bundle.folder / "labels.txt").read_text().splitlines()
    assert labels == ["cardboard", "plastic", "glass", "metal"]
    assert edgenet.Classifier(bundle.folder / "int8.tflite").classify(next((photos / "evaluation").iterdir()))
