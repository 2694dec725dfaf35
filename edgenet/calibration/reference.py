"""Does the Keras model do what it was trained for? Its own accuracy and scores, before anything is converted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgenet.calibration import causes
from edgenet.calibration.fit import Examination
from edgenet.calibration.trials import MAX_TRIED, Trials
from edgenet.calibration.trials import chance as chance_of
from edgenet.images import label_order, preprocess
from edgenet.images.splits import DataSplit
from edgenet.model.classifier import KerasClassifier
from edgenet.progress import Progress
from edgenet.records import Finding, Level, ReferenceScores, ScoreKind
from edgenet.scores import probabilities
from edgenet.statistics import wilson

# The mean top score is this far from uniform to certain at least, or the scores are nearly uniform. Trained classifiers
# are beyond it even on difficult images: of 1,000 classes it is a mean top score of 0.10, of two 0.55.
MIN_CERTAINTY = 0.1


class ReferenceTally:
    """Counts what the Keras model makes of the evaluation images.

    Args:
        classes: The number of classes.
        kind: What the scores are.
    """

    def __init__(self, classes: int, kind: ScoreKind) -> None:
        self._classes, self._kind = classes, kind
        self._top_sum = 0.0
        self._predicted: list[int] = []

    def add(self, scores: np.ndarray) -> None:
        """Count a batch of scores, float32 (n, classes)."""
        values = probabilities(scores, self._kind) if self._kind == ScoreKind.LOGITS else scores
        self._top_sum += float(values.max(axis=1).sum(dtype=np.float64))
        self._predicted += scores.argmax(axis=1).tolist()

    @property
    def predicted(self) -> tuple[int, ...]:
        """The class with the best score of each image; among equals the lowest."""
        return tuple(self._predicted)

    def record(self, truth: Sequence[int | None]) -> ReferenceScores:
        """The result.

        Args:
            truth: The class of each image, or None where it is unknown.
        """
        pairs = [(one, label) for one, label in zip(self._predicted, truth, strict=True) if label is not None]
        top = min(1.0, self._top_sum / len(self._predicted)) if self._predicted else 0.0
        if not pairs:
            return ReferenceScores(top)
        correct = sum(one == label for one, label in pairs)
        return ReferenceScores(
            top, wilson(correct, len(pairs)), chance_of([label for _, label in pairs], self._classes)
        )


def doubts(
    classifier: KerasClassifier,
    split: DataSplit,
    labels: Sequence[str],
    examination: Examination,
    tally: ReferenceTally,
    progress: Progress,
) -> list[Finding]:
    """What is odd about the Keras model's own scores, and which of the usual causes fits. It chooses nothing.

    Args:
        classifier: The Keras model.
        split: Its images.
        labels: The class names, in the order of the scores.
        examination: Of the calibration images.
        tally: The model's scores of the evaluation images.
        progress: Listens to the work.

    Returns:
        Nothing if the model classifies better than chance, its scores are not nearly uniform, and no other order of
        the labels fits better.
    """
    order = label_order.find(tally.predicted, split.truth, labels, numbered=split.numbered)
    found = [Finding(Level.WARNING, order.text)] if order else []
    labelled = [(path, label) for path, label in zip(split.evaluation, split.truth, strict=True) if label is not None]
    text = _doubt(tally.record(split.truth), len(labelled), classifier.classes, examination.scores)
    # Swapped channels interchange classes, too, but give no order that labels usually have.
    if text is None and (order is None or order.name):
        return found
    progress.step("trying the usual causes of wrong scores")
    trials, images = examination.trials, "calibration images"
    if labelled and not trials.is_labelled:
        trials, images = _evaluation_trials(classifier, labelled), "evaluation images"
    # Where the input range was to be chosen, the mean top scores have been told.
    if trials.is_labelled or not examination.choice:
        found += causes.find(classifier.recipe, trials, examination.distances, labels, images)
    if text is None:
        return found
    if trials.is_labelled and not found and not examination.resizing.is_better:
        tried = "input range, channel order and order of the labels were tried on"
        text += f"; none of the usual causes fits: {tried} {trials.images:,} {images}"
        if examination.resizing.images:
            text += f", resize mode and interpolation on {examination.resizing.images:,} calibration images"
        text += ". Check that the labels belong to the images and to the model"
    return [Finding(Level.WARNING, text), *found]


def _doubt(scores: ReferenceScores, labelled: int, classes: int, kind: ScoreKind) -> str | None:
    """What is odd about the scores; None if nothing is."""
    accuracy, chance = scores.accuracy, scores.chance
    if accuracy and chance is not None and accuracy.low <= chance:
        return (
            f"Keras' own accuracy on {labelled:,} labelled evaluation images, {accuracy.value:.3f}, is not "
            f"significantly above chance, {chance:.3f}"
        )
    if is_nearly_uniform(scores.mean_top_score, classes, kind):
        top = f"{scores.mean_top_score:.3f}"
        return f"Keras' own scores are nearly uniform: the mean top score of {classes:,} classes is {top}"
    return None


def _evaluation_trials(classifier: KerasClassifier, labelled: Sequence[tuple[Path, int]]) -> Trials:
    chosen = np.random.default_rng(0).permutation(len(labelled))[:MAX_TRIED]
    paths, labels = zip(*(labelled[number] for number in sorted(chosen)), strict=True)
    return Trials(classifier, list(preprocess.load_all(paths, classifier.recipe)), labels)


def is_nearly_uniform(top_score: float, classes: int, kind: ScoreKind) -> bool:
    """Whether scores hardly differ between the classes.

    Args:
        top_score: The mean top score, as a probability.
        classes: The number of classes.
        kind: What the scores are. Independent scores (sigmoid) may all be low for good reason.
    """
    return kind != ScoreKind.SIGMOID and (top_score - 1 / classes) / (1 - 1 / classes) < MIN_CERTAINTY
