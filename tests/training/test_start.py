"""What a training starts from."""

import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.images import bundled
from edgenet.model import imagenet, mobilenet, weights
from edgenet.progress import SILENT
from edgenet.records import ModelSpec
from edgenet.training import start
from edgenet.training.options import TrainOptions

SPEC = ModelSpec(size=64, alpha=0.125, classes=5)


class Notes:
    def __init__(self):
        self.found = []

    def step(self, text):
        pass

    def note(self, text):
        self.found.append(text)


@pytest.fixture(scope="module")
def model():
    return mobilenet.build(SPEC)


# The network is fully convolutional: weights of 64 px with five classes start one of 32 px with three.
def test_a_file_of_another_size_and_other_classes(model, tmp_path):
    path = tmp_path / "mine_64.npz"
    path.write_bytes(weights.to_bytes(model))
    found = start.find(TrainOptions(weights=path, size=32), 3, SILENT)
    assert found.spec == ModelSpec(size=32, alpha=0.125, classes=3)
    assert found.is_pretrained
    for layer in model.layers:
        for one, other in zip(layer.get_weights(), found.model.get_layer(layer.name).get_weights(), strict=True):
            if layer.name != start.HEAD:
                np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-7)  # kernels are stored as float16
    assert found.model.output_shape == (None, 3)


def test_a_file_that_does_not_say_its_size(model, tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(weights.to_bytes(model))
    assert start.find(TrainOptions(weights=path, size=96), 3, SILENT).spec.size == 96


def test_a_file_without_a_last_layer(model, tmp_path):
    headless = type(model)(model.input, model.get_layer("pool").output)
    headless.save_weights(tmp_path / "mine.weights.h5")
    path = (tmp_path / "mine.weights.h5").rename(tmp_path / "mine_64.weights.h5")
    found = start.find(TrainOptions(weights=path), 3, SILENT)
    assert found.spec == ModelSpec(size=64, alpha=0.125, classes=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "nowhere.h5"}, r"weights: nowhere\.h5: no such file; give a file of weights"),
        ({"weights": "bundled", "alpha": 1.0}, "alpha: the bundled weights have alpha 0.5, not 1"),
        ({"weights": "imagenet", "alpha": 0.6}, "weights: there are ImageNet weights for alpha 0.25, 0.5, 0.75, 1.0"),
        ({"alpha": 0.6}, "weights: there are ImageNet weights for alpha"),
    ],
)
def test_weights_that_there_are_not(options, message):
    with pytest.raises(EdgenetError, match=message):
        start.find(TrainOptions(**options), 3, SILENT)


def test_offline_the_bundled_weights_do(monkeypatch):
    def fail(alpha, size):
        raise EdgenetError("weights.h5: cannot be downloaded (no network)")

    monkeypatch.setattr(imagenet, "load", fail)
    notes = Notes()
    found = start.find(TrainOptions(), 3, notes)
    assert (found.weights, found.spec.alpha, found.spec.size) == ("bundled", bundled.SPEC.alpha, bundled.SPEC.size)
    assert not found.is_pretrained
    (note,) = notes.found
    assert note.startswith(
        "weights.h5: cannot be downloaded (no network). The training starts from the bundled weights"
    )
    with pytest.raises(EdgenetError, match="cannot be downloaded"):
        start.find(TrainOptions(weights="imagenet"), 3, notes)
