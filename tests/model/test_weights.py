"""The weight file: what goes in comes out, and nothing else gets in."""

import io

import keras
import numpy as np
import pytest

from edgenet import bundled
from edgenet.errors import EdgenetError
from edgenet.model import mobilenet, weights
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
    weights.load(other, path)
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
    weights.load(larger, path)
    assert weights.to_bytes(larger) == stored


def test_missing_file(other, tmp_path):
    with pytest.raises(EdgenetError, match=r"none\.npz: expected a weight file, found none$"):
        weights.load(other, tmp_path / "none.npz")


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
    "empty": lambda data: b"",
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
        EdgenetError, match=r"weights\.npz: expected a weight file \(\.npz\), found something "
    ) as caught:
        weights.load(other, path)
    assert "\n" not in str(caught.value)
    assert weights.to_bytes(other) == before


@pytest.mark.parametrize(
    ("spec", "differs"),
    [
        (ModelSpec(size=32, alpha=0.5, classes=5), r"stem_convolution/kernel of shape \(3, 3, 3, 8\)"),
        (ModelSpec(size=32, alpha=0.25, classes=6), r"logits/kernel of shape \(1, 1, 256, 5\)"),
        (ModelSpec(size=32, alpha=0.25, depth_multiplier=2, classes=5), r"block01_depthwise/kernel of shape "),
    ],
    ids=["alpha", "classes", "depth multiplier"],
)
def test_weights_of_another_width(other, tmp_path, spec, differs):
    before = weights.to_bytes(other)
    path = tmp_path / "weights.npz"
    path.write_bytes(weights.to_bytes(mobilenet.build(spec)))
    text = (
        rf"weights\.npz: expected {differs}.* for mobilenet_v1_0\.25_32, found \(.*\); the file was made for another "
    )
    with pytest.raises(EdgenetError, match=text):
        weights.load(other, path)
    assert weights.to_bytes(other) == before


def test_weights_of_another_network(other, tmp_path):
    path = tmp_path / "weights.npz"
    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="only")])
    path.write_bytes(weights.to_bytes(small))
    text = r"weights\.npz: expected the weights of mobilenet_v1_0\.25_32, found another model's \(.* differs\)$"
    with pytest.raises(EdgenetError, match=text):
        weights.load(other, path)


def test_bundled_weights_belong_to_the_bundled_model():
    model = weights.bundled()
    assert model.name == bundled.SPEC.name == "mobilenet_v1_0.5_96"
    assert model.output_shape == (None, 10)
    assert weights.to_bytes(model) == weights.to_bytes(weights.bundled())
    assert all(np.isfinite(variable.numpy()).all() for variable in model.weights)
    assert bundled.WEIGHTS.stat().st_size <= 2_000_000
