"""The quantizer: what bias correction promises, any model, any pictures, and the same bytes each time."""

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
from edgenet.images import preprocess
from edgenet.quantize import quantizer
from edgenet.quantize.quantizer import Steps
from edgenet.quiet import quiet

PIXELS = (-1.0, 1.0)
NONE = Steps(bias=False, compensation=False, logits=False)
ONE_STEP = {name: replace(NONE, **{name: True}) for name in ("bias", "compensation", "logits")}


def everything(layer) -> bool:
    return True


@pytest.fixture(scope="module")
def net_converter(net, converter):
    """A Converter of `net`."""
    return converter(net)


@pytest.fixture(scope="module")
def means(tiny, batches):
    """The mean outputs of each layer on the calibration pictures: of the model, and of it quantized with some steps."""
    from edgenet.quantize.ranges import measure
    from edgenet.tflite.graph import Graph

    def of(steps: Steps | None) -> dict[int, np.ndarray]:
        model = quantizer.weights_only(tiny, batches, everything, steps).model if steps else tiny
        return measure(Graph(model), batches()).mean

    return of


def test_bias_correction_gives_each_layer_the_mean_output_that_it_had(means):
    before, after, without = means(None), means(Steps()), means(replace(Steps(), bias=False))
    assert len(before) == 28
    for number, mean in before.items():
        # The outputs are up to 20, sums of up to 256 float32 terms, and so is the bias that makes up for them.
        np.testing.assert_allclose(after[number], mean, rtol=0, atol=2e-5)
    # Without it, rounding shifts them by far more: 1.1 % of a weight's rounding, layer after layer.
    assert max(np.abs(without[number] - mean).max() for number, mean in before.items()) > 2e-3


def test_the_mean_logits_of_int8_are_nearer_to_keras_than_the_stock_converters(settle, converter, seen, scores_of):
    model = _chain(settle, seen, lambda kinds: [kinds.DepthwiseConv2D(3, activation="relu"), kinds.Conv2D(16, 1)])
    # The logits themselves, without softmax, so that 8 bits do not hide their mean.
    with quiet():
        import keras

        logits = keras.Model(model.inputs, model.get_layer("logits").output)
        expected = logits.predict(preprocess.normalize(seen, RECIPE), verbose=0)
        made = converter(logits)
        ours, stock = made.int8(lambda: seen), made.stock_int8(lambda: seen)
    shift, error = {}, {}
    for name, data in (("ours", ours), ("stock", stock)):
        found = scores_of(data, seen)
        shift[name] = np.abs((found - expected).mean(axis=0)).max()
        error[name] = np.sqrt(np.mean((found - expected) ** 2))
    assert shift["ours"] < 0.7 * shift["stock"]
    assert error["ours"] < 0.9 * error["stock"]


@pytest.mark.parametrize("name", ["none", *ONE_STEP])
def test_each_step_works_alone(net, net_converter, seen, unseen, scores_of, name):
    expected = net.predict(preprocess.normalize(unseen, RECIPE), verbose=0)
    with quiet():
        data = net_converter.int8(lambda: seen, steps=ONE_STEP.get(name, NONE))
    found = scores_of(data, unseen)
    # As in test_convert: rounding errors of 1.1 % a layer, ten layers, of logits within 4, times a slope of 1/4.
    assert np.abs(found - expected).mean() < 0.035
    assert np.abs(np.roll(found, 1, axis=0) - expected).mean() > 0.07  # it tells pictures apart


def test_steps_of_an_ablation_differ(tiny, batches):
    ways = {"none": NONE, **ONE_STEP}
    first = {name: quantizer.full_integer(tiny, batches, PIXELS, steps) for name, steps in ways.items()}
    # The tiny model's logits are within 4 of each other: none is cut off, so that this step changes nothing.
    assert len({chosen.model for chosen in first.values()}) == 3
    weights = {name: np.concatenate([w.ravel() for w in chosen.weights.values()]) for name, chosen in first.items()}
    np.testing.assert_array_equal(weights["none"], weights["bias"])
    np.testing.assert_array_equal(weights["none"], weights["logits"])
    assert (weights["none"] != weights["compensation"]).any()


def test_a_layer_of_an_unknown_kind_is_named_and_left(net_converter, seen):
    with quiet():
        net_converter.int8(lambda: seen)
    (left,) = net_converter.left
    assert re.fullmatch(
        r"TRANSPOSE_CONV functional\S+", left
    )  # the name of the last Keras layer that became part of it


def test_grouped_convolutions_work(converter, settle, seen, unseen, scores_of):
    model = _chain(settle, seen, lambda layers: [layers.Conv2D(8, 3, groups=2, activation="relu")])
    assert _mean_error(converter, model, seen, unseen, scores_of) < SANE


@pytest.mark.parametrize("factor", [1, 20])
def test_the_range_of_the_logits_begins_10_below_the_smallest_winner(tiny, batches, factor):
    from edgenet.quantize.ranges import measure
    from edgenet.tflite.graph import Graph

    graph = Graph(tiny)
    op = [op for op in graph.operators if graph.layer(op)][-1]
    graph.replace(op, graph.layer(op).weights * factor, graph.layer(op).bias * factor)
    data, (number,) = graph.to_bytes(), graph.takes(graph.operators[-1])
    whole, range_of = measure(Graph(data), batches()), {}
    for name in ("none", "logits"):
        found = Graph(quantizer.full_integer(data, batches, PIXELS, {"none": NONE, **ONE_STEP}[name]).model)
        grid = found.tensor(number).quantization
        range_of[name] = grid.min[0], grid.max[0]
    low, high = whole.low[number], whole.high[number]
    assert range_of["none"] == pytest.approx((low, high))
    cut = whole.winner[number] - 10  # exp(-10) of a score is less than a hundredth of its step of 1/256
    assert (cut > low) == (factor == 20)  # the tiny model's own logits are within 4 of each other
    assert range_of["logits"] == pytest.approx((max(low, cut), high))


@pytest.mark.slow
def test_the_quantizer_gives_the_same_bytes_twice(tiny, batches):
    first, second = (quantizer.full_integer(tiny, batches, PIXELS) for _ in range(2))
    assert first.model == second.model


# What a machine of other cores does: threads of linear algebra, threads of the runtime, and the cores themselves.
CHILD = """
import hashlib, os, sys
import numpy as np
threads, data, pictures = int(sys.argv[1]), open(sys.argv[2], "rb").read(), np.load(sys.argv[3])
os.cpu_count = lambda: threads
if threads == 1 and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from edgenet.quantize import dynamic, quantizer
batches = lambda: (picture[None] for picture in pictures)
whole = quantizer.full_integer(data, batches, (-1.0, 1.0))
for chosen in (whole, quantizer.weights_only(data, batches, dynamic.rounds)):
    print(hashlib.sha256(chosen.model).hexdigest())
"""


def digests(threads: int, path: Path, pictures: Path) -> list[str]:
    """What the child gives with so many threads."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(threads), path, pictures],
        capture_output=True,
        text=True,
        env=os.environ | dict.fromkeys(names, str(threads)),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_the_number_of_threads_changes_nothing(tiny_bundle, seen, tmp_path):
    path = tiny_bundle.file("float32.tflite")
    np.save(tmp_path / "pictures.npy", preprocess.normalize(seen[:6], RECIPE))
    one, two, four = (digests(threads, path, tmp_path / "pictures.npy") for threads in (1, 2, 4))
    assert one == two == four
    assert len(set(one)) == 2


@pytest.mark.slow  # a model of real size, whose matrices are large enough for several threads
def test_the_number_of_threads_changes_nothing_for_a_real_model(bundled_bundle, tmp_path):
    from edgenet.images import bundled

    paths = preprocess.find(bundled.CALIBRATION).paths[::8]
    np.save(
        tmp_path / "pictures.npy", preprocess.normalize(np.stack(list(preprocess.load_all(paths, square(96)))), RECIPE)
    )
    path = bundled_bundle.file("float32.tflite")
    one, two, four = (digests(threads, path, tmp_path / "pictures.npy") for threads in (1, 2, 4))
    assert one == two == four


# Degenerate input


def _chain(settle, seen, layers_of, doctor=lambda model: None):
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
        model = settle(keras.Model(image, layers.Softmax()(x)), preprocess.normalize(seen, RECIPE))
        doctor(model)
        return model


def _mean_error(converter, model, calibration, unseen, scores_of) -> float:
    """The mean difference of int8 scores to Keras', which may not be NaN."""
    with quiet():
        expected = model.predict(preprocess.normalize(unseen, RECIPE), verbose=0)
        found = scores_of(converter(model).int8(lambda: calibration), unseen)
    assert np.isfinite(found).all()
    return np.abs(found - expected).mean()


def _none(layers) -> list:
    return []


# Of rounding errors of 1.1 % a layer, three layers, of logits within 4, times a slope of 1/4.
SANE = 0.02


def dead(model) -> None:
    """A channel with weights of zero, and a variance of zero, as in the published alpha 1.0 weights."""
    kernel, norm = model.get_layer("stem").kernel, model.get_layer("norm")
    kernel.assign(kernel.numpy() * (np.arange(8) != 3))
    norm.moving_mean.assign(norm.moving_mean.numpy() * (np.arange(8) != 3))
    norm.moving_variance.assign(norm.moving_variance.numpy() * (np.arange(8) != 3))


def six_decades(model) -> None:
    """A channel whose weights go from 1e-6 to 1 of its largest."""
    kernel = model.get_layer("stem").kernel
    values = kernel.numpy()
    values[..., 3] *= np.logspace(-6, 0, 27).reshape(3, 3, 3)
    kernel.assign(values)


def no_variance(model) -> None:
    """A batch normalization whose variance is next to nothing beside its epsilon, for weights as small."""
    kernel, norm = model.get_layer("stem").kernel, model.get_layer("norm")
    small = np.where(np.arange(8) == 3, 1e-12, 1).astype(np.float32)
    kernel.assign(kernel.numpy() * small)
    norm.moving_mean.assign(norm.moving_mean.numpy() * small)
    norm.moving_variance.assign(norm.moving_variance.numpy() * small**2)


@pytest.mark.parametrize("doctor", [dead, six_decades, no_variance], ids=lambda doctor: doctor.__name__)
def test_a_degenerate_channel_does_no_harm(converter, settle, seen, unseen, scores_of, doctor):
    model = _chain(settle, seen, _none, doctor)
    assert _mean_error(converter, model, seen, unseen, scores_of) < SANE


def test_one_calibration_picture_is_no_worse_for_us_than_for_the_stock_converter(
    converter, settle, seen, unseen, scores_of
):
    model = _chain(settle, seen, _none)
    ours = _mean_error(converter, model, seen[:1], unseen, scores_of)
    with quiet():
        expected = model.predict(preprocess.normalize(unseen, RECIPE), verbose=0)
        stock = scores_of(converter(model).stock_int8(lambda: seen[:1]), unseen)
    # Its ranges cut off what other pictures have, with both: the rest is rounding, of which a tenth of that is plenty.
    assert ours < 1.1 * np.abs(stock - expected).mean()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_pictures_give_finite_scores(converter, settle, seen, unseen, scores_of, value):
    model = _chain(settle, seen, _none)
    constant = np.full((3, 32, 32, 3), value, np.uint8)
    _mean_error(converter, model, constant, unseen, scores_of)
    # What was calibrated with is right all the same.
    assert _mean_error(converter, model, constant, constant, scores_of) < SANE


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("way", ["full_integer", "weights_only"])
def test_weights_that_are_not_finite_are_refused_by_name(tiny, batches, value, way):
    from edgenet.tflite.graph import Graph

    graph = Graph(tiny)
    op = [op for op in graph.operators if graph.layer(op)][5]
    layer = graph.layer(op)
    weights = layer.weights.copy()
    weights.flat[7] = value
    graph.replace(op, weights, layer.bias)
    text = f"^{re.escape(layer.name)}: expected finite weights, found NaN or infinity; mend or train the model"
    with pytest.raises(EdgenetError, match=text):
        if way == "full_integer":
            quantizer.full_integer(graph.to_bytes(), batches, PIXELS)
        else:
            quantizer.weights_only(graph.to_bytes(), batches, everything)


# Real models


def logit_errors(model, converter, calibration, pixels, scores_of) -> dict[str, float]:
    """The root mean square error of a model's int8 logits, less what is common to all classes: softmax drops it."""
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
def test_the_logits_of_the_bundled_model_are_nearer_than_the_stock_converters(converter, scores_of):
    from edgenet.images import bundled
    from edgenet.model import weights

    with quiet():
        import keras

        whole = weights.bundled()
        logits = keras.layers.Flatten()(whole.get_layer("logits").output)
        model = keras.Model(whole.inputs, logits)
    calibration = np.stack(list(preprocess.load_all(preprocess.find(bundled.CALIBRATION).paths[::2], square(96))))
    pixels = np.stack(list(preprocess.load_all(preprocess.find(bundled.EVALUATION).paths[::5], square(96))))
    error = logit_errors(model, converter, calibration, pixels, scores_of)
    # Its weights lose little in 8 bits, and the rounding of activations is the same for both: measured 0.89.
    assert error["ours"] < error["stock"]


@pytest.mark.slow
def test_bias_correction_keeps_its_promise_through_the_additions_of_mobilenet_v2(converter, settle, seen, batches):
    from edgenet.quantize.ranges import measure
    from edgenet.tflite.graph import Graph

    with quiet():
        import keras

        keras.utils.set_random_seed(3)
        whole = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=4)
        x = keras.layers.Dense(4, name="logits")(whole.layers[-2].output)
        made = converter(
            settle(keras.Model(whole.input, keras.layers.Softmax()(x)), preprocess.normalize(seen, RECIPE))
        )
        made.int8(lambda: seen)  # the integers chosen are those in the file, or this raises
    assert made.left == ()
    data = made.float32()
    uncorrected = replace(Steps(), bias=False)
    before, after, without = (
        measure(Graph(model), batches()).mean
        for model in (
            data,
            quantizer.weights_only(data, batches, everything).model,
            quantizer.weights_only(data, batches, everything, uncorrected).model,
        )
    )
    assert len(before) == 53  # the stem, 17 blocks of three but the first of two, the last convolution, the logits
    off = [max(np.abs(found[n] - before[n]).max() for n in before) for found in (after, without)]
    # Outputs of deviation 1: sums of up to 1280 float32 terms, each rounded to 6e-8; measured 2e-7, and 0.35 without.
    assert off[0] < 2e-5
    assert off[1] > 1e-2
