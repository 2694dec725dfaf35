"""A model's own pre-processing is recognized, and the input range that is said instead gives the same values."""

import re

import numpy as np
import pytest
from recipes import square

from edgenet.diagnosis.preprocessing_layers import PreprocessingLayers
from edgenet.images.input_range import InputRange, as_text
from edgenet.quiet import quiet
from edgenet.tflite.graph import Graph
from edgenet.tflite.layer_names import LayerNames

RAW = InputRange.parse("0,255")
MEAN, VARIANCE = [123.675, 116.28, 103.53], [3411.0, 3262.0, 3291.0]


CASES = {
    "Rescaling": (lambda layers: [layers.Rescaling(1 / 127.5, -1.0)], "rescaling", "-1,1"),
    "Normalization": (lambda layers: [layers.Normalization(mean=MEAN, variance=VARIANCE)], "normalization", None),
    "both": (
        lambda layers: [layers.Rescaling(1 / 255), layers.Normalization(mean=[0.5] * 3, variance=[0.0625] * 3)],
        "rescaling,normalization",
        "-2,2",
    ),
}


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[Graph, object]]:
    """The float32 file and the layers of each case."""
    with quiet():
        import keras
        from keras import layers

        from edgenet.convert.converter import Converter
        from edgenet.model import keras_model

        found = {}
        for name, (before, *_) in CASES.items():
            keras.utils.clear_session()
            own = before(layers)
            # Padding keeps what is added apart from the convolution.
            body = [layers.Conv2D(4, 3, padding="same"), layers.GlobalAveragePooling2D(), layers.Dense(3)]
            model = keras.Sequential([keras.Input((16, 16, 3)), *own, *body, layers.Softmax()])
            classifier = keras_model.from_keras(model, "own", input_range=RAW)
            found[name] = Graph(Converter(classifier).float32()), own
        return found


@pytest.mark.parametrize("name", CASES)
def test_the_input_range_that_is_suggested_gives_the_same_values(made, name):
    graph, own = made[name]
    layers = PreprocessingLayers.find(graph, 3)
    assert len(layers.positions) >= 1
    finding = layers.finding(LayerNames(graph), RAW.recipe(16, 16, 3))
    (numbers,) = re.findall(r"input_range=(\S+) instead", finding.text)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3)).astype(np.float32)
    expected = pixels
    for layer in own:
        expected = np.asarray(layer(expected))
    new = InputRange.parse(numbers)
    # Five digits of the numbers, of values up to 4.
    np.testing.assert_allclose((pixels - np.array(new.mean)) / np.array(new.std), expected, rtol=0, atol=1e-3)
    if CASES[name][2]:
        assert numbers == CASES[name][2]


@pytest.mark.parametrize("name", CASES)
def test_the_layers_are_named_as_the_models_own(made, name):
    graph, _ = made[name]
    finding = PreprocessingLayers.find(graph, 3).finding(LayerNames(graph), RAW.recipe(16, 16, 3))
    names = CASES[name][1]
    assert finding.text.startswith(f"{names.replace(',', ' and ')}: your model's own pre-processing")
    assert f"(drop_layer={names}, or build the model without)" in finding.text


def test_the_order_of_channels_is_that_of_the_option(made):
    graph, _ = made["Normalization"]
    recipe = InputRange(RAW.mean, RAW.std, "BGR").recipe(16, 16, 3)
    text = PreprocessingLayers.find(graph, 3).finding(LayerNames(graph), recipe).text
    means = [float(number) for number in re.findall(r"input_range=(\S+) ", text)[0].split(",")][:3]
    np.testing.assert_allclose(means, MEAN[::-1], rtol=1e-4)


def test_learned_layers_are_not_pre_processing(net, converter):
    assert PreprocessingLayers.find(Graph(converter(net).float32()), 3).positions == ()


@pytest.mark.parametrize("text", ["-1,1", "0,1", "0,255", "123.68,116.779,103.939,58.393,57.12,57.375", "-2.5,3.75"])
def test_an_input_range_as_text_is_read_as_the_same(text):
    recipe = InputRange.parse(text).recipe(16, 16, 3)
    again = InputRange.parse(as_text(recipe)).recipe(16, 16, 3)
    np.testing.assert_allclose([*again.mean, *again.std], [*recipe.mean, *recipe.std], rtol=1e-7, atol=1e-6)
    assert as_text(square(16)) == "-1,1"
