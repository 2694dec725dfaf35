"""Operators of a .tflite file are found by the names that Keras layers have, as TensorFlow writes them."""

import re
from types import SimpleNamespace

import pytest

from edgenet.errors import EdgenetError
from edgenet.tflite.layer_names import LayerNames

# Of a MobileNet that was traced by TensorFlow 2.19; the last one is renamed by the export.
TRACED = (
    "net_1/stem_relu6_1/Relu6;net_1/stem_bn_1/batchnorm/add_1;net_1/stem_1/convolution;net_1/stem_bn_1/batchnorm/sub1",
    "net_1/deep_relu6_1/Relu6;net_1/deep_1/depthwise;net_1/deep_bn_1/batchnorm/sub",
    "net_1/conv2d_1_1/Relu;net_1/conv2d_1_1/convolution",
    "net_1/conv2d_2_2/convolution",
    "scores",
)
NESTED = (
    "functional_5_1/normalization_1/Sub",
    "functional_5_1/normalization_1/truediv;functional_5_1/normalization_1/Maximum",
    "functional_5_1/backbone_1/conv2d_1/Relu;functional_5_1/backbone_1/conv2d_1/convolution",
    "functional_5_1/backbone_1/conv2d_1_1/convolution",
    "functional_5_1/head_1/MatMul",
    "scores",
)
# tf-keras does not add anything.
PLAIN = ("model/first/Relu;model/first/Conv2D", "model/second_1/Conv2D", "model/dense/MatMul", "Identity")


def names(full: tuple[str, ...]) -> LayerNames:
    graph = SimpleNamespace(operators=list(full), full_name=lambda name: name)
    return LayerNames(graph)


@pytest.mark.parametrize(
    ("full", "name", "positions"),
    [
        (TRACED, "stem", [0]),  # each of the fused layers
        (TRACED, "stem_bn", [0]),
        (TRACED, "stem_relu6", [0]),
        (TRACED, "stem_bn_1", [0]),  # as the file has it
        (TRACED, "net_1/conv2d_2_2/convolution", [3]),
        (TRACED, TRACED[1], [1]),
        (TRACED, "conv2d_1", [2]),  # Keras' name, not that of TensorFlow for conv2d
        (TRACED, "conv2d_2", [3]),
        (TRACED, "scores", [4]),
        (TRACED, "net", []),  # all of the model
        (TRACED, "net_1", []),
        (TRACED, "Relu6", []),
        (NESTED, "backbone", [2, 3]),
        (NESTED, "normalization", [0, 1]),
        (NESTED, "normalization/Sub", [0]),
        (NESTED, "backbone/conv2d", [2]),
        (NESTED, "conv2d", [2]),
        (NESTED, "conv2d_1", [3]),
        (PLAIN, "second_1", [1]),
        (PLAIN, "first", [0]),
        (PLAIN, "second", []),
    ],
)
def test_a_layer_is_found_by_its_name(full, name, positions):
    assert names(full).find(name) == positions


@pytest.mark.parametrize("full", [TRACED, NESTED, PLAIN])
def test_each_operator_is_found_alone_by_the_name_that_is_shown(full):
    layers = names(full)
    for position in range(len(full)):
        assert layers.find(layers.shown(position)) == [position]


def test_names_are_short_and_without_what_tensorflow_adds():
    shown = [names(TRACED).shown(position) for position in range(len(TRACED))]
    assert shown == ["stem_bn", "deep_bn", "conv2d_1", "conv2d_2", "scores"]
    shown = [names(NESTED).shown(position) for position in range(len(NESTED))]
    assert shown[:4] == ["normalization/Sub", "normalization/Maximum", "backbone/conv2d", "backbone/conv2d_1"]


@pytest.mark.parametrize(
    ("chosen", "positions"),
    [
        (["deep"], [1]),
        (["conv2d_2", "stem"], [0, 3]),
        (["until:conv2d_1"], [0, 1, 2]),
        (["from:conv2d_2"], [3, 4]),
        (["until:stem", "from:scores", "stem"], [0, 4]),
        ([], []),
    ],
)
def test_layers_are_selected_alone_and_up_to_or_from_one(chosen, positions):
    assert names(TRACED).select(chosen) == positions


def test_a_nested_model_is_selected_to_its_last_operator():
    assert names(NESTED).select(["until:backbone"]) == [0, 1, 2, 3]
    assert names(NESTED).select(["from:backbone"]) == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("until:conv2d_3", "keep_float: the model has no layer 'conv2d_3'; similar names: "),
        ("xyz", "keep_float: the model has no layer 'xyz'; its first layers: stem_bn, deep_bn, conv2d_1"),
        ("", "keep_float: the model has no layer ''; its first layers: "),
    ],
)
def test_another_name_is_an_error_with_names_that_are_there(name, text):
    with pytest.raises(EdgenetError, match=f"^{re.escape(text)}"):
        names(TRACED).select([name])
