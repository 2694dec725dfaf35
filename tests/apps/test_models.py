"""Whole models in the libraries of apps: all variants of the bundled one and of ImageNet's, and what is not taken."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenet.apps.conformance import examine
from edgenet.apps.process import Process
from edgenet.bundle.bundle import Bundle
from edgenet.convert.options import Options
from edgenet.images import splits
from edgenet.progress import SILENT
from edgenet.quiet import quiet

ALL = ["float32", "float16", "dynamic", "int8"]

pytestmark = pytest.mark.slow


def exported(keras_model, folder: Path, labels, chosen, options: Options = Options()) -> Bundle:
    with quiet():
        from edgenet.exporter import export
        from edgenet.model import keras_model as models

        classifier = models.of_keras(keras_model, "model")
        return export(classifier, folder / "plain", SILENT, name="model", labels=labels, sets=chosen, options=options)


# Of 200 of ImageNet's photos, dynamic in the Task Library: 3, where the first two classes are within 0.004.
UNSETTLED = {("imagenet_bundle", "dynamic"): 6}


@pytest.mark.parametrize("name", ["bundled_bundle", "imagenet_bundle"])
def test_all_variants_agree_on_all_of_200_pictures(request, library, name):
    (examined,) = examine(request.getfixturevalue(name), libraries=[library], pictures=200)
    print(examined)
    assert examined.pictures == 200
    assert [asked.variant for asked in examined.asked] == ALL
    for asked in examined.asked:
        assert (asked.problem, asked.loaded, asked.labelled) == (None, True, 200)
        assert asked.equal + asked.ties + asked.unsettled == 200
        assert asked.unsettled <= UNSETTLED.get((name, asked.variant), 0)


@pytest.fixture(scope="module")
def refused(tiny_model, pictures, labels, tmp_path_factory) -> dict[str, tuple[Bundle, str]]:
    """Bundles with metadata that the libraries do not take, and why."""
    with quiet():
        import keras

        grey = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Flatten(), keras.layers.Dense(4, "softmax")])
    chosen = splits.choose(pictures / "calibration", pictures / "evaluation", labels)
    made = {}
    for name, model, options, reason in (
        ("batch", tiny_model, Options(batch=4), "it takes 4 pictures at once; export it with --batch 1"),
        ("int8", tiny_model, Options(interface="int8"), "it takes int8 input; export it with --io uint8"),
        ("grey", grey, Options(), "it takes grey pictures"),
    ):
        folder = tmp_path_factory.mktemp(name)
        options = replace(options, variants=("int8",) if name == "int8" else ("float32",))
        made[name] = exported(model, folder, labels, chosen, options), reason
    return made


def test_classes_below_0_are_given_too(library, pictures, labels, tmp_path):
    with quiet():
        import keras

        far_below = keras.initializers.Constant(-50.0)
        layers = [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4, bias_initializer=far_below)]
        model = keras.Sequential(layers)
    bundle = exported(model, tmp_path, labels, splits.choose(pictures / "calibration", pictures / "evaluation", labels))
    assert bundle.manifest.scores == "logits"
    (examined,) = examine(bundle, libraries=[library])
    assert examined.problems == {}
    assert {"float32", "float16", "int8"} <= {*examined.passed}
    # The Task Library is older than the operator that the current converter makes of a dense layer.
    why = {asked.variant: asked.impossible for asked in examined.asked if asked.impossible}
    assert all(
        name == "dynamic" and "an operator that this library is too old for" in text for name, text in why.items()
    )


# How the problem begins, in the words of both libraries.
REFUSALS = {
    "batch": "The input tensor should have dimensions 1 x height x width x ",
    "int8": "Type mismatch for input tensor ",
    "grey": "Only RGB color space is supported",
}


@pytest.mark.parametrize("name", list(REFUSALS))
def test_what_is_not_possible_is_what_the_library_refuses(refused, library, name, tmp_path):
    bundle, reason = refused[name]
    (examined,) = examine(bundle, libraries=[library], pictures=3)
    (variant,) = bundle.manifest.variants
    assert examined.record().outcome == "not possible"
    assert examined.record().impossible == {variant.name: reason}
    np.save(tmp_path / "pixels.npy", np.zeros((1, 32, 32, 3), np.uint8))
    process = Process(library, {"it": bundle.file(variant.file)}, tmp_path / "pixels.npy", ())
    answer = process.answer()
    process.close()
    assert answer.said["it"].problem.startswith(REFUSALS[name])
