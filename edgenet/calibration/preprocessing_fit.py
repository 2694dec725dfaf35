"""Whether the declared input range and channel order fit the model, given calibration images.

The images are passed through the model with the declared preprocessing and with the other common ones. The
preprocessing that fits is the one whose statistics are closest to those of training
(`edgenet.calibration.batch_norm`).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from edgenet.calibration.batch_norm import BatchNormStatistics
from edgenet.calibration.trials import Trials, swapped
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
        images: uint8 or float32 (height, width, channels) each, 0 to 255.

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

    def clearly_closer(self, declared: Preprocessing) -> Preprocessing | None:
        """The closest preprocessing, if the images fit it, and the declared one significantly worse."""
        if not self._moments:
            return None
        closest = min(self._moments, key=self._distance)
        distance = self._distance(closest)
        is_clear = (
            distance <= MAX_DISTANCE
            and self._distance(declared) > WRONG_RANGE_RATIO * distance
            and self._confidence(closest, declared) >= MIN_CONFIDENCE
        )
        return closest if is_clear else None

    def findings(self, declared: Preprocessing, all_grey: bool, trials: Trials | None = None) -> Iterator[Finding]:
        """Yield what was found about the input range, then about colours.

        Args:
            declared: The preprocessing that is used.
            all_grey: Whether every image is grey.
            trials: Labelled images. Where they are classified better with the declared preprocessing than with the one
                that fits batch normalization, as with a frozen backbone that was trained with another one, it is no
                mistake.
        """
        if not self._moments:
            yield Finding(Level.NOTE, "the model has no batch normalization, so its training data are unknown")
            return
        self.distances.setdefault(input_range.describe(declared), self._distance(declared))
        closer = self.clearly_closer(declared)
        if closer:
            yield self._wrong_range(declared, closer, trials)
        else:
            yield self._range_finding(declared)
        fitting = closer or declared
        if fitting.channels == 3:
            yield from self._check_colour(fitting) if all_grey else self._check_channel_order(fitting, trials)

    def _wrong_range(self, declared: Preprocessing, closer: Preprocessing, trials: Trials | None) -> Finding:
        ours, theirs = input_range.as_arguments(declared), input_range.as_arguments(closer)
        distance, right = self._distance(declared), self._distance(closer)
        accuracy = trials.compare(declared, closer) if trials else None
        if accuracy and accuracy.difference > 0:
            return Finding(
                Level.NOTE if accuracy.is_significant else Level.WARNING,
                f"{accuracy.text}, so {ours} stays, although the model's batch normalizations were trained with "
                f"{theirs} (distance from its training data {right:.2f}, {distance:,.2f} with {ours}): this is usual "
                "for a frozen backbone whose new layers were trained with another input range",
            )
        confidence = self._confidence(closer, declared)
        return Finding(
            Level.WRONG,
            f"the images do not fit the model with {ours}: their distance from its training data is "
            f"{distance:,.2f}; use {theirs}, with a distance of {right:.2f} "
            f"(closer in {confidence:.0%} of {RESAMPLES:,} resamples)" + (f"; {accuracy.text}" if accuracy else ""),
        )

    def _range_finding(self, recipe: Preprocessing) -> Finding:
        declared, distance = input_range.as_arguments(recipe), self._distance(recipe)
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

    def _check_channel_order(self, fitting: Preprocessing, trials: Trials | None) -> Iterator[Finding]:
        other = swapped(fitting)
        ratio = self._distance(fitting) / self._distance(other)
        if ratio > SWAPPED_RATIO and (confidence := self._confidence(other, fitting)) >= MIN_CONFIDENCE:
            accuracy = trials.compare(fitting, other) if trials else None
            overruled = accuracy is not None and accuracy.difference > 0 and accuracy.is_significant
            yield Finding(
                Level.NOTE if overruled else Level.WARNING,
                f"red and blue may be swapped: with {other.order}, the images are {ratio:.1f} times closer to the "
                f"model's training data (in {confidence:.0%} of {RESAMPLES:,} resamples); "
                + (f"{accuracy.text}; " if accuracy else "")
                + (
                    f"{fitting.order} stays" if overruled else f'check the images, or use channel_order="{other.order}"'
                ),
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
    """Return grey images, uint8 or float32 (height, width, 3), each with a random tint, in the same dtype."""
    tints = TINT * np.random.default_rng(0).normal(size=(2, len(images), 3))
    gains, offsets = 1 + tints[0], 128 * tints[1]
    return [
        np.clip((pixels - 127.5) * gain + 127.5 + offset, 0, 255).astype(pixels.dtype)
        for pixels, gain, offset in zip(images, gains, offsets, strict=True)
    ]
