"""The calibration doctor: whether pictures are such as the model was trained on, and enough of them.

Nothing is guessed. The model's batch normalizations remember its training pictures
(`edgenet.calibration.batch_norm`). The pictures are shown to it with the declared pre-processing and with the common
wrong ones, and what is nearest fits.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgenet.calibration.batch_norm import Norms
from edgenet.images import input_range, preprocess
from edgenet.model.classifier import Classifier, kind_of
from edgenet.progress import Progress
from edgenet.records import Finding, Preprocessing
from edgenet.scores import check_finite

# Fewer pictures leave ranges and means to chance.
ENOUGH = 50
# Pictures that are shown to the model with each pre-processing, and for their classes.
SHOWN, CLASSIFIED = 50, 200
BATCH = 10

# A wrong range is 20 times and more as far as the right one, good pictures differ by 3 from draw to draw.
FARTHER = 4.0
# With fewer pictures, chance decides how far they are.
TELLING = 10
# Right pre-processing gives 0.01 to 0.2 on pictures of the kind that the model was trained on, a wrong one 2 and more.
FAR = 1.0
# Swapped channels are 1.1 to 2.3 times as far on the same pictures.
SWAPPED, SURE, DRAWS = 1.1, 0.95, 1_000
# Divergence of the first layer's most changed channels on grey pictures: 1.3 to 2.9 for models trained on colour, and
# 0.1 to 0.2 with any tint added to the same pictures. Where statistics have not settled, as after a short training, it
# is as high for a model trained on grey, but a tint makes it at most 2.3 times lower.
COLOURLESS, EXPLAINED, TINT = 1.0, 4.0, 0.25

# Pixels whose standard deviation is less show nothing; thumbnails of 8 x 8 that differ by less are nearly the same.
CONSTANT, ALIKE, THUMBNAIL = 4.0, 1.5, 8
MOST_COMPARED = 1_000


@dataclass(frozen=True)
class Examination:
    """findings: in the order in which they were looked for. digests: of the pictures' pixels. distances: by the options
    that say a pre-processing. scores: what the model's scores are (`classifier.kind_of`)."""

    findings: tuple[Finding, ...]
    digests: tuple[str, ...]
    distances: dict[str, float]
    scores: str


def examine(classifier: Classifier, paths: Sequence[Path], progress: Progress) -> Examination:
    """Look at calibration pictures. Only a few hundred are held in memory, however many there are.

    Raises EdgenetError when the model gives one of them a score that is NaN or infinite.
    """
    digests, constant, grey, thumbnails, kept = [], [], True, [], {}
    shown, classified = _spread(len(paths), SHOWN), _spread(len(paths), CLASSIFIED)
    for number, pixels in enumerate(preprocess.load_all(paths, classifier.recipe)):
        digests.append(preprocess.digest(pixels))
        if pixels.std() < CONSTANT:
            constant.append(paths[number])
        grey = grey and bool((pixels == pixels[..., :1]).all())
        if number < MOST_COMPARED:
            thumbnails.append(_thumbnail(pixels))
        if number in shown or number in classified:
            kept[number] = pixels
        progress.count(number + 1, len(paths))

    scores = np.concatenate(
        list(classifier.scores(preprocess.batches((kept[number] for number in sorted(classified)), BATCH)))
    )
    check_finite(scores, classifier.name, [str(paths[number]) for number in sorted(classified)])
    findings = [*_count(digests), *_varied(constant, thumbnails, digests)]
    fit = _Fit(classifier, [kept[number] for number in sorted(shown)])
    range_findings = list(fit.findings(grey))
    if not any(finding.level == "wrong" for finding in range_findings):  # else its classes mean nothing
        findings += _classes(scores)
    return Examination((*findings, *range_findings), tuple(digests), fit.distances, kind_of(scores))


def _spread(count: int, wanted: int) -> set[int]:
    """At most `wanted` places, evenly over `count`: a folder sorted by class is met in all its parts."""
    return set(np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist())


def _count(digests: Sequence[str]) -> Iterator[Finding]:
    distinct = len(set(digests))
    copies = len(digests) - distinct
    if copies:
        yield Finding("warning", f"{copies:,} of {len(digests):,} images are copies of others; remove them")
    if distinct < ENOUGH:
        yield Finding("warning", f"{distinct:,} different images are few; take {ENOUGH} or more, of all kinds")
    else:
        yield Finding("ok", f"{distinct:,} different images")


def _varied(constant: list[Path], thumbnails: list[np.ndarray], digests: list[str]) -> Iterator[Finding]:
    if constant:
        yield Finding(
            "warning",
            f"{len(constant):,} of {len(digests):,} images show nearly nothing ({constant[0].name}); remove them",
        )
    first = {digest: number for number, digest in reversed(list(enumerate(digests[: len(thumbnails)])))}
    distinct = np.float32([thumbnails[number] for number in sorted(first.values())])
    alike = sum(
        bool(number and np.abs(distinct[:number] - distinct[number]).mean(axis=1).min() < ALIKE)
        for number in range(len(distinct))
    )
    if alike > len(distinct) / 4:
        yield Finding(
            "warning",
            f"{alike:,} of {len(distinct):,} images are nearly the same as others (frames of one film?); take others",
        )


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Mean values of 8 x 8 parts of a picture, for comparing."""
    rows = np.array_split(pixels.mean(axis=-1), THUMBNAIL, axis=0)
    return np.float32([part.mean() for row in rows for part in np.array_split(row, THUMBNAIL, axis=1)])


def _classes(scores: np.ndarray) -> Iterator[Finding]:
    ((_, most),) = Counter(scores.argmax(axis=1).tolist()).most_common(1)
    if len(scores) >= 10 and most >= 0.95 * len(scores):
        yield Finding(
            "warning", f"the model finds one class in {most:,} of {len(scores):,} images; take images of all classes"
        )


def _tinted(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Grey pictures, uint8 (height, width, 3), each with a random cast of colour."""
    casts = TINT * np.random.default_rng(0).normal(size=(2, len(pictures), 3))
    gains, offsets = 1 + casts[0], 128 * casts[1]
    return [
        np.clip((pixels - 127.5) * gain + 127.5 + offset, 0, 255).astype(np.uint8)
        for pixels, gain, offset in zip(pictures, gains, offsets, strict=True)
    ]


class _Fit:
    """The pictures as the model sees them, with the declared pre-processing and with others."""

    def __init__(self, classifier: Classifier, pictures: list[np.ndarray]):
        self._declared = classifier.recipe
        self._pictures = pictures
        self._norms = Norms(classifier)
        self._moments = {}
        if self._norms.norms:
            for recipe in (self._declared, *input_range.common(self._declared)):
                self._distance(recipe)
        self.distances = {input_range.option(recipe): self._distance(recipe) for recipe in self._moments}

    def findings(self, grey: bool) -> Iterator[Finding]:
        """What the range and the order of the channels are like. grey: whether all pictures are."""
        if not self._moments:
            yield Finding("note", "the model has no batch normalization that would tell what it was trained on")
            return
        fitting = self._declared
        here, said = self._distance(fitting), input_range.option(fitting)
        best = min(self._moments, key=self._distance)
        fits = self._distance(best) <= FAR
        if fits and here > FARTHER * self._distance(best) and (sure := self._sure(best, fitting)) >= SURE:
            fitting = best
            yield Finding(
                "wrong",
                f"the images do not fit the model with {said}: they are {here:,.2f} away from what it was trained on, "
                f"and {self._distance(best):.2f} with {input_range.option(best)} (in {sure:.0%} of {DRAWS:,} draws); "
                "say that",
            )
        elif len(self._pictures) < TELLING:
            yield Finding("note", f"{said} fits no worse than others; fewer than {TELLING} images tell no more")
        elif here > FAR:
            yield Finding(
                "warning",
                f"the images are unlike those that the model was trained on: {here:,.2f} away with {said}, where good "
                f"ones are below {FAR:g}, and no common range fits; check the images, and how the model was "
                "trained, if it was",
            )
        else:
            yield Finding("ok", f"{said} fits: {here:.3f} away from what the model was trained on")
        if fitting.channels == 3:
            yield from self._colourless(fitting) if grey else self._swapped(fitting)

    def _colourless(self, fitting: Preprocessing) -> Iterator[Finding]:
        grey = self._most_changed(self._moments[fitting])
        if grey > COLOURLESS and grey > EXPLAINED * self._most_changed(self._measure(_tinted(self._pictures), fitting)):
            yield Finding("warning", "all images are grey, and the model was trained on colour; take colour images")

    def _most_changed(self, moments: tuple[np.ndarray, np.ndarray]) -> float:
        """The divergence of the first layer, the 90th percentile over its channels: few of them see colour alone."""
        return float(np.percentile(self._norms.divergences(*(part.mean(axis=0) for part in moments))[0], 90))

    def _swapped(self, fitting: Preprocessing) -> Iterator[Finding]:
        swapped = replace(fitting, order="RGB" if fitting.order == "BGR" else "BGR")
        ratio = self._distance(fitting) / self._distance(swapped)
        if ratio > SWAPPED and (sure := self._sure(swapped, fitting)) >= SURE:
            yield Finding(
                "warning",
                f"red and blue may be swapped: as {swapped.order}, the images are {ratio:.1f} times nearer to what the "
                f"model was trained on (in {sure:.0%} of {DRAWS:,} draws); look at the images, or say "
                f"--channel-order {swapped.order}",
            )

    def _distance(self, recipe: Preprocessing) -> float:
        if recipe not in self._moments:
            self._moments[recipe] = self._measure(self._pictures, recipe)
        return self._norms.distance(*(part.mean(axis=0) for part in self._moments[recipe]))

    def _measure(self, pictures: Sequence[np.ndarray], recipe: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
        both = [
            self._norms.moments(preprocess.normalize(batch, recipe)) for batch in preprocess.batches(pictures, BATCH)
        ]
        return tuple(np.concatenate(part) for part in zip(*both, strict=True))

    def _sure(self, nearer: Preprocessing, farther: Preprocessing) -> float:
        """The share of random draws of the pictures, with replacement, in which one is nearer than the other."""
        random, hits, count = np.random.default_rng(0), 0, len(self._pictures)
        for _ in range(DRAWS):
            weights = np.bincount(random.integers(0, count, count), minlength=count) / count
            near, far = (
                self._norms.distance(*(weights @ part for part in self._moments[recipe]))
                for recipe in (nearer, farther)
            )
            hits += near < far
        return hits / DRAWS
