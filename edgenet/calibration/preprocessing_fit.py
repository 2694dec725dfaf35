"""Whether the declared input range and channel order fit the model, given calibration images.

The images are passed through the model with the declared preprocessing and with the other common ones. The
preprocessing that fits is the one whose statistics are closest to those of training
(`edgenet.calibration.batch_norm`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from edgenet.calibration.batch_norm import BatchNormStatistics
from edgenet.images import input_range, preprocess
from edgenet.model.classifier import KerasClassifier
from edgenet.records import Finding, Preprocessing
from edgenet.records.enums import Level

BATCH = 10

# A wrong input range is at 20 times the distance of the right one or more; random choices of good images differ by a
# factor of up to 3.
WRONG_RANGE_RATIO = 4.0
# With fewer images, distances are too noisy.
MIN_IMAGES = 10
# With the right preprocessing, images of the kind that the model was trained on are at a distance of 0.01 to 0.2;
# with a wrong one, at 2 or more.
MAX_DISTANCE = 1.0
# Swapped channels are at 1.1 to 2.3 times the distance, on the same images.
SWAPPED_RATIO = 1.1
# The fraction of the resamples in which another preprocessing must be closer, and the number of resamples.
MIN_CONFIDENCE, RESAMPLES = 0.95, 1_000
# The divergence of the first layer's most changed channels, on grey images, is 1.3 to 2.9 for models trained on colour,
# and 0.1 to 0.2 once the same images are tinted. If the statistics have not converged, as after a short training, it is
# as high for a model trained on grey images, but then a tint makes it at most 2.3 times lower.
GREY_DIVERGENCE, TINTED_RATIO = 1.0, 4.0
# The standard deviation of the tint's gains, and of its offsets in multiples of 128.
TINT = 0.25


class PreprocessingFit:
    """The distances between calibration images and training images, for several kinds of preprocessing.

    Args:
        classifier: The Keras model, with the declared preprocessing.
        images: uint8 (height, width, channels) each.

    Attributes:
        distances: The distance from the training images, by the description of the input range
            (`edgenet.images.input_range.describe`); empty for a model without batch normalization.
    """

    def __init__(self, classifier: KerasClassifier, images: Sequence[np.ndarray]) -> None:
        self._declared = classifier.recipe
        self._images = images
        self._statistics = BatchNormStatistics(classifier)
        self._moments: dict[Preprocessing, tuple[np.ndarray, np.ndarray]] = {}
        if self._statistics.layers:
            for recipe in (self._declared, *input_range.common_recipes(self._declared)):
                self._distance(recipe)
        self.distances = {input_range.describe(recipe): self._distance(recipe) for recipe in self._moments}

    def findings(self, all_grey: bool) -> Iterator[Finding]:
        """Yield what was found about the input range, then about colours.

        Args:
            all_grey: Whether every image is grey.
        """
        if not self._moments:
            yield Finding(Level.NOTE, "the model has no batch normalization, so its training data are unknown")
            return
        closest = min(self._moments, key=self._distance)
        fitting = closest if self._is_wrong_range(closest) else self._declared
        yield self._range_finding(fitting)
        if fitting.channels == 3:
            yield from self._check_colour(fitting) if all_grey else self._check_channel_order(fitting)

    def _is_wrong_range(self, closest: Preprocessing) -> bool:
        """Whether the images fit the closest preprocessing, and the declared one significantly worse."""
        distance = self._distance(closest)
        return (
            distance <= MAX_DISTANCE
            and self._distance(self._declared) > WRONG_RANGE_RATIO * distance
            and self._confidence(closest, self._declared) >= MIN_CONFIDENCE
        )

    def _range_finding(self, fitting: Preprocessing) -> Finding:
        declared, distance = input_range.as_arguments(self._declared), self._distance(self._declared)
        if fitting != self._declared:
            confidence = self._confidence(fitting, self._declared)
            return Finding(
                Level.WRONG,
                f"the images do not fit the model with {declared}: their distance from its training data is "
                f"{distance:,.2f}; use {input_range.as_arguments(fitting)}, with a distance of "
                f"{self._distance(fitting):.2f} (closer in {confidence:.0%} of {RESAMPLES:,} resamples)",
            )
        if len(self._images) < MIN_IMAGES:
            return Finding(
                Level.NOTE,
                f"{declared} fits no worse than other input ranges; use {MIN_IMAGES} images or more for a clear result",
            )
        if distance > MAX_DISTANCE:
            return Finding(
                Level.WARNING,
                f"the images differ from the model's training data: with {declared} their distance is {distance:,.2f} "
                f"(good: below {MAX_DISTANCE:g}), and no common input range fits; check the images, and whether the "
                "model is trained",
            )
        return Finding(
            Level.OK,
            f"{declared} fits: distance from the training data {distance:.3f} (good: below {MAX_DISTANCE:g})",
        )

    def _check_colour(self, fitting: Preprocessing) -> Iterator[Finding]:
        grey = self._top_divergence(self._moments[fitting])
        if grey > GREY_DIVERGENCE and grey > TINTED_RATIO * self._top_divergence(
            self._measure(_tinted(self._images), fitting)
        ):
            yield Finding(
                Level.WARNING, "all images are grey, but the model was trained on colour images; use colour images"
            )

    def _top_divergence(self, moments: tuple[np.ndarray, np.ndarray]) -> float:
        """Return the 90th percentile of the first layer's divergence: only a few channels respond to colour alone."""
        means, squares = (part.mean(axis=0) for part in moments)
        return float(np.percentile(self._statistics.divergences(means, squares)[0], 90))

    def _check_channel_order(self, fitting: Preprocessing) -> Iterator[Finding]:
        swapped = replace(fitting, order="RGB" if fitting.order == "BGR" else "BGR")
        ratio = self._distance(fitting) / self._distance(swapped)
        if ratio > SWAPPED_RATIO and (confidence := self._confidence(swapped, fitting)) >= MIN_CONFIDENCE:
            yield Finding(
                Level.WARNING,
                f"red and blue may be swapped: with {swapped.order}, the images are {ratio:.1f} times closer to the "
                f"model's training data (in {confidence:.0%} of {RESAMPLES:,} resamples); check the images, or use "
                f'channel_order="{swapped.order}"',
            )

    def _distance(self, recipe: Preprocessing) -> float:
        if recipe not in self._moments:
            self._moments[recipe] = self._measure(self._images, recipe)
        means, squares = (part.mean(axis=0) for part in self._moments[recipe])
        return self._statistics.distance(means, squares)

    def _measure(self, images: Sequence[np.ndarray], recipe: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
        """Return the moments of each image, (n, channels of all layers) each."""
        batches = [
            self._statistics.moments(preprocess.normalize(batch, recipe)) for batch in preprocess.batches(images, BATCH)
        ]
        means, squares = zip(*batches, strict=True)
        return np.concatenate(means), np.concatenate(squares)

    def _confidence(self, closer: Preprocessing, farther: Preprocessing) -> float:
        """Return the fraction of bootstrap resamples of the images in which one recipe is closer than the other."""
        random, hits, count = np.random.default_rng(0), 0, len(self._images)
        for _ in range(RESAMPLES):
            weights = np.bincount(random.integers(0, count, count), minlength=count) / count
            distances = [
                self._statistics.distance(*(weights @ part for part in self._moments[recipe]))
                for recipe in (closer, farther)
            ]
            hits += distances[0] < distances[1]
        return hits / RESAMPLES


def _tinted(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return grey images, uint8 (height, width, 3), each with a random tint."""
    tints = TINT * np.random.default_rng(0).normal(size=(2, len(images), 3))
    gains, offsets = 1 + tints[0], 128 * tints[1]
    return [
        np.clip((pixels - 127.5) * gain + 127.5 + offset, 0, 255).astype(np.uint8)
        for pixels, gain, offset in zip(images, gains, offsets, strict=True)
    ]
