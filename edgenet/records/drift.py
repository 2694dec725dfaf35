"""Drift: how far a variant's scores are from those of the model that it was made from."""

from dataclasses import dataclass

# A flip is confident where the reference gave its top class a probability above this: no other class was as likely.
CONFIDENT = 0.5


@dataclass(frozen=True)
class Interval:
    """A value and its 95% confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Prediction:
    """A class and the score that a model gave it."""

    # Its index among the classes.
    label: int
    score: float


@dataclass(frozen=True)
class Flip:
    """An image for which the variant and the reference give different answers: another top class, or other labels."""

    # Its path in the bundle.
    file: str
    # Its true class, where that is known.
    label: int | None
    # The best three predictions of each model, the best first. Of a multi-label model the labels that change, at most
    # three, the same ones of both: those whose scores change most, first.
    reference: tuple[Prediction, ...]
    variant: tuple[Prediction, ...]
    # The probability that the reference gave its top class. None for a multi-label model, where scores are not
    # probabilities, and in an older format.
    probability: float | None = None


@dataclass(frozen=True)
class ClassDrift:
    """The images of one class: their true class, or the reference's top class where that is not known."""

    label: int
    images: int
    # Images whose top class is the reference's.
    agreeing: int
    # Images whose top class is the true one, in the variant and in the reference.
    correct: int
    reference_correct: int


@dataclass(frozen=True)
class ProbabilityChange:
    """The change of probabilities that sum to 1, over all images."""

    # Mean absolute change of the probability of the reference's top class.
    mean: float
    # The largest such change.
    max: float
    # Mean Kullback-Leibler divergence of the variant's probabilities from the reference's, in nats (Annals of
    # Mathematical Statistics 22, 1951, 79-86).
    kl: float


@dataclass(frozen=True)
class Agreement:
    """How often a variant agrees with the reference. Fractions of the images."""

    # Images with the same top class. Drift is 1 minus this.
    top1: float
    interval: Interval
    # Images whose reference top class is among the variant's five best.
    top5: float
    # None where scores are neither probabilities that sum to 1 nor logits.
    probabilities: ProbabilityChange | None


@dataclass(frozen=True)
class LabelDrift:
    """One label of a multi-label model. An image has the label where its score is 0.5 or more."""

    label: int
    # Images that have it in the reference.
    reference_images: int
    # Images that have it only in the variant, and only in the reference.
    added: int
    removed: int

    @property
    def changed(self) -> int:
        """Images for which the decision on this label differs."""
        return self.added + self.removed


@dataclass(frozen=True)
class LabelAgreement:
    """How often a variant of a multi-label model agrees with the reference.

    Each label of each image is a decision: present where the score is 0.5 or more, absent otherwise.
    """

    # Fraction of all decisions that are the reference's: the label agreement.
    decisions: Interval
    # Fraction of the images all of whose decisions are the reference's. Drift is 1 minus this.
    images: Interval
    # Absolute change of a score: the mean of all, and the largest.
    score_change_mean: float
    score_change_max: float
    # One for each label, in the order of the scores.
    labels: tuple[LabelDrift, ...]


@dataclass(frozen=True)
class AccuracyChange:
    """A variant's accuracy beside the reference's, on the same labelled images."""

    reference_top1: float
    reference_top5: float
    # Images that only the variant classifies correctly.
    positive_flips: int
    # Images that only the reference classifies correctly.
    negative_flips: int
    # Of the difference of both top-1 accuracies.
    interval: Interval
    # Of McNemar's exact test: how often a split this uneven would happen if both models were equally good.
    p_value: float


@dataclass(frozen=True)
class Accuracy:
    """How often a variant is correct. Fractions of the labelled images."""

    # Labelled images.
    images: int
    top1: float
    top5: float
    # None without a reference.
    change: AccuracyChange | None
    # Of the top-1 accuracy; None in results of an older format.
    interval: Interval | None = None

    @property
    def difference(self) -> float | None:
        """Top-1 accuracy minus the reference's."""
        return None if self.change is None else self.top1 - self.change.reference_top1


@dataclass(frozen=True)
class Drift:
    """How far a variant's scores are from the reference's on the evaluation images."""

    images: int
    # Fraction of the images where several classes share the best score (the lowest class index wins). 0 for a
    # multi-label model, which has no best class.
    ties: float
    # None without a reference, and for a multi-label model.
    agreement: Agreement | None
    # None without labels.
    accuracy: Accuracy | None
    # Empty for a multi-label model.
    classes: tuple[ClassDrift, ...]
    flips: tuple[Flip, ...]
    # Of a multi-label model, which has this instead of `agreement`, `accuracy` and `classes`. None for every other.
    label_agreement: LabelAgreement | None = None

    @property
    def image_agreement(self) -> Interval | None:
        """The fraction of images with the reference's answer: its top class, or all of its labels.

        Drift is 1 minus this. None without a reference.
        """
        if self.label_agreement:
            return self.label_agreement.images
        return self.agreement.interval if self.agreement else None

    @property
    def confident_flips(self) -> int | None:
        """Images that flip although the reference gave its top class a probability above `CONFIDENT`.

        None without a reference, for a multi-label model, which has no top class, and where a flip has no probability.
        """
        probabilities = [flip.probability for flip in self.flips]
        if self.agreement is None or None in probabilities:
            return None
        return sum(probability is not None and probability > CONFIDENT for probability in probabilities)
