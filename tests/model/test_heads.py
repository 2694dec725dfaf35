"""Outputs and inputs of all kinds that classifiers have, from both Keras' and from SavedModels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgenet.errors import EdgenetError
from edgenet.model import keras_model
from edgenet.model.classifier import RangeSource

tf_keras = pytest.importorskip("tf_keras")
LIBRARIES = {"keras": keras, "tf_keras": tf_keras}
PIXELS = np.random.default_rng(5).integers(0, 256, (5, 16, 24, 3), dtype=np.uint8)
# float32 sums in another order.
TOLERANCE = 1e-6


def make(library, *head, shape=(16, 24, 3), dtype="float32", batch=None):
    library.utils.set_random_seed(2)
    layers = library.layers
    image = library.Input(shape, batch_size=batch, dtype=dtype)
    x = image if len(shape) == 3 else layers.Reshape((*shape, 1))(image)
    if dtype != "float32":
        x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(16, 3, activation="relu")(x))
    for layer in head:
        x = layer(x)
    return library.Model(image, x)


def raw(model, pixels=PIXELS) -> np.ndarray:
    return np.asarray(model(pixels.astype(np.float32) / np.float32(127.5) - 1, training=False))


KINDS = [(name, kind) for name in LIBRARIES for kind in ("memory", "keras", "h5", "saved_model")]
FAST = [("keras", "memory"), ("keras", "saved_model"), ("tf_keras", "h5")]


@pytest.fixture(
    params=[pytest.param(kind, marks=() if kind in FAST else pytest.mark.slow, id=" ".join(kind)) for kind in KINDS]
)
def load(request, tmp_path):
    """Load a model, in each form that it may have; the second part is its library."""
    name, kind = request.param
    library = LIBRARIES[name]

    def loaded(model, **options):
        if kind == "memory":
            return keras_model.from_keras(model, "own", **options)
        path = tmp_path / (kind if kind == "saved_model" else f"own.{kind}")
        if kind == "saved_model":
            model.export(path)
        else:
            model.save(path)
        return keras_model.load(path, **options)

    return loaded, library


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_one_sigmoid(load):
    loaded, library = load
    model = make(library, library.layers.Flatten(), library.layers.Dense(1, activation="sigmoid"))
    classifier = loaded(model)
    p = raw(model)
    assert classifier.classes == 2
    assert classifier.output == ("two_classes",)
    assert any("[1 - p, p]" in note for note in classifier.notes)
    (scores,) = classifier.scores([PIXELS])
    np.testing.assert_allclose(scores, np.concatenate([1 - p, p], axis=1), rtol=0, atol=TOLERANCE)


def test_one_logit(load):
    loaded, library = load
    model = make(library, library.layers.Flatten(), library.layers.Dense(1))
    classifier = loaded(model)
    p = sigmoid(raw(model))
    assert classifier.output == ("sigmoid", "two_classes")
    assert any("taken for the logit of the second class" in note for note in classifier.notes)
    (scores,) = classifier.scores([PIXELS])
    np.testing.assert_allclose(scores, np.concatenate([1 - p, p], axis=1), rtol=0, atol=TOLERANCE)


def test_several_sigmoids(load):
    loaded, library = load
    model = make(library, library.layers.Flatten(), library.layers.Dense(4, activation="sigmoid"))
    classifier = loaded(model)
    assert (classifier.classes, classifier.output) == (4, ())
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), raw(model), rtol=0, atol=TOLERANCE)
    with pytest.raises(EdgenetError, match="probabilities already"):
        loaded(model, softmax=True)


@pytest.mark.parametrize("one", [False, True])
def test_scores_in_a_map_of_one_pixel(load, one):
    loaded, library = load
    model = make(library, library.layers.Conv2D(1 if one else 4, 1, activation="sigmoid" if one else "softmax"))
    classifier = loaded(model)
    expected = raw(model)[:, 0, 0]
    expected = np.concatenate([1 - expected, expected], axis=1) if one else expected
    assert classifier.output == (("squeeze", "two_classes") if one else ("squeeze",))
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), expected, rtol=0, atol=TOLERANCE)


def test_logits_and_a_softmax(load):
    loaded, library = load
    model = make(library, library.layers.Flatten(), library.layers.Dense(4))
    plain, appended = loaded(model), loaded(model, softmax=True)
    logits = raw(model)
    np.testing.assert_allclose(next(plain.scores([PIXELS])), logits, rtol=0, atol=TOLERANCE)
    assert any("ML Kit" in note and "softmax=True" in note for note in plain.notes)
    powers = np.exp(logits)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(next(appended.scores([PIXELS])), expected, rtol=0, atol=TOLERANCE)
    assert appended.output == ("softmax",)


def test_a_softmax_on_a_softmax(load):
    loaded, library = load
    model = make(library, library.layers.Flatten(), library.layers.Dense(4, activation="softmax"))
    assert loaded(model).notes == ()
    with pytest.raises(EdgenetError, match="probabilities already"):
        loaded(model, softmax=True)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch(load, batch, request):
    loaded, library = load
    model = make(library, library.layers.Flatten(), library.layers.Dense(4, activation="softmax"), batch=batch)
    free = make(library, library.layers.Flatten(), library.layers.Dense(4, activation="softmax"))
    free.set_weights(model.get_weights())
    classifier = loaded(model)
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), raw(free), rtol=0, atol=TOLERANCE)


def test_a_saved_model_with_a_fixed_batch(tmp_path):
    model = make(keras, keras.layers.Flatten(), keras.layers.Dense(4, activation="softmax"))
    serve = tf.function(model, input_signature=[tf.TensorSpec((4, 16, 24, 3), tf.float32)])
    tf.saved_model.save(model, str(tmp_path / "own"), signatures=serve.get_concrete_function())
    classifier = keras_model.load(tmp_path / "own")
    assert classifier.fixed_batch == 4
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), raw(model), rtol=0, atol=TOLERANCE)
    with pytest.raises(EdgenetError, match="fixed to 4; export with batch=4"):
        classifier.trace(1)


def test_no_channel_axis(load):
    loaded, library = load
    model = make(library, library.layers.Flatten(), library.layers.Dense(4, activation="softmax"), shape=(16, 24))
    classifier = loaded(model)
    assert classifier.recipe.shape == (16, 24, 1)
    grey = PIXELS[..., :1]
    np.testing.assert_allclose(next(classifier.scores([grey])), raw(model, grey[..., 0]), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_integer_pixels(load, dtype):
    loaded, library = load
    model = make(library, library.layers.Flatten(), library.layers.Dense(4, activation="softmax"), dtype=dtype)
    classifier = loaded(model)
    assert classifier.recipe.range == (0, 255)
    assert classifier.range_source == RangeSource.MODEL
    expected = np.asarray(model(PIXELS.astype(dtype), training=False))
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), expected, rtol=0, atol=TOLERANCE)


def test_any_size(load):
    loaded, library = load
    head = [library.layers.Flatten(), library.layers.Dense(4, activation="softmax")]
    model = make(library, library.layers.GlobalMaxPooling2D(), *head[1:], shape=(None, None, 3))
    with pytest.raises(EdgenetError, match="height and width of the input are free"):
        loaded(model)
    classifier = loaded(model, size=(16, 24))
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), raw(model), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_channels_first_is_named(library):
    image = library.Input((3, 16, 24))
    layers = library.layers
    model = library.Model(image, layers.Dense(4)(layers.Flatten()(image)))
    with pytest.raises(EdgenetError, match=r"channels first, \(None, 3, 16, 24\), .+Permute\(\(3, 1, 2\)\)"):
        keras_model.from_keras(model, "own")
