"""Results of four variants, with flipped pictures, as the report shows them."""

import base64
import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from measured import drift_of, measured, results_of
from PIL import Image

from edgenet.benchmarking import latency as latencies
from edgenet.records import ClassDrift, Drift, Finding, Flip, Latency, Prediction, ProbabilityChange, Results

# Seconds of one inference on one thread.
MEDIANS = {"float32": 0.006, "float16": 0.0061, "dynamic": 0.004, "int8": 0.0025}
BYTES = {"float32": 10_300_000, "float16": 5_200_000, "dynamic": 2_800_000, "int8": 2_850_000}
LABELS = tuple(f"class {number}" for number in range(10))


def drift(flips: Sequence[Flip] = (), images: int = 1_000, right: int = 900, gained: int = 0, lost: int = 0) -> Drift:
    """Of a model that has `right` images right, of a variant that gained some and lost some of them."""
    cells = (right - lost, gained, lost, images - right - gained)
    made = drift_of(len(flips), images, cells)
    return replace(
        made,
        agreement=replace(made.agreement, probabilities=ProbabilityChange(0.001, 0.05, 0.0002)),
        classes=(ClassDrift(0, images, images - len(flips), cells[0] + gained, right),),
        flips=tuple(flips),
    )


def flips(count: int, seed: int = 0) -> list[Flip]:
    """Pictures that flip, with sureness between 0.4 and 1."""
    random = np.random.default_rng(seed)
    made = []
    for number, sure in enumerate(random.uniform(0.4, 1, count)):
        before = (Prediction(0, float(sure)), Prediction(1, 0.2), Prediction(2, 0.1))
        made.append(
            Flip(f"evaluation/{number}.png", 0, before, (Prediction(1, 0.5), Prediction(0, 0.4), Prediction(2, 0.1)))
        )
    return made


def thumbnail(seed: int, side: int = 96) -> str:
    """A picture of noise, which compresses worse than any photo, as a JPEG in base64."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode()


def timed(name: str, threads: Sequence[int], rounds: int, samples: int, seed: int) -> tuple[Latency, ...]:
    """Latencies whose rounds differ by some 2 %; the speed is against float32."""
    random = np.random.default_rng(seed)
    made = []
    for count in threads:
        slowness = random.lognormal(0, 0.02, (rounds, 1)) * random.lognormal(0, 0.01, (rounds, samples))
        own, base = (slowness * MEDIANS[which] / count for which in (name, "float32"))
        made.append(latencies.summarize(count, own.tolist(), None if name == "float32" else base.tolist()))
    return tuple(made)


def results(
    drifts: dict[str, Drift] | None = None,
    *,
    threads: Sequence[int] = (1, 4),
    rounds: int = 10,
    samples: int = 8,
    **changed,
) -> Results:
    """Four variants without drift, but for `drifts`. changed: of `measured.results_of`."""
    measurements = [
        measured(name, timed(name, threads, rounds, samples, seed), (drifts or {}).get(name, drift()), BYTES[name])
        for seed, name in enumerate(MEDIANS)
    ]
    known = {"name": "mobilenet", "labels": LABELS, "calibration": (Finding("ok", "200 images, no duplicates"),)}
    return results_of(*measurements, **{**known, **changed})
