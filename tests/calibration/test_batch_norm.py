"""Batch normalization statistics: which layers are found, and the distance of images from them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from edgenet.calibration.batch_norm import BatchNormStatistics
from edgenet.images.input_range import InputRange
from edgenet.model import keras_model, mobilenet
from edgenet.model.classifier import KerasClassifier
from edgenet.records import ModelSpec

pytestmark = pytest.mark.slow  # many small networks


def trained(model: keras.Model, seed: int = 3) -> keras.Model:
    """The model with random statistics, as if it were trained."""
    random = np.random.default_rng(seed)
    for layer in normalizations(model):
        channels = layer.moving_mean.shape
        layer.moving_mean.assign(random.normal(0, 0.5, channels))
        layer.moving_variance.assign(10 ** random.uniform(-2, 1, channels))
        for weights in (layer.gamma, layer.beta):
            if weights is not None:
                weights.assign(random.uniform(0.5, 1.5, channels))
    return model


def normalizations(model: keras.Model) -> list[layers.BatchNormalization]:
    """All batch normalizations of a model and of nested models, in the order of the layers."""
    layers_found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            layers_found += normalizations(layer)
        elif isinstance(layer, layers.BatchNormalization):
            layers_found.append(layer)
    return layers_found


def end(x):
    return layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def plain(**options) -> keras.Model:
    """After a convolution, after a depthwise convolution, and before a convolution."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization(**options)(x))
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.ReLU()(layers.BatchNormalization(**options)(x))
    x = layers.BatchNormalization(**options)(layers.AveragePooling2D(2)(x))
    return keras.Model(image, end(layers.Conv2D(4, 1)(x)))


def nested() -> keras.Model:
    block = keras.Sequential(
        [keras.Input((15, 15, 8)), layers.Conv2D(6, 3), layers.BatchNormalization(), layers.ReLU()], name="block"
    )
    image = keras.Input((32, 32, 3))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2)(image))
    return keras.Model(image, end(block(x)))


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(8, 3, strides=2),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(6, 3),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )


def branches() -> keras.Model:
    """A residual addition, and a batch normalization after a Dense layer, whose input is not an image."""
    image = keras.Input((32, 32, 3))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(image))
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(layers.ReLU()(x)))
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
    x = layers.ReLU()(layers.BatchNormalization(name="of_vectors")(layers.Dense(6)(x)))
    return keras.Model(image, layers.Dense(5)(x))


MODELS = {
    "with scale and center": plain,
    "without scale": lambda: plain(scale=False),
    "without center": lambda: plain(center=False),
    "without both": lambda: plain(scale=False, center=False),
    "another epsilon": lambda: plain(epsilon=0.1),
    "nested": nested,
    "Sequential": sequential,
    "residual": branches,
}


@pytest.fixture(scope="module", params=MODELS)
def model(request) -> keras.Model:
    keras.utils.set_random_seed(8)
    return trained(MODELS[request.param]())


@pytest.fixture(scope="module", params=["in memory", ".keras", "SavedModel"])
def classifier(request, model, tmp_path_factory) -> KerasClassifier:
    if request.param == "in memory":
        return keras_model.from_keras(model, "own")
    path = tmp_path_factory.mktemp("models") / ("own.keras" if request.param == ".keras" else "own")
    model.save(path) if path.suffix else model.export(path, verbose=False)
    return keras_model.load(path)


def inputs_of(model: keras.Model, count: int) -> tuple[keras.Model, list[layers.BatchNormalization]]:
    """A model with the inputs of the first batch normalizations of images as outputs, and these layers."""
    # A nested model is a single layer of the outer one, so the inputs of its layers are computed explicitly.
    statistics = [layer for layer in normalizations(model) if layer.name != "of_vectors"][:count]
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        return keras.Model(model.inputs, [layer.input for layer in statistics]), statistics
    block = model.get_layer("block")
    outer = keras.Model(model.inputs, [statistics[0].input, statistics[0].output])
    inner = keras.Model(block.inputs, statistics[1].input)
    image = keras.Input((32, 32, 3))
    before, behind = outer(image)
    return keras.Model(image, [before, inner(behind)]), statistics


def noise(seed: int) -> np.ndarray:
    """Five inputs in [-1, 1], each with its own mean colour."""
    random = np.random.default_rng(seed)
    return (random.uniform(-0.5, 0.5, (5, 32, 32, 3)) + random.uniform(-0.5, 0.5, (5, 1, 1, 3))).astype(np.float32)


def test_the_statistics_are_those_of_the_layers(model, classifier):
    own_layers = BatchNormStatistics(classifier).layers
    _, expected = inputs_of(model, 7)
    assert len(own_layers) == len(expected) > 1
    for own, layer in zip(own_layers, expected, strict=True):
        np.testing.assert_array_equal(own.mean, layer.moving_mean.numpy())
        np.testing.assert_array_equal(own.variance, layer.moving_variance.numpy())
        assert own.mean.dtype == own.variance.dtype == np.float64


def test_moments_are_those_of_the_inputs_of_the_layers(model, classifier):
    images = noise(1)
    inner, _ = inputs_of(model, 7)
    values = [part.astype(np.float64) for part in inner.predict(images, verbose=0)]
    means, squares = BatchNormStatistics(classifier).moments(images)
    # Means over positions of float32 values below 100, each a sum of up to 72 products rounded to 6e-8 of itself.
    tolerance = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(means, np.concatenate([v.mean(axis=(1, 2)) for v in values], axis=1), **tolerance)
    np.testing.assert_allclose(squares, np.concatenate([(v**2).mean(axis=(1, 2)) for v in values], axis=1), **tolerance)
    assert means.dtype == squares.dtype == np.float64
    assert np.ptp(means, axis=0).max() > 0.1  # they differ between images


def test_a_model_with_a_fixed_batch_size_has_the_same_moments():
    keras.utils.set_random_seed(8)
    free = trained(plain())
    fixed_input = keras.Input((32, 32, 3), batch_size=4)
    fixed = keras.Model(fixed_input, free(fixed_input))
    images = np.concatenate([noise(1), noise(2)])  # 10 images: two batches of 4, and one that is filled up
    expected, found = (BatchNormStatistics(keras_model.from_keras(m, "own")).moments(images) for m in (free, fixed))
    for one, other in zip(expected, found, strict=True):
        assert one.shape == other.shape
        # The same sums of float32 products, in batches of another size.
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


def test_only_the_first_seven_are_used():
    keras.utils.set_random_seed(8)
    model = trained(mobilenet.build(ModelSpec(size=32, alpha=0.25, classes=5)))
    own_layers = BatchNormStatistics(keras_model.from_keras(model, "own")).layers
    assert len(own_layers) == 7
    for own, layer in zip(own_layers, normalizations(model)[:7], strict=True):
        np.testing.assert_array_equal(own.mean, layer.moving_mean.numpy())
        np.testing.assert_array_equal(own.variance, layer.moving_variance.numpy())


def test_batch_normalizations_of_keras_2_are_found():
    # One operation, as Keras 2 wrote it into SavedModels.
    module = tf.Module()
    random = np.random.default_rng(4)
    module.kernel = tf.Variable(random.normal(size=(3, 3, 3, 4)).astype(np.float32))
    gamma, beta, mean, variance = (tf.Variable(random.uniform(0.5, 1.5, 4).astype(np.float32)) for _ in range(4))

    def call(image):
        x = tf.nn.conv2d(image, module.kernel, 2, "SAME")
        x = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=mean, variance=variance, is_training=False, epsilon=1e-3
        ).y
        return tf.reduce_mean(tf.nn.relu(x), axis=(1, 2))

    statistics = BatchNormStatistics(KerasClassifier("own", call, InputRange().recipe(32, 32, 3), None))
    (own,) = statistics.layers
    np.testing.assert_array_equal(own.mean, mean.numpy())
    np.testing.assert_array_equal(own.variance, variance.numpy())
    images = noise(2)
    expected = tf.nn.conv2d(images, module.kernel, 2, "SAME").numpy().astype(np.float64)
    means, squares = statistics.moments(images)
    # 27 products below 10, each rounded to 6e-8 of itself.
    np.testing.assert_allclose(means, expected.mean(axis=(1, 2)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(squares, (expected**2).mean(axis=(1, 2)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [layers.LayerNormalization, layers.GroupNormalization])
def test_other_normalizations_are_not_found(kind):
    image = keras.Input((32, 32, 3))
    options = {"groups": 4} if kind is layers.GroupNormalization else {}
    x = layers.ReLU()(kind(**options)(layers.Conv2D(8, 3)(image)))
    assert BatchNormStatistics(keras_model.from_keras(keras.Model(image, end(x)), "own")).layers == []


def test_a_normalization_of_the_input_is_not_found():
    # Its statistics are declared, not measured in training.
    image = keras.Input((32, 32, 3))
    x = layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)(image)
    x = layers.Conv2D(8, 3)(x)
    model = keras.Model(image, end(x))
    assert BatchNormStatistics(keras_model.from_keras(model, "own", input_range=InputRange())).layers == []


# Distances


@pytest.fixture(scope="module")
def statistics() -> BatchNormStatistics:
    """The statistics of three layers with 8 channels each. Not to be changed."""
    keras.utils.set_random_seed(8)
    return BatchNormStatistics(keras_model.from_keras(trained(plain()), "own"))


def concatenated(statistics: BatchNormStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances in training of all channels."""
    return np.concatenate([n.mean for n in statistics.layers]), np.concatenate([n.variance for n in statistics.layers])


def divergence(mean: float, variance: float, other_mean: float, other_variance: float) -> float:
    """KL(p || q) of two normal distributions from its definition: the integral of p log(p / q)."""
    deviation = np.sqrt(variance)
    x = np.linspace(mean - 12 * deviation, mean + 12 * deviation, 20_001)
    log_p = -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance))
    log_q = -0.5 * ((x - other_mean) ** 2 / other_variance + np.log(2 * np.pi * other_variance))
    return float(np.trapezoid(np.exp(log_p) * (log_p - log_q), x))


def test_divergences_are_those_of_the_definition(statistics):
    random = np.random.default_rng(5)
    mean, variance = concatenated(statistics)
    means, variances = mean + random.normal(0, 1, 24), variance * 10 ** random.uniform(-1, 1, 24)
    expected = [divergence(*four) for four in zip(means, variances, mean, variance, strict=True)]
    divergences = statistics.divergences(means, variances + means**2)
    assert [len(part) for part in divergences] == [8, 8, 8]
    # A smooth integrand on 20,001 points, without 1e-32 of the mass: only double precision limits it.
    np.testing.assert_allclose(np.concatenate(divergences), expected, rtol=1e-8)
    # The median channel of each layer, and their sum.
    middle = [np.median(expected[start : start + 8]) for start in (0, 8, 16)]
    assert statistics.distance(means, variances + means**2) == pytest.approx(sum(middle), rel=1e-8)


def test_images_with_the_statistics_of_training_are_at_distance_0(statistics):
    mean, variance = concatenated(statistics)
    # The square of a mean of up to 2 and back again: 1e-16 of a variance that is 0.01 at least.
    assert statistics.distance(mean, variance + mean**2) == pytest.approx(0, abs=1e-12)


def test_images_with_other_statistics_have_a_larger_distance(statistics):
    mean, variance = concatenated(statistics)
    deviation = np.sqrt(variance)
    distances = [statistics.distance(mean + k * deviation, variance + (mean + k * deviation) ** 2) for k in range(4)]
    # A shift by k deviations is a divergence of k**2 / 2 in each channel, and there are three layers.
    assert distances == pytest.approx([0, 1.5, 6, 13.5], abs=1e-9)


def test_constant_images_have_a_large_finite_distance(statistics):
    mean, _ = concatenated(statistics)
    far = statistics.distance(mean, mean**2)  # no variance at all
    assert np.isfinite(far)
    assert far > 10


def test_channels_that_were_constant_in_training_do_not_count():
    keras.utils.set_random_seed(8)
    model = trained(plain())
    norm = normalizations(model)[0]
    variance = norm.moving_variance.numpy()
    norm.moving_variance.assign(np.where(np.arange(8) == 3, 1e-9, variance))
    statistics = BatchNormStatistics(keras_model.from_keras(model, "own"))
    mean, variance = concatenated(statistics)
    means = mean + (np.arange(24) == 3)  # only that channel differs
    divergences = statistics.divergences(means, variance + means**2)
    assert [len(part) for part in divergences] == [7, 8, 8]
    np.testing.assert_allclose(np.concatenate(divergences), 0, atol=1e-9)
