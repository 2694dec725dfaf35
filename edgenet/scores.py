"""Scores of classes: checked, ranked, and as probabilities."""

from collections.abc import Sequence

import numpy as np

from edgenet.errors import EdgenetError


def check_finite(scores: np.ndarray, model: str, images: Sequence[str], labels: Sequence[str] = ()) -> None:
    """Check that every score is a finite number: NaN and infinity cannot be ranked, so nothing can be said of them.

    scores: float (n, classes). model: its name. images: the names of the n images. labels: the class names, if known.

    Raises EdgenetError with the model, and the first such image and class.
    """
    finite = np.isfinite(scores)
    if finite.all():
        return
    image, label = np.unravel_index(int(np.argmin(finite)), scores.shape)
    value = "NaN" if np.isnan(scores[image, label]) else "infinite"
    named = f" ({labels[label]})" if label < len(labels) else ""
    raise EdgenetError(
        f"{model}: the score of class {label}{named} is {value} for {images[image]}; "
        "check the model's weights and its input range"
    )


def ranked(scores: np.ndarray) -> np.ndarray:
    """The five best classes of each row, the best first; among equals the lowest index."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :5]


def probabilities(scores: np.ndarray, kind: str) -> np.ndarray:
    if kind == "softmax":
        return np.maximum(scores, 0)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
