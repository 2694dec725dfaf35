"""Scores of classes: checked, ranked, and as probabilities."""

from collections.abc import Sequence

import numpy as np

from edgenet.errors import EdgenetError
from edgenet.records import ScoreKind

# A label of a multi-label model is present where its score is this or more.
THRESHOLD = 0.5
# The error of logits is taken of this many: those of the float32 model's best classes.
LOGITS = 5


def check_finite(scores: np.ndarray, model: str, images: Sequence[str], labels: Sequence[str] = ()) -> None:
    """Check that every score is a finite number: NaN and infinity cannot be ranked.

    Args:
        scores: float (n, classes).
        model: The name of the model.
        images: The names of the n images.
        labels: The class names; may be empty.

    Raises:
        EdgenetError: A score is NaN or infinite; the message names the model, the image and the class.
    """
    finite = np.isfinite(scores)
    if finite.all():
        return
    image, label = divmod(int(np.argmin(finite)), scores.shape[1])
    value = "NaN" if np.isnan(scores[image, label]) else "infinite"
    name = f" ({labels[label]})" if label < len(labels) else ""
    raise EdgenetError(
        f"{model}: the score of class {label}{name} is {value} for {images[image]}; "
        "check the model's weights and its input range"
    )


def top_classes(scores: np.ndarray, count: int = 5) -> np.ndarray:
    """The best classes of each row.

    Args:
        scores: float (n, classes).
        count: How many.

    Returns:
        Class indices, int64 (n, up to `count`), the best first; among equal scores the lowest index first.
    """
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def logit_errors(logits: np.ndarray, expected: np.ndarray, *, before_softmax: bool) -> np.ndarray:
    """The errors of logits; before a softmax, without what those of an image share, which it does not see.

    Args:
        logits: float (n, classes), such as those of each image's best classes.
        expected: The right ones.
        before_softmax: Whether the model ends in a softmax.
    """
    errors = logits - expected
    return errors - errors.mean(axis=1, keepdims=True) if before_softmax else errors


def probabilities(scores: np.ndarray, kind: ScoreKind) -> np.ndarray:
    """Scores as probabilities that sum to 1.

    Args:
        scores: float (n, classes).
        kind: SOFTMAX: they are such probabilities already; rounding may have made some negative. Otherwise LOGITS.

    Returns:
        float (n, classes).
    """
    if kind == ScoreKind.SOFTMAX:
        return np.maximum(scores, 0)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
