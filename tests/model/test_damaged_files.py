"""Damaged and hostile model files: one line each, and neither all memory nor other files."""

import json
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from edgenet.errors import EdgenetError
from edgenet.model import container, keras_model, memory, weights
from edgenet.model.weights import ExpectedSpec

FORMATS = ("model.keras", "model.h5")
LAYERS = keras.layers


def build(*layers) -> keras.Model:
    keras.utils.set_random_seed(4)
    x = image = keras.Input((8, 8, 3))
    for layer in layers:
        x = layer(x)
    return keras.Model(image, LAYERS.Dense(5, name="logits")(LAYERS.GlobalAveragePooling2D()(x)))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build(LAYERS.Conv2D(4, 3, activation="relu", name="convolution"))


@pytest.fixture(params=FORMATS)
def path(request, model, tmp_path) -> Path:
    """A good file, to be spoilt."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls .h5 legacy
        model.save(tmp_path / request.param)
    return tmp_path / request.param


def refused(path: Path, text: str, load=keras_model.load) -> None:
    with pytest.raises(EdgenetError, match=text) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, content: dict[str, bytes], **more) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**content, **more}.items():
            archive.writestr(name, data)


def edit(path: Path, change) -> None:
    """Change the configuration in a .keras or .h5 file: its text, to another."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = change(file.attrs["model_config"])
        return
    content = members(path)
    pack(path, {**content, "config.json": change(content["config.json"].decode()).encode()})


def edit_layer(path: Path, name: str, change) -> None:
    """Change one layer's entry in the configuration, in place."""

    def apply(text: str) -> str:
        config = json.loads(text)
        change(next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == name))
        return json.dumps(config)

    edit(path, apply)


# Names in the configuration


def _named(class_name: str, module: str | None = None, **config):
    def change(layer: dict) -> None:
        layer.update(class_name=class_name, module=module, registered_name=None)
        layer["config"] = {"name": "convolution", **config}

    return change


def _initializer(value):
    def change(layer: dict) -> None:
        layer["config"]["kernel_initializer"] = value

    return change


def _activation(config, module="builtins"):
    def change(layer: dict) -> None:
        layer["config"]["activation"] = {
            "class_name": "function",
            "config": config,
            "module": module,
            "registered_name": "function",
        }

    return change


HOSTILE = {
    "a SavedModel somewhere": (_named("TFSMLayer", "keras.layers", filepath="elsewhere"), "TFSMLayer"),
    "pickled torch": (_named("TorchModuleWrapper", "keras.layers", name="x"), "TorchModuleWrapper"),
    "jax": (_named("JaxLayer", "keras.layers"), "JaxLayer"),
    "a file of words": (_named("StringLookup", "keras.layers", vocabulary="/etc/passwd"), "StringLookup"),
    "a file of text": (_named("TextVectorization", "keras.layers", vocabulary="/etc/passwd"), "TextVectorization"),
    "the system": (_named("system", "os", command="true"), r"os\.system"),
    "a subprocess": (_named("Popen", "subprocess", args="true"), r"subprocess\.Popen"),
    "a download": (_named("get_file", "keras.utils", fname="x"), r"keras\.utils\.get_file"),
    "another model": (_named("load_model", "keras.models", filepath="x"), r"keras\.models\.load_model"),
    "a function of Keras": (_named("deserialize", "keras.layers", config={}), "deserialize"),
    "another package": (_named("Conv2D", "antigravity", filters=4, kernel_size=3), r"antigravity\.Conv2D"),
    "an initializer": (_initializer({"class_name": "system", "module": "os", "config": {}}), r"os\.system"),
    "marshalled code": (_initializer({"class_name": "__lambda__", "config": {"value": "x"}}), "a Lambda layer"),
    "a type of TensorFlow": (
        _initializer({"class_name": "__typespec__", "spec_name": "x", "module": "os", "config": []}),
        "__typespec__",
    ),
    "an activation": (_activation("get_file", "keras.utils"), r"keras\.utils\.get_file"),
    "an activation of a module": (_activation("deserialize"), "deserialize"),
    "an activation of the system": (_activation("system", "os"), r"os\.system"),
    "no name": (_named(7), "7"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_not_of_a_network_are_refused_before_keras_reads_them(path, monkeypatch, name):
    monkeypatch.setattr(keras.models, "load_model", lambda *a, **k: pytest.fail("Keras was asked to build the model"))
    change, text = HOSTILE[name]
    edit_layer(path, "convolution", change)
    refused(path, text)


def test_a_lambda_with_whatever_spaces_and_escapes(path):
    edit_layer(path, "convolution", _named("Lambda"))
    edit(path, lambda text: text.replace('"class_name": "Lambda"', '"class_name"\n:\t"\\u004cambda"'))
    refused(path, "a Lambda layer, which is Python code; edgenet runs no code from model files")


def test_losses_and_metrics_of_the_users_own_are_no_reason_to_refuse(tmp_path):
    def own(labels, scores):
        return keras.ops.mean(scores)

    model = build()
    model.compile("adam", own)
    model.save(tmp_path / "own.keras")
    assert keras_model.load(tmp_path / "own.keras").classes == 5


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_the_layers_of_keras_are_accepted(tmp_path, format):
    model = build(
        LAYERS.RandomFlip(),
        LAYERS.Rescaling(0.5),
        LAYERS.Conv2D(4, 3, activation="gelu", kernel_regularizer="l2", kernel_constraint="max_norm"),
        LAYERS.SeparableConv2D(4, 1, activation=keras.activations.swish, depthwise_initializer="he_normal"),
        LAYERS.PReLU(shared_axes=[1, 2]),
        LAYERS.BatchNormalization(),
        LAYERS.TimeDistributed(LAYERS.Dense(4)),
        LAYERS.Activation("hard_silu"),
        keras.Sequential([LAYERS.Conv2D(4, 1), LAYERS.ReLU(6.0)]),
        LAYERS.Dropout(0.5),
    )
    model.save(tmp_path / format)
    assert keras_model.load(tmp_path / format).classes == 5


def test_operations_in_place_of_layers_are_accepted(tmp_path):
    model = build(lambda x: keras.ops.relu(x / 2 + 1) * keras.ops.sigmoid(x), lambda x: x[:, 1:, 1:])
    model.save(tmp_path / "own.keras")
    assert keras_model.load(tmp_path / "own.keras").classes == 5


@pytest.mark.slow
def test_layers_of_applications_are_accepted(tmp_path):
    with_own_layer = keras.applications.ConvNeXtTiny(weights=None, input_shape=(32, 32, 3), classes=5)
    with_own_layer.save(tmp_path / "own.keras")
    assert keras_model.load(tmp_path / "own.keras").classes == 5


# Declared sizes


def test_a_layer_of_a_billion_weights_in_a_small_file(path):
    def widen(layer: dict) -> None:
        layer["config"]["filters"] = 1_000_000_000

    edit_layer(path, "convolution", widen)
    refused(path, r"layer convolution has filters 1,000,000,000, but the file holds only \d+ bytes of weights")


@pytest.mark.slow  # TensorFlow tries for ten seconds
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the memory of data")
def test_a_kernel_of_gigabytes_in_a_small_file(path):
    def widen(layer: dict) -> None:
        layer["config"].update(kernel_size=[20_000, 20_000], padding="same")

    edit_layer(path, "convolution", widen)
    refused(path, "needs far more memory than the size of its file")


def test_an_array_of_terabytes_in_a_small_file(path):
    def declare(file: h5py.File) -> None:
        file.create_dataset("big", (10**6, 10**6), chunks=(10, 10), dtype="f4", compression="gzip")

    _edit_weights(path, declare)
    refused(path, r"declares 3,814,697 MiB of data in a file of 0\.\d\d MiB; it is damaged")


def _edit_weights(path: Path, change) -> None:
    inner = path
    if path.suffix == ".keras":
        content = members(path)
        inner = path.with_name("inner.h5")
        inner.write_bytes(content["model.weights.h5"])
    with h5py.File(inner, "r+") as file:
        change(file)
    if path.suffix == ".keras":
        pack(path, {**content, "model.weights.h5": inner.read_bytes()})
        inner.unlink()


@pytest.mark.parametrize("link", ["external", "soft", "storage", "virtual"])
def test_weights_in_another_file(path, tmp_path, link):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.ones(5, np.float32)

    def change(file: h5py.File) -> None:
        if link == "external":
            file["x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret")
        elif link == "soft":
            file["x"] = h5py.SoftLink("/y")
        elif link == "storage":
            file.create_dataset("x", (5,), "f4", external=[(str(tmp_path / "raw"), 0, 20)])
        else:
            layout = h5py.VirtualLayout((5,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", shape=(5,))
            file.create_virtual_dataset("x", layout)

    _edit_weights(path, change)
    refused(path, "save the model into one file")


@pytest.fixture
def archive(model, tmp_path) -> Path:
    model.save(tmp_path / "own.keras")
    return tmp_path / "own.keras"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "C:\\x", "..\\x"])
def test_members_that_would_be_unpacked_elsewhere(archive, name):
    pack(archive, {**members(archive), name: b"x"})
    refused(archive, "would be unpacked outside of its folder")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_share_a_name(archive):
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("config.json", "{}")
    refused(archive, "'config.json' is there twice")


def test_members_that_are_links(archive):
    link = zipfile.ZipInfo("assets")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "/etc")
    refused(archive, "'assets' is a link")


def test_members_that_no_keras_model_has(archive):
    # Keras unpacks the whole archive when there are more than three.
    pack(archive, {**members(archive), "assets/x": b"x"})
    refused(archive, "'assets/x' does not belong to a Keras model")


def test_a_member_that_unpacks_to_gigabytes(archive):
    with zipfile.ZipFile(archive) as file:
        kept = {name: file.read(name) for name in file.namelist() if name != "metadata.json"}
    # 200 MB of zeros, some 200 kB: more than 100 MiB and 20 times that.
    pack(archive, {**kept, "metadata.json": bytes(200_000_000)})
    refused(archive, "declares 191 MiB of data")


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", "7", '{"a":' * 5000 + "1" + "}" * 5000, '{"class_name": "Functional", "config": 7}']
)
def test_a_configuration_that_is_none(path, text):
    edit(path, lambda _: text)
    refused(path, ".+")


# Other things under a model's name

OTHERS = {
    "empty": (b"", "the file is empty; copy or download it again$"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n",
        "a Git LFS pointer, not the model itself; fetch the model with: git lfs pull$",
    ),
    "page": (b"\n<!DOCTYPE html><html><body>Sign in", "a web page, not a model; download the file itself$"),
    "text": (b"a text", "or only a part of one"),
}


@pytest.mark.parametrize("name", [*FORMATS, "weights_32.npz", "weights_32.h5", "own.weights.h5"])
@pytest.mark.parametrize("kind", OTHERS)
def test_what_else_is_found_under_such_names(tmp_path, name, kind):
    data, text = OTHERS[kind]
    (tmp_path / name).write_bytes(data)
    load = keras_model.load if name in FORMATS else lambda path: weights.load(path, ExpectedSpec(size=32))
    refused(tmp_path / name, text, load)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_stop_the_reader(tmp_path):
    os.mkfifo(tmp_path / "own.keras")
    refused(tmp_path / "own.keras", "a pipe, not a model file")


@pytest.mark.parametrize(
    ("written", "named"), [("a.keras", "a.h5"), ("b.h5", "b.keras"), ("c.h5", "c.model"), ("d.keras", "d")]
)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_the_content_tells_the_format(model, tmp_path, written, named):
    model.save(tmp_path / written)
    (tmp_path / written).rename(tmp_path / named)
    images = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    (scores,) = keras_model.load(tmp_path / named).scores([images])
    expected = model(images / np.float32(127.5) - 1, training=False).numpy()
    # The same graph: 1e-5 is some roundings (2**-24) of logits near 1.
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)


# .npz


def test_an_array_larger_than_its_member(tmp_path):
    path = tmp_path / "own_32.npz"
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    pack(path, {"a.npy": data})
    refused(path, "the array 'a.npy' is larger than its data", lambda path: weights.load(path, ExpectedSpec(size=32)))


# Precision


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_a_model_of_mixed_precision_is_loaded_in_float32(tmp_path, format, policy):
    def make(dtype):
        return build(LAYERS.Conv2D(4, 3, dtype=dtype), LAYERS.BatchNormalization(dtype=dtype), LAYERS.ReLU(dtype=dtype))

    mixed, full = make(policy), make("float32")
    full.set_weights(mixed.get_weights())
    logits = keras_model.from_keras(full, "own").notes
    mixed.save(tmp_path / format)
    classifier = keras_model.load(tmp_path / format)
    assert classifier.notes == (
        f"the model was saved with the dtype policy {policy}, which TensorFlow's converter cannot convert: its weights "
        "are loaded with the policy float32",
        *logits,
    )
    images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    (scores,) = classifier.scores([images])
    # The same weights, which are stored as float32: 1e-5 is some roundings (2**-24) of logits near 1.
    np.testing.assert_allclose(scores, full(images / np.float32(127.5) - 1).numpy(), rtol=0, atol=1e-5)
    # A model in memory too.
    (again,) = keras_model.from_keras(mixed, "own").scores([images])
    np.testing.assert_allclose(again, scores, rtol=0, atol=1e-5)
    assert "float32" not in " ".join(logits)


# Memory

_LIMITED = """
import numpy
from edgenet.model import memory
try:
    with memory.limited(0):
        numpy.ones(1 << 31)
except MemoryError:
    print("limited")
numpy.empty(1 << 31)
print("lifted")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the memory of data")
def test_memory_is_limited_and_the_limit_lifted():
    done = subprocess.run([sys.executable, "-c", _LIMITED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["limited", "lifted"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits the memory of data")
def test_a_stricter_limit_of_the_systems_own_stays():
    import resource  # Windows has none

    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory.limited(10**9):
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        with memory.limited(0):
            assert resource.getrlimit(resource.RLIMIT_DATA)[0] <= soft
        assert resource.getrlimit(resource.RLIMIT_DATA) == (soft, hard)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_what_a_file_may_declare():
    container.check_sizes(Path("x"), 100 * 2**20 + 20 * 1000, 1000)
    with pytest.raises(EdgenetError, match="it is damaged"):
        container.check_sizes(Path("x"), 100 * 2**20 + 20 * 1000 + 1, 1000)
