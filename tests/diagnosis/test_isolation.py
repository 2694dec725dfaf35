"""Weights and activations, each alone in 8 bits: a damaged part is found in its own number."""

import numpy as np
import pytest
from recipes import RECIPE

from edgenet.diagnosis.isolation import Isolation
from edgenet.diagnosis.logits import LogitsMeter
from edgenet.diagnosis.model_pair import ModelPair
from edgenet.diagnosis.noise import measure_noise
from edgenet.quiet import quiet
from edgenet.tflite import mixed_precision
from edgenet.tflite.graph import CHANNEL_AXIS, Graph

# Images.
FEW = 11


@pytest.fixture(scope="module")
def net_files(net, converter, calibration_images) -> dict[str, bytes]:
    """The float32 file, an int8 file, and two in which a layer has coarse weights, or a coarse output."""
    with quiet():
        from edgenet.convert import converter as module
        from edgenet.quantize import quantizer

        net_converter = converter(net)
        float32, int8 = net_converter.float32(), net_converter.stock_int8(lambda: calibration_images)
        ranged = quantizer.quantize_full_integer(
            float32,
            net_converter._batches(lambda: calibration_images),
            (-1.0, 1.0),
            quantizer.Steps(False, False, False),
        )
        graph = Graph(ranged.model)
        op = next(op for op in graph.operators if "wide" in graph.full_name(op))
        graph.tensor(int(op.outputs[0])).quantization.max = [16 * graph.tensor(int(op.outputs[0])).quantization.max[0]]
        coarse_output = module._quantize_full_integer(graph.to_bytes(), "uint8")
    return {"float32": float32, "int8": int8, "weights": _coarse_weights(int8), "output": coarse_output}


def _coarse_weights(int8: bytes) -> bytes:
    graph = Graph(int8)
    op = next(op for op in graph.operators if "wide" in graph.full_name(op) and graph.kind(op) == "CONV_2D")
    weights = graph.constant(int(op.inputs[1])).astype(np.float64)
    coarse = np.clip(np.round(weights / 64) * 64, -127, 127).astype(np.int8)
    graph.tensor(int(op.inputs[1])).buffer = graph.add_buffer(coarse)
    return graph.to_bytes()


@pytest.fixture(scope="module")
def isolate(net_files, evaluation_images):
    """Returns the isolation, and the noise of the layer `wide`, of one of the int8 files."""

    def isolate(name: str):
        models = ModelPair(net_files["float32"], net_files[name], RECIPE)
        images = evaluation_images[:FEW]
        noises = measure_noise(models, images)
        meter = LogitsMeter(models, images, np.zeros(FEW, int))
        int8_noise = meter.measure_int8(net_files[name])[0].noise
        wide = next(noise for noise in noises if "wide" in models.float32.full_name(noise.pair.float_op))
        return Isolation(models, meter, noises, int8_noise), wide

    return isolate


@pytest.mark.parametrize(("name", "other"), [("weights", "activations"), ("activations", "weights")])
def test_the_part_with_the_damage_has_the_noise(isolate, name, other):
    isolation, wide = isolate({"weights": "weights", "activations": "output"}[name])
    alone = {"weights": isolation.weights_alone(), "activations": isolation.activations_alone()}
    # The damage is 16 or 64 times the usual rounding, so that it outweighs all the rest.
    assert alone[name].noise_fraction > 4 * alone[other].noise_fraction
    assert alone[name].sqnr < alone[other].sqnr - 6
    both, weights, activations = isolation.fractions(wide)
    of_layer = {"weights": weights, "activations": activations}
    assert both > 0.3 and of_layer[name] > 0.3 and of_layer[other] < 0.1


def test_one_part_has_about_the_noise_of_its_layers(isolate):
    """Errors of many layers add in squares, but for chance."""
    isolation, _ = isolate("int8")
    fractions = [isolation._fraction(noise, activations=False) for noise in isolation._noises if noise.pair.float_op]
    assert 0.4 < isolation.weights_alone().noise_fraction / sum(fractions) < 2.5


def test_both_parts_of_all_layers_are_the_int8_file(pruned, converter, calibration_images, evaluation_images):
    """A float32 file with all tensors rounded as in the int8 file computes the same, but for single steps."""
    with quiet():
        plain = converter(pruned(value=0.01))
        float32, int8 = plain.float32(), plain.int8(lambda: calibration_images)
    models = ModelPair(float32, int8, RECIPE)
    meter = LogitsMeter(models, evaluation_images[:FEW], np.zeros(FEW, int))
    biases = {
        pair: models.int8.constant(int(pair.int8_op.inputs[2]))
        * np.asarray(models.int8.tensor(int(pair.int8_op.inputs[2])).quantization.scale, np.float64)
        for pair in models.pairs
        if models.float32.layer(pair.float_op)
    }
    rounded = mixed_precision.with_rounded_input(float32, models.int8)
    simulated = meter.measure_float32(mixed_precision.in_int8(rounded, models.pairs, models.int8, biases))[0]
    # Where a float error of another order of sums changes a rounding; of the input, pixels are half-way between two
    # integers, which raw pixels are not.
    assert simulated.decibels == pytest.approx(meter.measure_int8(int8)[0].decibels, abs=1)


def test_quiet_layers_and_operators_without_weights_are_not_separated(isolate):
    isolation, _ = isolate("weights")
    for noise in isolation._noises:
        both, weights, activations = isolation.fractions(noise)
        kind = isolation._models.float32.kind(noise.pair.float_op)
        separated = both is not None and both >= 0.01 and kind in CHANNEL_AXIS
        assert (weights is not None, activations is not None) == (separated, separated)
