"""Weight files, our own and Keras': what goes in comes out, and nothing else gets in."""

import io
import re
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from legacy import write_legacy

from edgenet.errors import EdgenetError
from edgenet.images import bundled
from edgenet.model import mobilenet, weights
from edgenet.model.weights import ExpectedSpec
from edgenet.records import ModelSpec

SPEC = ModelSpec(size=32, alpha=0.25, classes=5)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Seeded weights of many magnitudes, batch-norm statistics included."""
    model = mobilenet.build(SPEC)
    random = np.random.default_rng(5)
    for variable in model.weights:
        # 1e-6 to 1: a variance of 1e-6 is below what float16 holds with full precision (6e-5).
        variable.assign(10 ** random.uniform(-6, 0, variable.shape) * random.choice((-1, 1), variable.shape))
    return model


@pytest.fixture(scope="module")
def stored(model) -> bytes:
    return weights.to_bytes(model)


@pytest.fixture(scope="module")
def other() -> keras.Model:
    """Takes the weights that a test reads."""
    return mobilenet.build(SPEC)


def test_round_trip(model, stored, other, tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes(stored)
    weights.assign(other, path)
    for before, after in zip(model.weights, other.weights, strict=True):
        expected = before.numpy()
        if before.name == "kernel":
            expected = expected.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(after.numpy(), expected)
    # What was float16 once stays what it is.
    assert weights.to_bytes(other) == stored


def test_kernels_take_two_bytes_a_number(model, stored):
    with np.load(io.BytesIO(stored)) as arrays:
        assert len(arrays.files) == len(model.weights)
        for name in arrays.files:
            assert arrays[name].dtype == (np.float16 if name.endswith("/kernel") else np.float32), name


def test_input_size_does_not_matter(stored, tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes(stored)
    larger = mobilenet.build(ModelSpec(size=64, alpha=0.25, classes=5))
    weights.assign(larger, path)
    assert weights.to_bytes(larger) == stored


def test_missing_file(other, tmp_path):
    with pytest.raises(EdgenetError, match=r"none\.npz: no such file; give a weight file \(\.npz\)$"):
        weights.assign(other, tmp_path / "none.npz")


def _flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(data) // 2] ^= 0xFF  # in the middle of the compressed numbers
    return bytes(changed)


def _array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3, np.float32))
    return buffer.getvalue()


def _pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.array([{}], dtype=object))
    return buffer.getvalue()


DAMAGE = {
    "text": lambda data: b"not a weight file\n",
    "cut off": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "a byte changed": _flipped,
    "an .npy file": lambda data: _array(),
    "pickled objects": lambda data: _pickled(),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_file(other, stored, tmp_path, kind):
    before = weights.to_bytes(other)
    path = tmp_path / "weights.npz"
    path.write_bytes(DAMAGE[kind](stored))
    with pytest.raises(
        EdgenetError, match=r"weights\.npz: not a weight file \(\.npz\), or only a part of one; "
    ) as caught:
        weights.assign(other, path)
    assert "\n" not in str(caught.value)
    assert weights.to_bytes(other) == before


@pytest.mark.parametrize(
    ("spec", "differs"),
    [
        (ModelSpec(size=32, alpha=0.5, classes=5), ("stem_convolution/kernel", "(3, 3, 3, 8)", "(3, 3, 3, 16)")),
        (ModelSpec(size=32, alpha=0.25, classes=6), ("logits/kernel", "(1, 1, 256, 5)", "(1, 1, 256, 6)")),
        (
            ModelSpec(size=32, alpha=0.25, depth_multiplier=2, classes=5),
            ("block01_depthwise/kernel", "(3, 3, 8, 1)", "(3, 3, 8, 2)"),
        ),
    ],
    ids=["alpha", "classes", "depth multiplier"],
)
def test_weights_of_another_width(other, tmp_path, spec, differs):
    before = weights.to_bytes(other)
    path = tmp_path / "weights.npz"
    path.write_bytes(weights.to_bytes(mobilenet.build(spec)))
    name, wanted, found = differs
    text = f"{path}: expected {name} of shape {wanted} for mobilenet_v1_0.25_32, got {found}"
    with pytest.raises(EdgenetError, match=f"^{re.escape(text)}$"):
        weights.assign(other, path)
    assert weights.to_bytes(other) == before


def test_weights_of_another_network(other, tmp_path):
    path = tmp_path / "weights.npz"
    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="only")])
    path.write_bytes(weights.to_bytes(small))
    text = r"weights\.npz: expected the weights of mobilenet_v1_0\.25_32, got those of another model \(.* differs\)$"
    with pytest.raises(EdgenetError, match=text):
        weights.assign(other, path)


def test_bundled_weights_belong_to_the_bundled_model():
    model = weights.bundled()
    assert model.name == bundled.SPEC.name == "mobilenet_v1_0.5_96"
    assert model.output_shape == (None, 10)
    assert weights.to_bytes(model) == weights.to_bytes(weights.bundled())
    assert all(np.isfinite(variable.numpy()).all() for variable in model.weights)
    assert bundled.WEIGHTS.stat().st_size <= 2_000_000


# Files of Keras and Keras Applications, and a model made of nothing but a file


NOTHING_SAID = ExpectedSpec()
WRITERS = {
    "h5": write_legacy,
    "weights.h5": lambda model, path: model.save_weights(path),
    "npz": lambda model, path: path.write_bytes(weights.to_bytes(model)),
}


@pytest.fixture(scope="module")
def theirs(randomize) -> keras.Model:
    """Keras Applications' MobileNet: another implementation, whose layers have other names."""
    return randomize(keras.applications.MobileNet((64, 64, 3), alpha=0.25, weights=None, classes=7), seed=4)


@pytest.fixture(scope="module")
def ours(theirs) -> keras.Model:
    """This project's builder, with those weights as an .npz file holds them: kernels in float16."""
    model = mobilenet.build(ModelSpec(size=64, alpha=0.25, classes=7))
    model.set_weights(theirs.get_weights())
    for variable in model.weights:
        if variable.name == "kernel":
            variable.assign(variable.numpy().astype(np.float16).astype(np.float32))
    return model


@pytest.fixture(scope="module")
def published(theirs, tmp_path_factory) -> Path:
    """A file such as Keras Applications publishes. Not to be changed."""
    path = tmp_path_factory.mktemp("published") / "mobilenet_2_5_64_tf.h5"
    write_legacy(theirs, path)
    return path


@pytest.fixture(scope="module")
def headless(theirs, tmp_path_factory) -> Path:
    """Such a file without the last layer. Not to be changed."""
    path = tmp_path_factory.mktemp("headless") / "mobilenet_2_5_64_tf_no_top.h5"
    write_legacy(keras.Model(theirs.input, theirs.get_layer("conv_pw_13_relu").output), path)
    return path


def scores(model: keras.Model) -> np.ndarray:
    images = np.random.default_rng(3).uniform(-1, 1, (4, 64, 64, 3)).astype(np.float32)
    return model(images, training=False).numpy()


def assert_equal_scores(found: keras.Model, expected: keras.Model) -> None:
    # Scores that hardly move would agree whatever the weights are: 0.01 is thousands of times the tolerance.
    assert np.ptp(scores(expected), axis=0).max() > 0.01
    # The same float32 sums; explicit padding may take them in another order. 1e-6 is 17 roundings (2**-24) of a score
    # near 1.
    np.testing.assert_allclose(scores(found), scores(expected), rtol=0, atol=1e-6)


def refused(path: Path, text: str, wish: ExpectedSpec = NOTHING_SAID) -> None:
    with pytest.raises(EdgenetError, match=f"^{re.escape(str(path))}: {text}$") as caught:
        weights.load(path, wish)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["h5", "weights.h5"])
def test_files_of_keras_applications_give_its_scores(theirs, tmp_path, ending):
    path = tmp_path / f"own.{ending}"
    WRITERS[ending](theirs, path)
    found = weights.load(path, ExpectedSpec(size=64))
    assert found.name == "mobilenet_v1_0.25_64"
    assert_equal_scores(found, theirs)


@pytest.mark.parametrize("ending", WRITERS)
def test_files_of_our_own_model_give_its_scores(ours, tmp_path, ending):
    path = tmp_path / f"own.{ending}"
    WRITERS[ending](ours, path)
    found = weights.load(path, ExpectedSpec(size=64))
    for before, after in zip(ours.weights, found.weights, strict=True):
        np.testing.assert_array_equal(after.numpy(), before.numpy())
    assert_equal_scores(found, ours)


def test_the_weights_in_a_whole_model_are_taken(theirs, tmp_path):
    path = tmp_path / "whole.h5"
    theirs.save(path)
    assert_equal_scores(weights.load(path, ExpectedSpec(size=64)), theirs)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["h5", "weights.h5"])
def test_what_an_optimizer_keeps_is_left_out(ours, tmp_path, ending):
    # A checkpoint of training holds two more arrays of the shape of each weight, with Adam.
    trained = keras.models.clone_model(ours)
    trained.set_weights(ours.get_weights())
    trained.compile("adam", "categorical_crossentropy")
    trained.optimizer.build(trained.trainable_variables)
    path = tmp_path / f"checkpoint.{ending}"
    trained.save(path) if ending == "h5" else trained.save_weights(path)
    assert _count_arrays(path) > 2 * len(ours.weights)
    assert_equal_scores(weights.load(path, ExpectedSpec(size=64)), ours)


def _count_arrays(path: Path) -> int:
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return len(found)


@pytest.mark.parametrize(
    ("name", "wish", "size"),
    [
        ("mobilenet_2_5_64_tf.h5", ExpectedSpec(), 64),
        ("mobilenet_2_5_64_tf.h5", ExpectedSpec(size=64, alpha=0.25, classes=7), 64),
        ("own_128.h5", ExpectedSpec(), 128),
        ("own.h5", ExpectedSpec(size=96), 96),
        # The number of an epoch, as checkpoints have it, is no size of an input.
        ("checkpoint_05.h5", ExpectedSpec(size=64), 64),
        ("v2.h5", ExpectedSpec(size=64), 64),
    ],
    ids=str,
)
def test_the_size_is_that_in_the_name_or_the_one_that_is_said(theirs, tmp_path, name, wish, size):
    write_legacy(theirs, tmp_path / name)
    found = weights.load(tmp_path / name, wish)
    assert (found.input_shape, found.output_shape) == ((None, size, size, 3), (None, 7))


def test_a_size_that_nobody_says_is_asked_for(theirs, tmp_path):
    path = tmp_path / "own.h5"
    write_legacy(theirs, path)
    refused(path, r"the file's name does not end in the input size; set it, for instance size=224")


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (ExpectedSpec(alpha=0.5), r"expected weights for alpha 0\.5, got 0\.25; leave alpha= out"),
        (ExpectedSpec(classes=10), r"expected weights for classes 10, got 7; leave classes= out"),
        (ExpectedSpec(size=96), r"expected weights for size 96, got 64, by the file's name; leave size= out"),
    ],
    ids=["alpha", "classes", "size"],
)
def test_a_file_of_another_kind_than_was_asked_for_is_refused_with_both_sides(published, wish, text):
    refused(published, text, wish)


@pytest.mark.slow
# Narrow ones, too, in which a layer of 3 channels looks like the pixels.
@pytest.mark.parametrize(("alpha", "multiplier"), [(0.05, 1), (0.1, 1), (0.1, 2), (0.35, 2), (1.3, 1)])
def test_every_width_is_found_in_a_file(tmp_path, alpha, multiplier):
    spec = ModelSpec(size=32, alpha=alpha, depth_multiplier=multiplier, classes=3)
    path = tmp_path / "own_32.npz"
    path.write_bytes(weights.to_bytes(mobilenet.build(spec)))
    found = weights.load(path, ExpectedSpec(alpha=alpha))
    assert found.name == spec.name
    assert weights.to_bytes(found) == path.read_bytes()


def test_a_width_that_only_the_stem_shares_is_asked_for(tmp_path):
    # 11 of 32 filters: of alpha 0.36, but of 11 / 32 too, which has 22 of 64 filters in the next layer and not 23.
    path = tmp_path / "own_32.npz"
    path.write_bytes(weights.to_bytes(mobilenet.build(ModelSpec(size=32, alpha=0.36, classes=3))))
    text = r"not weights of MobileNetV1 with alpha 0\.34375: no pointwise convolution from 11 to 22"
    refused(path, f"{text} channels; set alpha= to that of the file")


def test_a_file_without_the_last_layer_is_refused_unless_a_fresh_one_is_wanted(headless):
    text = (
        "the weights have no last layer; give weights of a whole model or, to measure latency only, use an untrained "
        "last layer with fresh_head=True"
    )
    refused(headless, text, ExpectedSpec(classes=5))


def test_a_file_without_the_last_layer_does_not_say_how_many_classes_there_are(headless):
    refused(
        headless,
        "the weights have no last layer; set the number of classes with classes=",
        ExpectedSpec(fresh_head=True),
    )


def test_a_fresh_last_layer_stands_on_the_weights_of_the_file(theirs, headless):
    found = weights.load(headless, ExpectedSpec(classes=5, fresh_head=True))
    assert found.output_shape == (None, 5)
    expected = theirs.get_weights()[:-2]  # all but kernel and bias of the last layer
    for before, after in zip(expected, found.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(after, before)
    # The same one each time: an export of it has the same bytes.
    assert weights.to_bytes(found) == weights.to_bytes(weights.load(headless, ExpectedSpec(classes=5, fresh_head=True)))


def test_a_fresh_last_layer_is_refused_where_the_file_has_one(published):
    text = "the weights have a last layer; leave fresh_head=True out"
    refused(published, text, ExpectedSpec(fresh_head=True))


WEIGHT_FILE = r"a weight file \(\.h5, \.weights\.h5 or \.npz\)"


@pytest.mark.parametrize("name", ["own_64.h5", "own_64.weights.h5"])
@pytest.mark.parametrize("kind", ["text", "cut off", "without its last bytes"])
def test_what_is_no_whole_hdf5_file_is_refused(published, tmp_path, name, kind):
    whole = published.read_bytes()
    data = {
        "text": b"not a weight file\n",
        "cut off": whole[: len(whole) // 2],
        "without its last bytes": whole[:-10],
    }[kind]
    (tmp_path / name).write_bytes(data)
    refused(tmp_path / name, f"not {WEIGHT_FILE}, or only a part of one; copy or download it again")


@pytest.mark.parametrize("name", ["none_64.h5", "none_64.weights.h5"])
def test_a_file_that_is_not_there_is_refused(tmp_path, name):
    refused(tmp_path / name, f"no such file; give {WEIGHT_FILE}")


def test_a_folder_is_no_weight_file(tmp_path):
    (tmp_path / "own_64.h5").mkdir()
    refused(tmp_path / "own_64.h5", f"a folder, not {WEIGHT_FILE}")


def _mobilenet_v2() -> keras.Model:
    return keras.applications.MobileNetV2((64, 64, 3), alpha=0.35, weights=None, classes=7)


def _dense() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="only")])


@pytest.mark.parametrize("ending", ["h5", "weights.h5"])
@pytest.mark.parametrize(("make", "found"), [(_mobilenet_v2, 18), (_dense, 0)])
def test_the_weights_of_another_network_are_refused(tmp_path, ending, make, found):
    path = tmp_path / f"other_64.{ending}"
    WRITERS[ending](make(), path)
    text = r"not weights of MobileNetV1: the network has "
    refused(path, rf"{text}{found} convolutions of 3 x 3, not 14; give a whole model with model=")


def test_a_file_with_the_right_arrays_in_the_wrong_places_is_refused(theirs, tmp_path):
    path = tmp_path / "own_64.h5"
    write_legacy(theirs, path)
    with h5py.File(path, "a") as file:  # the last layers first, which no file of a network has
        file.attrs["layer_names"] = list(file.attrs["layer_names"])[::-1]
    refused(path, r"expected the weights of mobilenet_v1_0\.25_64, got others \(.+\)")
