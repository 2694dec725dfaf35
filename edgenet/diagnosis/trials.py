"""What it would bring, and cost, to keep one layer of an int8 file in other arithmetic: measured on such files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np

from edgenet.benchmarking import latency
from edgenet.diagnosis.logits import LogitsMeter
from edgenet.diagnosis.model_pair import ModelPair
from edgenet.diagnosis.noise import OperatorNoise
from edgenet.litert.model_runner import ModelRunner, padded_batches
from edgenet.records import MixedPrecision
from edgenet.tflite import mixed_precision

# One layer in float32 or int16, or all layers up to and including it in float32.
FLOAT32, INT16, FLOAT32_UNTIL = ARITHMETICS = ("float32", "int16", "float32 until here")
# Of the latency measurement of each file (`latency.interleave`).
ROUNDS, TURN_SECONDS = 5, 0.005


class MixedPrecisionTrials:
    """Makes and measures files in which one layer has other arithmetic.

    Args:
        models: The float32 and the int8 file.
        pixels: uint8 or float32 images (n, height, width, channels), 0 to 255.
        meter: Measures files at the logits, on these images.
        noises: The noise of each operator (`measure_noise`).

    Attributes:
        logits: The SQNR of the int8 file's logits.
        agreeing: The number of images for which the int8 file's answer is the reference's.
        float32_latency: The latency of the float32 file as a multiple of the int8 file's.
    """

    def __init__(
        self, models: ModelPair, pixels: np.ndarray, meter: LogitsMeter, noises: Sequence[OperatorNoise]
    ) -> None:
        self._models, self._pixels, self._meter = models, pixels, meter
        self._int8 = models.int8.to_bytes()
        # Quantized pixels are off by half a scale, for which the first layer's bias must compensate.
        self._first = next(noise for noise in noises if models.float32.layer(noise.pair.float_op))
        self.logits, self.agreeing = meter.measure_int8(self._int8)
        self._int8_runner = ModelRunner(self._int8, (), 1, models.recipe)
        float32 = {FLOAT32: ModelRunner(models.data[0], (), 1, models.recipe)}
        self.float32_latency = self._latency_ratios(float32)[FLOAT32]

    def run(self, noise: OperatorNoise) -> tuple[MixedPrecision, ...]:
        """Measure a layer in each of ARITHMETICS.

        In float32, it has the bias that it needs after int8 layers. Arithmetics for which LiteRT has no kernel are
        omitted.

        Args:
            noise: The layer's noise.
        """
        files = self._make_files(noise)
        runners = {}
        for arithmetic, data in files.items():
            try:
                runners[arithmetic] = ModelRunner(data, (), 1, self._models.recipe)
            except (ValueError, RuntimeError):
                continue
        ratios = self._latency_ratios(runners)
        return tuple(
            self._measure(arithmetic, files[arithmetic], ratios[arithmetic])
            for arithmetic in ARITHMETICS
            if arithmetic in runners
        )

    def _make_files(self, noise: OperatorNoise) -> dict[str, bytes]:
        pair, float32 = noise.pair, self._models.float32
        until = [other for other in self._models.pairs if other.position <= pair.position]
        with self._bias_after_int8(self._first):
            float32_until = mixed_precision.in_float32(self._int8, until, float32)
        with self._bias_after_int8(noise):
            in_float32 = mixed_precision.in_float32(self._int8, [pair], float32)
        in_int16 = mixed_precision.in_int16(self._int8, pair.position)
        return {FLOAT32_UNTIL: float32_until, FLOAT32: in_float32, INT16: in_int16}

    @contextmanager
    def _bias_after_int8(self, noise: OperatorNoise) -> Iterator[None]:
        """Give a layer of the float32 graph the bias that it needs after int8 layers, for the time of the block."""
        float32, op = self._models.float32, noise.pair.float_op
        layer = float32.layer(op)
        if layer and noise.bias_after_int8 is not None:
            float32.set_weights(op, layer.weights, noise.bias_after_int8)
        yield
        if layer and noise.bias_after_int8 is not None:
            float32.set_weights(op, layer.weights, layer.bias)

    def _measure(self, arithmetic: str, data: bytes, latency_ratio: float) -> MixedPrecision:
        logits, agreeing = self._meter.measure_int8(data)
        return MixedPrecision(
            arithmetic,
            sqnr_gain=logits.finite_decibels - self.logits.finite_decibels,
            images_recovered=agreeing - self.agreeing,
            bytes_added=len(data) - len(self._int8),
            latency_ratio=latency_ratio,
        )

    def _latency_ratios(self, runners: dict[str, ModelRunner]) -> dict[str, float]:
        """Return the latency on one thread in multiples of the int8 file's: median over rounds of their medians."""
        images, _ = next(padded_batches(self._pixels, self._int8_runner.batch))
        timers = {}
        for name, runner in {"int8": self._int8_runner, **runners}.items():
            runner.run(images)
            timers[name] = partial(latency.time_inferences, runner.invoke)
        samples = latency.interleave(timers, ROUNDS, TURN_SECONDS)
        medians = {name: np.array([np.median(seconds) for seconds in rounds]) for name, rounds in samples.items()}
        return {name: float(np.median(medians[name] / medians["int8"])) for name in runners}
