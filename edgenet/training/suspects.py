"""Images that are perhaps in the folder of the wrong class: those on which a model is most sure of another one.

They are ordered by the normalized margin, the score of the own class minus the best other one: C. G. Northcutt,
L. Jiang, I. L. Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels (Journal of Artificial Intelligence
Research 70, 2021, 1373-1411). All scores are of models that were not trained on the image: a model that was, has learnt
its label by heart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgenet.records.training import Suspect
from edgenet.training import thumbnails

MAX_SUSPECTS = 12


def of_part(part: str, paths: Sequence[str], labels: np.ndarray, scores: np.ndarray) -> list[Suspect]:
    """The images of a part for which another class has a better score than their own.

    Args:
        part: training, validation or test.
        paths: Of the n images.
        labels: Their classes, int64 (n,).
        scores: Probabilities of a model that was not trained on them, float (n, classes).
    """
    predicted = scores.argmax(axis=1)
    found = np.clip(scores.astype(np.float64), 0, 1)
    return [
        Suspect(
            paths[image],
            part,
            int(labels[image]),
            int(predicted[image]),
            float(found[image, labels[image]]),
            float(found[image, predicted[image]]),
        )
        for image in np.flatnonzero(predicted != labels).tolist()
    ]


def most(suspects: Iterable[Suspect], count: int = MAX_SUSPECTS) -> tuple[Suspect, ...]:
    """Those with the largest margins between the other class and their own, the largest first."""
    return tuple(sorted(suspects, key=lambda one: (one.label_score - one.predicted_score, one.file))[:count])


def with_thumbnails(suspects: Sequence[Suspect], folder: Path) -> tuple[Suspect, ...]:
    """The same with small copies of the images, where these can still be read.

    Args:
        suspects: A few.
        folder: The folder of the photos.
    """
    return tuple(replace(one, thumbnail=thumbnails.jpeg(folder / one.file)) for one in suspects)
