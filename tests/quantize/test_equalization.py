"""Equalization: the model computes the same, its channels use more of their range, and harm is avoided."""

import numpy as np
import pytest

from edgenet.quantize import quantizer
from edgenet.quantize.equalization import MAX_FACTOR, Scope, apply, equalize
from edgenet.quantize.equalization_choice import choose_scope
from edgenet.quantize.ranges import measure_statistics
from edgenet.quiet import quiet
from edgenet.tflite.graph import Graph
from edgenet.tflite.logits import find_logits
from edgenet.tflite.operator_runner import OperatorRunner

# How far the ranges of neighbouring channels are apart.
SPREAD = 2.0 ** np.arange(-5, 3, 2)


def logits_of(graph: Graph, batch: np.ndarray) -> np.ndarray:
    """Run a graph operator by operator up to the logits."""
    values, logits = {graph.input: batch}, find_logits(graph)
    for op in graph.operators:
        outputs = OperatorRunner(graph, op)(*(values[index] for index in graph.computed_inputs(op)))
        values.update(zip(map(int, op.outputs), outputs, strict=True))
        if logits in values:
            return values[logits]
    raise AssertionError


def uneven(model):
    """Give the channels of convolutions different ranges."""
    for layer in model.layers:
        if "conv" in type(layer).__name__.lower() and layer.get_weights():
            kernel, *bias = layer.get_weights()
            if kernel.shape[-1] % len(SPREAD) == 0:
                factors = np.tile(SPREAD, kernel.shape[-1] // len(SPREAD))
                layer.set_weights([kernel * factors, *(values * factors for values in bias)])
    return model


def bottlenecks(layers, image):
    """Linear bottlenecks with residual additions, as in MobileNetV2."""
    x = layers.Conv2D(8, 3, strides=2, activation="relu6")(image)
    x = short = layers.Conv2D(8, 1)(x)
    for _ in range(2):
        x = layers.Conv2D(16, 1, activation="relu6")(x)
        x = layers.ZeroPadding2D(1)(x)
        x = layers.DepthwiseConv2D(3, activation="relu6")(x)
        x = layers.Conv2D(8, 1)(x)
        x = short = layers.Add()([x, short])
    return x


def rectified_additions(layers, image):
    """Additions with a rectifier behind, as in ResNet, and pooling."""
    x = short = layers.Conv2D(8, 3, activation="relu")(image)
    x = layers.Conv2D(8, 3, padding="same")(x)
    x = layers.ReLU()(layers.Add()([x, short]))
    x = layers.Conv2D(8, 3, padding="same")(layers.MaxPooling2D()(x))
    return layers.ReLU(6.0)(layers.AveragePooling2D(2)(x))


def unequal_readers(layers, image):
    """A tensor that a convolution and a product read: it must stay as it is."""
    x = layers.Conv2D(8, 3, activation="relu6")(image)
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Conv2D(8, 3)(layers.Multiply()([x, gate]))


def branches(layers, image):
    """Concatenated branches, groups, a depth multiplier, and activations that do not keep factors."""
    x = layers.Conv2D(8, 3, activation="relu6")(image)
    left, right = layers.Conv2D(8, 3, groups=2)(x), layers.DepthwiseConv2D(3, depth_multiplier=2)(x)
    x = layers.Concatenate()([left, right])
    x = layers.Conv2D(8, 1, activation="hard_swish")(x)
    return layers.LeakyReLU()(layers.Conv2D(8, 3)(x))


def flattened(layers, image):
    """A dense layer that reads flattened channels, and one that reads them unflattened."""
    x = layers.Conv2D(8, 3, strides=4, activation="relu6")(image)
    x = layers.Dense(8, activation="relu")(x)
    return layers.Reshape((1, 1, -1))(layers.Conv2D(8, 3)(x))


@pytest.fixture(scope="module")
def build(converter):
    """A function that returns the float32 .tflite of a small model with uneven channels."""

    def make(body) -> bytes:
        with quiet():
            import keras
            from keras import layers

            keras.utils.set_random_seed(11)
            image = keras.Input((32, 32, 3))
            x = layers.GlobalAveragePooling2D()(body(layers, image))
            model = keras.Model(image, layers.Softmax()(layers.Dense(4, name="logits")(x)))
            return converter(uneven(model)).float32()

    return make


@pytest.mark.parametrize("scope", [Scope.LINEAR, Scope.ALL])
@pytest.mark.parametrize("body", [bottlenecks, rectified_additions, unequal_readers, branches, flattened])
def test_an_equalized_model_has_the_same_logits_and_the_computed_statistics(build, batches, body, scope):
    data = build(body)
    equalized = equalize(data, measure_statistics(Graph(data), batches()), scope)
    images = list(batches())[:4]
    if scope == Scope.LINEAR:  # exact for any image
        images.append(np.random.default_rng(1).uniform(-3, 3, images[0].shape).astype(np.float32))
    for image in images:
        expected = logits_of(Graph(data), image)
        # Sums of up to a few hundred float32 terms, each rounded to 6e-8, layer after layer.
        np.testing.assert_allclose(logits_of(equalized.graph, image), expected, rtol=0, atol=1e-4 * np.ptp(expected))
    measured = measure_statistics(Graph(equalized.graph.to_bytes()), batches())
    for index in equalized.factors.keys() - measured.samples.keys():  # clipped ranges are not those of the values
        width = measured.high[index] - measured.low[index]
        np.testing.assert_allclose(
            [equalized.statistics.low[index], equalized.statistics.high[index]],
            [measured.low[index], measured.high[index]],
            rtol=0,
            atol=1e-5 * width,  # of float32 rounding
        )
    for index, mean in measured.mean.items():
        np.testing.assert_allclose(equalized.statistics.mean[index], mean, rtol=0, atol=1e-4 * np.abs(mean).max())


def test_channels_reach_the_largest_one_and_added_tensors_share_their_factors(build, batches):
    data = build(bottlenecks)
    graph = Graph(data)
    equalized = equalize(data, measure_statistics(graph, batches()), Scope.LINEAR)
    added = [op for op in graph.operators if graph.kind(op) == "ADD"]
    assert len(added) == 2
    indices = [index for op in added for index in (*graph.computed_inputs(op), int(op.outputs[0]))]
    factors = [equalized.factors[index] for index in indices]
    assert all((factor == factors[0]).all() for factor in factors)
    assert factors[0].min() >= 1
    assert 2 < factors[0].max() <= MAX_FACTOR


def test_no_range_gets_wider(build, batches):
    data = build(bottlenecks)
    statistics = measure_statistics(Graph(data), batches())
    equalized = equalize(data, statistics, Scope.ALL)
    assert equalized.factors
    for index in statistics.low:
        low, high = statistics.low[index], statistics.high[index]
        rounding = 1e-6 * max(abs(low), abs(high))  # of products in float32
        # 8-bit ranges include 0.
        assert equalized.statistics.low[index] >= min(low, 0) - rounding
        assert equalized.statistics.high[index] <= max(high, 0) + rounding


def test_relu6_is_scaled_only_with_all_and_never_beyond_its_bound(build, batches):
    data = build(bottlenecks)
    graph, statistics = Graph(data), measure_statistics(Graph(data), batches())
    bounded = {layer.output for op in graph.operators if (layer := graph.layer(op)) and layer.bounds[1] == 6}
    linear, everything = (equalize(data, statistics, scope) for scope in (Scope.LINEAR, Scope.ALL))
    assert not bounded & linear.factors.keys()
    assert bounded & everything.factors.keys()
    for index in bounded:
        assert everything.statistics.high[index] <= 6


def test_the_float32_file_gets_the_channels_of_the_int8_file(build, batches):
    data = build(bottlenecks)
    equalized = equalize(data, measure_statistics(Graph(data), batches()), Scope.ALL)
    graph = Graph(data)
    apply(graph, equalized.exponents)
    for op, expected in zip(graph.operators, equalized.graph.operators, strict=True):
        if layer := graph.layer(op):
            np.testing.assert_array_equal(layer.weights, equalized.graph.layer(expected).weights)
            np.testing.assert_array_equal(layer.bias, equalized.graph.layer(expected).bias)


def test_exponents_of_another_model_are_refused(build, batches, tiny):
    data = build(bottlenecks)
    equalized = equalize(data, measure_statistics(Graph(data), batches()), Scope.ALL)
    with pytest.raises(ValueError, match="another model"):
        apply(Graph(tiny), equalized.exponents)


@pytest.mark.parametrize("count", [1, 3])
def test_few_images_are_not_equalized(build, batches, count):
    data, images = build(bottlenecks), list(batches())[:count]
    statistics = measure_statistics(Graph(data), images)
    assert choose_scope(data, lambda: iter(images), statistics) == Scope.NONE
    assert equalize(data, statistics, Scope.ALL).exponents == b""


def test_constant_images_are_no_obstacle(build):
    data, images = build(bottlenecks), [np.full((1, 32, 32, 3), -1, np.float32)] * 12
    statistics = measure_statistics(Graph(data), images)
    equalized = equalize(data, statistics, choose_scope(data, lambda: iter(images), statistics))
    assert np.isfinite(logits_of(equalized.graph, images[0])).all()


def test_the_chosen_scope_lowers_the_error_on_other_images(converter, batches):
    """Of a model whose channels matter equally in spite of their ranges: with one scale, small ones are lost."""
    with quiet():
        import keras
        from keras import layers

        keras.utils.set_random_seed(2)
        image = keras.Input((32, 32, 3))
        x = layers.Conv2D(8, 3, strides=2, activation="relu6")(image)
        x = layers.Conv2D(8, 1, name="projection")(x)
        x = layers.Conv2D(16, 3, activation="relu6", name="reader")(x)
        x = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x))
        model = keras.Model(image, layers.Softmax()(x))
        factors = np.tile(SPREAD, 2)
        for name, by in (("projection", factors), ("reader", 1 / factors[:, None])):
            model.get_layer(name).kernel.assign(model.get_layer(name).kernel * by)
        data = converter(model).float32()
    images = list(batches())
    used, others = images[:16], images[16:]
    statistics = measure_statistics(Graph(data), used)
    chosen = choose_scope(data, lambda: iter(used), statistics)
    assert chosen != Scope.NONE
    found = {}
    for scope in (Scope.NONE, chosen):
        model = quantizer.quantize_full_integer(
            data, lambda: iter(used), (-1.0, 1.0), statistics=statistics, scope=scope
        ).model
        found[scope] = rounded_error(data, model, others)
    # The ranges are up to 64 times as large as those of single channels; measured 0.27.
    assert found[chosen] < found[Scope.NONE] / 2


def rounded_error(data: bytes, model: bytes, images: list[np.ndarray]) -> float:
    """The error of the logits of a quantized model whose tensors are rounded to 8 bits."""
    from edgenet.quantize.activations import QuantizationParameters

    graph, errors = Graph(model), []
    parameters = {}
    for op in graph.operators:
        for index in (*graph.computed_inputs(op), *map(int, op.outputs)):
            limits = graph.tensor(index).quantization
            if limits is not None and limits.min is not None:
                parameters[index] = QuantizationParameters.from_range(float(limits.min[0]), float(limits.max[0]))
    logits = find_logits(graph)
    del parameters[logits]  # their own rounding is the same for both
    for image in images:
        values = {graph.input: image}
        for op in graph.operators:
            inputs = [values[index] for index in graph.computed_inputs(op)]
            for index, value in zip(map(int, op.outputs), OperatorRunner(graph, op)(*inputs), strict=True):
                known = index in parameters
                values[index] = parameters[index].dequantize(parameters[index].quantize(value)) if known else value
            if logits in values:
                break
        errors.append(values[logits] - logits_of(Graph(data), image))
    return float(np.sqrt(np.mean(np.square([error - error.mean() for error in errors]))))


def test_factors_that_other_images_exceed_are_not_taken(build):
    """Channels that are small on the fitted images and large on those held back: scaled, they would be clipped."""
    data = build(rectified_additions)
    rng = np.random.default_rng(3)
    # Every second image, from the second on, is fitted: these are nearly constant, the others are not.
    images = [rng.uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32) * (0.02, 1)[n % 2 == 0] for n in range(16)]
    statistics = measure_statistics(Graph(data), images)
    assert choose_scope(data, lambda: iter(images), statistics) != Scope.ALL
