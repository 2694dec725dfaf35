"""Whole models in mobile libraries: all variants of the bundled one and of ImageNet's, and models that they reject."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenet.apps.conformance import examine
from edgenet.apps.library_process import LibraryProcess
from edgenet.bundle.bundle import Bundle
from edgenet.convert.options import Options
from edgenet.images import splits
from edgenet.quiet import quiet

ALL = ["float32", "float16", "dynamic", "int8"]

pytestmark = pytest.mark.slow


def exported(keras_model, folder: Path, labels, chosen, options: Options = Options()) -> Bundle:
    with quiet():
        from edgenet.exporter import Inputs, export
        from edgenet.model import keras_model as models

        classifier = models.from_keras(keras_model, "model")
        return export(Inputs(classifier, "model", labels, chosen), folder / "plain", options)


# Of 200 of ImageNet's photos, dynamic in the Task Library: 3, where the first two classes are within 0.004.
WITHIN_TOLERANCE = {("imagenet_bundle", "dynamic"): 6}


@pytest.mark.parametrize("name", ["bundled_bundle", "imagenet_bundle"])
def test_all_variants_agree_on_all_of_200_images(request, library, name):
    (report,) = examine(request.getfixturevalue(name), libraries=[library], images=200)
    print(report)
    assert report.images == 200
    assert [checked.variant for checked in report.variants] == ALL
    for checked in report.variants:
        assert (checked.problem, checked.loaded, checked.labelled) == (None, True, 200)
        assert checked.equal + checked.ties + checked.within_tolerance == 200
        assert checked.within_tolerance <= WITHIN_TOLERANCE.get((name, checked.variant), 0)


@pytest.fixture(scope="module")
def rejected(tiny_model, pictures, labels, tmp_path_factory) -> dict[str, tuple[Bundle, str]]:
    """Bundles that the libraries reject, and why."""
    with quiet():
        import keras

        grey = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Flatten(), keras.layers.Dense(4, "softmax")])
    chosen = splits.from_folders(pictures / "calibration", pictures / "evaluation", labels)
    made = {}
    for name, model, options, reason in (
        ("batch", tiny_model, Options(batch=4), "its input is a batch of 4 images; export it with batch size 1"),
        (
            "int8",
            tiny_model,
            Options(interface="int8"),
            "its input or output is int8; export it with uint8 input and output",
        ),
        ("grey", grey, Options(), "its input is greyscale"),
    ):
        folder = tmp_path_factory.mktemp(name)
        options = replace(options, variants=("int8",) if name == "int8" else ("float32",))
        made[name] = exported(model, folder, labels, chosen, options), reason
    return made


def test_scores_below_0(library, pictures, labels, tmp_path):
    with quiet():
        import keras

        far_below = keras.initializers.Constant(-50.0)
        layers = [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4, bias_initializer=far_below)]
        model = keras.Sequential(layers)
    bundle = exported(
        model, tmp_path, labels, splits.from_folders(pictures / "calibration", pictures / "evaluation", labels)
    )
    assert bundle.manifest.scores == "logits"
    (report,) = examine(bundle, libraries=[library])
    assert report.problems == {}
    # dynamic, too: the Task Library is older than the operator that the current converter makes of a dense layer.
    assert {*report.passed} == {*ALL}


# How the message of both libraries begins.
REJECTIONS = {
    "batch": "The input tensor should have dimensions 1 x height x width x ",
    "int8": "Type mismatch for input tensor ",
    "grey": "Only RGB color space is supported",
}


@pytest.mark.parametrize("name", list(REJECTIONS))
def test_unsupported_models_are_those_that_the_library_rejects(rejected, library, name, tmp_path):
    bundle, reason = rejected[name]
    (report,) = examine(bundle, libraries=[library], images=3)
    (variant,) = bundle.manifest.variants
    assert report.conformance().outcome == "not possible"
    assert report.conformance().unsupported == {variant.name: reason}
    np.save(tmp_path / "pixels.npy", np.zeros((1, 32, 32, 3), np.uint8))
    process = LibraryProcess(library, {"it": bundle.file(variant.file)}, tmp_path / "pixels.npy", ())
    response = process.response()
    process.close()
    assert response.outputs["it"].problem.startswith(REJECTIONS[name])
