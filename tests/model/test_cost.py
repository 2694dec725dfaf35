"""The cost table against published figures, and against the network that Keras builds."""

import keras
import numpy as np
import pytest

from edgenet.model import cost, mobilenet
from edgenet.records import ModelSpec


def multiply_adds(alpha: float = 1.0, size: int = 224) -> dict[str, int]:
    return {layer.name: layer.multiply_adds for layer in cost.layers(ModelSpec(size=size, alpha=alpha, classes=1000))}


def millions(count: int) -> int:
    return round(count / 1e6)


def kernels(spec: ModelSpec) -> dict[str, int]:
    """Parameters of the convolutions alone: without the four of a batch-normalized channel, and without biases."""
    return {
        layer.name: layer.parameters - {"pool": 0, "logits": 1}.get(layer.name, 4) * layer.shape[2]
        for layer in cost.layers(spec)
    }


@pytest.mark.parametrize(("alpha", "published"), [(1.0, 569), (0.75, 325), (0.5, 149), (0.25, 41)])
def test_multiply_adds_at_224_are_the_papers(alpha, published):
    # arXiv:1704.04861, table 6.
    assert millions(sum(multiply_adds(alpha).values())) == published


@pytest.mark.parametrize(("size", "published"), [(224, 569), (192, 418), (160, 290), (128, 186)])
def test_multiply_adds_at_other_resolutions_are_the_papers(size, published):
    # arXiv:1704.04861, table 7. At 160 pixels the sum is 290.68: the paper cuts it off where the others are rounded.
    total = sum(multiply_adds(size=size).values())
    assert (int(total / 1e6) if size == 160 else millions(total)) == published


@pytest.mark.parametrize(
    ("alpha", "published"),
    [
        (1.0, {224: 569, 192: 418, 160: 291, 128: 186}),
        (0.75, {224: 317, 192: 233, 160: 162, 128: 104}),
        (0.5, {224: 150, 192: 110, 160: 77, 128: 49}),
        # 34 million at 192 pixels is left out: a misprint, since (192/224)**2 of 41 million is 30.
        (0.25, {224: 41, 160: 21, 128: 14}),
    ],
)
def test_multiply_adds_are_tf_slims(alpha, published):
    # The table in TF-slim's nets/mobilenet_v1.md. It differs from the paper's in two ways, found by matching all of
    # its rows: the four at alpha 0.75 leave the first convolution out (8.1 million at 224 pixels), and the additions
    # of the pooling are counted, which lifts alpha 0.5 at 224 pixels from 149.497 over 149.5.
    for size, expected in published.items():
        pooled = next(layer for layer in cost.layers(ModelSpec(size=size, alpha=alpha)) if layer.name == "pool")
        pooling = (size // 32) ** 2 * pooled.shape[2]
        layers = multiply_adds(alpha, size)
        left_out = layers["stem_convolution"] if alpha == 0.75 else 0
        assert millions(sum(layers.values()) + pooling - left_out) == expected, size


@pytest.mark.parametrize(("alpha", "published"), [(1.0, 4.2), (0.75, 2.6), (0.5, 1.3), (0.25, 0.5)])
def test_parameters_are_the_papers(alpha, published):
    # arXiv:1704.04861, table 6. The shares in its table 2 (next test) tell that it counts the kernels alone.
    assert round(sum(kernels(ModelSpec(alpha=alpha, classes=1000)).values()) / 1e6, 1) == published


@pytest.mark.parametrize(("alpha", "published"), [(1.0, 4.24), (0.75, 2.59), (0.5, 1.34), (0.25, 0.47)])
def test_parameters_are_tf_slims(alpha, published):
    # The table in TF-slim's nets/mobilenet_v1.md: all parameters, but three for a batch-normalized channel, not four.
    layers = cost.layers(ModelSpec(alpha=alpha, classes=1000))
    channels = sum(layer.shape[2] for layer in layers if layer.name not in ("pool", "logits"))
    assert round((sum(layer.parameters for layer in layers) - channels) / 1e6, 2) == published


@pytest.mark.parametrize(
    ("part", "adds", "parameters"), [("pointwise", 94.86, 74.59), ("depthwise", 3.06, 1.06), ("logits", 0.18, 24.33)]
)
def test_shares_of_the_kinds_of_layers_are_the_papers(part, adds, parameters):
    # arXiv:1704.04861, table 2, in percent. Its fourth line, 1.19 % of the multiply-adds in the first convolution, is
    # not checked: the four lines add up to 99.29 %, and to 100 % with the 1.91 % that it is.
    for shares, published in ((multiply_adds(), adds), (kernels(ModelSpec(classes=1000)), parameters)):
        share = sum(value for name, value in shares.items() if part in name) / sum(shares.values())
        assert round(100 * share, 2) == published


def test_standard_convolutions_instead_cost_what_the_paper_says():
    # arXiv:1704.04861, table 4: 4,866 million with standard convolutions, which leaves the classifier's million out.
    blocks = cost.blocks(ModelSpec(classes=1000))
    assert millions(sum(block.standard for block in blocks) + multiply_adds()["stem_convolution"]) == 4866


@pytest.mark.parametrize(("channels", "size", "published"), [(512, 14, 52.3), (384, 14, 29.6), (384, 10, 15.1)])
def test_an_inner_layer_costs_what_the_paper_says(channels, size, published):
    # arXiv:1704.04861, table 3: 14 x 14 x 512, thinned to 0.75, at a resolution of 0.714.
    assert round(cost.separable(3, channels, channels, size) / 1e6, 1) == published


def test_the_example_of_56_pixels_exactly():
    # 3*3*16*32*56*56, and 3*3*16*56*56 + 16*32*56*56.
    assert cost.standard(3, 16, 32, 56) == 14_450_688
    assert cost.separable(3, 16, 32, 56) == 2_057_216


def test_saving_of_a_block_is_the_papers_formula():
    # Section 3.1: separable / standard = 1/N + 1/Dk**2, exactly; the quotient of two integers rounds once.
    filters = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    blocks = cost.blocks(ModelSpec())
    assert [block.name for block in blocks] == [f"block{number:02d}" for number in range(1, 14)]
    for block, outputs in zip(blocks, filters, strict=True):
        assert block.saving == pytest.approx(1 / (1 / outputs + 1 / 9), rel=1e-12)


SPECS = [
    ModelSpec(),
    ModelSpec(size=96, alpha=0.5, classes=10),
    ModelSpec(size=32, alpha=0.05, classes=2),
    ModelSpec(size=160, alpha=0.35, classes=1000),
    ModelSpec(size=64, alpha=0.25, depth_multiplier=3),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_table_agrees_with_the_network_that_keras_builds(spec):
    model, table = mobilenet.build(spec), cost.layers(spec)
    assert sum(layer.parameters for layer in table) == model.count_params()

    # A convolution applies its whole kernel (height, width, inputs, outputs; or filters, where it is depthwise) once
    # at each place of its output.
    applied = {
        layer.name: int(np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3]))
        for layer in model.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D))
    }
    assert {layer.name: layer.multiply_adds for layer in table} == {**applied, "pool": 0}

    for layer in table:
        assert layer.shape == model.get_layer(layer.name).output.shape[1:], layer.name


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_blocks_are_sums_of_their_layers(spec):
    adds = {layer.name: layer.multiply_adds for layer in cost.layers(spec)}
    for block in cost.blocks(spec):
        assert block.separable == adds[f"{block.name}_depthwise"] + adds[f"{block.name}_pointwise"]
