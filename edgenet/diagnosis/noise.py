"""Quantization noise, layer by layer: the difference between what an int8 file and its float32 file compute.

It is expressed as the signal-to-quantization-noise ratio (SQNR) in decibels, 10 log10(sum of x^2 / sum of (x - q)^2),
over all images, positions and channels of a tensor.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgenet.diagnosis.model_pair import ModelPair
from edgenet.litert.model_runner import ModelRunner, padded_batches, without_padding
from edgenet.machine import host
from edgenet.tflite.operator_runner import OperatorRunner
from edgenet.tflite.pairing import Pair

# Called with how many of how many steps are done.
Count = Callable[[int, int], None]


@dataclass
class Sqnr:
    """A signal-to-quantization-noise ratio, from sums in double precision.

    Attributes:
        signal: The sum of the squared expected values.
        noise: The sum of the squared differences.
    """

    signal: float = 0.0
    noise: float = 0.0

    def add(self, expected: np.ndarray, actual: np.ndarray) -> None:
        """Add values: two arrays of equal size."""
        expected = expected.ravel().astype(np.float64)
        difference = expected - actual.ravel()
        self.signal += float(expected @ expected)
        self.noise += float(difference @ difference)

    @property
    def finite_decibels(self) -> float:
        """Decibels; without noise or without signal a finite number (JSON has no infinity), beyond 1,000 or -1,000."""
        tiny = float(np.finfo(np.float64).tiny)
        return float(10 * (np.log10(max(self.signal, tiny)) - np.log10(max(self.noise, tiny))))

    @property
    def decibels(self) -> float | None:
        """Decibels; None without noise."""
        return self.finite_decibels if self.noise else None


@dataclass
class OperatorNoise:
    """The noise of an operator.

    Attributes:
        pair: The operator in both files.
        bias_after_int8: The bias that the float32 layer needs after int8 layers, float64 (channels,); None for its own.
        isolated_bias: The bias that the layer needs with int8 weights after float32 layers; None for its own.
        layer_sqnr: The SQNR of its output, both operators having the same input.
        cumulative_sqnr: The SQNR of its output, with the noise of all layers before it.
    """

    pair: Pair
    bias_after_int8: np.ndarray | None = None
    isolated_bias: np.ndarray | None = None
    layer_sqnr: Sqnr = field(default_factory=Sqnr)
    cumulative_sqnr: Sqnr = field(default_factory=Sqnr)


def measure_noise(
    models: ModelPair, pixels: np.ndarray, count: Count = lambda done, total: None
) -> list[OperatorNoise]:
    """Measure the noise of each operator that both files have.

    For `layer_sqnr`, the float32 operator runs on the dequantized input of the int8 operator, and its output is
    compared with the dequantized output of that, as in the layer-wise mode of TensorFlow's QuantizationDebugger.
    Bias correction (Nagel et al., arXiv:1906.04721, section 4.2) needs special care: the corrected bias compensates,
    for the mean of each channel, the rounding of the layer's weights and the noise of the layers before it, and the
    latter part would look like noise of this layer. Where the bias was corrected, the float32 operator therefore has
    the bias with which the mean of each channel before the activation equals that of the int8 operator. Elsewhere it
    has its own bias, so that a shift of the mean by rounded weights counts as noise.

    `bias_after_int8` is, where the bias was corrected, that with which the mean of each channel before the activation
    equals that of the float32 file, on the int8 input: what a quantizer would give to a layer that stays float32.

    Args:
        models: The two files.
        pixels: uint8 or float32 images (n, height, width, channels), 0 to 255.
        count: Called after each batch.

    Returns:
        The noise in the order of the operators, without operators that have neither weights nor noise, like RESHAPE.
    """
    noises = [OperatorNoise(pair) for pair in models.pairs]
    indices = [{n for pair in models.pairs for n in (*pair.inputs[side], pair.outputs[side])} for side in (0, 1)]
    runners = [
        ModelRunner(data, tensors, host.cores(), models.recipe)
        for data, tensors in zip(models.data, indices, strict=True)
    ]
    total = 2 * len(pixels)
    means = _measure_cumulative(models, noises, runners, pixels, lambda done: count(done, total))
    operators = [_float_operator(models, noise, means.get(noise.pair)) for noise in noises]
    _measure_layers(models, noises, runners[1], operators, pixels, lambda done: count(len(pixels) + done, total))
    return [noise for noise in noises if noise.layer_sqnr.noise or models.has_weights(noise.pair.float_op)]


def _measure_cumulative(
    models: ModelPair,
    noises: Sequence[OperatorNoise],
    runners: Sequence[ModelRunner],
    pixels: np.ndarray,
    count_done: Callable[[int], None],
) -> dict[Pair, "_MeanShifts"]:
    """Run both files side by side for `cumulative_sqnr`. Returns the mean shifts of layers with a corrected bias."""
    batch, done = runners[1].batch, 0
    shifts = {noise.pair: _MeanShifts(models, noise.pair) for noise in noises if models.is_bias_corrected(noise.pair)}
    for images, count in padded_batches(pixels, batch):
        for runner in runners:
            runner.run(images)
        for noise in noises:
            expected, actual = _read_both(runners, noise.pair.outputs)
            expected = models.clip_to_range(noise.pair.outputs[1], expected)
            noise.cumulative_sqnr.add(without_padding(expected, count, batch), without_padding(actual, count, batch))
        for pair, shift in shifts.items():
            (float_input,), (int8_input,) = pair.inputs
            shift.add(*_read_both(runners, (float_input, int8_input)), count, batch)
        done += count
        count_done(done)
    return shifts


class _MeanShifts:
    """Means over images of two differences in a layer's output before the activation, float64 (channels,).

    Attributes:
        images: The number of images.
        int8_excess: What the int8 layer gives in excess of the float32 layer, on the int8 input (sum over images).
        input_loss: What the float32 layer gives less on the int8 input than on the float32 input (sum over images).
    """

    def __init__(self, models: ModelPair, pair: Pair) -> None:
        layer, error = models.layer(pair), models.rounding_error(pair)
        assert error is not None  # the bias was corrected
        self.bias_error = error[1]
        self._error_runner = models.float_runner(pair, *error, linear=True)
        self._layer_runner = models.float_runner(pair, layer.weights, np.zeros_like(layer.bias), linear=True)
        self.images = 0
        self.int8_excess = np.zeros(len(layer.bias))
        self.input_loss = np.zeros(len(layer.bias))

    def add(self, float_input: np.ndarray, int8_input: np.ndarray, count: int, batch: int) -> None:
        """Add the layer's inputs in both files, for a batch of which `count` images count."""
        # Without bias, a layer is linear: the difference of two outputs is the output of the difference.
        outputs = self._error_runner(int8_input)[0], self._layer_runner(float_input - int8_input)[0]
        excess, loss = (_channel_mean(without_padding(output, count, batch)) for output in outputs)
        self.images += count
        self.int8_excess, self.input_loss = self.int8_excess + count * excess, self.input_loss + count * loss


def _float_operator(models: ModelPair, noise: OperatorNoise, shift: _MeanShifts | None) -> OperatorRunner:
    """Set the biases of an operator's noise, and return the float32 operator with which its int8 one is compared."""
    if shift is None:
        return OperatorRunner(models.float32, noise.pair.float_op)
    layer, excess = models.layer(noise.pair), shift.int8_excess / shift.images
    noise.bias_after_int8 = layer.bias + shift.input_loss / shift.images
    # `excess` includes the change of the bias, which is not a shift by the rounding of the weights.
    noise.isolated_bias = layer.bias - (excess - shift.bias_error)
    return models.float_runner(noise.pair, layer.weights, layer.bias + excess)


def _measure_layers(
    models: ModelPair,
    noises: Sequence[OperatorNoise],
    runner: ModelRunner,
    operators: Sequence[OperatorRunner],
    pixels: np.ndarray,
    count_done: Callable[[int], None],
) -> None:
    """Run the int8 file, and each float32 operator on its tensors, for `layer_sqnr`."""
    batch, done = runner.batch, 0
    for images, count in padded_batches(pixels, batch):
        runner.run(images)
        for noise, operator in zip(noises, operators, strict=True):
            output = noise.pair.outputs[1]
            expected = models.clip_to_range(output, operator(*map(runner.tensor, noise.pair.inputs[1]))[0])
            actual = runner.tensor(output)
            noise.layer_sqnr.add(without_padding(expected, count, batch), without_padding(actual, count, batch))
        done += count
        count_done(done)


def _channel_mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64))


def _read_both(runners: Sequence[ModelRunner], indices: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a tensor of the float32 file and one of the int8 file."""
    return runners[0].tensor(indices[0]), runners[1].tensor(indices[1])
