"""Keras models as files: which are taken, which are refused and how, and that the same model gives the same bytes."""

import os
import zipfile
from io import BytesIO

import keras
import numpy as np
import pytest

from edgenet import images
from edgenet.errors import EdgenetError
from edgenet.model import keras_model, mobilenet
from edgenet.records import ModelSpec

SPEC = ModelSpec(size=32, alpha=0.25, classes=5)


def build() -> keras.Model:
    """The same weights each time."""
    keras.utils.set_random_seed(6)
    return mobilenet.build(SPEC)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build()


@pytest.fixture(scope="module")
def stored(model) -> bytes:
    return keras_model.to_bytes(model)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def refused(path, text: str) -> None:
    with pytest.raises(EdgenetError, match=text) as caught:
        keras_model.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


BROKEN = {
    "empty": lambda data: b"",
    "text": lambda data: b"This is a text, not a model.\n",
    "cut off": lambda data: data[: len(data) // 2],
    "without its last bytes": lambda data: data[:-10],
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_file(stored, tmp_path, kind):
    path = tmp_path / "broken.keras"
    path.write_bytes(BROKEN[kind](stored))
    # The file is there: that Keras calls this "File not found" helps nobody.
    refused(path, r"broken\.keras: expected a Keras model \(\.keras\), found: (?!File not found).")


def test_archive_of_something_else(tmp_path):
    path = tmp_path / "photos.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "a photo")
    refused(path, r"photos\.keras: expected a Keras model \(\.keras\), found: .")


def test_weights_damaged_inside_a_whole_archive(stored, tmp_path):
    path = tmp_path / "damaged.keras"
    with zipfile.ZipFile(BytesIO(stored)) as whole, zipfile.ZipFile(path, "w") as archive:
        for name in whole.namelist():
            data = whole.read(name)
            archive.writestr(name, data[: len(data) // 2] if name == "model.weights.h5" else data)
    refused(path, r"damaged\.keras: expected a Keras model \(\.keras\), found: .")


@pytest.mark.parametrize("name", ["none.keras", "none"])
def test_missing_file(tmp_path, name):
    refused(tmp_path / name, rf"{name}: expected a Keras model \(\.keras\), found: .")


def test_folder(tmp_path):
    folder = tmp_path / "folder.keras"
    folder.mkdir()
    refused(folder, r"folder\.keras: expected a Keras model \(\.keras\), found: .")


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


def _one_score() -> keras.Model:
    image = keras.Input((32, 32, 3))
    return keras.Model(image, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(image)))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_two_inputs, r"one image input and one output of scores, found 2 inputs and 1 outputs$"),
        (_two_outputs, r"one image input and one output of scores, found 1 inputs and 2 outputs$"),
        (lambda: _pooled(32, 48, 3), r"an input of \(batch, size, size, 3\), found \(None, 32, 48, 3\)$"),
        (lambda: _pooled(None, None, 3), r"an input of \(batch, size, size, 3\), found \(None, None, None, 3\)$"),
        (lambda: _pooled(32, 32, 1), r"an input of \(batch, size, size, 3\), found \(None, 32, 32, 1\)$"),
        (_dense, r"an input of \(batch, size, size, 3\), found \(None, 12\)$"),
        (_map, r"an output of \(batch, classes\), found \(None, 30, 30, 5\)$"),
        (_one_score, r"an output of \(batch, classes\), found \(None, 1\)$"),
    ],
    ids=["two inputs", "two outputs", "not square", "any size", "grey", "no image", "a map", "one score"],
)
def test_models_that_classify_no_image(tmp_path, make, text):
    path = tmp_path / "other.keras"
    make().save(path)
    refused(path, r"other\.keras: expected (a model of )?" + text)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, monkeypatch, ending):
    path = tmp_path / f"lambda.{ending}"
    image = keras.Input((32, 32, 3))
    # Leaves a mark when it is called, where any code in a file from the internet could do harm.
    code = keras.layers.Lambda(lambda x: (__import__("os").environ.update(LAMBDA="ran"), x)[1])
    pooled = keras.layers.GlobalAveragePooling2D()(code(image))
    keras.Model(image, keras.layers.Dense(5)(pooled)).save(path)
    monkeypatch.setenv("LAMBDA", "did not run")
    refused(path, rf"lambda\.{ending}: expected a Keras model \(\.keras\), found: .*Lambda")
    assert os.environ["LAMBDA"] == "did not run"
    # Without the safe mode it runs: the assertion above can fail.
    keras.models.load_model(path, compile=False, safe_mode=False)
    assert os.environ["LAMBDA"] == "ran"


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


def test_bytes_load_back_to_equal_scores(model, stored, pictures, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(stored)
    loaded = keras_model.load(path)
    assert loaded.name == SPEC.name
    for before, after in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(after.numpy(), before.numpy())
    # The same weights through the same code, so the same scores to the last bit.
    np.testing.assert_array_equal(keras_model.scorer(loaded)(pictures), keras_model.scorer(model)(pictures))
    # An export of the same file writes the same bundle.
    assert keras_model.to_bytes(loaded) == keras_model.to_bytes(keras_model.load(path))


def test_shared_layers_stay_shared(tmp_path, pictures):
    # A layer used twice is written once, under an identity that must survive the renumbering in `to_bytes`.
    image = keras.Input((32, 32, 3))
    twice = keras.layers.Conv2D(3, 3, padding="same", name="twice")
    pooled = keras.layers.GlobalAveragePooling2D()(twice(twice(image)))
    model = keras.Model(image, keras.layers.Dense(5)(pooled))
    path = tmp_path / "shared.keras"
    path.write_bytes(keras_model.to_bytes(model))
    loaded = keras_model.load(path)
    assert len(loaded.weights) == 4
    np.testing.assert_array_equal(keras_model.scorer(loaded)(pictures), keras_model.scorer(model)(pictures))


def test_scores_are_those_of_the_normalized_pixels(model, pictures):
    expected = model.predict(pictures.astype(np.float32) / 127.5 - 1, verbose=0)
    batches = list(keras_model.scores(model, images.batches(pictures, 2)))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    found = np.concatenate(batches)
    assert found.dtype == np.float32
    # Batches of another size may sum in another order: a few units of 2**-24 in each of 28 layers.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_scores_come_as_they_are_asked_for(model, pictures):
    drawn = []

    def batches():
        for number in range(100):
            drawn.append(number)
            yield pictures

    next(keras_model.scores(model, batches()))
    assert drawn == [0]
