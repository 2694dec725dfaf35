"""How far files are from the float32 file on views of images: at the logits, and in their answers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet import cores
from edgenet.litert.model_runner import ModelRunner, padded_batches
from edgenet.records import Interval, Preprocessing
from edgenet.scores import LOGITS, THRESHOLD, logit_errors, top_classes
from edgenet.statistics import at_most, clopper_pearson, tango
from edgenet.tflite.graph import Graph
from edgenet.tflite.logits import find_logits, has_softmax


@dataclass(frozen=True)
class Budget:
    """How much a file may differ from the float32 file.

    Attributes:
        max_drift: The largest fraction of images whose answer may change; None for any.
        max_accuracy_drop: The largest loss of accuracy, as a fraction; None for any.
    """

    max_drift: float | None = None
    max_accuracy_drop: float | None = None

    def __bool__(self) -> bool:
        return self.max_drift is not None or self.max_accuracy_drop is not None


@dataclass(frozen=True)
class Judged:
    """What was measured of a file.

    Attributes:
        logit_error: The root of the mean squared error of the LOGITS best logits, without what these have in common,
            which a softmax does not see.
        views: The number of views.
        agreeing: Those with the float32 file's answer.
        labelled: Those whose class is known.
        positive: Of these, those that only this file classifies correctly.
        negative: Those that only the float32 file classifies correctly.
    """

    logit_error: float
    views: int
    agreeing: int
    labelled: int = 0
    positive: int = 0
    negative: int = 0

    @property
    def agreement(self) -> Interval:
        """The fraction of the views with the float32 file's answer, with the interval of Clopper and Pearson."""
        return clopper_pearson(self.agreeing, self.views)

    def keeps(self, budget: Budget) -> bool:
        """Whether what was measured on the views is within the budget."""
        within = budget.max_drift is None or (self.views - self.agreeing) / self.views <= budget.max_drift
        if budget.max_accuracy_drop is None:
            return within
        return within and (self.negative - self.positive) / self.labelled <= budget.max_accuracy_drop

    def confidence(self, budget: Budget) -> float:
        """How sure the views make it that the budget is kept on all images: that of the less sure of its two parts.

        For the drift it is exact: 1 minus the probability of as few changes or fewer if the drift were the largest
        allowed one (Clopper and Pearson, Biometrika 26, 1934). For the accuracy it is Tango's score test.
        """
        parts = []
        if budget.max_drift is not None:
            parts.append(1 - at_most(self.views - self.agreeing, self.views, budget.max_drift))
        if budget.max_accuracy_drop is not None:
            score = tango(self.positive, self.negative, self.labelled, -budget.max_accuracy_drop)
            parts.append(NormalDist().cdf(score))
        return min(parts, default=1.0)


class Judge:
    """Compares files with the float32 file.

    Args:
        float32: The float32 file.
        views: uint8 or float32 (n, height, width, channels), 0 to 255.
        labels: The class of each view; None where it is unknown.
        recipe: The preprocessing.
        multi_label: Whether the answer is each label by itself, instead of the top class.
    """

    def __init__(
        self,
        float32: bytes,
        views: np.ndarray,
        labels: Sequence[int | None],
        recipe: Preprocessing,
        *,
        multi_label: bool = False,
    ) -> None:
        self._views, self._recipe, self._multi_label = views, recipe, multi_label
        self._known = [] if multi_label else [n for n, label in enumerate(labels) if label is not None]
        self._labels = np.array([labels[n] for n in self._known])
        graph = Graph(float32)
        self._has_softmax = has_softmax(graph)
        logits, scores = Scorer(float32, recipe)(views)
        self._answers = self.answers(scores)
        top = top_classes(logits, LOGITS)
        self._top, self._expected = top, np.take_along_axis(logits, top, axis=1)

    def answers(self, scores: np.ndarray) -> np.ndarray:
        """The top class of each row of scores, int64 (n,), or whether each label is present, bool (n, labels)."""
        return scores >= THRESHOLD if self._multi_label else scores.argmax(axis=1)

    @property
    def reference_answers(self) -> np.ndarray:
        """The float32 file's answer to each view, as `answers`."""
        return self._answers

    def measure(self, data: bytes) -> Judged:
        """Compare a file."""
        logits, scores = Scorer(data, self._recipe)(self._views)
        lowest = _lowest_logit(data) if self._has_softmax else -math.inf
        errors = logit_errors(
            np.take_along_axis(logits, self._top, axis=1),
            np.maximum(self._expected, lowest),
            before_softmax=self._has_softmax,
        )
        answers = self.answers(scores)
        after, before = (part[self._known].ravel() == self._labels for part in (answers, self._answers))
        return Judged(
            logit_error=math.sqrt(np.square(errors).mean()),
            views=len(answers),
            agreeing=int((answers == self._answers).reshape(len(answers), -1).all(axis=1).sum()),
            labelled=len(self._known),
            positive=int((after & ~before).sum()),
            negative=int((before & ~after).sum()),
        )


class Scorer:
    """Runs a file on images.

    Args:
        data: The file.
        recipe: The preprocessing.
    """

    def __init__(self, data: bytes, recipe: Preprocessing) -> None:
        graph = Graph(data)
        self._tensors = find_logits(graph), graph.output
        self._runner = ModelRunner(data, self._tensors[:1], cores.available(), recipe)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run the file on images, uint8 or float32 (n, height, width, channels).

        Returns:
            The logits, float64 (n, classes), and the scores, float32 (n, classes).
        """
        runner = self._runner
        parts: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        for batch, count in padded_batches(images, runner.batch):
            runner.run(batch)
            for values, tensor in zip(parts, self._tensors, strict=True):
                values.append(runner.tensor(tensor).reshape(runner.batch, -1)[:count].copy())
        logits, scores = map(np.concatenate, parts)
        return logits.astype(np.float64), scores


def _lowest_logit(data: bytes) -> float:
    """The lowest logit that a file can represent: the quantizer leaves out those that do not matter to the softmax."""
    graph = Graph(data)
    tensor = graph.tensor(find_logits(graph))
    if tensor.type != schema.TensorType.INT8:
        return -math.inf
    return float(tensor.quantization.scale[0] * (-128 - int(tensor.quantization.zeroPoint[0])))
