"""A classifier on a few images with several kinds of preprocessing: which classifies them best?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenet.images import input_range, preprocess
from edgenet.model.classifier import KerasClassifier, score_kind
from edgenet.records import ChannelOrder, Preprocessing, ScoreKind
from edgenet.scores import probabilities
from edgenet.statistics import at_least, mcnemar

# Images on which each kind of preprocessing is tried, at most.
MAX_TRIED = 100
BATCH = 16
# An outcome that is this improbable by chance is significant.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Compared:
    """Two kinds of preprocessing, by the accuracy on the same labelled images.

    Attributes:
        difference: Images that are correct with the first one, minus those with the second.
        is_significant: Of McNemar's exact test.
        text: Both accuracies in words.
    """

    difference: int
    is_significant: bool
    text: str


class Trials:
    """The scores of images with several kinds of preprocessing; what has been computed is kept.

    Args:
        classifier: The Keras model.
        images: uint8 or float32 (height, width, channels) each, 0 to 255.
        classes: The class of each image, or None if unknown.

    Attributes:
        images: The number of images: those with a class, or all of them if none has one; MAX_TRIED at most.
        is_labelled: Whether their classes are known.
        chance: The accuracy of the best guess without looking: 1 / classes, or the fraction of the most frequent class
            among the images if that is larger (the no-information rate). 0 without classes.
    """

    def __init__(
        self,
        classifier: KerasClassifier,
        images: Sequence[np.ndarray],
        classes: Sequence[int | None] | None = None,
    ) -> None:
        labels = [None] * len(images) if classes is None else list(classes)
        self.is_labelled = any(label is not None for label in labels)
        used = [number for number, label in enumerate(labels) if label is not None or not self.is_labelled]
        # In random order, so that the first ones are of all classes.
        used = [used[number] for number in np.random.default_rng(0).permutation(len(used))[:MAX_TRIED]]
        self._classifier = classifier
        self._pixels = [images[number] for number in used]
        self._labels = np.array([labels[number] for number in used], int) if self.is_labelled else None
        self.images = len(used)
        self.chance = 0.0 if self._labels is None else chance(self._labels, classifier.classes)
        self._scores: dict[Preprocessing, np.ndarray] = {}

    def scores(self, recipe: Preprocessing, count: int | None = None) -> np.ndarray:
        """The scores of the first `count` images (all by default), float (count, classes)."""
        count = self.images if count is None else count
        known = self._scores.get(recipe)
        done = 0 if known is None else len(known)
        if known is None or done < count:
            batches = preprocess.batches(self._pixels[done:count], BATCH)
            more = list(self._classifier.with_recipe(recipe).scores(batches))
            known = np.concatenate([*([] if known is None else [known]), *more])
            self._scores[recipe] = known
        return known[:count]

    def correct(self, recipe: Preprocessing, count: int | None = None) -> np.ndarray:
        """Whether the class of each of the first `count` images is found, bool (count,). Only if `is_labelled`."""
        scores = self.scores(recipe, count)
        # A wrong input range can make scores overflow; such an image is not classified.
        return np.isfinite(scores).all(axis=1) & (scores.argmax(axis=1) == self.known_labels[: len(scores)])

    def predicted(self, recipe: Preprocessing) -> np.ndarray:
        """The class with the best score of each image, int64 (images,); among equals the lowest."""
        return np.nan_to_num(self.scores(recipe)).argmax(axis=1)

    def correct_count(self, recipe: Preprocessing) -> int:
        return int(self.correct(recipe).sum())

    def top_score(self, recipe: Preprocessing) -> float:
        """The mean over all images of the best score, as a probability."""
        return mean_top_score(self.scores(recipe))

    def p_value(self, one: Preprocessing, other: Preprocessing, count: int | None = None) -> float:
        """Of McNemar's exact test of equal accuracy, two-sided."""
        return paired_p_value(self.correct(one, count), self.correct(other, count))

    def compare(self, one: Preprocessing, other: Preprocessing) -> Compared | None:
        """Two kinds of preprocessing compared; None without classes."""
        if not self.is_labelled:
            return None
        first, second = self.correct_count(one), self.correct_count(other)
        return Compared(
            first - second,
            self.p_value(one, other) < SIGNIFICANT,
            f"{first:,} of {self.images:,} images are right with {input_range.as_arguments(one)}, {second:,} with "
            f"{input_range.as_arguments(other)}",
        )

    def is_above_chance(self, recipe: Preprocessing, count: int | None = None) -> bool:
        """Whether more of the first `count` images are correct than guessing explains, by the binomial test."""
        correct = self.correct(recipe, count)
        return at_least(int(correct.sum()), len(correct), self.chance) < SIGNIFICANT

    @property
    def known_labels(self) -> np.ndarray:
        """The class of each image, int64 (images,). Only if `is_labelled`."""
        if self._labels is None:
            raise ValueError("the images have no classes")
        return self._labels


def paired_p_value(first: np.ndarray, second: np.ndarray) -> float:
    """Of McNemar's exact test of equal accuracy, two-sided.

    Args:
        first: Whether each image is classified correctly, bool (n,).
        second: Likewise, in another way.
    """
    return mcnemar(int((second & ~first).sum()), int((first & ~second).sum()))


def p_text(p_value: float) -> str:
    """A p-value for a sentence, behind "p"."""
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"


def chance(labels: Iterable[int], classes: int) -> float:
    """The accuracy of the best guess without looking at an image.

    It is 1 / classes, or the fraction of the most frequent class if that is larger: the no-information rate (M. Kuhn,
    Journal of Statistical Software 28(5), 2008). Images of a single class say nothing about the latter.

    Args:
        labels: The class of each image; there is at least one.
        classes: The number of classes of the model.
    """
    counts = np.unique(np.fromiter(labels, int), return_counts=True)[1]
    return 1 / classes if len(counts) == 1 else max(1 / classes, float(counts.max() / counts.sum()))


def as_probabilities(scores: np.ndarray) -> np.ndarray:
    """Scores (n, classes) as probabilities: logits through a softmax, others as they are."""
    kind = ScoreKind(score_kind(scores))
    return probabilities(scores, kind) if kind == ScoreKind.LOGITS else scores


def mean_top_score(scores: np.ndarray) -> float:
    """The mean over all images of the best score (n, classes), as a probability."""
    return float(np.nan_to_num(as_probabilities(scores)).max(axis=1).mean())


def candidates(recipe: Preprocessing, *, any_order: bool) -> Iterator[Preprocessing]:
    """The preprocessing itself, then with each common input range, then these with the channels swapped.

    Args:
        recipe: The size and the way of resizing stay as they are.
        any_order: False: only the usual channel order of each input range; that of `recipe` if it is BGR.
    """
    common = list(input_range.common_recipes(recipe))
    if recipe.order == ChannelOrder.BGR:
        common = [replace(other, order=recipe.order) for other in common]
    more = map(swapped, (recipe, *common)) if any_order and recipe.channels == 3 else ()
    yield from dict.fromkeys((recipe, *common, *more))


def swapped(recipe: Preprocessing) -> Preprocessing:
    """The same preprocessing with the other channel order."""
    order = ChannelOrder.RGB if recipe.order == ChannelOrder.BGR else ChannelOrder.BGR
    return replace(recipe, order=order.value)
