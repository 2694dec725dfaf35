"""Whether calibration images are enough and varied: duplicates, blank images, frames of one video, one class."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgenet.records import Finding
from edgenet.records.enums import Level

# With fewer images, ranges and means are too noisy.
MIN_IMAGES = 50
# Images whose pixels have a smaller standard deviation are nearly blank.
MIN_STD = 4.0
# Thumbnails of 8 x 8 with a smaller mean absolute difference are nearly identical.
MIN_DIFFERENCE = 1.5
THUMBNAIL_SIZE = 8
# Images that are compared with each other.
MAX_COMPARED = 1_000
# Predicted classes are checked from this many images on.
MIN_CLASSIFIED = 10
# One class with at least this fraction of the predictions is reported.
SAME_CLASS_FRACTION = 0.95


class ImageChecks:
    """Collects facts about the images one by one, so that they need not be in memory together.

    Attributes:
        all_grey: Whether every image is grey.
    """

    def __init__(self) -> None:
        self.all_grey = True
        self._blank: list[Path] = []
        self._thumbnails: list[np.ndarray] = []

    def add(self, path: Path, pixels: np.ndarray) -> None:
        """Add an image.

        Args:
            path: Its file, for messages.
            pixels: uint8 or float32 (height, width, channels), 0 to 255.
        """
        if pixels.std() < MIN_STD:
            self._blank.append(path)
        self.all_grey = self.all_grey and bool((pixels == pixels[..., :1]).all())
        if len(self._thumbnails) < MAX_COMPARED:
            self._thumbnails.append(_thumbnail(pixels))

    def findings(self, digests: Sequence[str]) -> Iterator[Finding]:
        """Yield what is wrong with the images, or that there are enough of them.

        Args:
            digests: The SHA-256 of each image's pixels, in the order in which they were added.
        """
        yield from _count(digests)
        if self._blank:
            yield Finding(
                Level.WARNING,
                f"{len(self._blank):,} of {len(digests):,} images are nearly blank ({self._blank[0].name}); "
                "remove them",
            )
        yield from _similar(digests, self._thumbnails)


def _count(digests: Sequence[str]) -> Iterator[Finding]:
    different = len(set(digests))
    duplicates = len(digests) - different
    if duplicates:
        yield Finding(Level.WARNING, f"{duplicates:,} of {len(digests):,} images are duplicates; remove them")
    if different < MIN_IMAGES:
        images = "1 image" if different == 1 else f"{different:,} different images"
        yield Finding(Level.WARNING, f"only {images}; use {MIN_IMAGES} or more, of all kinds")
    else:
        text = f"{different:,} different images" if duplicates else f"{different:,} images, no duplicates"
        yield Finding(Level.OK, text)


def _similar(digests: Sequence[str], thumbnails: Sequence[np.ndarray]) -> Iterator[Finding]:
    unique: dict[str, np.ndarray] = {}
    for digest, thumbnail in zip(digests, thumbnails, strict=False):
        unique.setdefault(digest, thumbnail)
    values = np.asarray(list(unique.values()), np.float32)
    similar = sum(
        bool(np.abs(values[:index] - values[index]).mean(axis=1).min() < MIN_DIFFERENCE)
        for index in range(1, len(values))
    )
    if similar > len(values) / 4:
        yield Finding(
            Level.WARNING,
            f"{similar:,} of {len(values):,} images are nearly identical to others (frames of one video?); "
            "use more varied images",
        )


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Return the means of 8 x 8 parts of an image, float32 (64,)."""
    rows = np.array_split(pixels.mean(axis=-1), THUMBNAIL_SIZE, axis=0)
    means = [part.mean() for row in rows for part in np.array_split(row, THUMBNAIL_SIZE, axis=1)]
    return np.asarray(means, np.float32)


def check_classes(scores: np.ndarray) -> Iterator[Finding]:
    """Yield a warning if the model predicts one class for nearly all images.

    Args:
        scores: (n, classes).
    """
    ((_, count),) = Counter(scores.argmax(axis=1).tolist()).most_common(1)
    if len(scores) >= MIN_CLASSIFIED and count >= SAME_CLASS_FRACTION * len(scores):
        yield Finding(
            Level.WARNING,
            f"the model predicts the same class for {count:,} of {len(scores):,} images; use images of all classes, "
            "or check the model",
        )
