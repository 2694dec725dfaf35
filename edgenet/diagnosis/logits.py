"""The quantization noise of a file at its logits, and how many of its answers are the reference's."""

import numpy as np

from edgenet.diagnosis.model_pair import ModelPair
from edgenet.diagnosis.noise import Sqnr
from edgenet.litert.model_runner import ModelRunner, on_disk, padded_batches
from edgenet.machine import host
from edgenet.scores import THRESHOLD


class LogitsMeter:
    """Compares the logits of files that are made of a float32 and an int8 file with those of the float32 file.

    Args:
        models: The float32 and the int8 file.
        pixels: uint8 or float32 images (n, height, width, channels), 0 to 255.
        answers: The reference's top class of each image, int (n,); of a multi-label model, whether each label is
            present, bool (n, labels).
    """

    def __init__(self, models: ModelPair, pixels: np.ndarray, answers: np.ndarray) -> None:
        self._models, self._pixels, self._answers = models, pixels, answers
        self._float_logits: np.ndarray | None = None
        self._float_logits = self._read_float_logits()

    def measure_int8(self, data: bytes) -> tuple[Sqnr, int]:
        """Measure a file that was made of the int8 file and has its tensors.

        Returns:
            The SQNR of its logits, and how many of its answers are the reference's.
        """
        return self._measure(data, 1)

    def measure_float32(self, data: bytes) -> tuple[Sqnr, int]:
        """Measure a file that was made of the float32 file and has its tensors. Returns as for `measure_int8`."""
        return self._measure(data, 0)

    def _measure(self, data: bytes, side: int) -> tuple[Sqnr, int]:
        models = self._models
        logits_index, output = models.logits[side], (models.float32, models.int8)[side].output
        runner = ModelRunner(data, [logits_index], host.cores(), models.recipe)
        sqnr, agreeing, done = Sqnr(), 0, 0
        assert self._float_logits is not None
        for images, count in padded_batches(self._pixels, runner.batch):
            runner.run(images)
            logits, scores = (runner.tensor(n).reshape(runner.batch, -1)[:count] for n in (logits_index, output))
            sqnr.add(self._float_logits[done : done + count], logits if side else self._clipped(logits))
            agreeing += _count_equal(scores, self._answers[done : done + count])
            done += count
        return sqnr, agreeing

    def _clipped(self, logits: np.ndarray) -> np.ndarray:
        return self._models.clip_to_range(self._models.logits[1], logits)

    def _read_float_logits(self) -> np.ndarray:
        """Return the logits of the float32 file, float32 (n, classes), on disk."""
        index = self._models.logits[0]
        runner = ModelRunner(self._models.data[0], [index], host.cores(), self._models.recipe)
        shape = self._models.float32.tensor(index).shape
        logits = on_disk((len(self._pixels), int(np.prod(shape)) // runner.batch), np.float32)
        done = 0
        for images, count in padded_batches(self._pixels, runner.batch):
            runner.run(images)
            logits[done : done + count] = self._clipped(runner.tensor(index)).reshape(runner.batch, -1)[:count]
            done += count
        return logits


def _count_equal(scores: np.ndarray, answers: np.ndarray) -> int:
    """How many rows of scores (n, classes) give these answers, as `LogitsMeter` takes them."""
    if answers.ndim == 1:
        return int((scores.argmax(axis=1) == answers).sum())
    return int(((scores >= THRESHOLD) == answers).all(axis=1).sum())
