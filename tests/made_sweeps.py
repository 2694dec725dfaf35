"""Sweeps as `edgenet sweep` writes them, made from a seed."""

import random
from collections.abc import Sequence

from edgenet.records import Grade, Interval, Sweep, SweepEntry, SweepFailure
from edgenet.statistics import wilson

# Published top-1 accuracies on ImageNet, by width multiplier and size (Keras Applications).
PUBLISHED = {
    1.0: {224: 0.706, 192: 0.691, 160: 0.672, 128: 0.641},
    0.75: {224: 0.684, 192: 0.672, 160: 0.653, 128: 0.621},
    0.5: {224: 0.633, 192: 0.617, 160: 0.591, 128: 0.562},
    0.25: {224: 0.498, 192: 0.477, 160: 0.455, 128: 0.415},
}
# Of an inference relative to float32's, and of the accuracy that remains.
VARIANTS = {"float32": (1.0, 1.0), "float16": (1.02, 0.999), "dynamic": (0.7, 0.99), "int8": (0.45, 0.985)}


def entry(model: str = "a", variant: str = "int8", device: str = "pi5", ms: float = 10.0, **found) -> SweepEntry:
    """ms: the median latency, whose interval is 1% to each side unless `latency` is given. accuracy and agreement may
    be numbers of `images`."""
    images = found.setdefault("images", 1_000)
    for name in ("accuracy", "agreement"):
        if isinstance(found.get(name), int):
            found[name] = wilson(found[name], images)
    return SweepEntry(
        **{
            **{"model": model, "alpha": None, "height": 96, "width": 96, "variant": variant, "device": device},
            **{"threads": 1, "bytes": 1_000_000, "multiply_adds": None, "p90": ms / 900, "speedup": None},
            **{"latency": Interval(ms / 1e3, ms / 1.01e3, ms * 1.01e-3), "quality": Grade.GOOD},
            **{"agreement": None, "accuracy": None, "published_accuracy": None},
            **{"file": f"bundles/{model}/{variant}.tflite", "results": f"results/{device}/{model}.json"},
            **found,
        }
    )


def sweep(*entries: SweepEntry, **found) -> Sweep:
    known = {"name": "made", "failures": (), "missing": 0, "plan": "ab" * 32, "versions": {"edgenet": "0.1"}}
    return Sweep(entries=entries, **{**known, **found})


def family(devices: Sequence[str] = ("pi4", "pi5", "laptop"), threads: Sequence[int] = (1, 4), seed: int = 0) -> Sweep:
    """Google's family of MobileNetV1: 16 models, 4 variants."""
    draw = random.Random(seed)
    entries = []
    for alpha, sizes in PUBLISHED.items():
        for size, published in sizes.items():
            correct = {variant: round(5_000 * published * kept) for variant, (_, kept) in VARIANTS.items()}
            for number, device in enumerate(devices):
                grade = draw.choices(list(Grade), (8, 3, 1))[0]
                base = 0.04 / (1 + number % 5 * 1.7) * (alpha * size / 224) ** 1.8 + 0.0002
                for variant, (slowness, kept) in VARIANTS.items():
                    for count in threads:
                        median = base * slowness / count**0.8 * draw.uniform(0.97, 1.03)
                        entries.append(
                            entry(
                                f"mobilenet_v1_{alpha}_{size}",
                                variant,
                                device,
                                1_000 * median,
                                alpha=alpha,
                                height=size,
                                width=size,
                                threads=count,
                                bytes=round(1.7e7 * alpha**1.7 * (0.25 if variant in ("int8", "dynamic") else 1)),
                                speedup=Interval(1 / slowness, 0.98 / slowness, 1.02 / slowness)
                                if variant != "float32"
                                else None,
                                quality=grade,
                                agreement=round(5_000 * kept**6),
                                accuracy=correct[variant],
                                images=5_000,
                                published_accuracy=published,
                            )
                        )
    failures = (SweepFailure("mobilenet_v1_1.0_224", "phone", "the worker did not answer for 600 s"),)
    return sweep(*entries, name="family", failures=failures, missing=3)
