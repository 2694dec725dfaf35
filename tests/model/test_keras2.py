"""Files of Keras 2, made with tf-keras: each gives the scores that tf-keras gives.

TOLERANCE: both run the same graph operators on the same float32 values; sums in another order differ by a few roundings
(2**-24) of scores below 1.
"""

import io
import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from model_config import edit_config

from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.model import keras_file, keras_model, weights
from edgenet.model.weight_file import ExpectedSpec

tf_keras = pytest.importorskip("tf_keras")
base_layer = pytest.importorskip("tf_keras.src.engine.base_layer")
layers = tf_keras.layers

TOLERANCE = 1e-5
PIXELS = np.random.default_rng(5).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")


def relu6(x):
    return tf_keras.backend.relu(x, max_value=6)


def network(*middle, front=(), last=None, shape=(32, 32, 3)):
    tf_keras.utils.set_random_seed(2)
    head = last or [layers.GlobalAveragePooling2D(), layers.Dense(5, activation="softmax")]
    body = [layers.Conv2D(8, 3, strides=2, name="stem"), *middle]
    return tf_keras.Sequential([tf_keras.Input(shape), *front, *body, *head])


def scores_of(model, low=-1.0, high=1.0) -> np.ndarray:
    return model(low + PIXELS / np.float32(255) * np.float32(high - low), training=False).numpy()


def loaded_scores(path: Path, **options) -> np.ndarray:
    (scores,) = keras_model.load(path, **options).scores([PIXELS])
    return scores


# The walk-through: MobileNetV1 with an activation of its own, and Keras 2's depthwise layers


def walk_through(classes=17, activation=relu6):
    """The network of the walk-through for TensorFlow 2.2, with its layer names: MobileNetV1, alpha 0.25."""
    tf_keras.utils.set_random_seed(3)
    image = tf_keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="Conv")(image)
    x = layers.Activation(activation, name="Conv_relu6")(layers.BatchNormalization(name="Conv_bn")(x))
    blocks = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
    for number, (filters, strides) in enumerate(blocks, start=1):
        x = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, name=f"Conv2D_dw_{number}")(x)
        x = layers.BatchNormalization(name=f"Conv2D_dw_bn{number}")(x)
        x = layers.Activation(activation, name=f"Conv2D_dw_relu6{number}")(x)
        x = layers.Conv2D(filters, 1, use_bias=False, name=f"Conv2D_1x1{number}")(x)
        x = layers.BatchNormalization(name=f"Conv2D_pw_bn{number}")(x)
        x = layers.Activation(activation, name=f"Conv2D_pw_relu6{number}")(x)
    x = layers.Reshape((1, 1, 256), name="reshape_1")(layers.GlobalAveragePooling2D()(x))
    x = layers.Conv2D(classes, 1, name="conv_preds")(layers.Dropout(0.1, name="dropout")(x))
    x = layers.Reshape((classes,), name="reshape_2")(layers.Activation("softmax", name="act_softmax")(x))
    model = tf_keras.Model(image, x)
    for variable in model.weights:  # statistics that matter
        if "moving" in variable.name:
            variable.assign(np.random.default_rng(1).uniform(0.5, 1.5, variable.shape))
    return model


@pytest.fixture(scope="module")
def walked():
    model = walk_through()
    return model, scores_of(model)


@pytest.mark.parametrize(
    "name",
    ["full.h5", "full.keras"]
    + [pytest.param(name, marks=pytest.mark.slow) for name in ("full.hdf5", "full.model", "full", "saved_model")],
)
def test_the_walk_through_in_all_its_files(walked, tmp_path, name):
    model, expected = walked
    kind = {"full.keras": "keras", "saved_model": "tf"}.get(name, "h5")
    written = tmp_path / "own.keras" if kind == "keras" else tmp_path / "own"
    model.save(written, save_format=kind)
    shutil.move(written, tmp_path / name)
    np.testing.assert_allclose(loaded_scores(tmp_path / name), expected, rtol=0, atol=TOLERANCE)


def test_the_weights_of_the_walk_through(walked, tmp_path):
    model, expected = walked
    model.save_weights(tmp_path / "own.h5")
    built = weights.load(tmp_path / "own.h5", ExpectedSpec(size=32))
    (scores,) = keras_model.from_keras(built, "own").scores([PIXELS])
    # Folded differently by Keras 3's batch normalization, and 28 layers deep: a few more roundings.
    np.testing.assert_allclose(scores, expected, rtol=0, atol=TOLERANCE)


class ReLU6(layers.Layer):
    def call(self, x):
        return tf.nn.relu6(x)


@pytest.mark.parametrize("kind", ["h5", "keras"])
@pytest.mark.parametrize("own", [lambda: layers.Activation(relu6), ReLU6, lambda: layers.ReLU(6.0)])
def test_relu6_in_all_its_spellings(tmp_path, kind, own):
    model = network(own())
    path = tmp_path / f"own.{kind}"
    model.save(path)
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)


def hard_swish(x):
    return x * tf.nn.relu6(x + 3) / 6


def h_sigmoid(x):
    return tf.nn.relu6(x + 3) / 6


def mish(x):
    return x * tf.tanh(tf.math.softplus(x))


def silu(x):
    return x * tf.sigmoid(x)


def hswish(x):
    return x * tf.nn.relu6(x + 3) / 6


@pytest.mark.parametrize("kind", ["h5", pytest.param("keras", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "activation",
    [hard_swish, hswish, h_sigmoid, mish, silu, "hard_sigmoid", "swish", "gelu", "elu", "selu", "softplus"],
)
def test_activations_mean_what_they_meant(tmp_path, kind, activation):
    model = network(layers.Activation(activation), layers.Conv2D(4, 1, activation=activation))
    path = tmp_path / f"own.{kind}"
    model.save(path)
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)


# What inference does not need


class Jitter(layers.Layer):
    def call(self, x, training=None):
        return x + tf.random.normal(tf.shape(x)) if training else x


AUGMENTATION = {
    "first": lambda: [layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.2)],
    "nested": lambda: [tf_keras.Sequential([layers.RandomFlip(), layers.RandomContrast(0.1)])],
    "all": lambda: [
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomBrightness(0.1),
        layers.GaussianNoise(0.1),
        layers.RandomHeight(0.1),
        layers.RandomWidth(0.1),
    ],
}


@pytest.mark.parametrize("kind", ["h5", "keras"])
@pytest.mark.parametrize("front", AUGMENTATION)
def test_augmentation_is_left_out(tmp_path, kind, front):
    model = network(layers.SpatialDropout2D(0.2), layers.AlphaDropout(0.1), front=AUGMENTATION[front]())
    path = tmp_path / f"own.{kind}"
    model.save(path)
    stored = keras_file.read(path)
    assert not any("Random" in type(layer).__name__ or "Drop" in type(layer).__name__ for layer in stored.model.layers)
    assert stored.notes[0].startswith("left out of the model: ")
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_arguments_of_augmentation_do_not_matter(tmp_path, kind):
    model = network(front=[layers.RandomFlip(name="flip")])
    path = tmp_path / f"own.{kind}"
    model.save(path)
    edit_config(path, lambda text: text.replace('"mode"', '"of_tomorrow": [1, 2], "mode"'))
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)
    with pytest.raises(EdgenetError):
        keras_file.read(path, keras_file.Options(keep_config=True))


@pytest.mark.parametrize("kind", ["h5", "keras"])
@pytest.mark.parametrize("name", ["Jitter", "own_layer"])
def test_a_layer_without_weights_can_be_left_out_by_name(tmp_path, kind, name):
    model = network(front=[Jitter(name="own_layer")])
    path = tmp_path / f"own.{kind}"
    model.save(path)
    with pytest.raises(EdgenetError, match=r"needs (\w+\.)*Jitter, which is not one .+ drop_layer=own_layer"):
        keras_model.load(path)
    reading = keras_file.Options(drop_layer=(name,))
    np.testing.assert_allclose(loaded_scores(path, reading=reading), scores_of(model), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["h5", "keras"])
@pytest.mark.parametrize(
    ("name", "text"), [("stem", "stem has weights"), ("Conv2D", "Conv2D has weights"), ("nothing", "no layer of this")]
)
def test_layers_that_cannot_be_left_out(tmp_path, kind, name, text):
    path = tmp_path / f"own.{kind}"
    network().save(path)
    with pytest.raises(EdgenetError, match=text):
        keras_model.load(path, reading=keras_file.Options(drop_layer=(name,)))


# Stray things in files


def test_weights_with_backslashes(tmp_path):
    model = network(layers.BatchNormalization(), tf_keras.Sequential([layers.Conv2D(4, 1), layers.Conv2D(6, 1)]))
    path = tmp_path / "windows.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights, written = io.BytesIO(members["model.weights.h5"]), io.BytesIO()
    with h5py.File(weights, "r") as file, h5py.File(written, "w") as out:
        groups: list[str] = []
        file.visit(lambda name: groups.append(name) if name.endswith("vars") else None)
        for name in groups:  # layers\\sequential\\layers\\conv2d/vars
            folder, _, last = name.rpartition("/")
            group = out.create_group(f"{folder.replace('/', chr(92))}/{last}" if folder else last)
            for number, array in file[name].items():
                group[number] = array[()]
    members["model.weights.h5"] = written.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)


def test_what_needs_no_repair_has_no_note(tmp_path):
    tf_keras.utils.set_random_seed(2)
    model = tf_keras.Sequential([layers.Conv2D(4, 3, input_shape=(32, 32, 3)), layers.Flatten(), layers.Dense(5)])
    for kind in ("h5", "keras"):
        model.save(tmp_path / f"own.{kind}")
        assert keras_file.read(tmp_path / f"own.{kind}").notes == ()


@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_stray_arguments(tmp_path, kind):
    model = network(layers.DepthwiseConv2D(3))
    path = tmp_path / f"own.{kind}"
    model.save(path)

    def change(text: str) -> str:
        config = json.loads(text)
        inner = config["config"]["layers"]
        depthwise = next(layer for layer in inner if layer["class_name"] == "DepthwiseConv2D")
        depthwise["config"]["groups"] = 1
        depthwise["config"]["batch_input_shape"] = [7, 1, 2]
        return json.dumps(config)

    edit_config(path, change)
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)
    assert keras_file.read(path).notes == ("input shapes that do not stand on the first layer are ignored",)


def test_a_model_without_input_layer(tmp_path):
    tf_keras.utils.set_random_seed(2)
    model = tf_keras.Sequential([layers.Conv2D(4, 3, input_shape=(32, 32, 3)), layers.Flatten(), layers.Dense(5)])
    path = tmp_path / "old.h5"
    model.save(path)

    def change(text: str) -> str:
        config = json.loads(text)
        config["config"]["layers"] = config["config"]["layers"][1:]
        return json.dumps(config)

    edit_config(path, change)
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=1e-5, atol=TOLERANCE)


@pytest.mark.parametrize("version", ["2.0.5", "2.1.6-tf", None])
def test_a_sequential_model_that_is_a_list_of_layers(tmp_path, version):
    # Before Keras 2.2.3; the first layer says what the input is.
    tf_keras.utils.set_random_seed(2)
    body = [layers.Dropout(0.1), layers.Flatten(), layers.Dense(5, activation="softmax")]
    model = tf_keras.Sequential([layers.Conv2D(4, 3, input_shape=(32, 32, 3)), *body])
    path = tmp_path / "old.h5"
    model.save(path)

    def change(text: str) -> str:
        parts = json.loads(text)["config"]["layers"]
        parts = [layer for layer in parts if layer["class_name"] != "InputLayer"]
        return json.dumps({"class_name": "Sequential", "config": parts})

    edit_config(path, change)
    with h5py.File(path, "r+") as file:
        del file.attrs["keras_version"]
        if version:
            file.attrs["keras_version"] = version
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)


def test_batch_normalization_as_tensorflow_1_names_it(tmp_path):
    model = network(layers.BatchNormalization())
    path = tmp_path / "own.h5"
    model.save(path)
    edit_config(path, lambda text: text.replace('"BatchNormalization"', '"BatchNormalizationV1"'))
    np.testing.assert_allclose(loaded_scores(path), scores_of(model), rtol=0, atol=TOLERANCE)


def operator_layer(operator: str, name: str, constant: float):
    definition = {"name": name, "op": operator, "input": ["x", "y"], "attr": {"T": {"type": "DT_FLOAT"}}}
    return base_layer.TensorFlowOpLayer(definition, name, constants={1: constant})


def test_arithmetic_between_layers_as_tensorflow_2_2_writes_it(tmp_path):
    image = tf_keras.Input((32, 32, 3))
    x = operator_layer("Sub", "sub", 1.0)(operator_layer("RealDiv", "divide", 127.5)(image))
    model = tf_keras.Model(image, layers.Dense(5)(layers.Flatten()(layers.Conv2D(4, 3)(x))))
    path = tmp_path / "own.h5"
    model.save(path)
    classifier = keras_model.load(path)
    assert classifier.recipe.range == (0, 255)
    (scores,) = classifier.scores([PIXELS])
    np.testing.assert_allclose(scores, scores_of(model, 0, 255), rtol=1e-5, atol=TOLERANCE)
    edit_config(path, lambda text: text.replace("RealDiv", "ReadFile"))
    with pytest.raises(EdgenetError, match="TensorFlowOpLayer"):
        keras_model.load(path)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_mixed_precision(tmp_path, kind, policy):
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        mixed = network(layers.BatchNormalization(), layers.ReLU())
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    full = network(layers.BatchNormalization(), layers.ReLU())
    full.set_weights(mixed.get_weights())
    path = tmp_path / f"own.{kind}"
    mixed.save(path)
    np.testing.assert_allclose(loaded_scores(path), scores_of(full), rtol=0, atol=TOLERANCE)
    (in_memory,) = keras_model.from_keras(mixed, "own").scores([PIXELS])
    np.testing.assert_allclose(in_memory, scores_of(full), rtol=0, atol=TOLERANCE)


# Arithmetic between layers, as preprocess_input in a functional model


@pytest.mark.parametrize("kind", ["h5", "keras", pytest.param("tf", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50", "densenet", "efficientnet"])
def test_preprocessing_inside_the_model(tmp_path, kind, name):
    preprocess = getattr(tf_keras.applications, name).preprocess_input
    tf_keras.utils.set_random_seed(2)
    image = tf_keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3)(preprocess(image))
    model = tf_keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    path = tmp_path / f"own.{kind}"
    if (name, kind) == ("resnet50", "keras"):
        pytest.skip("tf-keras cannot save the ellipsis in x[..., ::-1]")
    model.save(path, save_format=kind)
    if name == "efficientnet":  # whose preprocess_input does nothing
        assert keras_model.load(path).recipe.range == (-1, 1)
        return
    classifier = keras_model.load(path)
    assert classifier.recipe.range == (0, 255)
    (scores,) = classifier.scores([PIXELS])
    np.testing.assert_allclose(scores, scores_of(model, 0, 255), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "function", ["io.read_file", "py_function", "random.normal", "raw_ops.ReadFile", "saved_model.load"]
)
def test_functions_of_tensorflow_that_do_more_are_refused(tmp_path, function):
    tf_keras.utils.set_random_seed(2)
    image = tf_keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3)(tf.math.subtract(image, 1.0))
    model = tf_keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    path = tmp_path / "own.h5"
    model.save(path)
    edit_config(path, lambda text: text.replace('"math.subtract"', f'"{function}"'))
    with pytest.raises(EdgenetError, match="TFOpLambda"):
        keras_model.load(path)


def test_random_functions_are_left_out(tmp_path):
    tf_keras.utils.set_random_seed(2)
    image = tf_keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3)(tf.image.random_flip_left_right(image, seed=1))
    model = tf_keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    model.save(tmp_path / "own.h5")
    first, second = loaded_scores(tmp_path / "own.h5"), loaded_scores(tmp_path / "own.h5")
    np.testing.assert_array_equal(first, second)


# Old and missing


def test_without_tf_keras(tmp_path, monkeypatch):
    network().save(tmp_path / "own.h5")
    monkeypatch.setattr("edgenet.model.keras2.find_spec", lambda name: None)
    with pytest.raises(
        EdgenetError, match=r"written by Keras 2, which only tf-keras reads; install it: pip install tf-k"
    ):
        keras_model.load(tmp_path / "own.h5")


def test_a_model_in_memory():
    model = network()
    (scores,) = keras_model.from_keras(model, "own").scores([PIXELS])
    np.testing.assert_allclose(scores, scores_of(model), rtol=0, atol=TOLERANCE)


@pytest.mark.slow  # seconds
def test_a_saved_copy_loads_back(walked, tmp_path):
    path = tmp_path / "own.h5"
    walked[0].save(path)
    classifier = keras_model.load(path, input_range=InputRange.between(0, 1))
    (tmp_path / "bundle").mkdir()
    name = classifier.save(tmp_path / "bundle")
    again = keras_model.reload(tmp_path / "bundle" / name, classifier.recipe, classifier.output)
    assert again.digest == classifier.digest
    np.testing.assert_array_equal(next(again.scores([PIXELS])), next(classifier.scores([PIXELS])))
    assert (tmp_path / "bundle" / name).read_bytes() == keras_model.to_bytes(keras_file.read(path).model)
