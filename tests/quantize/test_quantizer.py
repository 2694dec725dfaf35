"""The quantizer: bias correction, unusual models and images, and reproducible bytes."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recipes import RECIPE, square

from edgenet.errors import EdgenetError
from edgenet.images import listing, preprocess
from edgenet.quantize import quantizer
from edgenet.quantize.quantizer import Steps
from edgenet.quiet import quiet

PIXELS = (-1.0, 1.0)
NO_STEPS = Steps(bias_correction=False, gptq=False, equalization=False, narrow_logits=False)
STEPS = ("bias_correction", "gptq", "equalization", "narrow_logits")
ONE_STEP = {name: replace(NO_STEPS, **{name: True}) for name in STEPS}


def every_layer(layer) -> bool:
    return True


@pytest.fixture(scope="module")
def net_converter(net, converter):
    """A Converter of `net`."""
    return converter(net)


@pytest.fixture(scope="module")
def means(tiny, batches):
    """A function that returns the mean outputs of each layer, of the model or of its quantized form."""
    from edgenet.quantize.ranges import measure_statistics
    from edgenet.tflite.graph import Graph

    def mean_outputs(steps: Steps | None) -> dict[int, np.ndarray]:
        model = quantizer.quantize_weights(tiny, batches, every_layer, steps).model if steps else tiny
        return measure_statistics(Graph(model), batches()).mean

    return mean_outputs


def test_bias_correction_preserves_the_mean_output_of_each_layer(means):
    before, after, without = means(None), means(Steps()), means(replace(Steps(), bias_correction=False))
    assert len(before) == 28
    for number, mean in before.items():
        # Outputs up to 20, sums of up to 256 float32 terms, and a bias of the same size that compensates them.
        np.testing.assert_allclose(after[number], mean, rtol=0, atol=2e-5)
    # Without it, rounding shifts them far more: by 1.1% of a weight, layer after layer.
    assert max(np.abs(without[number] - mean).max() for number, mean in before.items()) > 2e-3


def test_the_mean_logits_of_int8_are_closer_to_keras_than_the_stock_converters(
    set_statistics, converter, calibration_images, scores_of
):
    model = _chain(
        set_statistics,
        calibration_images,
        lambda kinds: [kinds.DepthwiseConv2D(3, activation="relu"), kinds.Conv2D(16, 1)],
    )
    # The logits themselves, without softmax, so that 8 bits do not hide their mean.
    with quiet():
        import keras

        logits = keras.Model(model.inputs, model.get_layer("logits").output)
        expected = logits.predict(preprocess.normalize(calibration_images, RECIPE), verbose=0)
        made = converter(logits)
        ours, stock = made.int8(lambda: calibration_images), made.stock_int8(lambda: calibration_images)
    shift, error = {}, {}
    for name, data in (("ours", ours), ("stock", stock)):
        found = scores_of(data, calibration_images)
        shift[name] = np.abs((found - expected).mean(axis=0)).max()
        error[name] = np.sqrt(np.mean((found - expected) ** 2))
    assert shift["ours"] < 0.7 * shift["stock"]
    assert error["ours"] < 0.9 * error["stock"]


@pytest.mark.parametrize("name", ["none", *ONE_STEP])
def test_each_step_works_by_itself(net, net_converter, calibration_images, evaluation_images, scores_of, name):
    expected = net.predict(preprocess.normalize(evaluation_images, RECIPE), verbose=0)
    with quiet():
        data = net_converter.int8(lambda: calibration_images, steps=ONE_STEP.get(name, NO_STEPS))
    found = scores_of(data, evaluation_images)
    # As in test_converter: rounding errors of 1.1% a layer, ten layers, of logits within 4, times a slope of 1/4.
    assert np.abs(found - expected).mean() < 0.035
    assert np.abs(np.roll(found, 1, axis=0) - expected).mean() > 0.07  # differences between images are larger


def test_steps_of_an_ablation_differ(tiny, batches):
    step_sets = {"none": NO_STEPS, **ONE_STEP}
    results = {name: quantizer.quantize_full_integer(tiny, batches, PIXELS, steps) for name, steps in step_sets.items()}
    assert len({quantized.model for quantized in results.values()}) == 5
    weights = {
        name: np.concatenate([w.ravel() for w in quantized.weights.values()]) for name, quantized in results.items()
    }
    np.testing.assert_array_equal(weights["none"], weights["bias_correction"])
    np.testing.assert_array_equal(weights["none"], weights["narrow_logits"])
    assert (weights["none"] != weights["gptq"]).any()


def test_a_layer_of_an_unsupported_kind_is_named(net_converter, calibration_images):
    with quiet():
        net_converter.int8(lambda: calibration_images)
    (layer,) = net_converter.unquantized_layers
    # The name is that of the last Keras layer that was fused into it.
    assert re.fullmatch(r"TRANSPOSE_CONV functional\S+", layer)


def test_grouped_convolutions_work(converter, set_statistics, calibration_images, evaluation_images, scores_of):
    model = _chain(
        set_statistics, calibration_images, lambda layers: [layers.Conv2D(8, 3, groups=2, activation="relu")]
    )
    assert _mean_error(converter, model, calibration_images, evaluation_images, scores_of) < MAX_MEAN_ERROR


@pytest.mark.parametrize("factor", [1, 20])
def test_the_range_of_the_logits_is_cut_below_and_has_headroom_above(tiny, batches, factor):
    from edgenet.quantize.ranges import measure_statistics
    from edgenet.tflite.graph import Graph

    graph = Graph(tiny)
    op = [op for op in graph.operators if graph.layer(op)][-1]
    graph.set_weights(op, graph.layer(op).weights * factor, graph.layer(op).bias * factor)
    data, (number,) = graph.to_bytes(), graph.computed_inputs(graph.operators[-1])
    original, range_of = measure_statistics(Graph(data), batches()), {}
    for name in ("none", "narrow_logits"):
        quantized = Graph(
            quantizer.quantize_full_integer(data, batches, PIXELS, {"none": NO_STEPS, **ONE_STEP}[name]).model
        )
        parameters = quantized.tensor(number).quantization
        range_of[name] = parameters.min[0], parameters.max[0]
    low, high = original.low[number], original.high[number]
    assert range_of["none"] == pytest.approx((low, high))
    cut = original.min_top_value[number] - 10  # exp(-10) is about a hundredth of a score's scale of 1/256
    assert (cut > low) == (factor == 20)  # unscaled, the tiny model's logits are within 4 of each other
    low = max(low, cut)
    assert range_of["narrow_logits"] == pytest.approx((low, high + 0.1 * (high - low)))


@pytest.mark.slow
def test_the_quantizer_gives_the_same_bytes_twice(tiny, batches):
    first, second = (quantizer.quantize_full_integer(tiny, batches, PIXELS) for _ in range(2))
    assert first.model == second.model


# Simulates a machine with other cores: threads of linear algebra, threads of the runtime, and the cores themselves.
CHILD = """
import hashlib, os, sys
import numpy as np
threads, data, images = int(sys.argv[1]), open(sys.argv[2], "rb").read(), np.load(sys.argv[3])
os.cpu_count = lambda: threads
if threads == 1 and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from edgenet.quantize import dynamic, quantizer
batches = lambda: (image[None] for image in images)
full_integer = quantizer.quantize_full_integer(data, batches, (-1.0, 1.0))
for quantized in (full_integer, quantizer.quantize_weights(data, batches, dynamic.is_quantized)):
    print(hashlib.sha256(quantized.model).hexdigest())
"""


def digests(threads: int, path: Path, images: Path) -> list[str]:
    """The output of the child process with this number of threads."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(threads), path, images],
        capture_output=True,
        text=True,
        env=os.environ | dict.fromkeys(names, str(threads)),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_the_number_of_threads_changes_nothing(tiny_bundle, calibration_images, tmp_path):
    path = tiny_bundle.file("float32.tflite")
    np.save(tmp_path / "images.npy", preprocess.normalize(calibration_images[:6], RECIPE))
    one, two, four = (digests(threads, path, tmp_path / "images.npy") for threads in (1, 2, 4))
    assert one == two == four
    assert len(set(one)) == 2


@pytest.mark.slow  # a model of real size, whose matrices are large enough for several threads
def test_the_number_of_threads_changes_nothing_for_a_real_model(bundled_bundle, tmp_path):
    from edgenet.images import bundled

    paths = listing.find_images(bundled.CALIBRATION).paths[::8]
    np.save(
        tmp_path / "images.npy", preprocess.normalize(np.stack(list(preprocess.load_all(paths, square(96)))), RECIPE)
    )
    path = bundled_bundle.file("float32.tflite")
    one, two, four = (digests(threads, path, tmp_path / "images.npy") for threads in (1, 2, 4))
    assert one == two == four


# Degenerate input


def _chain(set_statistics, calibration_images, layers_of, modify=lambda model: None):
    """A small Keras model: a convolution, batch normalization, ReLU6, the layers given, and a Dense softmax."""
    with quiet():
        import keras
        from keras import layers

        keras.utils.set_random_seed(9)
        image = keras.Input((32, 32, 3))
        x = layers.Conv2D(8, 3, strides=4, use_bias=False, name="stem")(image)
        x = layers.ReLU(6.0)(layers.BatchNormalization(name="norm")(x))
        for layer in layers_of(layers):
            x = layer(x)
        x = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x))
        model = set_statistics(
            keras.Model(image, layers.Softmax()(x)), preprocess.normalize(calibration_images, RECIPE)
        )
        modify(model)
        return model


def _mean_error(converter, model, calibration, evaluation_images, scores_of) -> float:
    """The mean difference between the int8 scores and Keras'; the scores must be finite."""
    with quiet():
        expected = model.predict(preprocess.normalize(evaluation_images, RECIPE), verbose=0)
        found = scores_of(converter(model).int8(lambda: calibration), evaluation_images)
    assert np.isfinite(found).all()
    return np.abs(found - expected).mean()


def _none(layers) -> list:
    return []


# Rounding errors of 1.1% a layer, three layers, of logits within 4, times a slope of 1/4.
MAX_MEAN_ERROR = 0.02


def dead(model) -> None:
    """A channel with weights of zero, and a variance of zero, as in the published alpha 1.0 weights."""
    kernel, norm = model.get_layer("stem").kernel, model.get_layer("norm")
    kernel.assign(kernel.numpy() * (np.arange(8) != 3))
    norm.moving_mean.assign(norm.moving_mean.numpy() * (np.arange(8) != 3))
    norm.moving_variance.assign(norm.moving_variance.numpy() * (np.arange(8) != 3))


def six_decades(model) -> None:
    """A channel with weights from 1e-6 to 1 times its largest."""
    kernel = model.get_layer("stem").kernel
    values = kernel.numpy()
    values[..., 3] *= np.logspace(-6, 0, 27).reshape(3, 3, 3)
    kernel.assign(values)


def no_variance(model) -> None:
    """A batch normalization whose variance is negligible beside its epsilon, after weights as small."""
    kernel, norm = model.get_layer("stem").kernel, model.get_layer("norm")
    small = np.where(np.arange(8) == 3, 1e-12, 1).astype(np.float32)
    kernel.assign(kernel.numpy() * small)
    norm.moving_mean.assign(norm.moving_mean.numpy() * small)
    norm.moving_variance.assign(norm.moving_variance.numpy() * small**2)


@pytest.mark.parametrize("modify", [dead, six_decades, no_variance], ids=lambda modify: modify.__name__)
def test_a_degenerate_channel_does_not_affect_the_others(
    converter, set_statistics, calibration_images, evaluation_images, scores_of, modify
):
    model = _chain(set_statistics, calibration_images, _none, modify)
    assert _mean_error(converter, model, calibration_images, evaluation_images, scores_of) < MAX_MEAN_ERROR


def test_one_calibration_image_is_no_worse_than_for_the_stock_converter(
    converter, set_statistics, calibration_images, evaluation_images, scores_of
):
    model = _chain(set_statistics, calibration_images, _none)
    ours = _mean_error(converter, model, calibration_images[:1], evaluation_images, scores_of)
    with quiet():
        expected = model.predict(preprocess.normalize(evaluation_images, RECIPE), verbose=0)
        stock = scores_of(converter(model).stock_int8(lambda: calibration_images[:1]), evaluation_images)
    # With both, the ranges of one image clip the others; the rest is rounding, for which a tenth of that is ample.
    assert ours < 1.1 * np.abs(stock - expected).mean()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_images_give_finite_scores(
    converter, set_statistics, calibration_images, evaluation_images, scores_of, value
):
    model = _chain(set_statistics, calibration_images, _none)
    constant = np.full((3, 32, 32, 3), value, np.uint8)
    _mean_error(converter, model, constant, evaluation_images, scores_of)
    # The scores of the calibration images are correct nevertheless.
    assert _mean_error(converter, model, constant, constant, scores_of) < MAX_MEAN_ERROR


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["full integer", "weights only"])
def test_weights_that_are_not_finite_are_refused_with_the_layers_name(tiny, batches, value, kind):
    from edgenet.tflite.graph import Graph

    graph = Graph(tiny)
    op = [op for op in graph.operators if graph.layer(op)][5]
    layer = graph.layer(op)
    weights = layer.weights.copy()
    weights.flat[7] = value
    graph.set_weights(op, weights, layer.bias)
    text = f"^{re.escape(layer.name)}: the weights contain NaN or infinity; train the model again$"
    with pytest.raises(EdgenetError, match=text):
        if kind == "full integer":
            quantizer.quantize_full_integer(graph.to_bytes(), batches, PIXELS)
        else:
            quantizer.quantize_weights(graph.to_bytes(), batches, every_layer)


# Real models


def logit_errors(model, converter, calibration, pixels, scores_of) -> dict[str, float]:
    """The root mean square error of a model's int8 logits, without the mean over classes, which softmax ignores."""
    with quiet():
        expected = model.predict(preprocess.normalize(pixels, RECIPE), verbose=0)
        made = converter(model)
        files = {"ours": made.int8(lambda: calibration), "stock": made.stock_int8(lambda: calibration)}
    found = {}
    for name, data in files.items():
        error = scores_of(data, pixels) - expected
        found[name] = float(np.sqrt(np.mean((error - error.mean(axis=1, keepdims=True)) ** 2)))
    return found


@pytest.mark.slow
def test_the_logits_of_the_bundled_model_are_closer_than_the_stock_converters(converter, scores_of):
    from edgenet.images import bundled
    from edgenet.model import weights

    with quiet():
        import keras

        bundled_model = weights.bundled()
        logits = keras.layers.Flatten()(bundled_model.get_layer("logits").output)
        model = keras.Model(bundled_model.inputs, logits)
    calibration = np.stack(list(preprocess.load_all(listing.find_images(bundled.CALIBRATION).paths[::2], square(96))))
    pixels = np.stack(list(preprocess.load_all(listing.find_images(bundled.EVALUATION).paths[::5], square(96))))
    error = logit_errors(model, converter, calibration, pixels, scores_of)
    # 8-bit weights cost this model little, and the rounding of activations is the same for both: measured 0.89.
    assert error["ours"] < error["stock"]


@pytest.mark.slow
def test_bias_correction_preserves_means_through_the_additions_of_mobilenet_v2(
    converter, set_statistics, calibration_images, batches
):
    from edgenet.quantize.ranges import measure_statistics
    from edgenet.tflite.graph import Graph

    with quiet():
        import keras

        keras.utils.set_random_seed(3)
        base = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=4)
        x = keras.layers.Dense(4, name="logits")(base.layers[-2].output)
        made = converter(
            set_statistics(
                keras.Model(base.input, keras.layers.Softmax()(x)), preprocess.normalize(calibration_images, RECIPE)
            )
        )
        made.int8(lambda: calibration_images)  # raises unless the file contains the chosen integers
    assert made.unquantized_layers == ()
    data = made.float32()
    uncorrected = replace(Steps(), bias_correction=False)
    before, after, without = (
        measure_statistics(Graph(model), batches()).mean
        for model in (
            data,
            quantizer.quantize_weights(data, batches, every_layer).model,
            quantizer.quantize_weights(data, batches, every_layer, uncorrected).model,
        )
    )
    assert len(before) == 53  # the stem, 17 blocks of three but the first of two, the last convolution, the logits
    errors = [max(np.abs(means[n] - before[n]).max() for n in before) for means in (after, without)]
    # Outputs of deviation 1 are sums of up to 1280 float32 terms, each rounded to 6e-8; measured 2e-7 and 0.35.
    assert errors[0] < 2e-5
    assert errors[1] > 1e-2
