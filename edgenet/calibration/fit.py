"""Whether calibration images match a model: of the kind that it was trained on, preprocessed correctly, and enough."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgenet.calibration import input_choice, resize_fit
from edgenet.calibration.preprocessing_fit import BATCH, PreprocessingFit
from edgenet.calibration.resize_fit import ResizeFit
from edgenet.calibration.trials import Trials
from edgenet.calibration.variety import ImageChecks, check_classes
from edgenet.images import preprocess
from edgenet.model.classifier import KerasClassifier, RangeSource, score_kind
from edgenet.progress import Progress
from edgenet.records import Finding, Preprocessing
from edgenet.records.enums import Level, ScoreKind
from edgenet.scores import check_finite

# Images on which each kind of preprocessing is tried.
MAX_FITTED = 50
# Images whose classes are predicted.
MAX_CLASSIFIED = 200


@dataclass(frozen=True)
class Examination:
    """What was found about calibration images.

    Attributes:
        findings: About the images, then about the input range, then about resizing.
        digests: The SHA-256 of each image's pixels, in order.
        distances: The distance from the training images with each input range (`PreprocessingFit.distances`).
        scores: The kind of the model's scores.
        recipe: The preprocessing that was declared, or another input range that was chosen (`input_choice`).
        choice: What decided about it; the first of `findings`.
        resizing: What was found about resizing; the last of `findings`.
        trials: The model on these images with several kinds of preprocessing.
    """

    findings: tuple[Finding, ...]
    digests: tuple[str, ...]
    distances: dict[str, float]
    scores: ScoreKind
    recipe: Preprocessing
    choice: tuple[Finding, ...]
    resizing: ResizeFit
    trials: Trials = field(compare=False, repr=False)


def examine(
    classifier: KerasClassifier,
    paths: Sequence[Path],
    progress: Progress,
    decoded: Iterable[np.ndarray] | None = None,
    classes: Sequence[int | None] | None = None,
) -> Examination:
    """Examine calibration images, and choose the input range if nothing says which one the model expects.

    A few hundred images are held in memory at most.

    Args:
        classifier: The Keras model, with the declared preprocessing.
        paths: The image files.
        progress: Gets the count of the images.
        decoded: The pixels of the images, uint8 or float32 (height, width, channels) as the recipe says, if they are
            decoded already.
        classes: The class of each image, or None where it is unknown.

    Returns:
        The findings, and the facts that a manifest stores.

    Raises:
        EdgenetError: An image cannot be read, or the model gives it a score that is NaN or infinite.
    """
    digests, checks, kept = [], ImageChecks(), {}
    fitted, classified = _spread(len(paths), MAX_FITTED), _spread(len(paths), MAX_CLASSIFIED)
    for index, pixels in enumerate(preprocess.load_all(paths, classifier.recipe) if decoded is None else decoded):
        digests.append(preprocess.digest(pixels))
        checks.add(paths[index], pixels)
        if index in fitted or index in classified:
            kept[index] = pixels
        progress.count(index + 1, len(paths))

    known = [None] * len(paths) if classes is None else classes
    images = [kept[index] for index in sorted(classified)]
    trials = Trials(classifier, images, [known[index] for index in sorted(classified)])
    fit = PreprocessingFit(classifier, [kept[index] for index in sorted(fitted)])
    choice = input_choice.Choice(classifier.recipe)
    if classifier.range_source == RangeSource.DEFAULT:
        any_order = not (checks.all_grey or classifier.order_given)
        choice = input_choice.choose(classifier.recipe, trials, fit, any_order=any_order)
        classifier = classifier.with_recipe(choice.recipe)
    scores = _score(classifier, paths, {index: kept[index] for index in sorted(classified)})
    fit_findings = list(fit.findings(choice.recipe, checks.all_grey, trials))
    findings = list(checks.findings(digests))
    # With wrong preprocessing, the predicted classes mean nothing.
    if not any(finding.level == Level.WRONG for finding in fit_findings):
        findings += check_classes(scores)
    resizing = resize_fit.examine(classifier, paths, known, progress)
    return Examination(
        (*choice.findings, *findings, *fit_findings, *resizing.findings),
        tuple(digests),
        fit.distances,
        ScoreKind(score_kind(scores)),
        choice.recipe,
        choice.findings,
        resizing,
        trials,
    )


def _score(classifier: KerasClassifier, paths: Sequence[Path], images: dict[int, np.ndarray]) -> np.ndarray:
    """Return the scores, (n, classes), of images by their index."""
    scores = np.concatenate(list(classifier.scores(preprocess.batches(images.values(), BATCH))))
    check_finite(scores, classifier.name, [str(paths[index]) for index in images])
    return scores


def _spread(count: int, wanted: int) -> set[int]:
    """Return at most `wanted` indices, evenly spaced over `count`, so that folders sorted by class are covered."""
    return set(np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist())
