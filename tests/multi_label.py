"""Drift of multi-label models: by its definition, and as results have it."""

from collections.abc import Sequence

import numpy as np
from measured import measured, results_of, timed

from edgenet.benchmarking.tally import Tally
from edgenet.records import Drift, EvaluationImage, LabelDrift, Results

TAGS = ("beach", "boat", "car", "dog", "tree")


def expected_labels(reference, scores) -> list[LabelDrift]:
    """The counts of each label, one image at a time, in plain Python."""
    counts = [[0, 0, 0] for _ in reference[0]]
    for before, after in zip(reference.tolist(), scores.tolist(), strict=True):
        for label, (one, other) in enumerate(zip(before, after, strict=True)):
            was, is_now = one >= 0.5, other >= 0.5
            for place, found in enumerate((was, is_now and not was, was and not is_now)):
                counts[label][place] += found
    return [LabelDrift(label, *counted) for label, counted in enumerate(counts)]


def drift_of_labels(reference: np.ndarray, scores: np.ndarray) -> Drift:
    """The drift of a multi-label model, from scores (images, labels); the images are those of `results_of`."""
    images = tuple(EvaluationImage(f"evaluation/{number}.png", None) for number in range(len(scores)))
    tally = Tally("sigmoid", multi_label=True)
    tally.add(np.float32(reference), np.float32(scores), images)
    return tally.drift()


def tag_scores(images: int = 200, seed: int = 1) -> np.ndarray:
    """Scores of five independent labels, each present in some 30% of the images; none within 0.05 of 0.5."""
    random = np.random.default_rng(seed)
    present = random.random((images, len(TAGS))) < 0.3
    return np.where(present, random.uniform(0.55, 1, present.shape), random.uniform(0, 0.45, present.shape))


def changed_scores(scores: np.ndarray, decisions: Sequence[tuple[int, int]]) -> np.ndarray:
    """The same scores with the decisions of these images on these labels reversed."""
    changed = scores.copy()
    for image, label in decisions:
        changed[image, label] = 1 - scores[image, label]
    return changed


def tag_results(decisions: Sequence[tuple[int, int]] = (), images: int = 200, **others) -> Results:
    """Results of float32, without drift, and of int8, which changes these decisions. others: as `results_of` takes."""
    scores = tag_scores(images)
    return results_of(
        measured("float32", (timed(0.004),), drift_of_labels(scores, scores), 4_000_000),
        measured("int8", (timed(0.002, 0.004),), drift_of_labels(scores, changed_scores(scores, decisions)), 1_200_000),
        measured("keras", (timed(0.008, 0.004),), None, 5_000_000),
        **{"labels": TAGS, **others},
    )
