"""A finished training as a record."""

from pathlib import Path

import numpy as np

from edgenet.errors import EdgenetError
from edgenet.records.training import Suspect, Training
from edgenet.scores import check_finite
from edgenet.training import metrics, suspects
from edgenet.training.outcome import Outcome, PartOutcome
from edgenet.training.reliability import reliability
from edgenet.training.thresholds import thresholds


def summarize(outcome: Outcome, photos: Path) -> Training:
    """Measure a trained model on its test images.

    Args:
        outcome: What the training found.
        photos: The folder of the photos, for small copies of some.

    Raises:
        EdgenetError: A score is NaN or infinite, or a class has no test images.
    """
    classes, validation, test = outcome.check.classes, outcome.validation, outcome.test
    for part in (validation, test):
        _check(outcome, part)
    predicted = metrics.top_class(test.scores)
    majority = np.full_like(test.labels, metrics.majority(classes))
    simpler = ((metrics.MAJORITY, majority), (metrics.LINEAR_HEAD, metrics.top_class(test.head_scores)))
    return Training(
        name=outcome.name,
        photos=outcome.check.folder,
        classes=metrics.classes(classes, test.labels, predicted),
        accuracy=metrics.accuracy(test.labels, predicted),
        validation_accuracy=metrics.accuracy(validation.labels, metrics.top_class(validation.scores)),
        baselines=tuple(metrics.baseline(name, test.labels, predicted, other) for name, other in simpler),
        confusion=metrics.confusion(test.labels, predicted),
        reliability=reliability(test.labels, test.scores),
        validation_calibration_error=reliability(validation.labels, validation.scores).error,
        thresholds=thresholds((validation.labels, validation.scores), (test.labels, test.scores)),
        suspects=suspects.with_thumbnails(suspects.most(_suspects(outcome)), photos),
        history=tuple(outcome.history),
        kept=outcome.kept,
        reason=outcome.reason,
        given=dict(outcome.given),
        options=dict(outcome.options),
        seconds=dict(outcome.seconds),
        findings=outcome.check.findings,
        versions=dict(outcome.versions),
    )


def _check(outcome: Outcome, part: PartOutcome) -> None:
    names = [one.name for one in outcome.check.classes]
    check_finite(part.scores, outcome.name, part.paths, names)
    check_finite(part.head_scores, f"{outcome.name}, {metrics.LINEAR_HEAD}", part.paths, names)
    missing = np.flatnonzero(np.bincount(part.labels, minlength=len(names)) == 0)
    if len(missing):
        raise EdgenetError(f"{outcome.name}: no images of {names[missing[0]]!r} to test with; add images of it")


def _suspects(outcome: Outcome) -> list[Suspect]:
    found = [
        suspect
        for name, part in (("validation", outcome.validation), ("test", outcome.test))
        for suspect in suspects.of_part(name, part.paths, part.labels, part.scores)
    ]
    if outcome.train:
        train = outcome.train
        found += suspects.of_part("training", train.paths, train.labels, train.head_scores)
    return found
