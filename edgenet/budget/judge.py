"""How far files are from the float32 file on views of images: at the logits, and in their answers."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet import cores
from edgenet.litert.model_runner import ModelRunner, padded_batches
from edgenet.records import Interval, Preprocessing
from edgenet.scores import THRESHOLD, top_classes
from edgenet.statistics import at_most, clopper_pearson, tango
from edgenet.tflite.graph import Graph
from edgenet.tflite.logits import find_logits

# The logits that the error is taken of: those of the float32 file's best classes.
TOP = 5
# A file is taken to keep the budget unless its views refute that: as many changes would be less likely than this if the
# drift were the largest allowed one. Files with the same logit error differ by more than a drift of 1% or 1.3% of 1,000
# views of 40 images; with a stricter limit, chance would choose files that are hardly faster than float32.
CONFIDENCE = 0.1
# Views between two decisions whether a file need be run further.
CHUNK = 200


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
        logit_error: The root of the mean squared error of the TOP logits, without what all of them have in common,
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

    def confidence(self, budget: Budget) -> float:
        """How sure it is that the budget is kept: that of the less sure of its two parts.

        For the drift it is exact: 1 minus the probability of as few changes or fewer if the drift were the largest
        allowed one (Clopper and Pearson, Biometrika 26, 1934). For the accuracy it is Tango's score test. A budget of 0
        is one for these views, so that it is certain whether it is kept.
        """
        parts = []
        changed = self.views - self.agreeing
        if budget.max_drift is not None:
            allowed = budget.max_drift
            parts.append(1 - at_most(changed, self.views, allowed) if allowed else float(changed == 0))
        if budget.max_accuracy_drop is not None:
            allowed = budget.max_accuracy_drop
            score = tango(self.positive, self.negative, self.labelled, -allowed) if allowed else 0.0
            parts.append(NormalDist().cdf(score) if allowed else float(self.negative == 0))
        return min(parts, default=1.0)

    def keeps(self, budget: Budget) -> bool:
        """Whether the views do not refute that the budget is kept."""
        return self.confidence(budget) >= CONFIDENCE


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
        self._labels = np.array([-1 if label is None else label for label in labels])
        graph = Graph(float32)
        self._has_softmax = any(graph.kind(op) == "SOFTMAX" for op in graph.operators)
        logits, scores = Scorer(float32, recipe)(views)
        self._answers = self.answers(scores)
        top = top_classes(logits, TOP)
        self._top, self._expected = top, np.take_along_axis(logits, top, axis=1)

    def answers(self, scores: np.ndarray) -> np.ndarray:
        """The top class of each row of scores, int64 (n,), or whether each label is present, bool (n, labels)."""
        return scores >= THRESHOLD if self._multi_label else scores.argmax(axis=1)

    @property
    def reference_answers(self) -> np.ndarray:
        """The float32 file's answer to each view, as `answers`."""
        return self._answers

    def measure(self, data: bytes, budget: Budget | None = None) -> Judged:
        """Compare a file.

        Args:
            data: The file.
            budget: A budget of drift, for which the file is run only until it is certain that it is not kept.
        """
        most = len(self._views) if budget is None else max_changed(len(self._views), budget)
        scorer, lowest = Scorer(data, self._recipe), _lowest_logit(data) if self._has_softmax else -math.inf
        squares, tops, done, agreeing, right, was_right = 0.0, 0, 0, 0, [], []
        while done < len(self._views) and done - agreeing <= most:
            part = slice(done, done + CHUNK)
            logits, scores = scorer(self._views[part])
            errors = np.take_along_axis(logits, self._top[part], axis=1) - np.maximum(self._expected[part], lowest)
            if self._has_softmax:
                errors -= errors.mean(axis=1, keepdims=True)
            squares, tops = squares + float(np.square(errors).sum()), tops + errors.size
            answers, expected, labels = self.answers(scores), self._answers[part], self._labels[part]
            agreeing += int((answers == expected).reshape(len(answers), -1).all(axis=1).sum())
            done += len(answers)
            if not self._multi_label:
                known = labels >= 0
                right.append((answers == labels)[known])
                was_right.append((expected == labels)[known])
        after, before = (np.concatenate(parts) if parts else np.empty(0, bool) for parts in (right, was_right))
        return Judged(
            logit_error=math.sqrt(squares / tops),
            views=done,
            agreeing=agreeing,
            labelled=len(after),
            positive=int((after & ~before).sum()),
            negative=int((before & ~after).sum()),
        )


def max_changed(views: int, budget: Budget) -> int:
    """The largest number of changed answers of so many views with which a budget of drift is kept; all for none."""
    if budget.max_drift is None:
        return views
    changed = 0
    while changed <= views and Judged(0.0, views, views - changed).keeps(Budget(budget.max_drift)):
        changed += 1
    return changed - 1


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
        runner, parts = self._runner, ([], [])  # type: ignore[var-annotated]
        for batch, count in padded_batches(images, runner.batch):
            runner.run(batch)
            for values, tensor in zip(parts, self._tensors, strict=True):
                values.append(runner.tensor(tensor).reshape(runner.batch, -1)[:count].copy())
        logits, scores = map(np.concatenate, parts)
        return logits.astype(np.float64), scores


def on_disk(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """An array in an unnamed temporary file, so that many views take no memory."""
    return np.memmap(tempfile.TemporaryFile(), np.dtype(dtype), "w+", shape=shape)


def _lowest_logit(data: bytes) -> float:
    """The lowest logit that a file can represent: the quantizer leaves out those that do not matter to the softmax."""
    graph = Graph(data)
    tensor = graph.tensor(find_logits(graph))
    if tensor.type != schema.TensorType.INT8:
        return -math.inf
    return float(tensor.quantization.scale[0] * (-128 - int(tensor.quantization.zeroPoint[0])))
