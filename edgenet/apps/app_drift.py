"""App drift: how far a library's answers on photos, given as an app gives them, are from those of the Keras model.

Beside the drift of the file, which every measurement of edgenet has, it contains that of the pixels: what the app does
to a photo, and how the library resizes what it gets.
"""

from collections.abc import Sequence

import numpy as np

from edgenet import statistics
from edgenet.benchmarking.tally import predictions
from edgenet.litert import classifier
from edgenet.records import EvaluationImage, Flip, Prediction
from edgenet.records.apps import AppDrift, AppWay
from edgenet.scores import top_classes

# Predictions that a flip has of each model.
MAX_PREDICTIONS = 3
# Flips in a record: a manifest has one for each variant, way and library.
MAX_FLIPS = 24


def measure(
    variant: str,
    way: AppWay,
    answers: Sequence[Sequence[classifier.Prediction]],
    reference: np.ndarray,
    images: Sequence[EvaluationImage],
) -> AppDrift:
    """Compare a library's answers on photos with Keras' scores.

    Args:
        variant: The variant's name.
        way: How the photos were given to the library.
        answers: The library's best predictions for each of the n photos, the best first; none for a photo that it
            rejects, which counts as another answer.
        reference: Keras' scores, float32 (n, classes).
        images: The photos.
    """
    best = top_classes(reference, MAX_PREDICTIONS)
    differing = [number for number, answer in enumerate(answers) if not answer or answer[0].index != best[number][0]]
    count = len(images)
    flipped = sorted((n for n in differing if answers[n]), key=lambda n: -reference[n].max())
    return AppDrift(
        variant=variant,
        way=way,
        images=count,
        agreement=statistics.wilson(count - len(differing), count),
        flips=tuple(
            Flip(
                file=images[number].file,
                label=images[number].label,
                reference=predictions(reference[number], best[number]),
                variant=tuple(Prediction(top.index, top.score) for top in answers[number][:MAX_PREDICTIONS]),
            )
            for number in flipped[:MAX_FLIPS]
        ),
    )
