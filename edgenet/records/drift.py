"""Drift: how far a variant is from the model that it was made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A value, and the ends between which it lies with 95 % (`runtime.trust` for times, `runtime.proportions`)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Guess:
    """A class, and the score that a model gave it."""

    label: int
    score: float


@dataclass(frozen=True)
class Flip:
    """A picture for which a variant's top class is not Keras'. label: its class, where that is known.

    reference and variant: the best three guesses of each, the best first.
    """

    file: str
    label: int | None
    reference: tuple[Guess, ...]
    variant: tuple[Guess, ...]


@dataclass(frozen=True)
class ClassDrift:
    """The pictures of one class; that is their own one, or the one that Keras gives where theirs is not known.

    agreeing: of them with Keras' top class. right, reference_right: of those whose class is known.
    """

    label: int
    images: int
    agreeing: int
    right: int
    reference_right: int


@dataclass(frozen=True)
class Probabilities:
    """What became of probabilities that sum to 1, on average over the pictures.

    winner: absolute change of the probability of Keras' top class; largest: the largest one. kl: Kullback-Leibler
    divergence of the variant's from Keras', in nats (Annals of Mathematical Statistics 22, 1951, 79-86).
    """

    winner: float
    largest: float
    kl: float


@dataclass(frozen=True)
class Drift:
    """How far a variant's scores are from Keras' on the evaluation images.

    Or from those of another reference; without one, all that compares is None, empty or 0. So is all that needs labels,
    without labels.

    agreement: share of pictures with the same top class. top5: share whose Keras top class is among the variant's five
    best. ties: share whose best score is shared by several classes (the lowest index wins). accuracy: share of the
    `labelled` pictures whose top class is right, top5_accuracy: whose class is among the five best; reference_accuracy
    and reference_top5_accuracy: Keras'. gained, lost: pictures that only the variant, or only Keras, has right.
    change_interval: of accuracy_change; mcnemar: how likely so uneven a change is by chance.
    """

    images: int
    agreement: float | None
    agreement_interval: Interval | None
    top5: float | None
    ties: float
    probabilities: Probabilities | None
    labelled: int
    accuracy: float | None
    top5_accuracy: float | None
    reference_accuracy: float | None
    reference_top5_accuracy: float | None
    gained: int
    lost: int
    change_interval: Interval | None
    mcnemar: float | None
    classes: tuple[ClassDrift, ...]
    flips: tuple[Flip, ...]

    @property
    def accuracy_change(self) -> float | None:
        if self.accuracy is None or self.reference_accuracy is None:
            return None
        return self.accuracy - self.reference_accuracy
