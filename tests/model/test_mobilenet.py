"""The builder against Keras Applications' MobileNet, which is another implementation of the same paper."""

import keras
import numpy as np
import pytest
from places import IMAGENET
from recipes import RECIPE, square

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.model import mobilenet
from edgenet.records import ModelSpec

# Beside the project, where there is one: real weights and photos, too big to be part of it.


def copy(source: keras.Model, target: keras.Model) -> None:
    """Layer by layer, in order: fails where the layers with weights are not the same ones."""
    pairs = zip(
        [layer for layer in source.layers if layer.weights],
        [layer for layer in target.layers if layer.weights],
        strict=True,
    )
    for theirs, ours in pairs:
        assert type(theirs) is type(ours)
        ours.set_weights(theirs.get_weights())


@pytest.mark.parametrize(
    ("alpha", "size", "depth_multiplier"),
    [(1.0, 64, 1), (0.75, 96, 1), (0.5, 160, 1), (0.25, 32, 1), (0.25, 128, 2), (0.35, 64, 3), (1.3, 32, 1)],
)
def test_scores_equal_those_of_keras_applications(randomize, alpha, size, depth_multiplier):
    theirs = keras.applications.MobileNet(
        input_shape=(size, size, 3), alpha=alpha, depth_multiplier=depth_multiplier, weights=None, classes=11
    )
    randomize(theirs, seed=size)
    ours = mobilenet.build(ModelSpec(size=size, alpha=alpha, depth_multiplier=depth_multiplier, classes=11))
    copy(theirs, ours)
    images = np.random.default_rng(3).uniform(-1, 1, (4, size, size, 3)).astype(np.float32)
    expected = theirs(images, training=False).numpy()
    # Scores that hardly move would agree whatever the layers do: 0.01 is a thousand times the tolerance.
    assert np.ptp(expected, axis=0).max() > 0.01
    # Both compute the same float32 sums, perhaps in another order: a few units of 2**-24 in each of 28 layers.
    np.testing.assert_allclose(ours(images, training=False).numpy(), expected, rtol=0, atol=1e-5)


def test_scores_of_the_published_imagenet_weights():
    weights, folder = IMAGENET / "mobilenet_7_5_224_tf.h5", IMAGENET / "images"
    if not weights.is_file():
        pytest.skip("the real ImageNet weights are not here: ../shared/imagenet is no part of the project")
    theirs = keras.applications.MobileNet(alpha=0.75, weights=str(weights))
    ours = mobilenet.build(ModelSpec(alpha=0.75, classes=1000))
    copy(theirs, ours)
    photo = folder / "000_n01440764_tench.jpg"
    pixels = preprocess.normalize(preprocess.load(photo, square(224)), RECIPE)[None]
    scores = ours(pixels, training=False).numpy()
    # 1e-6 is 8 units in the last place of a score near 1 (2**-23).
    np.testing.assert_allclose(scores, theirs(pixels, training=False).numpy(), rtol=0, atol=1e-6)
    assert scores.argmax() == 0  # a tench: the preprocessing is what these weights were trained with


def test_layer_names_say_where_and_what():
    names = [layer.name for layer in mobilenet.build(ModelSpec(size=32, alpha=0.25)).layers]
    blocks = [f"block{number:02d}" for number in range(1, 14)]
    parts = ["stem", *(f"{block}_{part}" for block in blocks for part in ("depthwise", "pointwise"))]
    expected = ["image"]
    for part in parts:
        expected += ["stem_convolution" if part == "stem" else part, f"{part}_bn", f"{part}_relu6"]
    assert names == [*expected, "pool", "dropout", "logits", "flatten", "scores"]


def test_shapes_and_name():
    model = mobilenet.build(ModelSpec(size=96, alpha=0.25, depth_multiplier=2))
    assert model.input_shape == (None, 96, 96, 3)
    assert model.output_shape == (None, 17)  # the original's default
    assert model.name == "mobilenet_v1_0.25_96_dm2"


def test_fresh_weights_give_probabilities():
    model = mobilenet.build(ModelSpec(size=32, alpha=0.25, classes=5))
    scores = model(np.full((2, 32, 32, 3), 0.5, np.float32), training=False).numpy()
    # Five float32 quotients and their sum, each within 2**-24 of a value of at most 1.
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=0, atol=1e-6)
    assert (scores > 0).all()


def test_dropout_rate_reaches_the_layer():
    assert mobilenet.build(ModelSpec(size=32, alpha=0.25)).get_layer("dropout").rate == 1e-3
    assert mobilenet.build(ModelSpec(size=32, alpha=0.25, dropout=0.4)).get_layer("dropout").rate == 0.4


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("size", 0, r"^size: must be a multiple of 32, from 32 up, got 0$"),
        ("size", -32, r"^size: must be a multiple of 32, from 32 up, got -32$"),
        ("size", 100, r"^size: must be a multiple of 32, from 32 up, got 100$"),
        ("size", 96.0, r"^size: must be a multiple of 32, from 32 up, got 96\.0$"),
        ("alpha", 0.0, r"^alpha: must be from 0\.05 to 4, got 0\.0$"),
        ("alpha", -1.0, r"^alpha: must be from 0\.05 to 4, got -1\.0$"),
        ("alpha", 4.5, r"^alpha: must be from 0\.05 to 4, got 4\.5$"),
        ("alpha", float("nan"), r"^alpha: must be from 0\.05 to 4, got nan$"),
        ("alpha", float("inf"), r"^alpha: must be from 0\.05 to 4, got inf$"),
        ("depth_multiplier", 0, r"^depth_multiplier: must be an integer from 1 to 8, got 0$"),
        ("depth_multiplier", 9, r"^depth_multiplier: must be an integer from 1 to 8, got 9$"),
        ("depth_multiplier", 1.5, r"^depth_multiplier: must be an integer from 1 to 8, got 1\.5$"),
        ("dropout", 1.0, r"^dropout: must be from 0 to below 1, got 1\.0$"),
        ("dropout", -0.1, r"^dropout: must be from 0 to below 1, got -0\.1$"),
        ("dropout", float("nan"), r"^dropout: must be from 0 to below 1, got nan$"),
        ("classes", 1, r"^classes: must be an integer from 2 up, got 1$"),
        ("classes", 10.0, r"^classes: must be an integer from 2 up, got 10\.0$"),
    ],
)
def test_values_out_of_range_are_refused(field, value, text):
    with pytest.raises(EdgenetError, match=text):
        ModelSpec(**{field: value})


@pytest.mark.parametrize("spec", [{"size": 32, "alpha": 0.05, "classes": 2}, {"dropout": 0.0}, {"alpha": 4.0}])
def test_values_at_the_ends_of_the_ranges_are_taken(spec):
    assert {name: getattr(ModelSpec(**spec), name) for name in spec} == spec


def test_the_narrowest_network_can_be_built():
    # 32 filters times 0.05 is 1.6: one filter, not none.
    model = mobilenet.build(ModelSpec(size=32, alpha=0.05, classes=2))
    assert model.get_layer("stem_convolution").output.shape == (None, 16, 16, 1)
