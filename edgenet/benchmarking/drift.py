"""Drift: how far variants' scores are from those of their source model, over many images on many threads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeAlias

import numpy as np

from edgenet import cores
from edgenet.benchmarking.gallery import Gallery
from edgenet.benchmarking.tally import Tally
from edgenet.bundle import bundle as bundles
from edgenet.bundle import evaluation
from edgenet.bundle.bundle import Bundle
from edgenet.bundle.evaluation import Chunk
from edgenet.images import labels as class_names
from edgenet.images.preprocess import prefetch
from edgenet.litert.runner import Runner
from edgenet.progress import SILENT, Progress
from edgenet.records import Drift, Manifest, ScoreKind, VariantFile
from edgenet.scores import THRESHOLD

# uint8 images (n, height, width, channels) to float32 scores (n, classes).
Scorer: TypeAlias = Callable[[np.ndarray], np.ndarray]
# For each model, as many equivalent functions as there are threads: an interpreter serves one thread at a time.
Scorers: TypeAlias = Mapping[str, Sequence[Scorer]]


def evaluate(
    chunks: Iterable[Chunk],
    scorers: Scorers,
    after_chunk: Callable[[int], None] = lambda images: None,
    *,
    scores: ScoreKind | None = None,
    multi_label: bool | None = False,
    gallery: Gallery | None = None,
    reference: str = "the reference",
    labels: Sequence[str] = (),
) -> dict[str, Drift]:
    """Measure the drift of each variant. Only a few chunks are in memory at a time.

    Args:
        chunks: All images, with the reference's scores.
        scorers: The variants. All have the same number of scorers: the number of threads.
        after_chunk: Called after each chunk with the number of images so far.
        scores, multi_label: What the scores are, and how they are compared; see `Tally`.
        gallery: Collects the images that flip.
        reference: The name of the reference, for errors.
        labels: The class names, for errors.

    Returns:
        Drift by the names of the variants.

    Raises:
        EdgenetError: As `Tally.add` and `Tally.drift`.
    """
    threads = len(next(iter(scorers.values())))
    free: dict[str, SimpleQueue[Scorer]] = {name: SimpleQueue() for name in scorers}
    for name, equivalent in scorers.items():
        for scorer in equivalent:
            free[name].put(scorer)

    def score(name: str, chunk: Chunk) -> np.ndarray:
        scorer = free[name].get()
        try:
            return scorer(chunk.pixels)
        finally:
            free[name].put(scorer)

    tallies = {
        name: Tally(scores, multi_label=multi_label, model=name, reference=reference, labels=labels) for name in scorers
    }
    with ThreadPoolExecutor(threads) as pool:
        running = ((chunk, {name: pool.submit(score, name, chunk) for name in scorers}) for chunk in chunks)
        try:
            for chunk, futures in prefetch(running, 2 * threads):
                for name, future in futures.items():
                    add_chunk(tallies[name], chunk, future.result(), gallery)
                after_chunk(next(iter(tallies.values())).images)
        finally:
            pool.shutdown(cancel_futures=True)
    return {name: tally.drift() for name, tally in tallies.items()}


def add_chunk(tally: Tally, chunk: Chunk, scores: np.ndarray, gallery: Gallery | None) -> None:
    """Count a variant's scores, float32 (images, classes), of a chunk; images that flip go to the gallery.

    Raises:
        EdgenetError: As `Tally.add`.
    """
    for index in tally.add(chunk.reference, scores, chunk.images):
        if gallery and chunk.reference is not None:
            reference = chunk.reference[index]
            weight = np.abs(scores[index] - reference).max() if tally.multi_label else reference.max()
            gallery.add(chunk.images[index].file, chunk.pixels[index], float(weight))


def decision_note(manifest: Manifest) -> str | None:
    """What is compared of a model whose scores are independent of each other; None for any other."""
    if manifest.scores != ScoreKind.SIGMOID:
        return None
    if manifest.multi_label:
        return (
            "The scores are independent of each other (sigmoid) and the evaluation images have no classes, so each "
            f"label is compared by itself: present at a score of {THRESHOLD} or more. There is no accuracy."
        )
    return (
        "The scores are independent of each other (sigmoid), but the evaluation images have one class each, so the top "
        f"class is compared. Without classes, each label would be compared by itself, at a score of {THRESHOLD}."
    )


def measure_drift(bundle: Bundle, variants: Sequence[VariantFile], progress: Progress = SILENT) -> dict[str, Drift]:
    """Measure the drift of a bundle's variants in this process, on all cores.

    Only for files that this process has made: a corrupt file could crash it.

    Returns:
        Drift by the names of the variants.

    Raises:
        EdgenetError: As `evaluate`.
    """
    total, recipe = len(bundle.manifest.evaluation), bundle.manifest.preprocessing
    return evaluate(
        evaluation.chunks(bundle),
        {v.name: [Runner(bundle.file(v.file), recipe).scores for _ in range(cores.available())] for v in variants},
        lambda images: progress.count(images, total),
        scores=bundle.manifest.scores,
        multi_label=bundle.manifest.multi_label,
        reference="Keras",
        labels=class_names.read_lines(bundle.file(bundles.LABELS)),
    )
