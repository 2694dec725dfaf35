"""Judges what a library says of one variant's pictures.

Top class and label must be the runner's. A library's class also counts as the runner's where the runner itself does
not tell them apart:

- tied: it has the very score of the runner's top class, of which the lowest number wins. The libraries sort scores
  without an order among equals; asked for one class alone, they gave the lowest one, too.
- unsettled, in all variants but int8: it trails the runner's top class by no more than 2 d, where d is the most that
  any score of these pictures differs between LiteRT's two sets of kernels, with XNNPACK and without. Where rounding
  moves each score by up to d, two classes change places only when less than 2 d is between them. In float32 and float16
  d is some 1e-6. In dynamic, whose activations are rounded to 8 bits while it runs, the last bit of a float can move
  one by a step, which spreads: d is some 0.03 on the bundled model and 0.07 on ImageNet's, where LiteRT's two sets
  themselves differ in the top class of 1 % of the photos. How far behind such an answer is at most is told.

int8 needs no such thing: in LiteRT 2.3, the Task Library 0.4.4 and MediaPipe 1.2.2, all with XNNPACK, its integers are
the same.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgenet.apps.process import Said, Top
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.images import labels as class_names
from edgenet.litert.delegate import ready
from edgenet.litert.runner import as_input, dequantize
from edgenet.records import Variant
from edgenet.records.apps import TOO_NEW

INT8 = "int8"

# What TFLite says of an operator, or of a version of one, that it does not know.
_TOO_NEW = re.compile(
    r"find op for builtin|builtin_code out of range|unresolved.ops|unsupported.*\bops?\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Asked:
    """What a library found with one variant. impossible: why it cannot be asked. problem: why it does not conform, in
    words. loaded: whether it took the file.

    equal, ties, unsettled: pictures by how the top class is the runner's. behind: by how much, at most, the score of
    an unsettled one is behind. labelled: those whose class has its name in labels.txt. agreeing: photos whose top class
    is the runner's.
    """

    variant: str
    impossible: str | None = None
    problem: str | None = None
    loaded: bool = False
    equal: int = 0
    ties: int = 0
    unsettled: int = 0
    behind: float = 0.0
    labelled: int = 0
    agreeing: int = 0


class Judge:
    """Judges what libraries say of one variant, beside the runner's scores, float32 (n, classes)."""

    def __init__(self, bundle: Bundle, variant: Variant, files: Sequence[str], pixels: np.ndarray, scores: np.ndarray):
        self._bundle, self._variant = bundle, variant
        self._files, self._pixels, self._scores = files, pixels, scores
        self._labels = class_names.read(bundle.file(bundles.LABELS))

    def __call__(self, said: Said) -> Asked:
        name = self._variant.name
        if said.problem and _TOO_NEW.search(said.problem):
            return Asked(name, f"{TOO_NEW} ({said.problem})")
        if said.problem:
            return Asked(name, problem=f"expected that it loads the file, found: {said.problem}")
        best, tops = self._scores.argmax(axis=1), said.pictures
        equal = np.array([top is not None and top.index == wanted for top, wanted in zip(tops, best, strict=True)])
        behind = self._behind(tops)
        tied = ~equal & (behind == 0)
        unsettled = ~equal & ~tied & np.isfinite(behind) & (name != INT8)
        if unsettled.any():
            unsettled &= behind <= 2 * self._unrest
        named = np.array([top is not None and top.label == self._labels[top.index] for top in tops])
        fine = equal | tied | unsettled
        return Asked(
            name,
            problem=next(self._problems(fine, named, tops), None),
            loaded=True,
            equal=int(equal.sum()),
            ties=int(tied.sum()),
            unsettled=int(unsettled.sum()),
            behind=float(behind[unsettled].max(initial=0)),
            labelled=int(named.sum()),
            agreeing=int((self._behind(said.photos) == 0).sum()),
        )

    def _behind(self, tops: Sequence[Top | None]) -> np.ndarray:
        """By how much the runner's score of a library's class is below its best; infinite where there is no class."""
        return np.array(
            [
                np.inf if top is None else scores.max() - scores[top.index]
                for top, scores in zip(tops, self._scores, strict=True)
            ]
        )

    @cached_property
    def _unrest(self) -> float:
        """How much a score differs, at most, between LiteRT's kernels with XNNPACK and without."""
        path, recipe = self._bundle.file(self._variant.file), self._bundle.manifest.preprocessing
        interpreter = ready(path, recipe.shape, delegate=False)
        (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
        most = 0.0
        for picture, expected in zip(self._pixels, self._scores, strict=True):
            values = as_input(picture[None], recipe, np.dtype(taken["dtype"]), *taken["quantization"])
            interpreter.set_tensor(taken["index"], values)
            interpreter.invoke()
            scores = dequantize(interpreter.get_tensor(given["index"]), *given["quantization"])
            most = max(most, float(np.abs(scores.reshape(-1) - expected).max()))
        return most

    def _problems(self, fine: np.ndarray, named: np.ndarray, tops: Sequence[Top | None]) -> Iterator[str]:
        for place in np.flatnonzero(~fine):
            best, top = int(self._scores[place].argmax()), tops[place]
            found = f"class {top.index}, {self._labels[top.index]!r}" if top else "none"
            others = f", and another on {count:,} more" if (count := int((~fine).sum()) - 1) else ""
            yield f"{self._files[place]}: expected class {best}, {self._labels[best]!r}, found {found}{others}"
        for place in np.flatnonzero(~named):
            label, found = self._labels[tops[place].index], tops[place].label
            what = repr(found) if found else "no label"
            yield f"{self._files[place]}: expected the label {label!r} of class {tops[place].index}, found {what}"
