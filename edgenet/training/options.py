"""What a user chooses about a training."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from edgenet.errors import EdgenetError

BUNDLED, IMAGENET, NONE = "bundled", "imagenet", "none"
# A month: more is a typing error.
MAX_MINUTES = 60 * 24 * 30
MAX_EPOCHS = 10_000
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class TrainOptions:
    """The choices of a user; None where the default depends on others.

    Attributes:
        weights: What the training starts from: "imagenet" (downloaded once), "bundled", "none" (random), or a file;
            None for imagenet, or for bundled where these can be neither found nor downloaded.
        alpha: Width multiplier; by default that of the weights, or 0.75.
        size: Height and width of the model's input in pixels; by default 160, or that of the bundled weights.
        minutes: What the training may take, in minutes. An epoch that has begun is ended.
        seed: Of the split and of all random numbers.
        mirror: Whether an image and its mirror image belong to the same class.
        epochs: At most so many of fine-tuning; 0 for the last layer alone. By default as many as bring something.
        skip_broken: Whether image files that cannot be read are left out.
    """

    weights: "str | os.PathLike[str] | None" = None
    alpha: float | None = None
    size: int | None = None
    minutes: float = 10.0
    seed: int = 0
    mirror: bool = True
    epochs: int | None = None
    skip_broken: bool = False

    def __post_init__(self) -> None:
        """Raises EdgenetError if a value is out of its range."""
        if not (math.isfinite(self.minutes) and 0 < self.minutes <= MAX_MINUTES):
            raise EdgenetError(
                f"must be above 0 and at most {MAX_MINUTES:,}, got {self.minutes:g}", parameter="minutes"
            )
        if not 0 <= self.seed <= MAX_SEED:
            raise EdgenetError(f"must be from 0 to {MAX_SEED:,}, got {self.seed:,}", parameter="seed")
        if self.epochs is not None and not 0 <= self.epochs <= MAX_EPOCHS:
            raise EdgenetError(f"must be from 0 to {MAX_EPOCHS:,}, got {self.epochs:,}", parameter="epochs")
        if self.size is not None and (self.size % 32 or not 32 <= self.size <= 1024):
            raise EdgenetError(f"must be a multiple of 32 from 32 to 1024, got {self.size}", parameter="size")


def default_name(photos: Path) -> str:
    """The name of a model: that of the folder of its photos."""
    return photos.resolve().name.replace(":", "_") or "photos"


def default_folder(name: str) -> Path:
    """Where a trained model is written to."""
    return Path("build", "train", name)
