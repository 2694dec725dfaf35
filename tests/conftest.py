"""What several tests need: a small model with seeded weights, pictures, bundles made of them, and commands."""

import os
import random
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from drawn_images import draw
from places import IMAGENET
from recipes import RECIPE, square

from edgenet.cli.main import main
from edgenet.images import labels as class_names
from edgenet.progress import SILENT
from edgenet.quiet import quiet

# Fixtures that tests of several folders share.
pytest_plugins = ["quantizer_fixtures", "runner_fixtures"]

SIZE = 32
LABELS = ["ant", "bee", "cat", "sea urchin"]
# 43 evaluation pictures: no multiple of a chunk (16) or of a batch of 4, so the last ones are shorter.
SPLITS = {"calibration": (6, 6, 6, 6), "evaluation": (11, 11, 11, 10)}


def pytest_collection_modifyitems(items) -> None:
    """The longest test comes first: begun last, it would keep one process busy while the others are done."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Keras' initializers draw their seeds from Python's: models that a test makes are the same in every run."""
    random.seed(20)


@pytest.fixture(scope="session", autouse=True)
def cache_of_tests(tmp_path_factory):
    """A cache of its own for each run of the tests, child processes included, and not that of the user."""
    place = tmp_path_factory.mktemp("cache")
    matplotlib = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place))
        # Matplotlib's list of fonts takes seconds to make.
        patch.setenv("MPLCONFIGDIR", os.environ.get("MPLCONFIGDIR") or str(matplotlib))
        yield place


@pytest.fixture
def progress():
    """A Progress that is silent."""
    return SILENT


@pytest.fixture
def run_here(tmp_path, monkeypatch, capfd):
    """Run a command of edgenet in this process. It gives its exit code and what it wrote, as `subprocess.run` does."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    monkeypatch.chdir(tmp_path)

    def run_one(*arguments) -> subprocess.CompletedProcess:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())

    yield run_one
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def labels() -> list[str]:
    """The class names of `tiny_model` and `pictures`."""
    return list(LABELS)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """A folder with calibration/, evaluation/ (each with a folder for each class) and labels.txt. Not to be changed."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(7)
    for split, counts in SPLITS.items():
        for label, count in zip(LABELS, counts, strict=True):
            place = folder / split / label.replace(" ", "_")
            place.mkdir(parents=True)
            for number in range(count):
                # Square ones and wide ones, so that the central square is cut out of some.
                draw(random, 28, (28, 40)[number % 2]).save(place / f"{number:02d}.png")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_model(pictures):
    """A Keras MobileNetV1 (32 px, alpha 0.25, four classes) whose scores differ between pictures. Not to be changed."""
    with quiet():
        from edgenet.images import listing, preprocess
        from edgenet.model import mobilenet
        from edgenet.records import ModelSpec

        model = mobilenet.build(ModelSpec(size=SIZE, alpha=0.25, classes=len(LABELS)))
        random = np.random.default_rng(11)
        for variable in model.weights:
            shape = tuple(variable.shape)
            if len(shape) == 4:
                inputs = 9 if "depthwise" in variable.path else int(np.prod(shape[:3]))
                variable.assign(random.normal(0, (2 / inputs) ** 0.5, shape))
            elif variable.name in ("gamma", "beta"):
                # Mostly between the two bends of ReLU6, where a random network does not blow rounding up.
                variable.assign(random.uniform(0.5, 1.0 if variable.name == "gamma" else 1.5, shape))
        # One pass without momentum gives each batch normalization the statistics of its own input, as training would.
        paths = listing.find_images(pictures / "calibration").paths
        seen = preprocess.normalize(np.stack(list(preprocess.load_all(paths, square(SIZE)))), RECIPE)
        norms = [layer for layer in model.layers if layer.name.endswith("_bn")]
        momentum = norms[0].momentum
        for layer in norms:
            layer.momentum = 0.0
        model(seen, training=True)
        for layer in norms:
            layer.momentum = momentum
        # The mean logit of each class goes, or one class would win nearly everywhere.
        model.get_layer("logits").bias.assign(-np.log(model(seen, training=False).numpy()).mean(axis=0))
    return model


@pytest.fixture(scope="session")
def tiny_bundle(tiny_model, pictures, labels, tmp_path_factory):
    """The bundle of `tiny_model`. A test that changes it copies its folder first."""
    with quiet():
        from edgenet.exporter import Inputs, export
        from edgenet.images import splits
        from edgenet.model import keras_model

        split = splits.from_folders(pictures / "calibration", pictures / "evaluation", labels)
        inputs = Inputs(keras_model.from_keras(tiny_model, "tiny"), "tiny", labels, split)
        return export(inputs, tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture(scope="session")
def exported_once(tmp_path_factory):
    """Returns the bundle of a name, exported by the first process of this run that needs it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def bundle_of(name: str, inputs):
        with quiet():
            from edgenet.bundle import bundle as bundles
            from edgenet.exporter import export

            folder = root / "exported" / name
            with closing(sqlite3.connect(root / f"{name}.lock", timeout=600, isolation_level=None)) as lock:
                lock.execute("BEGIN EXCLUSIVE")  # waits for another process that exports it
                return bundles.load(folder) if folder.exists() else export(inputs(), folder)

    return bundle_of


@pytest.fixture(scope="session")
def bundled_bundle(exported_once):
    """The bundle of the model that comes with edgenet, as `edgenet export` makes it. Not to be changed."""

    def inputs():
        from edgenet.exporter import Inputs
        from edgenet.images import bundled, splits
        from edgenet.model import keras_model, weights
        from edgenet.records import Resize

        labels = class_names.read(bundled.LABELS)
        split = splits.from_folders(bundled.CALIBRATION, bundled.EVALUATION, labels)
        # As the command does: the bundled model keeps the way of resizing that it was trained with.
        classifier = keras_model.from_keras(weights.bundled(), bundled.SPEC.name, default_resize=Resize())
        return Inputs(classifier, bundled.SPEC.name, labels, split)

    return exported_once("mobilenet_v1_0.5_96", inputs)


@pytest.fixture(scope="session")
def imagenet_bundle(exported_once):
    """A bundle of Keras Applications' weights (alpha 0.75, 224 px): 100 photos calibrate, 300 are evaluated. Not to be
    changed."""
    if not IMAGENET.is_dir():
        pytest.skip("needs ImageNet photos and weights in ../shared/imagenet")

    def inputs():
        from edgenet.exporter import Inputs
        from edgenet.images import splits
        from edgenet.model import keras_model, weights
        from edgenet.model.weights import ExpectedSpec

        labels = class_names.imagenet()
        model = weights.load(IMAGENET / "mobilenet_7_5_224_tf.h5", ExpectedSpec(224, 0.75, 1000))
        split = splits.from_folders(IMAGENET / "images", None, labels)
        return Inputs(keras_model.from_keras(model, "imagenet"), "imagenet", labels, split)

    return exported_once("imagenet", inputs)
