"""The cases: for each number, what is damaged, how, and the command that a user would type for it."""

from pathlib import Path

import numpy as np
from bundle_cases import archive, sealed, stale
from image_cases import image
from model_cases import h5, keras_file, savedmodel, tflite, weights
from plans import Plan
from record_cases import diagnosis, results
from text_cases import labels, truth

SEED = 14

# How many cases there are of each kind.
COUNTS = {
    "tflite": 110,
    "keras": 60,
    "h5": 60,
    "savedmodel": 60,
    "weights": 80,
    "image": 110,
    "labels": 40,
    "truth": 40,
    "bundle, stale": 150,
    "bundle, sealed": 110,
    "archive": 160,
    "results": 160,
    "diagnosis": 60,
}
TOTAL = sum(COUNTS.values())


def kind_of(number: int) -> str:
    """The kind of a case, by its number from 0 up."""
    for kind, count in COUNTS.items():
        if number < count:
            return kind
        number -= count
    raise ValueError(number)


def plan(number: int, base: Path, work: Path) -> Plan:
    """Put the damaged input of a case, and what goes with it, into a working folder, which has `outside` beside it."""
    return _KINDS[kind_of(number)](base, work, np.random.default_rng([SEED, number]))


_KINDS = {
    "tflite": tflite,
    "keras": keras_file,
    "h5": h5,
    "savedmodel": savedmodel,
    "weights": weights,
    "image": image,
    "labels": labels,
    "truth": truth,
    "bundle, stale": stale,
    "bundle, sealed": sealed,
    "archive": archive,
    "results": results,
    "diagnosis": diagnosis,
}
