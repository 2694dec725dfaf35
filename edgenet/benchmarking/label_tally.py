"""Counting how often the labels of a multi-label model agree with those of the reference."""

import numpy as np

from edgenet import statistics
from edgenet.records import EvaluationImage, Flip, LabelAgreement, LabelDrift, Prediction
from edgenet.scores import THRESHOLD

# Of each model, for an image that flips.
MAX_PREDICTIONS = 3
# A model with one class for each image gives one score of 0.5 or more to most images, whatever its last layer is. Of
# independent labels, as many as there are present get such a score. More images than this fraction without exactly one
# are a sign of those: 5 labels, each in 20% of the images, give 59%.
MIN_OTHER_COUNTS = 0.25
# Of the sum of a softmax in float32.
SUM_TOLERANCE = 1e-3
# An 8-bit softmax has a scale of 1/256 (LiteRT's 8-bit quantization specification): each score is rounded.
STEPS = 256


class LabelTally:
    """Sums over the images so far, of models whose scores are independent of each other.

    Attributes:
        images: The number of images.
        flips: Those of which at least one decision differs.
    """

    def __init__(self) -> None:
        self.images = 0
        self.flips: list[Flip] = []
        self._changed = self._squares = self._other_counts = 0
        # Of each label: images that have it in the reference, only in the variant, only in the reference.
        self._counts = np.zeros((3, 0), np.int64)
        self._change_sum = self._change_max = 0.0
        self._within_1 = self._in_steps = True
        self._sum_min, self._sum_max = np.inf, -np.inf

    def add(self, reference: np.ndarray, scores: np.ndarray, images: tuple[EvaluationImage, ...]) -> tuple[int, ...]:
        """Count some images.

        Args:
            reference: The reference's scores, float32 (n, labels).
            scores: The variant's scores, float32 (n, labels).
            images: The n images.

        Returns:
            The indices of the images of which a decision differs.
        """
        if not self.images:
            self._counts = np.zeros((3, scores.shape[1]), np.int64)
        self.images += len(images)
        expected, decided = reference >= THRESHOLD, scores >= THRESHOLD
        self._counts += np.stack([part.sum(axis=0) for part in (expected, decided & ~expected, expected & ~decided)])
        changed = (expected != decided).sum(axis=1, dtype=np.int64)
        self._changed += int(changed.sum())
        self._squares += int((changed**2).sum())
        # In double precision: the difference of legal float32 scores can overflow in their own.
        change = np.abs(scores.astype(np.float64) - reference)
        self._change_sum += float(change.sum())
        self._change_max = max(self._change_max, float(change.max()))
        self._look_at(reference, expected)
        flipped = tuple(np.flatnonzero(changed).tolist())
        for index in flipped:
            labels = np.flatnonzero(expected[index] != decided[index])
            labels = labels[np.argsort(-change[index, labels], kind="stable")][:MAX_PREDICTIONS].tolist()
            before, after = (
                tuple(Prediction(label, float(part[index, label])) for label in labels) for part in (reference, scores)
            )
            self.flips.append(Flip(images[index].file, images[index].label, before, after))
        return flipped

    def _look_at(self, reference: np.ndarray, expected: np.ndarray) -> None:
        """Take note of what the scores look like, for `is_likely`."""
        self._other_counts += int((expected.sum(axis=1) != 1).sum())
        self._within_1 = self._within_1 and bool(((reference >= 0) & (reference <= 1)).all())
        if not self._within_1:
            return
        totals = reference.sum(axis=1, dtype=np.float64)
        self._sum_min = min(self._sum_min, float(totals.min()))
        self._sum_max = max(self._sum_max, float(totals.max()))
        self._in_steps = self._in_steps and not (reference * np.float32(STEPS) % 1).any()

    def is_likely(self) -> bool:
        """Whether the reference's scores look like independent ones, where nothing says what they are.

        All are from 0 to 1, they do not sum to 1, and many images have several scores of 0.5 or more, or none. A single
        score can only be decided by itself.
        """
        if not self.images or not self._within_1:
            return False
        if self._counts.shape[1] == 1:
            return True
        return not self._sums_to_1() and self._other_counts > MIN_OTHER_COUNTS * self.images

    def _sums_to_1(self) -> bool:
        """Whether the reference's scores look like a softmax, one of 8 bits as well.

        Its rounding adds at most half a step to each score. It can take away more: of many classes, most become 0.
        """
        rounding = self._counts.shape[1] / (2 * STEPS) if self._in_steps else 0.0
        least = 0.0 if self._in_steps else 1 - SUM_TOLERANCE
        return least <= self._sum_min and self._sum_max <= 1 + SUM_TOLERANCE + rounding

    def agreement(self) -> LabelAgreement:
        """The fractions of the images so far, at least one."""
        labels = self._counts.shape[1]
        return LabelAgreement(
            decisions=statistics.clustered(self._changed, self._squares, self.images, labels),
            images=statistics.wilson(self.images - len(self.flips), self.images),
            score_change_mean=self._change_sum / (self.images * labels),
            score_change_max=self._change_max,
            labels=tuple(LabelDrift(label, *counts) for label, counts in enumerate(self._counts.T.tolist())),
        )
