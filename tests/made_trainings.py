"""Trainings without a training: scores that are drawn from a seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgenet.records import Finding, Level, Training
from edgenet.records.training import DataCheck, Epoch, ImageSizes, PhotoClass
from edgenet.training.outcome import Outcome, PartOutcome
from edgenet.training.summary import summarize

NAMES = ("ants", "bees", "wasps")


def part(images: int, classes: int, sharpness: float, seed: int, name: str = "a") -> PartOutcome:
    """Images of which about a part is classified correctly; the sharper the scores, the more."""
    random = np.random.default_rng(seed)
    labels = np.arange(images, dtype=np.int64) % classes
    scores, head = (_scores(random, labels, classes, strength) for strength in (sharpness, 0.7 * sharpness))
    paths = [f"{label}/{name}{number}.jpg" for number, label in enumerate(labels)]
    return PartOutcome(paths, labels, scores, head)


def _scores(random: np.random.Generator, labels: np.ndarray, classes: int, sharpness: float) -> np.ndarray:
    """Probabilities of a classifier that sees its class with noise: calibrated, and float32 (n, classes)."""
    logits = sharpness * np.eye(classes)[labels] + random.normal(0, np.sqrt(sharpness), (len(labels), classes))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def check(names: Sequence[str], train: int, validation: int, test: int) -> DataCheck:
    """Numbers are of each class."""
    images = train + validation + test
    return DataCheck(
        folder="photos",
        classes=tuple(PhotoClass(name, images, 0, 0, train, validation, test) for name in names),
        sizes=ImageSizes((32, 32), (48, 64), (480, 640)),
        broken=(),
        shared=(),
        groups=0,
        largest_group=0,
        seed=0,
        findings=(Finding(Level.WARNING, "photos: fewer than 20 images of bees"),),
    )


def outcome(names: Sequence[str] = NAMES, each: int = 20, sharpness: float = 4.0, seed: int = 0, **found) -> Outcome:
    """As many validation and test images of each class."""
    count = len(names)
    known = {
        "name": "insects",
        "check": check(names, 3 * each, each, each),
        "validation": part(count * each, count, sharpness, seed, "v"),
        "test": part(count * each, count, sharpness, seed + 1, "t"),
        "history": (
            Epoch("head", 1, 0.9, 0.7, 0.8, 0.72, 1.5),
            *(Epoch("fine-tune", n, 0.9 / n, 1 - 0.3 / n, 1 / n, 1 - 0.4 / n, 2.5) for n in (1, 2, 3)),
        ),
        "kept": "fine-tuned",
        "reason": "its validation loss is 0.31, the head's 0.35",
        "given": {"minutes": "2"},
        "options": {"weights": "imagenet", "alpha": "0.75", "size": "160", "seed": "0", "minutes": "2"},
        "seconds": {"features": 3.25, "head": 1.5, "fine-tune": 7.5},
        "versions": {"edgenet": "0.1"},
    }
    return Outcome(**{**known, **found})


def training(names: Sequence[str] = NAMES, folder: Path = Path("photos"), **found) -> Training:
    return summarize(outcome(names, **found), folder)
