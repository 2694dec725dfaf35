"""The noise of each layer, against explicit sums and a deliberately damaged layer, and the mixed-precision trials."""

import re
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import quantizer_fixtures as exporting

from edgenet import records
from edgenet.benchmarking import latency
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.diagnosis import diagnosis, trials
from edgenet.diagnosis.logits import LogitsMeter
from edgenet.diagnosis.model_pair import ModelPair
from edgenet.diagnosis.noise import Sqnr, measure_noise
from edgenet.diagnosis.trials import MixedPrecisionTrials
from edgenet.errors import EdgenetError
from edgenet.litert.model_runner import ModelRunner
from edgenet.litert.runner import Runner
from edgenet.quantize.quantizer import Steps
from edgenet.quiet import quiet
from edgenet.records import Diagnosis
from edgenet.tflite import flatbuffer
from edgenet.tflite.graph import CHANNEL_AXIS, Graph
from edgenet.tflite.metadata_schema import EQUALIZATION_ENTRY

# A number of images that is not a multiple of 4.
FEW = 11

converter, net, calibration_images, evaluation_images, set_statistics = (
    getattr(exporting, name)
    for name in ("converter", "net", "calibration_images", "evaluation_images", "set_statistics")
)


@pytest.fixture(scope="module")
def net_files(net, converter, calibration_images) -> dict[str, bytes]:
    """`net` in float32, in int8 by edgenet's quantizer, and in int8 by the stock converter."""
    net_converter = converter(net)
    calibration = lambda: calibration_images  # noqa: E731
    return {
        "float32": net_converter.float32(),
        "ours": net_converter.int8(calibration),
        "stock": net_converter.stock_int8(calibration),
    }


@pytest.fixture(scope="module")
def tiny_noises(tiny_bundle, pixels) -> tuple[ModelPair, list]:
    """The noise of each operator of `tiny_bundle`, on FEW of its images."""
    models = ModelPair(*read(tiny_bundle), tiny_bundle.manifest.preprocessing)
    return models, measure_noise(models, pixels[:FEW])


@pytest.fixture
def fast_timing(monkeypatch):
    """Very short latency measurements, whose results do not matter."""
    monkeypatch.setattr(trials, "ROUNDS", 1)
    monkeypatch.setattr(latency, "WARMUP_SECONDS", 1e-9)


def read(bundle) -> tuple[bytes, bytes]:
    return tuple(bundle.file(f"{name}.tflite").read_bytes() for name in ("float32", "int8"))


def copied(bundle, folder, **files: bytes):
    """A copy of a bundle with other bytes in some .tflite files."""
    shutil.copytree(bundle.folder, folder)
    for name, data in files.items():
        (folder / f"{name}.tflite").write_bytes(data)
    return bundles.seal(folder, bundle.manifest)


def damaged(data: bytes, position: int, step: int) -> bytes:
    """An int8 file in which the weights of one operator are multiples of `step` in every second channel."""
    graph = Graph(data)
    op = graph.operators[position]
    tensor = graph.tensor(int(op.inputs[1]))
    channels = np.moveaxis(graph.constant(int(op.inputs[1])).astype(np.int32), CHANNEL_AXIS[graph.kind(op)], -1)
    coarse = np.clip(np.round(channels / step) * step, -127, 127)
    channels = np.where(np.arange(channels.shape[-1]) % 2, channels, coarse)
    weights = np.moveaxis(channels, -1, CHANNEL_AXIS[graph.kind(op)]).astype(np.int8)
    tensor.buffer = graph.add_buffer(weights)
    return graph.to_bytes()


# Decibels


def test_decibels_of_a_known_signal():
    noise = Sqnr()
    noise.add(np.float32([[3, 4]]), np.float32([[3, 4.5]]))
    assert noise.decibels == pytest.approx(10 * np.log10(25 / 0.25))  # 20 dB: a noise of a tenth of the amplitude
    noise.add(np.float32([0, 5]), np.float32([0.5, 5]))
    assert noise.decibels == pytest.approx(10 * np.log10(50 / 0.5))  # of the sums, not the mean of the two ratios


def test_eight_bits_of_a_full_range_are_48_decibels():
    """A uniform signal over 256 integers has a power of 256^2 / 12, its rounding 1 / 12."""
    signal = np.random.default_rng(1).uniform(-128, 128, 200_000).astype(np.float32)
    noise = Sqnr()
    noise.add(signal, np.floor(signal) + np.float32(0.5))
    # 200,000 squares with a deviation of 0.9 of their mean: 0.2%, or 0.009 dB, for each of the two powers.
    assert noise.decibels == pytest.approx(20 * np.log10(256), abs=0.04)


def test_no_noise_is_none_and_no_signal_is_finite():
    equal, silent = Sqnr(), Sqnr()
    equal.add(np.float32([1, 2]), np.float32([1, 2]))
    silent.add(np.float32([0, 0]), np.float32([0, 1]))
    assert equal.decibels is None and Sqnr().decibels is None
    assert -np.inf < silent.decibels < -1000 < 1000 < equal.finite_decibels < np.inf


# Each layer


@pytest.mark.parametrize("quantizer", ["ours", "stock"])
def test_the_noise_of_a_dense_layer_is_that_of_numpy(net_files, evaluation_images, quantizer):
    float32, int8 = net_files["float32"], net_files[quantizer]
    models = ModelPair(float32, int8, exporting.RECIPE)
    pair = next(pair for pair in reversed(models.pairs) if models.float32.kind(pair.float_op) == "FULLY_CONNECTED")
    layer = models.float32.layer(pair.float_op)
    (result,) = (noise for noise in measure_noise(models, evaluation_images) if noise.pair is pair)
    values = {"float": [], "int8": [], "float output": [], "int8 output": []}
    runners = [
        ModelRunner(data, [pair.inputs[side][0], pair.outputs[side]], 1, exporting.RECIPE)
        for side, data in enumerate(models.data)
    ]
    for image in evaluation_images:
        for runner, side, names in zip(
            runners, (0, 1), (("float", "float output"), ("int8", "int8 output")), strict=True
        ):
            runner.run(image[None])
            for name, number in zip(names, (pair.inputs[side][0], pair.outputs[side]), strict=True):
                values[name].append(runner.tensor(number)[0].astype(np.float64))
    values = {name: np.array(outputs) for name, outputs in values.items()}
    bias = layer.bias + 0.0
    if quantizer == "ours":  # the corrected bias: the mean of each channel is that of the int8 layer
        inputs = [int(number) for number in pair.int8_op.inputs]
        scales = [np.asarray(models.int8.tensor(number).quantization.scale, np.float64) for number in inputs[1:]]
        weights = models.int8.constant(inputs[1]) * scales[0][:, None]
        mean = (values["int8"] @ weights.T).mean(axis=0) + models.int8.constant(inputs[2]) * scales[1]
        bias = mean - (values["int8"] @ layer.weights.T).mean(axis=0)
        loss = (values["float"] - values["int8"]) @ layer.weights.T
        np.testing.assert_allclose(
            result.bias_after_int8, layer.bias + loss.mean(axis=0), rtol=0, atol=1e-5
        )  # sums of 8 terms
    else:
        assert result.bias_after_int8 is None
    quantization = models.int8.tensor(pair.outputs[1]).quantization
    lowest = quantization.scale[0] * (-128.0 - quantization.zeroPoint[0])
    layer_output = values["int8"] @ layer.weights.T + bias
    for sqnr, output in ((result.layer_sqnr, layer_output), (result.cumulative_sqnr, values["float output"])):
        expected = np.maximum(output, lowest)  # a softmax follows, which ignores lower values
        # The noise is a few percent of the signal; rounding of single values to 6e-8 is 1e-4 of that.
        assert sqnr.signal == pytest.approx(np.square(expected).sum(), rel=1e-5)
        assert sqnr.noise == pytest.approx(np.square(expected - values["int8 output"]).sum(), rel=1e-3)
    assert result.layer_sqnr.noise < result.cumulative_sqnr.noise


def test_corrected_biases_are_distinguished_from_rounded_biases(net_files):
    for quantizer in ("ours", "stock"):
        models = ModelPair(net_files["float32"], net_files[quantizer], exporting.RECIPE)
        with_bias = [pair for pair in models.pairs if models.float32.layer(pair.float_op)]
        assert {models.is_bias_corrected(pair) for pair in with_bias} == {quantizer == "ours"}


def test_the_noise_of_a_layer_is_not_attributed_to_later_layers(net_files, evaluation_images):
    """The biases after the stem were corrected for the stem before it was damaged."""
    float32, int8 = net_files["float32"], net_files["ours"]
    models = ModelPair(float32, int8, exporting.RECIPE)
    stem, *others = [pair.position for pair in models.pairs if models.has_weights(pair.float_op)]
    before, after = (
        {
            noise.pair.position: noise
            for noise in measure_noise(ModelPair(float32, data, exporting.RECIPE), evaluation_images[:FEW])
        }
        for data in (int8, damaged(int8, stem, 64))
    )
    assert after[stem].layer_sqnr.decibels < before[stem].layer_sqnr.decibels - 10
    for position in others:
        assert after[position].cumulative_sqnr.decibels < before[position].cumulative_sqnr.decibels - 5
        # The layer rounds other values now, but its own noise does not double (6 dB).
        assert after[position].layer_sqnr.decibels == pytest.approx(before[position].layer_sqnr.decibels, abs=5)


def test_operators_without_weights_and_noise_are_omitted(tiny_noises):
    models, noises = tiny_noises
    kinds = [models.float32.kind(noise.pair.float_op) for noise in noises]
    assert "RESHAPE" in {models.float32.kind(pair.float_op) for pair in models.pairs}
    assert set(kinds) == {"CONV_2D", "DEPTHWISE_CONV_2D", "SOFTMAX"}  # the mean of a 1 x 1 map changes nothing
    assert sum(kind in CHANNEL_AXIS for kind in kinds) == 28


def test_the_cumulative_noise_is_larger_than_a_layers_own(tiny_noises):
    models, noises = tiny_noises
    stem, *others = [noise for noise in noises if models.has_weights(noise.pair.float_op)]
    for noise in others:  # the rounding of one layer is less than that of all layers up to it
        assert noise.layer_sqnr.decibels > noise.cumulative_sqnr.decibels
    assert all(20 < noise.layer_sqnr.decibels < 60 for noise in (stem, *others))  # 48 dB for a uniform signal


@pytest.mark.parametrize("interface", ["int8", "float32"])
def test_the_interface_changes_little(net, net_files, converter, calibration_images, evaluation_images, interface):
    int8 = converter(net).int8(lambda: calibration_images, interface)
    sqnr, expected = (
        np.array(
            [
                n.layer_sqnr.decibels
                for n in measure_noise(ModelPair(net_files["float32"], d, exporting.RECIPE), evaluation_images[:FEW])
            ]
        )
        for d in (int8, net_files["ours"])
    )
    # With int8, pixels are the same integers; as floats, they are half-way between two integers, rounded either way.
    # That is noise of its own in the first layers, and others quantize what comes from it: measured 1.2 dB.
    np.testing.assert_allclose(sqnr, expected, rtol=0, atol=1e-9 if interface == "int8" else 2.0)


@pytest.mark.slow
def test_the_padding_of_the_last_batch_does_not_count(tiny_model, converter, calibration_images, pixels):
    def pair(batch: int) -> ModelPair:
        made, steps = converter(tiny_model, batch), Steps(equalization=False)  # which scales what is compared
        return ModelPair(made.float32(), made.int8(lambda: calibration_images, steps=steps), exporting.RECIPE)

    models = pair(4)
    images, top = pixels[:FEW], np.arange(FEW) % 4
    assert FEW % 4 == 3
    for noise, same in zip(measure_noise(models, images), measure_noise(pair(1), images), strict=True):
        # The float32 files differ in their batch: sums of up to 256 terms in another order.
        assert noise.cumulative_sqnr.signal == pytest.approx(same.cumulative_sqnr.signal, rel=1e-4)
    scores = []
    runner = ModelRunner(models.data[1], (), 1, exporting.RECIPE)
    for start in range(0, FEW, 4):
        batch = images[start : start + 4]
        runner.run(np.concatenate([batch, np.zeros((4 - len(batch), 32, 32, 3), np.uint8)]))
        scores.append(runner.tensor(models.int8.output)[: len(batch)])
    agreeing = LogitsMeter(models, images, top).measure_int8(models.data[1])[1]
    assert agreeing == int((np.concatenate(scores).argmax(axis=1) == top).sum())


def test_without_a_softmax_the_output_counts_as_logits(
    converter, set_statistics, calibration_images, evaluation_images
):
    with quiet():
        import keras

        keras.utils.set_random_seed(2)
        image = keras.Input((32, 32, 3))
        x = keras.layers.Conv2D(8, 3, strides=4, activation="relu6")(image)
        x = keras.layers.Dense(4, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
        net_converter = converter(keras.Model(image, x))
    float32, int8 = net_converter.float32(), net_converter.int8(lambda: calibration_images)
    models = ModelPair(float32, int8, exporting.RECIPE)
    meter = LogitsMeter(models, evaluation_images, np.zeros(len(evaluation_images), int))
    runners = [ModelRunner(data, (), 1, exporting.RECIPE) for data in (float32, int8)]
    expected = Sqnr()
    for image in evaluation_images:
        for runner in runners:
            runner.run(image[None])
        expected.add(runners[0].tensor(models.float32.output), runners[1].tensor(models.int8.output))
    assert meter.measure_int8(int8)[0].decibels == pytest.approx(expected.decibels, abs=1e-6)


# Mixed-precision trials


@pytest.mark.slow
def test_a_damaged_layer_has_the_most_noise_and_the_largest_gain(tiny_bundle, tmp_path, progress, fast_timing):
    float32, int8 = read(tiny_bundle)
    models = ModelPair(float32, int8, exporting.RECIPE)
    pair = [pair for pair in models.pairs if models.float32.kind(pair.float_op) == "CONV_2D"][3]
    name = models.float32.name(pair.float_op)
    bundle = copied(tiny_bundle, tmp_path / "damaged", int8=damaged(int8, pair.position, 64))
    result = diagnosis.diagnose(bundle, "int8", progress, images=FEW)
    assert result.layers[0].name == name
    assert result.layers[0].layer_sqnr < min(layer.layer_sqnr for layer in result.layers[1:]) - 6  # half the amplitude
    # In squares, too; the bias compensates the shift of the mean by the damaged weights.
    assert result.layers[0].noise_fraction > 4 * result.layers[1].noise_fraction
    gains = {layer.name: layer.mixed_precision[0].sqnr_gain for layer in result.layers if layer.mixed_precision}
    assert len(gains) == 28
    assert max(gains, key=gains.get) == name
    # In int16, the damaged weights are unchanged.
    in_float32, in_int16, until = result.layers[0].mixed_precision
    assert (in_float32.arithmetic, in_int16.arithmetic, until.arithmetic) == ("float32", "int16", "float32 until here")
    assert until.sqnr_gain > in_float32.sqnr_gain - 1  # 1 dB of tolerance
    assert in_int16.sqnr_gain < 0.5 * in_float32.sqnr_gain
    assert in_float32.sqnr_gain > 3


@pytest.mark.slow
def test_the_fields_of_a_diagnosis(tiny_bundle, pixels, progress, fast_timing):
    result = diagnosis.diagnose(tiny_bundle, "int8", progress)
    manifest = tiny_bundle.manifest
    assert (result.bundle, result.variant, result.images) == (manifest.name, "int8", 43)
    assert result.files == {name: manifest.files[name].sha256 for name in ("float32.tflite", "int8.tflite")}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result.created)
    assert {"edgenet", "ai-edge-litert", "numpy"} <= result.versions.keys()
    (reference,) = [np.concatenate(list(evaluation.read_scores(tiny_bundle.file(bundles.REFERENCE), (43, 4))))]
    scores = Runner(tiny_bundle.file("int8.tflite"), manifest.preprocessing).scores(pixels)
    assert result.agreeing == int((scores.argmax(axis=1) == reference.argmax(axis=1)).sum())
    assert all((one.noise_fraction or 0) >= (other.noise_fraction or 0) for one, other in pairwise(result.layers))
    # Errors add in squares, except for chance, and for what the corrected biases of later layers compensate.
    assert 0.5 < sum(layer.noise_fraction or 0 for layer in result.layers) < 2
    assert [layer.kind for layer in result.layers if layer.noise_fraction is None] == ["SOFTMAX"]
    last = next(layer for layer in result.layers if "logits" in layer.name)
    assert result.logits_sqnr == pytest.approx(last.cumulative_sqnr, abs=1e-6)  # only a RESHAPE is in between
    for layer in result.layers:
        weighted = layer.kind in CHANNEL_AXIS
        assert [trial.arithmetic for trial in layer.mixed_precision] == (list(trials.ARITHMETICS) if weighted else [])
        for trial in layer.mixed_precision:
            assert trial.latency_ratio > 0 and trial.bytes_added > 0 and abs(trial.images_recovered) <= 43
            assert np.isfinite(trial.sqnr_gain)
    assert records.from_json(Diagnosis, records.to_json(result), "here") == result


def test_fewer_images_are_evenly_spaced(tiny_bundle, pixels, progress, monkeypatch):
    monkeypatch.setattr(MixedPrecisionTrials, "run", lambda self, noise: ())
    result = diagnosis.diagnose(tiny_bundle, "int8", progress, images=3)
    expected = measure_noise(ModelPair(*read(tiny_bundle), tiny_bundle.manifest.preprocessing), pixels[[0, 21, 42]])
    assert result.images == 3
    assert sorted(layer.layer_sqnr for layer in result.layers) == sorted(
        noise.layer_sqnr.decibels for noise in expected
    )


# Errors


def test_a_bundle_without_float32_is_an_error(tiny_bundle, progress):
    only = tuple(variant for variant in tiny_bundle.manifest.variants if variant.name != "float32")
    bundle = replace(tiny_bundle, manifest=replace(tiny_bundle.manifest, variants=only))
    text = "expected the variants float32 and int8, got float16, dynamic, int8; choose another with variant=, or export"
    with pytest.raises(EdgenetError, match=f"^{re.escape(f'{tiny_bundle.folder}: {text}')} both$"):
        diagnosis.diagnose(bundle, "int8", progress)


def test_a_missing_variant_is_an_error(tiny_bundle, progress):
    text = (
        "expected the variants float32 and int4, got float32, float16, dynamic, int8; choose another with variant=, or "
        "export both"
    )
    with pytest.raises(EdgenetError, match=f"{re.escape(text)}$"):
        diagnosis.diagnose(tiny_bundle, "int4", progress)


@pytest.mark.parametrize("variant", ["float32", "float16", "dynamic"])
def test_a_variant_that_is_not_full_integer_is_an_error(tiny_bundle, progress, variant):
    text = (
        f"{tiny_bundle.file(f'{variant}.tflite')}: expected an int8 layer for each of the 28 layers with weights of "
        "the float32 file, got 0; choose a full-integer file that was exported together with it"
    )
    with pytest.raises(EdgenetError, match=f"^{re.escape(text)}$"):
        diagnosis.diagnose(tiny_bundle, variant, progress)


def test_files_of_two_models_are_an_error(tiny_bundle, net_files):
    with pytest.raises(
        EdgenetError, match=r"^int8: expected an int8 layer for each of the 28 layers .* got \d; choose"
    ):
        ModelPair(read(tiny_bundle)[0], net_files["ours"], exporting.RECIPE)


def test_the_equalization_of_another_model_is_an_error(tiny_bundle):
    float32, int8 = read(tiny_bundle)
    model = flatbuffer.read(int8)
    flatbuffer.set_metadata_entry(model, EQUALIZATION_ENTRY, b"\1\2")
    with pytest.raises(EdgenetError, match=r"^int8: its channels are equalized as those of another model; choose"):
        ModelPair(float32, flatbuffer.write(model), exporting.RECIPE)


def test_a_diagnosis_needs_an_image(tiny_bundle, progress):
    with pytest.raises(EdgenetError, match=r"^images: must be 1 or more, got 0$"):
        diagnosis.diagnose(tiny_bundle, "int8", progress, images=0)
