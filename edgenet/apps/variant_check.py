"""Compares a mobile library's predictions for one variant with those of edgenet's runner.

The top class and its label must be the same. Another class is accepted as well where the runner itself does not
separate the two:

- tied: both classes have exactly the same score, and ties go to the lowest class index. The libraries sort scores
  without an order among equals; of the three best that they are asked for, the lowest index is taken.
- within tolerance, in all variants but int8: the score is lower than the runner's top score by at most 2 t, where t
  (the kernel tolerance) is the largest difference of any score on these images between LiteRT's two sets of kernels,
  with XNNPACK and without. If rounding moves each score by up to t, two classes can swap only when their scores differ
  by less than 2 t. In float32 and float16, t is about 1e-6. In dynamic, activations are rounded to 8 bits at run time,
  where the last bit of a float can change a rounded value: t is about 0.03 on the bundled model and 0.07 on ImageNet's,
  where LiteRT's own two sets of kernels differ in the top class of 1% of the photos. The largest such difference in
  score is reported.

int8 needs no tolerance: LiteRT 2.3, the Task Library 0.4.4 and MediaPipe 1.2.2, all with XNNPACK, give the same
integers.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from edgenet.apps.library_process import LibraryOutput
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.images import labels as class_names
from edgenet.litert.classifier import Prediction
from edgenet.litert.delegate import load_interpreter
from edgenet.litert.runner import as_input, dequantize
from edgenet.records import Variant, VariantFile
from edgenet.records.apps import UNKNOWN_OPERATOR, VariantConformance

# TFLite's messages about an operator, or a version of one, that it does not know.
_UNKNOWN_OPERATOR = re.compile(
    r"find op for builtin|builtin_code out of range|unresolved.ops|unsupported.*\bops?\b", re.IGNORECASE
)


class VariantCheck:
    """Compares the predictions of libraries for one variant with the runner's scores.

    Args:
        bundle: The bundle.
        variant: The variant.
        files: The names of the n images, for messages.
        pixels: The images at the model's input size, uint8 (n, height, width, channels).
        scores: The runner's scores, float32 (n, classes).
    """

    def __init__(
        self, bundle: Bundle, variant: VariantFile, files: Sequence[str], pixels: np.ndarray, scores: np.ndarray
    ):
        self._bundle, self._variant = bundle, variant
        self._files, self._pixels, self._scores = files, pixels, scores
        self._labels = class_names.read_lines(bundle.file(bundles.LABELS))

    def compare(self, output: LibraryOutput) -> VariantConformance:
        """Compare a library's predictions for this variant with the runner's."""
        name = self._variant.name
        if output.problem and _UNKNOWN_OPERATOR.search(output.problem):
            return VariantConformance(name, f"{UNKNOWN_OPERATOR} ({output.problem})")
        if output.problem:
            return VariantConformance(name, problem=f"the library cannot load the file: {output.problem}")
        best, predictions = self._scores.argmax(axis=1), output.images
        equal = np.array(
            [top is not None and top.index == index for top, index in zip(predictions, best, strict=True)], bool
        )
        gaps = self._score_gaps(predictions)
        tied = ~equal & (gaps == 0)
        close = ~equal & ~tied & np.isfinite(gaps) & (name != Variant.INT8)
        if close.any():
            close &= gaps <= 2 * self.kernel_tolerance
        labelled = np.array([top is not None and top.label == self._labels[top.index] for top in predictions], bool)
        return VariantConformance(
            name,
            problem=next(self._problems(equal | tied | close, labelled, predictions), None),
            loaded=True,
            equal=int(equal.sum()),
            ties=int(tied.sum()),
            within_tolerance=int(close.sum()),
            score_gap=float(gaps[close].max(initial=0)),
            labelled=int(labelled.sum()),
            photos_agreeing=int((self._score_gaps([tops[0] if tops else None for tops in output.photos]) == 0).sum()),
        )

    def _score_gaps(self, predictions: Sequence[Prediction | None]) -> np.ndarray:
        """The runner's top score minus its score of the predicted class, (n,); infinite where there is none."""
        return np.array(
            [
                np.inf if top is None else scores.max() - scores[top.index]
                for top, scores in zip(predictions, self._scores, strict=True)
            ]
        )

    @cached_property
    def kernel_tolerance(self) -> float:
        """The largest difference of a score between LiteRT's kernels with XNNPACK and without."""
        path, recipe = self._bundle.file(self._variant.file), self._bundle.manifest.preprocessing
        interpreter = load_interpreter(path, recipe.shape, delegate=False)
        (input_details,), (output_details,) = interpreter.get_input_details(), interpreter.get_output_details()
        largest = 0.0
        for image, expected in zip(self._pixels, self._scores, strict=True):
            dtype = np.dtype(input_details["dtype"])
            interpreter.set_tensor(
                input_details["index"], as_input(image[None], recipe, dtype, *input_details["quantization"])
            )
            interpreter.invoke()
            scores = dequantize(interpreter.get_tensor(output_details["index"]), *output_details["quantization"])
            largest = max(largest, float(np.abs(scores.reshape(-1) - expected).max()))
        return largest

    def _problems(
        self, accepted: np.ndarray, labelled: np.ndarray, predictions: Sequence[Prediction | None]
    ) -> Iterator[str]:
        for number in np.flatnonzero(~accepted).tolist():
            best, top = int(self._scores[number].argmax()), predictions[number]
            got = f"class {top.index} ({self._labels[top.index]!r})" if top else "none"
            count = int((~accepted).sum()) - 1
            others = f"; {count:,} more image{'s' * (count > 1)} differ{'s' * (count == 1)}" if count else ""
            yield f"{self._files[number]}: expected class {best} ({self._labels[best]!r}), got {got}{others}"
        for number in np.flatnonzero(~labelled).tolist():
            if top := predictions[number]:
                got = repr(top.label) if top.label else "no label"
                yield f"{self._files[number]}: expected the label {self._labels[top.index]!r}, got {got}"
