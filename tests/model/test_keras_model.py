"""Keras models in files: which are taken, which are refused and how, and that the same model gives the same bytes."""

import re
import zipfile
from io import BytesIO
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from legacy import write_legacy

from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.images.input_range import InputRange
from edgenet.images.resize_options import KERAS_DATASET, ResizeOptions
from edgenet.model import keras_model, mobilenet
from edgenet.model.classifier import KerasClassifier, score_kind
from edgenet.records import ModelSpec, Resize

SPEC = ModelSpec(size=32, alpha=0.25, classes=5)
FOUND = r"expected a Keras image classifier \(\.keras, \.h5 or a SavedModel folder\), got: "
PART = FOUND + "another file, or only a part of one; save the model again"
NO_HDF5 = FOUND + "no HDF5 file, or only a part of one; save the model again"
# What a user's code may do when it is loaded or called: here it leaves a mark.
MARK = "EDGENET_TEST_MARK"


def build() -> keras.Model:
    """The same weights each time."""
    keras.utils.set_random_seed(6)
    return mobilenet.build(SPEC)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build()


def small() -> keras.Model:
    """One layer of each kind that MobileNet has, with statistics of batch normalization as training leaves them."""
    keras.utils.set_random_seed(6)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(image)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.DepthwiseConv2D(3, use_bias=False)(x)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(5, name="logits")(x)))
    model.get_layer("norm").moving_mean.assign(np.linspace(-0.5, 0.5, 8))
    model.get_layer("norm").moving_variance.assign(np.linspace(0.01, 1, 8))
    return model


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    """A small model whose scores tell images apart. Not to be changed."""
    return small()


@pytest.fixture(scope="module")
def stored(model) -> bytes:
    return keras_model.to_bytes(model)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Noise, each image on a colour of its own."""
    random = np.random.default_rng(1)
    return (random.integers(0, 128, (5, 32, 32, 3)) + random.integers(0, 128, (5, 1, 1, 3))).astype(np.uint8)


def scores(classifier: KerasClassifier, pixels: np.ndarray) -> np.ndarray:
    return np.concatenate(list(classifier.scores([pixels])))


def refused(path: Path, text: str, **options) -> None:
    with pytest.raises(EdgenetError, match=f"^{re.escape(str(path))}: {text}$") as caught:
        keras_model.load(path, **options)
    assert "\n" not in str(caught.value)


# Formats

WRITERS = {
    "model.keras": lambda model, path: model.save(path),
    "model.h5": lambda model, path: model.save(path),
    "exported": lambda model, path: model.export(path, verbose=False),
    "saved": lambda model, path: tf.saved_model.save(model, str(path)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_scores_of_the_keras_model(trained, images, tmp_path, name):
    WRITERS[name](trained, tmp_path / name)
    classifier = keras_model.load(tmp_path / name)
    assert (classifier.classes, classifier.recipe.shape) == (5, (32, 32, 3))
    # Every number of a kernel, which is what a conversion must not lose.
    assert classifier.kernel_parameters == sum(int(np.prod(v.shape)) for v in trained.weights if len(v.shape) > 1)
    expected = trained(images.astype(np.float32) / 127.5 - 1, training=False).numpy()
    # Scores that hardly move would agree whatever is in the file: 0.01 is 10,000 times the tolerance.
    assert np.ptp(expected, axis=0).max() > 0.01
    # The same graph: 1e-6 is 17 roundings (2**-24) of a score near 1.
    np.testing.assert_allclose(scores(classifier, images), expected, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_what_is_saved_can_be_loaded_again_with_the_same_recipe(trained, images, tmp_path, name):
    WRITERS[name](trained, tmp_path / name)
    declared = InputRange.parse("0.485,0.456,0.406,0.229,0.224,0.225", "BGR")
    before = keras_model.load(tmp_path / name, input_range=declared, resize=ResizeOptions(crop=0.875))
    (tmp_path / "bundle").mkdir()
    written = before.save(tmp_path / "bundle")
    assert written == ("saved_model" if (tmp_path / name).is_dir() else "model.keras")
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == [written]
    after = keras_model.reload(tmp_path / "bundle" / written, before.recipe)
    assert after.recipe == before.recipe == declared.recipe(32, 32, 3, Resize(crop=0.875))
    # The same weights through the same code, so the same scores to the last bit.
    np.testing.assert_array_equal(scores(after, images), scores(before, images))


def test_a_saved_model_is_saved_as_it_is(trained, tmp_path):
    trained.export(tmp_path / "exported", verbose=False)
    (tmp_path / "bundle").mkdir()
    keras_model.load(tmp_path / "exported").save(tmp_path / "bundle")
    assert _contents(tmp_path / "bundle" / "saved_model") == _contents(tmp_path / "exported")


def _contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_saved_model_of_integers_gets_the_pixels(tmp_path):
    # What TensorFlow users write by hand: a signature of uint8 images.
    module = tf.Module()
    module.weights = tf.Variable(np.random.default_rng(2).normal(size=(3, 5)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.uint8, name="pixels")])
    def serve(pixels):
        return {"logits": tf.reduce_mean(tf.cast(pixels, tf.float32), axis=(1, 2)) @ module.weights}

    tf.saved_model.save(module, str(tmp_path / "own"), signatures=serve)
    classifier = keras_model.load(tmp_path / "own", input_range=InputRange.between(0, 255))
    pixels = np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3).astype(np.uint8)
    expected = pixels.mean(axis=(1, 2), dtype=np.float64) @ module.weights.numpy()
    # Sums of 1024 values of up to 255, each rounded to 6e-8 of itself, times weights of up to 3.
    np.testing.assert_allclose(scores(classifier, pixels), expected, rtol=0, atol=1e-3)


# What scores are


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]], "softmax"),
        ([[0.2, 0.3, 0.5003]], "softmax"),  # as float16 computes it
        ([[0.2, 0.3, 0.6]], "sigmoid"),
        ([[0.9, 0.8, 0.7], [0.0, 0.1, 0.0]], "sigmoid"),
        ([[0.2, 0.3, 0.5], [0.9, 0.9, 0.9]], "sigmoid"),
        ([[0.2, 0.3, 1.5]], "logits"),
        ([[0.6, 0.6, -0.2]], "logits"),  # a sum of 1 is not enough
        ([[12.0, -3.0, 0.5]], "logits"),
    ],
)
def test_kinds_of_scores(rows, kind):
    assert score_kind(np.array(rows, np.float32)) == kind


@pytest.mark.parametrize(("activation", "kind"), [("softmax", "softmax"), ("sigmoid", "sigmoid"), (None, "logits")])
def test_the_kind_is_that_of_the_last_layer(images, activation, kind):
    keras.utils.set_random_seed(1)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(image)
    x = keras.layers.Dense(5, activation=activation)(keras.layers.GlobalAveragePooling2D()(x))
    assert score_kind(scores(keras_model.from_keras(keras.Model(image, x), "own"), images)) == kind


# Broken files

BROKEN = {
    "text": lambda data: b"This is a text, not a model.\n",
    "cut off": lambda data: data[: len(data) // 2],
    "without its last bytes": lambda data: data[:-10],
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_keras_file(stored, tmp_path, kind):
    path = tmp_path / "broken.keras"
    path.write_bytes(BROKEN[kind](stored))
    refused(path, PART)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_h5_file(trained, tmp_path, kind):
    path = tmp_path / "broken.h5"
    trained.save(path)
    path.write_bytes(BROKEN[kind](path.read_bytes()))
    refused(path, NO_HDF5)


def test_archive_of_something_else(tmp_path):
    path = tmp_path / "photos.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "a photo")
    refused(path, r"expected an archive with one model, got none \(photo.txt\); unpack it, .+")


def test_weights_damaged_inside_a_whole_archive(stored, tmp_path):
    path = tmp_path / "damaged.keras"
    with zipfile.ZipFile(BytesIO(stored)) as whole, zipfile.ZipFile(path, "w") as archive:
        for name in whole.namelist():
            data = whole.read(name)
            archive.writestr(name, data[: len(data) // 2] if name == "model.weights.h5" else data)
    refused(path, FOUND + "damaged weights; save the model again")


@pytest.mark.parametrize("ending", ["h5", "weights.h5"])
def test_weights_without_a_model(trained, tmp_path, ending):
    path = tmp_path / f"own.{ending}"
    write_legacy(trained, path) if ending == "h5" else trained.save_weights(path)
    refused(path, FOUND + "weights only, without the network; save the whole model, .+ MobileNetV1")


@pytest.mark.parametrize("name", ["none.keras", "none.h5", "none"])
def test_missing_file(tmp_path, name):
    refused(tmp_path / name, "no such file or folder; give a Keras image classifier")


@pytest.mark.parametrize("name", ["folder", "folder.keras", "folder.h5"])
def test_a_folder_of_something_else(tmp_path, name):
    (tmp_path / name).mkdir()
    refused(tmp_path / name, FOUND + r"a folder without saved_model\.pb")


@pytest.mark.parametrize("name", ["model.txt", "model"])
def test_a_file_of_another_kind(tmp_path, name):
    (tmp_path / name).write_text("This is a text, not a model.\n")
    refused(tmp_path / name, FOUND + ".+")


@pytest.fixture
def exported(trained, tmp_path) -> Path:
    """A SavedModel, to be spoilt."""
    trained.export(tmp_path / "exported", verbose=False)
    return tmp_path / "exported"


@pytest.mark.parametrize("kind", ["text", "cut off", "without its last bytes"])
def test_a_broken_saved_model(exported, kind):
    path = exported / "saved_model.pb"
    path.write_bytes(BROKEN[kind](path.read_bytes()))
    refused(exported, FOUND + r"a damaged saved_model\.pb; save the model again")


@pytest.mark.parametrize("length", [0, 2])
def test_a_saved_model_cut_off_where_it_is_whole_but_empty(exported, length):
    path = exported / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:length])  # no field, or the format's version alone
    refused(exported, FOUND + ".+")


@pytest.mark.parametrize("spoil", ["missing", "cut off"])
def test_a_saved_model_without_all_its_weights(exported, spoil):
    path = exported / "variables" / "variables.data-00000-of-00001"
    data = path.read_bytes()
    path.unlink()
    if spoil == "cut off":
        path.write_bytes(data[: len(data) // 2])
    refused(exported, FOUND + ".+")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", WRITERS)
def test_weights_that_are_not_finite(tmp_path, name, value):
    broken = small()
    broken.get_layer("logits").bias.assign(np.array([0, 0, value, 0, 0], np.float32))
    WRITERS[name](broken, tmp_path / name)
    refused(tmp_path / name, r"the weights in \S*bias\S* contain NaN or infinity; train the model again")


# Other models


def _two_inputs() -> keras.Model:
    one, two = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([one, two]))
    return keras.Model([one, two], keras.layers.Dense(5)(pooled))


def _two_outputs() -> keras.Model:
    image = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, [keras.layers.Dense(5)(pooled), keras.layers.Dense(2)(pooled)])


def _pooled(*shape: int | None) -> keras.Model:
    image = keras.Input(shape)
    return keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(image)))


def _dense() -> keras.Model:
    vector = keras.Input((12,))
    return keras.Model(vector, keras.layers.Dense(5)(vector))


def _map() -> keras.Model:
    image = keras.Input((32, 32, 3))
    return keras.Model(image, keras.layers.Conv2D(5, 3)(image))


def _boxes() -> keras.Model:
    image = keras.Input((32, 32, 3))
    return keras.Model(image, keras.layers.Reshape((900, 5))(keras.layers.Conv2D(5, 3)(image)))


def _a_tanh() -> keras.Model:
    image = keras.Input((32, 32, 3))
    return keras.Model(image, keras.layers.Dense(1, activation="tanh")(keras.layers.GlobalAveragePooling2D()(image)))


CLASSIFIER = r"expected a classifier with an output of \(batch, classes\), got "
CERTAIN = "the height and width of the input are free, got "
IMAGES = r"expected an input of images, \(batch, height, width, 3\), or 1 for grey images, got "
ONE = "expected a model with one image input and one output of scores, got "


@pytest.mark.parametrize("name", ["model.keras", "exported"])
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_two_inputs, ONE + "2 inputs and 1 output"),
        (_two_outputs, ONE + "1 input and 2 outputs; detectors, which have several, are not classifiers"),
        (_dense, IMAGES + r"\(None, 12\)"),
        (lambda: _pooled(32, 32, 4), IMAGES + r"\(None, 32, 32, 4\)"),
        (_map, CLASSIFIER + r"\(None, 30, 30, 5\): a network without its classifying layers, .+"),
        (_boxes, CLASSIFIER + r"\(None, 900, 5\): detectors and models of sequences are not classifiers"),
        (_a_tanh, r"expected a sigmoid or a logit as the only output, got another activation; is it a classifier\?"),
        (lambda: _pooled(None, None, 3), CERTAIN + r"\(None, None, None, 3\); set them, for instance size=224"),
        (lambda: _pooled(32, None, 3), CERTAIN + r"\(None, 32, None, 3\); set them, for instance size=224"),
    ],
    ids=[
        "two inputs",
        "two outputs",
        "no image",
        "four channels",
        "a map",
        "boxes",
        "a tanh",
        "any size",
        "any width",
    ],
)
def test_models_that_classify_no_image(tmp_path, name, make, text):
    WRITERS[name](make(), tmp_path / name)
    refused(tmp_path / name, text)


def _saved(path: Path, shape, outputs, **signatures) -> None:
    """A SavedModel that is not of Keras."""
    module = tf.Module()
    module.weights = tf.Variable(np.ones((3, 5), np.float32))

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])
    def serve(image):
        return outputs(tf.reduce_mean(image, axis=(1, 2)) @ module.weights)

    tf.saved_model.save(module, str(path), signatures=signatures or serve)


def test_a_saved_model_without_a_signature(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "own"))
    refused(tmp_path / "own", FOUND + r"a SavedModel without a signature; export it with model\.export")


def test_a_saved_model_whose_shapes_nobody_knows(tmp_path):
    _saved(tmp_path / "input", None, lambda scores: {"scores": scores})
    refused(tmp_path / "input", IMAGES + ".+")
    with_default = tf.raw_ops.PlaceholderWithDefault
    _saved(tmp_path / "output", (None, 32, 32, 3), lambda x: {"scores": with_default(input=x, shape=None)})
    refused(tmp_path / "output", CLASSIFIER + ".+")


# Shapes and ranges


@pytest.mark.parametrize("name", ["model.keras", "exported"])
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 48, 3), (7, 40, 1)], ids=str)
def test_grey_and_oblong_inputs(tmp_path, name, shape):
    keras.utils.set_random_seed(4)
    image = keras.Input(shape)
    x = keras.layers.Conv2D(4, 3, activation="relu")(image)
    model = keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)))
    WRITERS[name](model, tmp_path / name)
    classifier = keras_model.load(tmp_path / name)
    assert classifier.recipe == InputRange().recipe(*shape, KERAS_DATASET)
    pixels = np.random.default_rng(1).integers(0, 256, (3, *shape), dtype=np.uint8)
    expected = model.predict(pixels.astype(np.float32) / 127.5 - 1, verbose=0)
    # Logits near 1 of 40 products, each rounded to 6e-8.
    np.testing.assert_allclose(scores(classifier, pixels), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["model.keras", "exported"])
@pytest.mark.parametrize(("shape", "size"), [((None, None, 3), (64, 48)), ((None, 48, 3), (64, 48))], ids=str)
def test_a_free_size_is_the_one_that_is_said(images, tmp_path, name, shape, size):
    model = _pooled(*shape)
    WRITERS[name](model, tmp_path / name)
    classifier = keras_model.load(tmp_path / name, size=size)
    assert classifier.recipe.shape == (*size, 3)
    pixels = np.random.default_rng(1).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    expected = model.predict(pixels.astype(np.float32) / 127.5 - 1, verbose=0)
    np.testing.assert_allclose(scores(classifier, pixels), expected, rtol=0, atol=1e-5)
    assert classifier.trace(1).inputs[0].shape.as_list() == [1, *size, 3]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.keras", "exported"])
def test_another_size_than_that_of_the_input(trained, tmp_path, name):
    WRITERS[name](trained, tmp_path / name)
    assert keras_model.load(tmp_path / name, size=(32, 32)).recipe.shape == (32, 32, 3)
    text = "the model's input is 32 x 32 pixels, not 64 x 48; leave size= out"
    refused(tmp_path / name, text, size=(64, 48))


def test_the_range_is_that_of_the_models_own_layers_unless_it_is_declared(images, tmp_path):
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    model = keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)))
    model.save(tmp_path / "own.keras")
    own = keras_model.load(tmp_path / "own.keras")
    assert own.recipe.range == (0, 255)
    expected = model.predict(images.astype(np.float32), verbose=0)
    np.testing.assert_allclose(scores(own, images), expected, rtol=0, atol=1e-5)
    declared = keras_model.load(tmp_path / "own.keras", input_range=InputRange())
    assert declared.recipe.range == (-1, 1)


# Code


def _code():
    # All that it needs is inside: Keras stores the code of a lambda, and not what is around it.
    return lambda x: (open(__import__("os").environ["EDGENET_TEST_MARK"], "w").close(), x)[1]


def _lambda_layer(image):
    return keras.layers.Lambda(_code())(image)


def _lambda_inside(image):
    return keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Lambda(_code())])(image)


@pytest.fixture
def mark(tmp_path, monkeypatch) -> Path:
    """A file that is there when code of a test ran, where any code in a file from the internet could do harm."""
    path = tmp_path / "mark"
    monkeypatch.setenv(MARK, str(path))
    return path


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("place", [_lambda_layer, _lambda_inside])
def test_code_in_a_keras_file_is_refused_and_not_run(tmp_path, mark, ending, place):
    path = tmp_path / f"lambda.{ending}"
    image = keras.Input((32, 32, 3))
    keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(place(image)))).save(path)
    mark.unlink(missing_ok=True)
    refused(path, r"the model has a Lambda layer, .+ edgenet runs no code from model files\. Export a SavedModel .+")
    assert not mark.exists()
    # Without the safe mode it runs, as it is built: the assertion above can fail.
    keras.models.load_model(path, compile=False, safe_mode=False)
    assert mark.exists()


# Bytes


@pytest.mark.slow
def test_bytes_are_the_same_for_two_equal_models(stored):
    # Keras writes the address of the policy that the layers share: another object is what another process has.
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(keras.DTypePolicy("float32"))
        again = build()
        assert keras_model.to_bytes(again) == stored
    finally:
        keras.config.set_dtype_policy(before)


def test_bytes_differ_with_the_weights(stored):
    other = build()
    other.get_layer("logits").bias.assign(np.full(5, 1e-3))
    assert keras_model.to_bytes(other) != stored


@pytest.mark.slow  # seconds
def test_bytes_load_back_to_equal_scores(model, stored, images, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(stored)
    loaded = keras.models.load_model(path)
    assert loaded.name == SPEC.name
    for before, after in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(after.numpy(), before.numpy())
    # The same weights through the same code, so the same scores to the last bit.
    classifiers = keras_model.load(path), keras_model.from_keras(model, "the same")
    np.testing.assert_array_equal(*(scores(classifier, images) for classifier in classifiers))
    # An export of the same file writes the same bundle.
    assert keras_model.to_bytes(loaded) == keras_model.to_bytes(keras.models.load_model(path))


def test_shared_layers_stay_shared(tmp_path, images):
    # A layer used twice is written once, under an identity that must survive the renumbering in `to_bytes`.
    image = keras.Input((32, 32, 3))
    twice = keras.layers.Conv2D(3, 3, padding="same", name="twice")
    pooled = keras.layers.GlobalAveragePooling2D()(twice(twice(image)))
    model = keras.Model(image, keras.layers.Dense(5)(pooled))
    path = tmp_path / "shared.keras"
    path.write_bytes(keras_model.to_bytes(model))
    assert len(keras.models.load_model(path).weights) == 4
    classifiers = keras_model.load(path), keras_model.from_keras(model, "the same")
    assert classifiers[0].kernel_parameters == 3 * 3 * 3 * 3 + 3 * 5
    np.testing.assert_array_equal(*(scores(classifier, images) for classifier in classifiers))


# Scores


@pytest.mark.slow
def test_scores_are_those_of_the_normalized_pixels(model, images):
    expected = model.predict(images.astype(np.float32) / 127.5 - 1, verbose=0)
    batches = list(keras_model.from_keras(model, "own").scores(preprocess.batches(images, 2)))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    found = np.concatenate(batches)
    assert found.dtype == np.float32
    # Batches of another size may sum in another order: a few units of 2**-24 in each of 28 layers.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_scores_come_as_they_are_asked_for(model, images):
    drawn = []

    def batches():
        for number in range(100):
            drawn.append(number)
            yield images

    next(keras_model.from_keras(model, "own").scores(batches()))
    assert drawn == [0]


def test_scores_are_those_of_a_model_in_use_not_in_training(trained, images):
    # Batch normalization and dropout would show.
    classifier = keras_model.from_keras(trained, "own")
    one = np.concatenate([scores(classifier, image[None]) for image in images])
    # Batches of another size may sum in another order: a few units of 2**-24 in each of 28 layers.
    np.testing.assert_allclose(one, scores(classifier, images), rtol=0, atol=1e-5)
