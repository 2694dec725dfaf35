"""What the quantization of one layer, of all weights, or of all activations costs alone: measured on such files."""

from collections.abc import Sequence

from edgenet.diagnosis.logits import LogitsMeter
from edgenet.diagnosis.model_pair import ModelPair
from edgenet.diagnosis.noise import OperatorNoise
from edgenet.records import IsolatedNoise
from edgenet.tflite import mixed_precision

# Layers that cause less of the noise are not measured further.
MIN_FRACTION = 0.01


class Isolation:
    """Makes and measures float32 files in which some tensors are rounded as in the int8 file.

    Args:
        models: The float32 and the int8 file.
        meter: Measures files at the logits.
        noises: The noise of each operator (`edgenet.diagnosis.noise.measure_noise`).
        int8_noise: The sum of the squared errors of the int8 file's logits (`Sqnr.noise`).
    """

    def __init__(
        self, models: ModelPair, meter: LogitsMeter, noises: Sequence[OperatorNoise], int8_noise: float
    ) -> None:
        self._models, self._meter, self._noises, self._int8_noise = models, meter, noises, int8_noise
        operators = models.float32.operators
        self._logits_position = next(n for n, op in enumerate(operators) if models.logits[0] in op.outputs)

    def fractions(self, noise: OperatorNoise) -> tuple[float | None, float | None, float | None]:
        """Return the noise at the logits with only this operator quantized, as fractions of that of the int8 file.

        Args:
            noise: The operator's noise.

        Returns:
            With its weights and its output rounded; with its weights alone; and with its output alone. None after the
            logits, and for an int8 file without noise. The last two are None for an operator without weights, and where
            the first one is below MIN_FRACTION.
        """
        position = self._models.float32.operators.index(noise.pair.float_op)
        if position > self._logits_position or not self._int8_noise:
            return None, None, None
        both = self._fraction(noise)
        if both < MIN_FRACTION or not self._models.has_weights(noise.pair.float_op):
            return both, None, None
        return both, self._fraction(noise, activations=False), self._fraction(noise, weights=False)

    def weights_alone(self) -> IsolatedNoise:
        """Measure the model with all weights in 8 bits, and float activations.

        Biases are those that layers with rounded weights need after float layers, where the int8 file's are corrected.
        """
        data = mixed_precision.in_int8(
            self._models.data[0],
            [noise.pair for noise in self._noises],
            self._models.int8,
            {noise.pair: noise.isolated_bias for noise in self._noises if noise.isolated_bias is not None},
            activations=False,
        )
        return self._measure(data)

    def activations_alone(self) -> IsolatedNoise:
        """Measure the model with its input and all activations in 8 bits, and float weights.

        The first layer's bias compensates for rounded pixels, which are off by half a scale, where the int8 file's
        biases are corrected.
        """
        first = next(noise for noise in self._noises if self._models.float32.layer(noise.pair.float_op))
        data = mixed_precision.in_int8(
            mixed_precision.with_rounded_input(self._models.data[0], self._models.int8),
            self._models.pairs,
            self._models.int8,
            {} if first.bias_after_int8 is None else {first.pair: first.bias_after_int8},
            weights=False,
        )
        return self._measure(data)

    def _fraction(self, noise: OperatorNoise, *, weights: bool = True, activations: bool = True) -> float:
        bias = noise.isolated_bias if weights else None
        data = mixed_precision.in_int8(
            self._models.data[0],
            [noise.pair],
            self._models.int8,
            {} if bias is None else {noise.pair: bias},
            weights=weights,
            activations=activations,
        )
        return self._meter.measure_float32(data)[0].noise / self._int8_noise

    def _measure(self, data: bytes) -> IsolatedNoise:
        sqnr, agreeing = self._meter.measure_float32(data)
        return IsolatedNoise(sqnr.decibels, sqnr.noise / self._int8_noise if self._int8_noise else None, agreeing)
