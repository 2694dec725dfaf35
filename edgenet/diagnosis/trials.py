"""What it would bring, and cost, to keep one layer of an int8 file in other arithmetic: measured on such files."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from edgenet.benchmarking import latency
from edgenet.diagnosis import mixed_precision
from edgenet.diagnosis.model_pair import ModelPair
from edgenet.diagnosis.model_runner import ModelRunner, padded_batches
from edgenet.diagnosis.noise import OperatorNoise, Sqnr
from edgenet.machine import host
from edgenet.records import MixedPrecision
from edgenet.scores import THRESHOLD

# One layer in float32 or int16, or all layers up to and including it in float32.
FLOAT32, INT16, FLOAT32_UNTIL = ARITHMETICS = ("float32", "int16", "float32 until here")
# Of the latency measurement of each file (`latency.interleave`).
ROUNDS, TURN_SECONDS = 5, 0.005


class MixedPrecisionTrials:
    """Makes and measures files in which one layer has other arithmetic.

    Args:
        models: The float32 and the int8 file.
        pixels: uint8 or float32 images (n, height, width, channels), 0 to 255.
        answers: The reference's top class of each image, int (n,); of a multi-label model, whether each label is
            present, bool (n, labels).
        noises: The noise of each operator (`measure_noise`).

    Attributes:
        logits: The SQNR of the int8 file's logits.
        agreeing: The number of images for which the int8 file's answer is the reference's.
    """

    def __init__(
        self, models: ModelPair, pixels: np.ndarray, answers: np.ndarray, noises: Sequence[OperatorNoise]
    ) -> None:
        self._models, self._pixels, self._answers = models, pixels, answers
        self._int8 = models.int8.to_bytes()
        # Quantized pixels are off by half a scale, for which the first layer's bias must compensate.
        self._first = next(noise for noise in noises if models.float32.layer(noise.pair.float_op))
        self._float_logits = self._measure_float_logits()
        self._logits_op = next(op for op in models.float32.operators if models.logits[0] in op.outputs)
        self.logits, self.agreeing = self._measure_logits(self._int8)
        self._int8_runner = ModelRunner(self._int8, (), 1, models.recipe)

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

    def noise_fraction(self, noise: OperatorNoise) -> float | None:
        """Return the noise at the logits with only this operator quantized, as a fraction of that of the int8 file.

        Args:
            noise: The operator's noise.

        Returns:
            The fraction; None after the logits, and for an int8 file without noise.
        """
        models, (float_logits, int8_logits) = self._models, self._models.logits
        position, logits_position = (
            models.float32.operators.index(op) for op in (noise.pair.float_op, self._logits_op)
        )
        if position > logits_position or not self.logits.noise:
            return None
        data = mixed_precision.in_int8(models.data[0], position, noise.pair, models.int8, noise.isolated_bias)
        runner = ModelRunner(data, [float_logits], host.cores(), models.recipe)
        isolated, done = Sqnr(), 0
        for images, count in padded_batches(self._pixels, runner.batch):
            runner.run(images)
            logits = models.clip_to_range(int8_logits, runner.tensor(float_logits)).reshape(runner.batch, -1)[:count]
            isolated.add(self._float_logits[done : done + count], logits)
            done += count
        return isolated.noise / self.logits.noise

    def _make_files(self, noise: OperatorNoise) -> dict[str, bytes]:
        pair, float32 = noise.pair, self._models.float32
        until = [other for other in self._models.pairs if other.position <= pair.position]
        with self._bias_after_int8(self._first):
            float32_until = mixed_precision.in_float32_until(self._int8, until, float32)
        with self._bias_after_int8(noise):
            in_float32 = mixed_precision.in_float32(self._int8, pair.position, float32, pair.float_op)
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
        logits, agreeing = self._measure_logits(data)
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

    def _measure_float_logits(self) -> np.ndarray:
        """Return the logits of the float32 file, float32 (n, classes), on disk."""
        float_logits, int8_logits = self._models.logits
        runner = ModelRunner(self._models.data[0], [float_logits], host.cores(), self._models.recipe)
        shape = self._models.float32.tensor(float_logits).shape
        logits = on_disk((len(self._pixels), int(np.prod(shape)) // runner.batch), np.float32)
        done = 0
        for images, count in padded_batches(self._pixels, runner.batch):
            runner.run(images)
            values = self._models.clip_to_range(int8_logits, runner.tensor(float_logits))
            logits[done : done + count] = values.reshape(runner.batch, -1)[:count]
            done += count
        return logits

    def _measure_logits(self, data: bytes) -> tuple[Sqnr, int]:
        """Return the SQNR of a file's logits, and how many of its answers are the reference's."""
        logits_index, output = self._models.logits[1], self._models.int8.output
        runner = ModelRunner(data, [logits_index], host.cores(), self._models.recipe)
        sqnr, agreeing, done = Sqnr(), 0, 0
        for images, count in padded_batches(self._pixels, runner.batch):
            runner.run(images)
            logits, scores = (runner.tensor(n).reshape(runner.batch, -1)[:count] for n in (logits_index, output))
            sqnr.add(self._float_logits[done : done + count], logits)
            agreeing += _count_equal(scores, self._answers[done : done + count])
            done += count
        return sqnr, agreeing


def _count_equal(scores: np.ndarray, answers: np.ndarray) -> int:
    """How many rows of scores (n, classes) give these answers, as `MixedPrecisionTrials` takes them."""
    if answers.ndim == 1:
        return int((scores.argmax(axis=1) == answers).sum())
    return int(((scores >= THRESHOLD) == answers).all(axis=1).sum())


def on_disk(shape: tuple[int, ...], dtype: type[Any]) -> np.ndarray:
    """Return an array in an unnamed temporary file, so that many images take no memory and are decoded only once."""
    return np.memmap(tempfile.TemporaryFile(), dtype, "w+", shape=shape)
