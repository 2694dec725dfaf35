"""Whether images are resized as the model expects it: other ways are compared on labelled calibration images.

It only says what it finds, and changes nothing. Evaluation images are never used.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from edgenet import cores
from edgenet.calibration.trials import SIGNIFICANT, chance, p_text, paired_p_value
from edgenet.images import preprocess
from edgenet.images.decode import decode
from edgenet.images.header import ImageHeader, read_header
from edgenet.images.resize_options import IMAGENET, KERAS_DATASET, KERAS_GENERATOR, TEACHABLE_MACHINE, describe
from edgenet.model.classifier import KerasClassifier
from edgenet.progress import Progress
from edgenet.records import Finding, Preprocessing, Resize, ResizeMode
from edgenet.records.enums import Level
from edgenet.statistics import at_least

# By the argument to give, the commonest one first.
STRETCH = 'like="keras-dataset"'
CANDIDATES = {
    STRETCH: KERAS_DATASET,
    'like="keras-generator"': KERAS_GENERATOR,
    'like="imagenet"': IMAGENET,
    "crop=1": TEACHABLE_MACHINE,
    'resize="pad"': replace(KERAS_DATASET, mode=ResizeMode.PAD),
}
# Images that are decoded again to be resized in several ways, at most; and of these in memory at a time.
MAX_IMAGES, BATCH = 300, 20
# After so many images, multiples of BATCH, the ways that are not better than the model's own are given up. Simulated:
# where nothing differs, that saves half of the work, and one of four ways is recommended in 1 to 2% of cases; a gain of
# 10 points is found among 300 images in 83% of cases, instead of 91%.
LOOKS = (40, 100)
# With fewer images, nothing can be significant: of 7 that differ, 7 to 0 has p = 0.016, above 0.05 / 4.
MIN_IMAGES = 8
# That labels do not speak against the crop counts from this many images on.
MIN_CONFIRMING = LOOKS[0]
# An image has another shape than the model's input if more than this fraction of it is outside of the largest crop. If
# this fraction of the images has one, that is worth a word.
MAX_LOSS, MANY = 0.1, 0.25


@dataclass(frozen=True)
class ResizeFit:
    """What was found about resizing.

    Attributes:
        findings: What to tell.
        images: The number of labelled images that were compared; 0 without a comparison.
        is_better: Whether another way is significantly better.
    """

    findings: tuple[Finding, ...] = ()
    images: int = 0
    is_better: bool = False


@dataclass(frozen=True)
class Comparison:
    """Ways of resizing, by which of the same labelled images are classified correctly.

    Attributes:
        own: With the model's own way, bool (images,).
        others: By the argument to give, likewise; of fewer images for a way that was given up as not better.
        chance: The accuracy of the best guess without looking (`trials.chance`).
    """

    own: np.ndarray
    others: Mapping[str, np.ndarray]
    chance: float = 0.0

    @property
    def images(self) -> int:
        return len(self.own)

    def p_values(self) -> dict[str, float]:
        """Of McNemar's exact test against the model's own way, two-sided, with Holm's correction.

        S. Holm, A simple sequentially rejective multiple test procedure (Scandinavian Journal of Statistics 6, 1979,
        65-70). Ways that were given up count in it, with p = 1.
        """
        raw = {
            name: paired_p_value(self.own, correct) if len(correct) == self.images else 1.0
            for name, correct in self.others.items()
        }
        adjusted, largest = {}, 0.0
        for rank, name in enumerate(sorted(raw, key=lambda name: raw[name])):
            largest = max(largest, min(1.0, (len(raw) - rank) * raw[name]))
            adjusted[name] = largest
        return adjusted

    def better(self) -> str | None:
        """The way to recommend: significantly better than the model's own, and than chance; None if there is none.

        It is the best one, or a commoner one that is significantly better, too, and not significantly worse than that.
        """
        p_values = self.p_values()
        significant = [
            name
            for name, correct in self.others.items()
            if p_values[name] < SIGNIFICANT
            and correct.sum() > self.own.sum()
            and at_least(int(correct.sum()), self.images, self.chance) < SIGNIFICANT
        ]
        if not significant:
            return None
        best = max(significant, key=lambda name: self.others[name].sum())  # the first one of equals
        return next(
            name
            for name in significant
            if name == best or paired_p_value(self.others[name], self.others[best]) >= SIGNIFICANT
        )


def examine(
    classifier: KerasClassifier, paths: Sequence[Path], classes: Sequence[int | None], progress: Progress
) -> ResizeFit:
    """Examine how calibration images are resized.

    Args:
        classifier: The Keras model, with its preprocessing.
        paths: The image files, all of them readable.
        classes: The class of each, or None where it is unknown.
        progress: Gets a step if something is compared.
    """
    order = np.random.default_rng(0).permutation(len(paths))
    headers = [header for number in order[:MAX_IMAGES] if (header := read_header(paths[number]))]
    compared = None
    # In random order, so that the first ones are of all classes.
    labelled = [number for number in order if classes[number] is not None][:MAX_IMAGES]
    if len(labelled) >= MIN_IMAGES and not all(header.has_size_of(classifier.recipe) for header in headers):
        progress.step(f"comparing ways of resizing on {len(labelled):,} calibration images")
        labels = np.array([classes[number] for number in labelled], int)
        any_shape = any(header.loss(classifier.recipe) > MAX_LOSS for header in headers)
        compared = compare(classifier, [paths[number] for number in labelled], labels, pad=any_shape)
    findings = [*_compared(classifier.recipe.resize, compared), *_not_square(classifier, headers, compared)]
    if not compared:
        return ResizeFit(tuple(findings))
    return ResizeFit(tuple(findings), compared.images, compared.better() is not None)


def compare(classifier: KerasClassifier, paths: Sequence[Path], labels: np.ndarray, *, pad: bool = True) -> Comparison:
    """Compare the model's own way of resizing with others. Each image is decoded once for all of them.

    Args:
        classifier: The Keras model, with its preprocessing.
        paths: Image files, in random order.
        labels: The class of each, int64 (images,).
        pad: Whether to try padding, which does nothing to images of the model's shape.
    """
    own = classifier.recipe
    others = {
        name: replace(own, resize=resize)
        for name, resize in CANDIDATES.items()
        if resize != own.resize and (pad or resize.mode != ResizeMode.PAD)
    }
    correct: dict[str, list[bool]] = {name: [] for name in ("", *others)}
    running = list(others)
    with ThreadPoolExecutor(cores.available()) as pool:
        for start in range(0, len(paths), BATCH):
            part, names = slice(start, start + BATCH), ["", *running]
            recipes = [own, *(others[name] for name in running)]
            images = list(pool.map(partial(_load, recipes=recipes), paths[part]))
            for name, recipe, pixels in zip(names, recipes, zip(*images, strict=True), strict=True):
                (scores,) = classifier.with_recipe(recipe).scores([np.stack(pixels)])
                finite = np.isfinite(scores).all(axis=1)
                correct[name] += (finite & (scores.argmax(axis=1) == labels[part])).tolist()
            if len(correct[""]) in LOOKS and len(correct[""]) < len(paths):
                running = [name for name in running if sum(correct[name]) > sum(correct[""])]
                if not running:
                    break
    by_name = {name: np.array(found, bool) for name, found in correct.items()}
    return Comparison(by_name.pop(""), by_name, chance(labels.tolist(), classifier.classes))


def _load(path: Path, recipes: Sequence[Preprocessing]) -> list[np.ndarray]:
    """An image with each kind of preprocessing. It is decoded again only where EXIF data or transparency matter."""
    header, mode = read_header(path) or ImageHeader(0, 0, 0, True), "RGB" if recipes[0].channels == 3 else "L"
    groups: dict[Resize, list[int]] = {}
    for number, recipe in enumerate(recipes):
        decoding = Resize(
            exif=recipe.resize.exif and header.is_turned,
            background=recipe.resize.background if header.is_transparent else Resize.background,
            fast_dct=recipes[0].resize.fast_dct,
        )
        groups.setdefault(decoding, []).append(number)
    found: dict[int, np.ndarray] = {}
    for decoding, numbers in groups.items():

        def resized(image: Image.Image | np.ndarray, numbers: list[int] = numbers) -> list[np.ndarray]:
            return [preprocess.resize(image, recipes[number]) for number in numbers]

        found.update(zip(numbers, decode(path, mode, resized, None, decoding), strict=True))
    return [found[number] for number in range(len(recipes))]


def _compared(own: Resize, compared: Comparison | None) -> Iterator[Finding]:
    """What labels say about the ways of resizing."""
    if not compared:
        return
    total, correct = compared.images, int(compared.own.sum())
    if name := compared.better():
        p_value = compared.p_values()[name]
        yield Finding(
            Level.WARNING,
            f"another way of resizing fits better: accuracy {compared.others[name].mean():.3f} with {name}, "
            f"{compared.own.mean():.3f} with {describe(own)}, on {total:,} labelled calibration images "
            f"(p {p_text(p_value)}, McNemar's exact test, corrected for {_comparisons(compared)}); give {name}",
        )
    elif at_least(correct, total, compared.chance) < SIGNIFICANT:
        yield Finding(
            Level.OK,
            f"{describe(own)}: accuracy {compared.own.mean():.3f} on {total:,} labelled images; no other common way of "
            f"resizing is significantly better ({_comparisons(compared)})",
        )


def _not_square(
    classifier: KerasClassifier, headers: Sequence[ImageHeader], compared: Comparison | None
) -> Iterator[Finding]:
    """That images are cropped by default which have another shape than the model's input."""
    recipe = classifier.recipe
    if classifier.resize_given or classifier.resize_known or recipe.resize.mode != ResizeMode.CROP:
        return
    others = sum(header.loss(recipe) > MAX_LOSS for header in headers)
    if not headers or others < MANY * len(headers):
        return
    numbers = ""
    if compared and STRETCH in compared.others:
        stretched = compared.others[STRETCH]
        cropped = compared.own[: len(stretched)]
        ahead = int(cropped.sum()) - int(stretched.sum())
        p_value = paired_p_value(cropped, stretched)
        if compared.better() or (ahead >= 0 and (len(stretched) >= MIN_CONFIRMING or p_value < SIGNIFICANT)):
            return
        numbers = (
            f"; on {len(stretched):,} labelled images, accuracy {stretched.mean():.3f} stretched and "
            f"{cropped.mean():.3f} cropped (p {p_text(p_value)})"
        )
    shape = "square" if recipe.height == recipe.width else f"of the model's shape, {recipe.width} x {recipe.height}"
    yield Finding(
        Level.NOTE,
        f"{others:,} of {len(headers):,} images are not {shape}, and what the crop leaves out is not used. Keras' "
        "loaders (image_dataset_from_directory, flow_from_directory) stretch the whole image: if the model was trained "
        f"with one of them, give {STRETCH}; if the crop is right, crop={recipe.resize.crop:g} confirms it{numbers}",
    )


def _comparisons(compared: Comparison) -> str:
    count = len(compared.others)
    return f"{count} comparison{'s' * (count != 1)}"
