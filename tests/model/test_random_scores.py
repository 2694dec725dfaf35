"""SavedModels that still augment or drop out at inference, and those that only could."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgenet.errors import EdgenetError
from edgenet.model import keras_model

tf_keras = pytest.importorskip("tf_keras")
PIXELS = np.random.default_rng(5).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
SPEC = [tf.TensorSpec((None, 32, 32, 3), tf.float32)]


def make(library, *front):
    library.utils.set_random_seed(2)
    layers = library.layers
    image = library.Input((32, 32, 3))
    x = image
    for layer in front:
        x = layer(x)
    x = layers.Dropout(0.5)(layers.Flatten()(layers.Conv2D(4, 3, strides=4)(x)))
    return library.Model(image, layers.Dense(5, activation="softmax")(x))


def save(model, path, **mode) -> None:
    if isinstance(model, keras.Model):
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint("serve", lambda image: model(image, **mode), SPEC)
        archive.write_out(path, verbose=False)
        return
    serve = tf.function(lambda image: model(image, **mode), input_signature=SPEC)
    tf.saved_model.save(model, str(path), signatures=serve.get_concrete_function())


def expected(model) -> np.ndarray:
    return np.asarray(model(PIXELS / np.float32(127.5) - 1, training=False))


@pytest.mark.parametrize("augmented", [False, True])
def test_training_mode_is_refused(tmp_path, augmented):
    model = make(keras, *([keras.layers.RandomFlip()] if augmented else []))
    save(model, tmp_path / "own", training=True)
    with pytest.raises(EdgenetError, match=r"other scores for the same image each time: .+training=False"):
        keras_model.load(tmp_path / "own")


def test_another_function_of_the_model_is_used(tmp_path):
    model = make(tf_keras, tf_keras.layers.RandomFlip())
    model(PIXELS[:1].astype(np.float32))
    save(model, tmp_path / "own", training=True)
    classifier = keras_model.load(tmp_path / "own")
    assert any("training=False is used instead" in note for note in classifier.notes)
    # One graph, with sums in another order.
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), expected(model), rtol=0, atol=1e-6)


def switched(model, path, noise) -> None:
    def call(image, training):
        return model(tf.cond(training, lambda: image + noise(image), lambda: image), training=False)

    serve = tf.function(call, input_signature=[*SPEC, tf.TensorSpec((), tf.bool)])
    tf.saved_model.save(model, str(path), signatures=serve.get_concrete_function())


@pytest.mark.slow
def test_a_switch_in_the_signature_is_off(tmp_path):
    model = make(tf_keras)
    switched(model, tmp_path / "own", lambda image: tf.random.stateless_normal(tf.shape(image), (1, 2)))
    classifier = keras_model.load(tmp_path / "own")
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), expected(model), rtol=0, atol=1e-6)


def test_a_switch_before_a_generator_with_a_state_is_refused(tmp_path):
    # TensorFlow cannot freeze its variable, which conversion needs.
    model = make(tf_keras)
    model.generator = tf.random.Generator.from_seed(1)
    switched(model, tmp_path / "own", lambda image: model.generator.normal(tf.shape(image)))
    with pytest.raises(EdgenetError, match=r"cannot be frozen .+training=False"):
        keras_model.load(tmp_path / "own")


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_dropout_at_inference_is_nothing(tmp_path, library):
    model = make(library)
    model.export(tmp_path / "own")
    classifier = keras_model.load(tmp_path / "own")
    np.testing.assert_allclose(next(classifier.scores([PIXELS])), expected(model), rtol=0, atol=1e-6)


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras", "tf_keras"])
@pytest.mark.parametrize("scale", [1 / 127.5, 1 / 255])
def test_the_input_range_of_a_saved_model(tmp_path, library, scale):
    model = make(library, library.layers.Rescaling(scale, offset=-1 if scale > 0.005 else 0))
    model.export(tmp_path / "own")
    assert keras_model.load(tmp_path / "own").recipe.range == (0, 255)
