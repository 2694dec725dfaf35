"""Drift: how far a variant's scores are from those of the Keras model it was made of."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from edgenet.errors import EdgenetError
from edgenet.images import ahead
from edgenet.records import Drift, Flip, Picture

# Pictures that travel through the evaluation together: enough to make a thread's work worth handing over.
CHUNK = 16

# uint8 pictures (n, height, width, channels) to float32 scores (n, classes)
Scorer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Chunk:
    """Some evaluation pictures: uint8 pixels (n, height, width, channels), their names, and the float32 scores
    (n, classes) that Keras, or whatever is the reference, gave them; None without a reference."""

    pixels: np.ndarray
    reference: np.ndarray | None
    pictures: tuple[Picture, ...]


@dataclass
class Tally:
    """Sums over the pictures seen so far; it divides once, at the end. Of the pictures, only flipped ones are kept."""

    images: int = 0
    compared: int = 0
    agreeing: int = 0
    in_top5: int = 0
    tied: int = 0
    labelled: int = 0
    right: int = 0
    reference_right: int = 0
    flips: list[Flip] = field(default_factory=list)

    def add(self, reference: np.ndarray | None, scores: np.ndarray, pictures: tuple[Picture, ...]) -> None:
        """Count pictures: `reference` and `scores` are float32 (n, classes). Among equal scores the lowest index wins.

        Raises EdgenetError when a score is not a number.
        """
        if not np.isfinite(scores).all():
            broken = pictures[int(np.argmin(np.isfinite(scores).all(axis=1)))]
            raise EdgenetError(f"{broken.file}: expected finite scores, found NaN or infinity; export the model again")
        found = scores.argmax(axis=1).tolist()
        best = scores.max(axis=1, keepdims=True)
        self.images += len(pictures)
        self.tied += int(((scores == best).sum(axis=1) > 1).sum())
        self.labelled += sum(picture.label is not None for picture in pictures)
        self.right += sum(given == picture.label for picture, given in zip(pictures, found, strict=True))
        if reference is not None:
            self._compare(reference, scores, found, pictures)

    def _compare(self, reference: np.ndarray, scores: np.ndarray, found: list[int], pictures) -> None:
        expected = reference.argmax(axis=1)
        best5 = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        self.compared += len(pictures)
        self.in_top5 += int((best5 == expected[:, None]).any(axis=1).sum())
        for picture, wanted, given in zip(pictures, expected.tolist(), found, strict=True):
            self.agreeing += wanted == given
            self.reference_right += wanted == picture.label
            if wanted != given:
                self.flips.append(Flip(picture.file, wanted, given))

    def drift(self) -> Drift:
        """The shares. Accuracy counts the pictures whose class is known."""
        return Drift(
            images=self.images,
            agreement=self.agreeing / self.compared if self.compared else None,
            top5=self.in_top5 / self.compared if self.compared else None,
            ties=self.tied / self.images,
            accuracy=self.right / self.labelled if self.labelled else None,
            reference_accuracy=self.reference_right / self.labelled if self.labelled and self.compared else None,
            flips=tuple(self.flips),
        )


def evaluate(
    chunks: Iterable[Chunk],
    scorers: dict[str, Sequence[Scorer]],
    counted: Callable[[int], None] = lambda images: None,
) -> dict[str, Drift]:
    """Drift of each variant over all pictures, on as many threads as there are scorers of it.

    scorers: for each variant, functions that do the same; each serves one thread at a time, as interpreters must.
    counted: told the number of pictures done. Only a few chunks are held at a time.
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

    tallies = {name: Tally() for name in scorers}
    with ThreadPoolExecutor(threads) as pool:
        begun = ((chunk, {name: pool.submit(score, name, chunk) for name in scorers}) for chunk in chunks)
        try:
            for chunk, scores in ahead(begun, 2 * threads):
                for name, future in scores.items():
                    tallies[name].add(chunk.reference, future.result(), chunk.pictures)
                counted(next(iter(tallies.values())).images)
        finally:
            pool.shutdown(cancel_futures=True)
    return {name: tally.drift() for name, tally in tallies.items()}
