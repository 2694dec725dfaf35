"""Google's ImageNet weights: where they are looked for, what they compute, and what is said where there are none."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from legacy import write_legacy
from places import IMAGENET
from recipes import RECIPE, square

from edgenet.errors import EdgenetError
from edgenet.images import labels, listing, preprocess
from edgenet.model import imagenet, mobilenet
from edgenet.records import ModelSpec

# Beside the project, where there is one: real weights and photos, too big to be part of it.
NAME = "mobilenet_7_5_224_tf.h5"

real = pytest.mark.skipif(
    not (IMAGENET / NAME).is_file(), reason="needs ImageNet photos and weights in ../shared/imagenet"
)


def refused(alpha: float, size: int, text: str) -> None:
    with pytest.raises(EdgenetError, match=f"^{text}$") as caught:
        imagenet.load(alpha, size)
    assert "\n" not in str(caught.value)


@pytest.fixture
def offline(monkeypatch) -> None:
    """No network: what Keras raises then."""

    def download(*arguments, **options):
        raise Exception("URL fetch failure on https://some.where/x.h5: None -- [Errno -3] Temporary failure\nTry again")

    monkeypatch.setattr(keras.applications, "MobileNet", download)


@pytest.fixture(scope="module")
def paths() -> list[Path]:
    """Eight of the photos."""
    return listing.find_images(IMAGENET / "images").paths[::50]


@pytest.fixture(scope="module")
def photos(paths) -> np.ndarray:
    """The same, normalized."""
    return preprocess.normalize(np.stack(list(preprocess.load_all(paths, square(224)))), RECIPE)


@pytest.fixture(scope="module")
def expected(photos) -> np.ndarray:
    """The scores of Keras Applications' own MobileNet with these weights."""
    return keras.applications.MobileNet(alpha=0.75, weights=str(IMAGENET / NAME))(photos, training=False).numpy()


@pytest.fixture(params=["KERAS_HOME/models", "KERAS_HOME", "~/.keras/models"])
def cached(request, monkeypatch, tmp_path) -> None:
    """The weights where Keras keeps them, or where they were put by hand."""
    if request.param == "KERAS_HOME":
        monkeypatch.setenv("KERAS_HOME", str(IMAGENET))
        return
    home = tmp_path / ".keras" if request.param.startswith("~") else tmp_path
    if request.param.startswith("~"):
        monkeypatch.delenv("KERAS_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
    else:
        monkeypatch.setenv("KERAS_HOME", str(home))
    (home / "models").mkdir(parents=True)
    (home / "models" / NAME).symlink_to(IMAGENET / NAME)


@pytest.mark.slow
@real
def test_cached_weights_give_the_scores_of_keras_applications(photos, expected, cached, offline):
    model = imagenet.load(0.75, 224)
    shapes = (None, 224, 224, 3), (None, 1000)
    assert (model.name, model.input_shape, model.output_shape) == ("mobilenet_v1_0.75_224", *shapes)
    # Scores of photos of different things, told apart: 0.1 is 100,000 times the tolerance.
    assert np.ptp(expected, axis=0).max() > 0.1
    # 1e-6 is 17 roundings (2**-24) of a score near 1: the same sums in another order.
    np.testing.assert_allclose(model(photos, training=False).numpy(), expected, rtol=0, atol=1e-6)


@real
def test_the_names_of_the_classes_are_those_of_the_published_list():
    assert labels.imagenet() == (IMAGENET / "labels.txt").read_text(encoding="utf-8").splitlines()


@real
def test_the_names_are_in_the_order_of_the_scores(paths, expected):
    # NNN_wnid_name.jpg: the number of the class, and its name.
    shown = [labels.imagenet()[number].replace(" ", "_") for number in expected.argmax(axis=1)]
    right = [path.stem.split("_", 2)[2] == name for path, name in zip(paths, shown, strict=True)]
    assert sum(right) > len(right) / 2  # 0.866 of all such photos are classified rightly


def test_weights_that_are_neither_cached_nor_to_be_had_are_named_with_their_place(offline, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    name = "mobilenet_1_0_160_tf.h5"
    text = (
        f"{tmp_path / 'models' / name}: the ImageNet weights are not in this place and cannot be downloaded "
        "([Errno -3] Temporary failure); "
        f"put https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/{name} there"
    )
    refused(1.0, 160, re.escape(text))


def test_weights_are_downloaded_once(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    downloads = []

    def download(**options):
        downloads.append(options)
        (tmp_path / "models").mkdir()
        model = mobilenet.build(ModelSpec(size=128, alpha=0.25, classes=1000))
        write_legacy(model, tmp_path / "models" / "mobilenet_2_5_128_tf.h5")

    monkeypatch.setattr(keras.applications, "MobileNet", download)
    for _ in range(2):
        assert imagenet.load(0.25, 128).name == "mobilenet_v1_0.25_128"
    assert downloads == [{"input_shape": (128, 128, 3), "alpha": 0.25, "weights": "imagenet"}]


def test_a_download_that_went_elsewhere_is_told(monkeypatch, tmp_path):
    # Keras reads KERAS_HOME when it is imported; it may have been set since.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.applications, "MobileNet", lambda **options: None)
    place = re.escape(str(tmp_path / "models" / "mobilenet_1_0_224_tf.h5"))
    refused(1.0, 224, f"{place}: Keras did not put the ImageNet weights into this place; set KERAS_HOME")


def test_a_download_that_was_cut_off_is_refused(offline, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    place = tmp_path / "models" / "mobilenet_1_0_224_tf.h5"
    place.write_bytes(b"\x89HDF\r\n\x1a\n and nothing more")
    text = r"not a weight file \(\.h5, \.weights\.h5 or \.npz\), or only a part of one; "
    refused(1.0, 224, f"{re.escape(str(place))}: {text}copy or download it again")


@pytest.mark.parametrize(
    ("alpha", "size", "found"),
    [(0.35, 224, "alpha 0.35 and size 224"), (1.0, 96, "alpha 1 and size 96"), (0.7, 200, "alpha 0.7 and size 200")],
)
def test_weights_that_were_never_published_are_refused(offline, alpha, size, found):
    text = "there are ImageNet weights for alpha 0.25, 0.5, 0.75, 1.0 and size 128, 160, 192, 224, but not for"
    refused(alpha, size, re.escape(f"weights: {text} {found}"))
