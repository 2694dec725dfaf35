"""Drift: how far a variant's scores are from those of the Keras model it was made of."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from edgenet import statistics
from edgenet.benchmarking.gallery import Gallery
from edgenet.bundle.evaluation import Chunk
from edgenet.errors import EdgenetError
from edgenet.images.preprocess import ahead
from edgenet.records import ClassDrift, Drift, Flip, Guess, Picture, Probabilities
from edgenet.scores import check_finite, probabilities, ranked

# Guesses of a flipped picture that are kept.
GUESSES = 3
# An 8-bit score is 0 where a float one is small, which no logarithm takes: one step of it, 1/256, is spread over all
# classes, in both models, before they are compared (additive smoothing; Lidstone, 1920).
SMOOTHING = 1 / 256

# uint8 pictures (n, height, width, channels) to float32 scores (n, classes)
Scorer = Callable[[np.ndarray], np.ndarray]


@dataclass
class Tally:
    """Sums over the pictures seen so far; it divides once, at the end. Of the pictures, only flipped ones are kept.

    scores: what the scores are, as `Manifest.scores` has it. None: probabilities, if the reference's sum to 1.
    model, reference: names of the variant and of what it is compared with, and labels: the class names, all for errors.
    """

    scores: str | None = None
    images: int = 0
    compared: int = 0
    tied: int = 0
    in_top5: int = 0
    right5: int = 0
    reference_right5: int = 0
    # Labelled pictures, by whether the variant and whether the reference has them right.
    outcomes: Counter = field(default_factory=Counter)
    classes: dict[int, Counter] = field(default_factory=dict)
    winner: float = 0.0
    largest: float = 0.0
    kl: float = 0.0
    flips: list[Flip] = field(default_factory=list)
    model: str = "the model"
    reference: str = "the reference"
    labels: Sequence[str] = ()

    def add(self, reference: np.ndarray | None, scores: np.ndarray, pictures: tuple[Picture, ...]) -> tuple[int, ...]:
        """Count pictures: `reference` and `scores` are float32 (n, classes). Among equal scores the lowest index wins.

        Returns the places of those that flipped. Raises EdgenetError when a score of either is NaN or infinite, or when
        the two do not have the same number of classes.
        """
        self._check(reference, scores, pictures)
        best = ranked(scores)
        expected = None if reference is None else ranked(reference)
        labels = np.array([-1 if picture.label is None else picture.label for picture in pictures])
        self.images += len(pictures)
        self.tied += int(((scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())
        self.right5 += _among(labels, best)
        if reference is None:
            self._count_outcomes(labels, best[:, 0], best[:, 0])
            return ()
        self._count_outcomes(labels, best[:, 0], expected[:, 0])
        self.compared += len(pictures)
        self.in_top5 += _among(expected[:, 0], best)
        self.reference_right5 += _among(labels, expected)
        self._count_classes(labels, best[:, 0], expected[:, 0])
        self._add_probabilities(reference, scores, expected[:, 0])
        flipped = np.flatnonzero(best[:, 0] != expected[:, 0]).tolist()
        for place in flipped:
            guesses = (_guesses(reference[place], expected[place]), _guesses(scores[place], best[place]))
            self.flips.append(Flip(pictures[place].file, pictures[place].label, *guesses))
        return tuple(flipped)

    def _check(self, reference: np.ndarray | None, scores: np.ndarray, pictures: tuple[Picture, ...]) -> None:
        names = [picture.file for picture in pictures]
        if reference is not None:
            check_finite(reference, self.reference, names, self.labels)
            if reference.shape != scores.shape:
                raise EdgenetError(
                    f"{self.model} has {scores.shape[1]:,} classes, but {self.reference} has {reference.shape[1]:,}; "
                    "compare models with the same classes"
                )
        check_finite(scores, self.model, names, self.labels)

    def _count_outcomes(self, labels: np.ndarray, found: np.ndarray, expected: np.ndarray) -> None:
        for label, given, wanted in zip(labels.tolist(), found.tolist(), expected.tolist(), strict=True):
            if label >= 0:
                self.outcomes[given == label, wanted == label] += 1

    def _count_classes(self, labels: np.ndarray, found: np.ndarray, expected: np.ndarray) -> None:
        for label, given, wanted in zip(labels.tolist(), found.tolist(), expected.tolist(), strict=True):
            counts = self.classes.setdefault(wanted if label < 0 else label, Counter())
            counts["images"] += 1
            counts["agreeing"] += given == wanted
            counts["right"] += given == label
            counts["reference_right"] += wanted == label

    def _add_probabilities(self, reference: np.ndarray, scores: np.ndarray, expected: np.ndarray) -> None:
        if self.scores is None:
            # In double precision: the sum of legal float32 scores can overflow in their own.
            totals = reference.sum(axis=1, dtype=np.float64)
            sums = bool((reference >= 0).all() and np.allclose(totals, 1, atol=1e-3))
            self.scores = "softmax" if sums else "unknown"
        if self.scores not in ("softmax", "logits"):
            return
        before, after = (probabilities(part.astype(np.float64), self.scores) for part in (reference, scores))
        rows = np.arange(len(expected))
        change = np.abs(after[rows, expected] - before[rows, expected])
        self.winner += float(change.sum())
        self.largest = max(self.largest, float(change.max()))
        before, after = (
            (part + SMOOTHING / part.shape[1]) / (part.sum(axis=1, keepdims=True) + SMOOTHING)
            for part in (before, after)
        )
        self.kl += float((before * np.log(before / after)).sum())

    def drift(self) -> Drift:
        """The shares. Accuracy counts the pictures whose class is known.

        Raises EdgenetError when no pictures were counted.
        """
        if not self.images:
            raise EdgenetError(f"{self.model}: there are no evaluation images; give at least one")
        labelled = self.outcomes.total()
        both, gained, lost, neither = (
            self.outcomes[one, other] for one, other in ((True, True), (True, False), (False, True), (False, False))
        )
        agreeing = self.compared - len(self.flips)
        compared, known = self.compared > 0, labelled > 0 and self.compared > 0
        rated = compared and self.scores in ("softmax", "logits")
        return Drift(
            images=self.images,
            agreement=agreeing / self.compared if compared else None,
            agreement_interval=statistics.wilson(agreeing, self.compared) if compared else None,
            top5=self.in_top5 / self.compared if compared else None,
            ties=self.tied / self.images,
            probabilities=Probabilities(self.winner / self.compared, self.largest, max(0.0, self.kl / self.compared))
            if rated
            else None,
            labelled=labelled,
            accuracy=(both + gained) / labelled if labelled else None,
            top5_accuracy=self.right5 / labelled if labelled else None,
            reference_accuracy=(both + lost) / labelled if known else None,
            reference_top5_accuracy=self.reference_right5 / labelled if known else None,
            gained=gained,
            lost=lost,
            change_interval=statistics.paired_difference(both, gained, lost, neither) if known else None,
            mcnemar=statistics.mcnemar(gained, lost) if known else None,
            classes=tuple(ClassDrift(label=label, **self.classes[label]) for label in sorted(self.classes)),
            flips=tuple(self.flips),
        )


def _among(wanted: np.ndarray, ranked: np.ndarray) -> int:
    return int((ranked == wanted[:, None]).any(axis=1).sum())


def _guesses(scores: np.ndarray, ranked: np.ndarray) -> tuple[Guess, ...]:
    return tuple(Guess(int(label), float(scores[label])) for label in ranked[:GUESSES])


def evaluate(
    chunks: Iterable[Chunk],
    scorers: dict[str, Sequence[Scorer]],
    counted: Callable[[int], None] = lambda images: None,
    *,
    scores: str | None = None,
    gallery: Gallery | None = None,
    reference: str | None = None,
    labels: Sequence[str] = (),
) -> dict[str, Drift]:
    """Drift of each variant over all pictures, on as many threads as there are scorers of it.

    scorers: for each variant, functions that do the same; each serves one thread at a time, as interpreters must.
    counted: told the number of pictures done. scores, labels: of `Tally`. reference: the name of the reference, for
    errors. gallery: gets the pictures that flip. Only a few chunks are held at a time.

    Raises EdgenetError as `Tally` does.
    """
    threads = len(next(iter(scorers.values())))
    free = {name: SimpleQueue() for name in scorers}
    for name, equals in scorers.items():
        for scorer in equals:
            free[name].put(scorer)

    def score(name: str, chunk: Chunk) -> np.ndarray:
        scorer = free[name].get()
        try:
            return scorer(chunk.pixels)
        finally:
            free[name].put(scorer)

    known = {"labels": labels, **({"reference": reference} if reference else {})}
    tallies = {name: Tally(scores, model=name, **known) for name in scorers}
    with ThreadPoolExecutor(threads) as pool:
        begun = ((chunk, {name: pool.submit(score, name, chunk) for name in scorers}) for chunk in chunks)
        try:
            for chunk, futures in ahead(begun, 2 * threads):
                for name, future in futures.items():
                    for place in tallies[name].add(chunk.reference, future.result(), chunk.pictures):
                        if gallery:
                            sureness = float(chunk.reference[place].max())
                            gallery.add(chunk.pictures[place].file, chunk.pixels[place], sureness)
                counted(next(iter(tallies.values())).images)
        finally:
            pool.shutdown(cancel_futures=True)
    return {name: tally.drift() for name, tally in tallies.items()}
