"""Models with all kinds of inputs and outputs are exported, and their files give the scores of Keras."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import edgenet
from edgenet.litert.runner import Runner
from edgenet.model import keras_model

tf_keras = pytest.importorskip("tf_keras")
LIBRARIES = {"keras": keras, "tf_keras": tf_keras}
SIZE = (24, 32)
# float32 files compute sums in another order: some roundings (2**-24) of scores up to 1.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    for number in range(24):
        pixels = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 48), Image.Resampling.BILINEAR).save(folder / f"{number}.png")
    return folder


def network(library, *head, shape=(*SIZE, 3), dtype="float32", batch=None):
    library.utils.set_random_seed(2)
    layers = library.layers
    image = library.Input(shape, batch_size=batch, dtype=dtype)
    x = image if len(shape) == 3 else layers.Reshape((*shape, 1))(image)
    if dtype != "float32":
        x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(16, 3, strides=2, activation="relu")(x))
    for layer in head:
        x = layer(x)
    return library.Model(image, x)


def dense(library, units, activation=None):
    # Weights large enough for scores that differ.
    start = library.initializers.RandomNormal(stddev=5.0, seed=4)
    return [library.layers.Flatten(), library.layers.Dense(units, activation=activation, kernel_initializer=start)]


CASES = {
    "one sigmoid": (lambda k: network(k, *dense(k, 1, "sigmoid")), {}, ("two_classes",)),
    "one logit": (lambda k: network(k, *dense(k, 1)), {}, ("sigmoid", "two_classes")),
    "a map": (lambda k: network(k, k.layers.Conv2D(3, 1, activation="softmax")), {}, ("squeeze",)),
    "softmax": (lambda k: network(k, *dense(k, 3)), {"softmax": True}, ("softmax",)),
    "fixed batch": (lambda k: network(k, *dense(k, 3, "softmax"), batch=4), {}, ()),
    "no channels": (lambda k: network(k, *dense(k, 3, "softmax"), shape=SIZE), {}, ()),
    "any size": (lambda k: network(k, *dense(k, 3, "softmax"), shape=(None, None, 3)), {"size": SIZE}, ()),
    "pixels": (lambda k: network(k, *dense(k, 3, "softmax"), dtype="uint8"), {}, ()),
}


FAST = ("one sigmoid", "softmax", "pixels")


def check(model, photos, out, output, **options) -> None:
    bundle = edgenet.export(model, out=out, calibration=photos, apps=False, **options)
    manifest = bundle.manifest
    assert manifest.output == output
    assert manifest.preprocessing.shape[:2] == SIZE
    source = keras_model.reload(bundle.file(manifest.model), manifest.preprocessing, manifest.output)
    pixels = np.random.default_rng(3).integers(0, 256, (4, *manifest.preprocessing.shape), dtype=np.uint8)
    (expected,) = source.scores([pixels])
    found = Runner(bundle.file("float32.tflite"), manifest.preprocessing).scores(pixels)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    for variant in manifest.variants:
        assert variant.drift.image_agreement.value >= (0.5 if variant.name == "int8" else 0.9), variant.name


@pytest.mark.parametrize("kind", ["keras", pytest.param("saved", marks=pytest.mark.slow)])
@pytest.mark.parametrize("library", ["tf_keras", pytest.param("keras", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_a_model_is_exported(photos, tmp_path, name, library, kind):
    if (name, kind) == ("fixed batch", "saved"):
        pytest.skip("the next test")
    make, options, output = CASES[name]
    model, path = make(LIBRARIES[library]), tmp_path / f"own.{kind}"
    if kind == "saved":
        model.export(path)
    else:
        model.save(path)
    check(path, photos, tmp_path / "bundle", output, **options)


@pytest.mark.slow
def test_a_saved_model_of_a_fixed_batch(photos, tmp_path):
    model = network(keras, *dense(keras, 3, "softmax"))
    serve = tf.function(model, input_signature=[tf.TensorSpec((4, *SIZE, 3), tf.float32)])
    tf.saved_model.save(model, str(tmp_path / "own"), signatures=serve.get_concrete_function())
    check(tmp_path / "own", photos, tmp_path / "bundle", (), batch=4)
