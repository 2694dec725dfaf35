"""What is added to the end of a network so that it gives one row of scores, with a score for each class.

A bundle stores the Keras model as it was, and the names of these steps in its manifest (`Manifest.output`).
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from edgenet.errors import EdgenetError
from edgenet.model.graph_ends import Activation
from edgenet.records.enums import TextEnum

Shape = tuple[int | None, ...]


class Step(TextEnum):
    """A step from a network's output to scores."""

    # (batch, 1, 1, classes) to (batch, classes).
    SQUEEZE = "squeeze"
    # A logit to a probability.
    SIGMOID = "sigmoid"
    # The probability p of the second class to [1 - p, p].
    TWO_CLASSES = "two_classes"
    # Logits to probabilities.
    SOFTMAX = "softmax"


def steps(name: str, shape: Shape, activation: Activation, softmax: bool) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The steps that a network needs.

    Args:
        name: Of the model, for messages.
        shape: Of its output.
        activation: What it does last.
        softmax: Whether to append a softmax.

    Returns:
        The steps, and what the user should know about them, one sentence each.

    Raises:
        EdgenetError: The output is not that of a classifier, or does not go with a softmax.
    """
    found: list[Step] = []
    if len(shape) > 2 and all(side == 1 for side in shape[1:-1]):
        found, shape = [Step.SQUEEZE], (shape[0], shape[-1])
    if len(shape) != 2 or not shape[1]:
        raise EdgenetError(f"{name}: {_no_classifier(shape)}")
    if softmax and (shape[1] == 1 or activation in (Activation.SOFTMAX, Activation.SIGMOID)):
        raise EdgenetError(
            f"{name}: the scores are probabilities already, or become some; leave it out", parameter="softmax"
        )
    if shape[1] == 1:
        if activation not in (Activation.SIGMOID, Activation.NONE):
            raise EdgenetError(
                f"{name}: expected a sigmoid or a logit as the only output, got another activation; is it a classifier?"
            )
        logit = activation == Activation.NONE
        found += [Step.SIGMOID] * logit + [Step.TWO_CLASSES]
        what = "its output is taken for the logit of the second class, and" if logit else "its sigmoid p is that of the"
        what += " a sigmoid and" * logit + ("" if logit else " second class, and")
        return tuple(found), (f"the model has one output: {what} [1 - p, p] is appended, for two classes",)
    if softmax:
        return (*found, Step.SOFTMAX), ("a softmax is appended to the model",)
    if activation == Activation.NONE:
        return tuple(found), (
            "the model gives logits; some mobile libraries (ML Kit) need probabilities: softmax=True appends a softmax",
        )
    return tuple(found), ()


def apply(chosen: Sequence[Step], scores: tf.Tensor) -> tf.Tensor:
    """Take the steps.

    Args:
        chosen: The steps, in order.
        scores: float32, a network's output.

    Returns:
        float32 (batch, classes).
    """
    for step in chosen:
        scores = _STEPS[step](scores)
    return scores


def _two_classes(scores: tf.Tensor) -> tf.Tensor:
    return tf.concat([1.0 - scores, scores], axis=-1)


_STEPS: dict[Step, Callable[[tf.Tensor], tf.Tensor]] = {
    Step.SQUEEZE: lambda scores: tf.squeeze(scores, axis=list(range(1, len(scores.shape) - 1))),
    Step.SIGMOID: tf.sigmoid,
    Step.TWO_CLASSES: _two_classes,
    Step.SOFTMAX: tf.nn.softmax,
}


def _no_classifier(shape: Shape) -> str:
    got = f"expected a classifier with an output of (batch, classes), got {shape}"
    if len(shape) == 4:
        return f"{got}: a network without its classifying layers, or one for segmentation, detection or images"
    if len(shape) == 3:
        return f"{got}: detectors and models of sequences are not classifiers"
    return got
