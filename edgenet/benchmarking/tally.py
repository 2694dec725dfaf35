"""Counting how far a variant's scores are from those of the reference: a running sum, then `Drift`."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edgenet import statistics
from edgenet.benchmarking.label_tally import MAX_PREDICTIONS, SUM_TOLERANCE, LabelTally
from edgenet.errors import EdgenetError
from edgenet.records import (
    Accuracy,
    AccuracyChange,
    Agreement,
    ClassDrift,
    Drift,
    EvaluationImage,
    Flip,
    Prediction,
    ProbabilityChange,
    ScoreKind,
)
from edgenet.scores import check_finite, probabilities, top_classes

# An 8-bit probability is 0 where the float one is small, and the logarithm of 0 is infinite: one quantization step of
# the scores, 1/256, is spread over all classes of both models before they are compared (additive smoothing; Lidstone,
# 1920).
SMOOTHING = 1 / 256


class Tally:
    """Sums over the images so far; they are divided once, at the end. Only images that flip are kept.

    Args:
        scores: What the scores are. None: probabilities, if those of the reference sum to 1.
        multi_label: Whether each label is decided by itself, instead of the class with the highest score. None: if the
            reference's scores look like it (`LabelTally.is_likely`), which is decided at the end.
        model: The name of the variant, for errors.
        reference: The name of the reference, for errors.
        labels: The class names, for errors.

    Attributes:
        images: The number of images.
        compared: Those with scores of the reference.
    """

    def __init__(
        self,
        scores: ScoreKind | None = None,
        *,
        multi_label: bool | None = False,
        model: str = "the model",
        reference: str = "the reference",
        labels: Sequence[str] = (),
    ):
        self.images = self.compared = 0
        self._multi_label = multi_label
        self._label_tally = LabelTally()
        self._flips: list[Flip] = []
        self._kind = scores
        self._is_sigmoid = scores == ScoreKind.SIGMOID
        self._model, self._reference, self._labels = model, reference, labels
        self._ties = self._in_top5 = self._top5_correct = self._reference_top5_correct = 0
        # Images with a known class, by (the variant is correct, the reference is correct).
        self._outcomes: Counter[tuple[bool, bool]] = Counter()
        self._classes: dict[int, Counter[str]] = {}
        self._change_sum = self._change_max = self._divergence_sum = 0.0

    @property
    def multi_label(self) -> bool:
        """Whether each label is decided by itself, as far as the images so far tell."""
        return self._label_tally.is_likely() if self._multi_label is None else self._multi_label

    @property
    def flips(self) -> list[Flip]:
        """The images so far whose top class differs; of a multi-label model, those of which any label does."""
        return self._label_tally.flips if self.multi_label else self._flips

    def add(
        self, reference: np.ndarray | None, scores: np.ndarray, images: tuple[EvaluationImage, ...]
    ) -> tuple[int, ...]:
        """Count some images. Among equal scores the lowest class index wins.

        Args:
            reference: The reference's scores, float32 (n, classes); None without a reference.
            scores: The variant's scores, float32 (n, classes).
            images: The n images.

        Returns:
            The indices of the images that flipped; those of both kinds until it is known which one counts.

        Raises:
            EdgenetError: A score is NaN or infinite, or the models do not have the same number of classes.
        """
        self._check(reference, scores, images)
        self.images += len(images)
        changed: tuple[int, ...] = ()
        if self._multi_label is not False and reference is not None:
            changed = self._label_tally.add(reference, scores, images)
        if self._multi_label:
            self.compared = self._label_tally.images
            return changed
        return tuple(sorted({*changed, *self._add_top_classes(reference, scores, images)}))

    def _add_top_classes(
        self, reference: np.ndarray | None, scores: np.ndarray, images: tuple[EvaluationImage, ...]
    ) -> tuple[int, ...]:
        best = top_classes(scores)
        labels = np.array([-1 if image.label is None else image.label for image in images])
        self._ties += int(((scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())
        self._top5_correct += _count_in(labels, best)
        if reference is None:
            self._count_outcomes(labels, best[:, 0], best[:, 0])
            return ()
        expected = top_classes(reference)
        self._count_outcomes(labels, best[:, 0], expected[:, 0])
        self.compared += len(images)
        self._in_top5 += _count_in(expected[:, 0], best)
        self._reference_top5_correct += _count_in(labels, expected)
        self._count_classes(labels, best[:, 0], expected[:, 0])
        winning = self._add_probabilities(reference, scores, expected[:, 0])
        flipped = tuple(np.flatnonzero(best[:, 0] != expected[:, 0]).tolist())
        for index in flipped:
            before = predictions(reference[index], expected[index][:MAX_PREDICTIONS])
            after = predictions(scores[index], best[index][:MAX_PREDICTIONS])
            probability = None if winning is None else float(winning[index])
            self._flips.append(Flip(images[index].file, images[index].label, before, after, probability))
        return flipped

    def drift(self) -> Drift:
        """The fractions. Accuracy counts the images whose class is known.

        Raises:
            EdgenetError: No images were counted.
        """
        if not self.images:
            raise EdgenetError(f"{self._model}: there are no evaluation images; give at least one")
        if self.multi_label and self.compared:
            return Drift(
                images=self.images,
                ties=0.0,
                agreement=None,
                accuracy=None,
                classes=(),
                flips=tuple(self.flips),
                label_agreement=self._label_tally.agreement(),
            )
        return Drift(
            images=self.images,
            ties=self._ties / self.images,
            agreement=self._agreement() if self.compared else None,
            accuracy=self._accuracy() if self._outcomes.total() else None,
            classes=tuple(ClassDrift(label=label, **self._classes[label]) for label in sorted(self._classes)),
            flips=tuple(self._flips),
        )

    def _check(self, reference: np.ndarray | None, scores: np.ndarray, images: tuple[EvaluationImage, ...]) -> None:
        names = [image.file for image in images]
        if reference is not None:
            check_finite(reference, self._reference, names, self._labels)
            if reference.shape != scores.shape:
                raise EdgenetError(
                    f"{self._model} has {scores.shape[1]:,} classes, but {self._reference} has "
                    f"{reference.shape[1]:,}; compare models with the same classes"
                )
        check_finite(scores, self._model, names, self._labels)

    def _count_outcomes(self, labels: np.ndarray, best: np.ndarray, expected: np.ndarray) -> None:
        for label, top, reference_top in zip(labels.tolist(), best.tolist(), expected.tolist(), strict=True):
            if label >= 0:
                self._outcomes[top == label, reference_top == label] += 1

    def _count_classes(self, labels: np.ndarray, best: np.ndarray, expected: np.ndarray) -> None:
        for label, top, reference_top in zip(labels.tolist(), best.tolist(), expected.tolist(), strict=True):
            counts = self._classes.setdefault(reference_top if label < 0 else label, Counter())
            counts["images"] += 1
            counts["agreeing"] += top == reference_top
            counts["correct"] += top == label
            counts["reference_correct"] += reference_top == label

    def _add_probabilities(self, reference: np.ndarray, scores: np.ndarray, expected: np.ndarray) -> np.ndarray | None:
        """Count the change of probabilities.

        Returns:
            The reference's probability of its top class, float64 (n,); None where scores are not probabilities.
        """
        if self._kind is None:
            # In double precision: the sum of legal float32 scores can overflow in their own.
            totals = reference.sum(axis=1, dtype=np.float64)
            sums_to_1 = bool((reference >= 0).all() and np.allclose(totals, 1, atol=SUM_TOLERANCE))
            # Sigmoid stands for all scores that are not comparable as probabilities. Only where the caller says so are
            # they probabilities of their own.
            self._kind = ScoreKind.SOFTMAX if sums_to_1 else ScoreKind.SIGMOID
        rows = np.arange(len(expected))
        if self._kind == ScoreKind.SIGMOID:
            return np.clip(reference[rows, expected].astype(np.float64), 0, 1) if self._is_sigmoid else None
        before, after = (probabilities(part.astype(np.float64), self._kind) for part in (reference, scores))
        change = np.abs(after[rows, expected] - before[rows, expected])
        self._change_sum += float(change.sum())
        self._change_max = max(self._change_max, float(change.max()))
        winning: np.ndarray = np.minimum(before[rows, expected], 1)  # rounding may have lifted it above 1
        before, after = _smoothed(before), _smoothed(after)
        self._divergence_sum += float((before * np.log(before / after)).sum())
        return winning

    def _agreement(self) -> Agreement:
        agreeing, count = self.compared - len(self._flips), self.compared
        change = None
        if self._kind in (ScoreKind.SOFTMAX, ScoreKind.LOGITS):
            # Rounding can make the divergence of equal scores slightly negative.
            change = ProbabilityChange(
                self._change_sum / count, self._change_max, max(0.0, self._divergence_sum / count)
            )
        return Agreement(agreeing / count, statistics.wilson(agreeing, count), self._in_top5 / count, change)

    def _accuracy(self) -> Accuracy:
        images, change = self._outcomes.total(), None
        both, positive = self._outcomes[True, True], self._outcomes[True, False]
        negative, neither = self._outcomes[False, True], self._outcomes[False, False]
        if self.compared:
            change = AccuracyChange(
                reference_top1=(both + negative) / images,
                reference_top5=self._reference_top5_correct / images,
                positive_flips=positive,
                negative_flips=negative,
                interval=statistics.paired_difference(both, positive, negative, neither),
                p_value=statistics.mcnemar(positive, negative),
            )
        correct = both + positive
        interval = statistics.wilson(correct, images)
        return Accuracy(images, correct / images, self._top5_correct / images, change, interval)


def _count_in(labels: np.ndarray, classes: np.ndarray) -> int:
    """How many labels (n,) are among the classes (n, 5) of their row."""
    return int((classes == labels[:, None]).any(axis=1).sum())


def predictions(scores: np.ndarray, classes: np.ndarray) -> tuple[Prediction, ...]:
    """The scores of some classes, of all scores of an image (classes,)."""
    return tuple(Prediction(int(label), float(scores[label])) for label in classes)


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) that are above 0 and sum to 1."""
    return (values + SMOOTHING / values.shape[1]) / (values.sum(axis=1, keepdims=True) + SMOOTHING)
