"""What a training hands over to be measured and shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgenet.records.training import DataCheck, Epoch


@dataclass(frozen=True)
class PartOutcome:
    """What the model makes of the images of a part.

    Attributes:
        paths: Of the n images, below the folder of the photos, with slashes.
        labels: Their classes, int64 (n,).
        scores: Probabilities of the final model, float32 (n, classes).
        head_scores: Those of the linear head on frozen features.
    """

    paths: Sequence[str]
    labels: np.ndarray
    scores: np.ndarray
    head_scores: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """A finished training.

    Attributes:
        name: Of the model.
        check: The photos, with the numbers of the split; the order of its classes is that of the scores.
        validation: The images that chose the model.
        test: Those that nothing was chosen by.
        history: The epochs of all phases.
        kept: The weights that were kept: "linear head" or "fine-tuned".
        reason: Why, a sentence without its end.
        given: The options that the user gave, as text.
        options: All options as they were used: weights, alpha, size, seed and so on.
        seconds: Of each phase.
        versions: Of the libraries.
        train: The training images with scores of heads that were fitted without each (cross-validation); None where
            there are none. Its `scores` are not used.
    """

    name: str
    check: DataCheck
    validation: PartOutcome
    test: PartOutcome
    history: Sequence[Epoch]
    kept: str
    reason: str
    given: Mapping[str, str]
    options: Mapping[str, str]
    seconds: Mapping[str, float]
    versions: Mapping[str, str] = field(default_factory=dict)
    train: PartOutcome | None = None
