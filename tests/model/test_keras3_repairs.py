"""What is put right in files of Keras 3 before Keras builds a model from them."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from model_config import edit_config

from edgenet.errors import EdgenetError
from edgenet.model import config_repair, keras_file, keras_model

layers = keras.layers
PIXELS = np.random.default_rng(5).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
# float32 sums in another order.
TOLERANCE = 1e-6
pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
FORMATS = ("keras", "h5")


def network(*front, sequential=False):
    keras.utils.set_random_seed(2)
    body = [*front, layers.Conv2D(8, 3, strides=2, name="stem"), layers.Dropout(0.5), layers.GlobalAveragePooling2D()]
    body.append(layers.Dense(5, activation="softmax"))
    if sequential:
        return keras.Sequential([keras.Input((32, 32, 3)), *body])
    image = x = keras.Input((32, 32, 3))
    for layer in body:
        x = layer(x)
    return keras.Model(image, x)


def scores_of(model) -> np.ndarray:
    return np.asarray(model(PIXELS / np.float32(127.5) - 1, training=False))


def loaded_scores(path: Path, **options) -> np.ndarray:
    (scores,) = keras_model.load(path, **options).scores([PIXELS])
    return scores


# Everything in Keras that has no effect at inference


def test_layers_that_are_left_out_do_nothing_at_inference():
    image = np.random.default_rng(1).uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
    arguments = {
        **{"RandomRotation": (0.2,), "RandomZoom": (0.2,), "RandomTranslation": (0.2, 0.2), "RandomContrast": (0.2,)},
        **{"RandomBrightness": (0.2,), "RandomHue": (0.2,), "RandomSaturation": (0.2,), "RandomShear": (0.2,)},
        **{"RandomPosterization": (4,), "RandomColorDegeneration": (0.5,), "RandomSharpness": (0.5,)},
        **{"Dropout": (0.5,), "AlphaDropout": (0.5,), "GaussianDropout": (0.5,), "GaussianNoise": (0.5,)},
        "SpatialDropout2D": (0.5,),
    }
    tried = 0
    for name in sorted(config_repair._TRAINING_ONLY):
        kind = getattr(layers, name, None)
        if kind is None or name in ("SpatialDropout1D", "SpatialDropout3D", "MixUp", "CutMix"):
            continue
        layer = kind(*arguments.get(name, ()), name="own")
        np.testing.assert_array_equal(np.asarray(layer(image, training=False)), image, err_msg=name)
        tried += 1
    assert tried > 20


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_augmentation_with_any_arguments(tmp_path, kind, sequential, nested):
    front = [layers.RandomFlip(), layers.RandomRotation(0.1, name="turn")]
    model = network(*([keras.Sequential(front)] if nested else front), sequential=sequential)
    path = tmp_path / f"own.{kind}"
    model.save(path)
    edit_config(path, lambda text: text.replace('"factor"', '"value_range": [0, 255], "factor"'))
    assert '"value_range"' in json.dumps(
        keras_file._zip_config(path).config if kind == "keras" else keras_file._hdf5_config(path).config
    )
    stored = keras_file.read(path)
    assert stored.notes == ("left out of the model: Dropout, RandomFlip, RandomRotation; inference does not need them",)
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)
    with pytest.raises(EdgenetError):
        keras_file.read(path, keras_file.Options(keep_config=True))


@pytest.mark.parametrize("kind", FORMATS)
def test_dropout_that_was_called_in_training_mode(tmp_path, kind):
    keras.utils.set_random_seed(2)
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(image))
    model = keras.Model(image, layers.Dense(5)(layers.Dropout(0.5)(x, training=True)))
    path = tmp_path / f"own.{kind}"
    model.save(path)
    np.testing.assert_array_equal(loaded_scores(path), loaded_scores(path))


class Grain(keras.Layer):
    def call(self, x, training=False):
        return x + keras.random.normal(keras.ops.shape(x)) if training else x


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["Grain", "grain"])
@pytest.mark.parametrize("sequential", [False, True])
def test_a_layer_of_ones_own_is_left_out_by_name(tmp_path, kind, name, sequential):
    model = network(Grain(name="grain"), sequential=sequential)
    path = tmp_path / f"own.{kind}"
    model.save(path)
    with pytest.raises(EdgenetError, match=r"Grain, which is not one of Keras' layers .+ drop_layer=grain$"):
        keras_model.load(path)
    reading = keras_file.Options(drop_layer=(name,))
    np.testing.assert_allclose(loaded_scores(path, reading=reading), scores_of(model), rtol=0, atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("kind", FORMATS)
def test_a_lambda_is_left_out_and_not_run(tmp_path, kind):
    model = network(layers.Lambda(lambda x: x * 0, name="own"))
    path = tmp_path / f"own.{kind}"
    model.save(path)
    reading = keras_file.Options(drop_layer=("own",))
    plain = network()
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(loaded_scores(path, reading=reading), scores_of(plain), rtol=0, atol=TOLERANCE)


class Scale(keras.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.scale


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("name", "text"), [("Scale", "has weights"), ("own", "has weights"), ("other", "no layer")])
def test_what_cannot_be_left_out(tmp_path, kind, name, text):
    path = tmp_path / f"own.{kind}"
    network(Scale(name="own")).save(path)
    with pytest.raises(EdgenetError, match=text):
        keras_model.load(path, reading=keras_file.Options(drop_layer=(name,)))


# Names that are no code


def relu6(x):
    return keras.ops.clip(x, 0, 6)


def h_swish(x):
    return x * keras.ops.clip(x + 3, 0, 6) / 6


def h_sigmoid(x):
    return keras.ops.clip(x + 3, 0, 6) / 6


def mish(x):
    return x * keras.ops.tanh(keras.ops.softplus(x))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("activation", [relu6, h_swish, h_sigmoid, mish], ids=lambda function: function.__name__)
def test_activations_that_programs_define(tmp_path, kind, activation):
    model = network(layers.Conv2D(4, 1, activation=activation), layers.Activation(activation))
    path = tmp_path / f"own.{kind}"
    model.save(path)
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)


@keras.saving.register_keras_serializable("own")
def relu_6(x):
    return keras.ops.clip(x, 0, 6)


def test_a_registered_activation(tmp_path):
    model = network(layers.Activation(relu_6))
    model.save(tmp_path / "own.keras")
    np.testing.assert_allclose(loaded_scores(tmp_path / "own.keras"), scores_of(model), rtol=0, atol=TOLERANCE)


# What only the program that made a model can build


class KerasLayer(keras.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize("kind", FORMATS)
def test_a_layer_of_tf_hub(tmp_path, kind):
    network(KerasLayer(name="hub")).save(tmp_path / f"own.{kind}")
    with pytest.raises(EdgenetError, match=r'custom_objects=\{"KerasLayer": hub\.KerasLayer\}.+input_range=0,1$'):
        keras_model.load(tmp_path / f"own.{kind}")
