"""The bundled model, its bundle and its images, made once for all benchmarks."""

import numpy as np
import pytest

from edgenet.images import bundled, preprocess
from edgenet.images import labels as class_names
from edgenet.quiet import quiet


@pytest.fixture(scope="session")
def model():
    """The Keras model that comes with edgenet."""
    with quiet():
        from edgenet.model import weights

        return weights.bundled()


@pytest.fixture(scope="session")
def classifier(model):
    """The same, as export takes it."""
    with quiet():
        from edgenet.model import keras_model

        return keras_model.from_keras(model, bundled.SPEC.name)


@pytest.fixture(scope="session")
def export(model):
    """Does what `edgenet export` does with a loaded model, to a folder that is not there yet."""
    with quiet():
        from edgenet.exporter import Inputs, export
        from edgenet.images import splits
        from edgenet.model import keras_model

    labels = class_names.read(bundled.LABELS)

    def run(folder):
        with quiet():
            split = splits.from_folders(bundled.CALIBRATION, bundled.EVALUATION, labels)
            # Made anew, because it keeps its traces.
            classifier = keras_model.from_keras(model, bundled.SPEC.name)
            return export(Inputs(classifier, bundled.SPEC.name, labels, split), folder)

    return run


@pytest.fixture(scope="session")
def recipe(classifier):
    """From an image to the model's input."""
    return classifier.recipe


@pytest.fixture(scope="session")
def bundle(export, tmp_path_factory):
    """The bundle of the bundled model. Not to be changed."""
    return export(tmp_path_factory.mktemp("bundle") / bundled.SPEC.name)


@pytest.fixture(scope="session")
def paths(bundle):
    """Its 1,000 evaluation images."""
    return [bundle.file(image.file) for image in bundle.manifest.evaluation]


@pytest.fixture(scope="session")
def image(paths, recipe) -> np.ndarray:
    """The first of them, uint8 (1, 96, 96, 3)."""
    return preprocess.load(paths[0], recipe)[None]
