"""How all layers are trained: the recipes, and the learning rate of each step."""

import math
from dataclasses import dataclass

from edgenet.training import augmentation
from edgenet.training.augmentation import Augmentation

# Adam takes steps of about the learning rate whatever the gradient is: it must grow slowly at first.
MAX_WARM_UP_STEPS = 100
FIRST_RATE = 0.05


@dataclass(frozen=True)
class Schedule:
    """How all layers are trained.

    Attributes:
        epochs: At most so many.
        patience: Stop after so many epochs without a lower loss on validation.
        rate: The largest learning rate of AdamW.
        decay: Its weight decay; not of biases and batch normalization.
        fixed_statistics: Whether batch normalization keeps its mean and variance: those of a few photos are worse.
        batch: Images of a step.
        size: Height and width of the images in pixels; None for those of the model. Smaller ones take less time.
        augmentation: How much they are changed.
    """

    epochs: int
    patience: int
    rate: float
    decay: float = 0.05
    fixed_statistics: bool = False
    batch: int = 32
    size: int | None = None
    augmentation: Augmentation = augmentation.PHOTOS


# A pretrained network is changed a little; another one is trained as a new one.
PRETRAINED = Schedule(epochs=12, patience=2, rate=1e-4, fixed_statistics=True)
FROM_SCRATCH = Schedule(epochs=60, patience=15, rate=2e-3)
# The bundled model: small images come first, so half of the epochs take a quarter of the time.
BUNDLED = (
    Schedule(epochs=12, patience=12, rate=4e-3, batch=128, size=64, augmentation=augmentation.PRODUCTS),
    Schedule(epochs=12, patience=12, rate=2e-3, batch=128, augmentation=augmentation.PRODUCTS),
)


def warm_up(steps: int) -> int:
    """The number of steps with a growing rate: those of an epoch, but no more than necessary."""
    return min(steps, MAX_WARM_UP_STEPS)


def rate_of(step: int, steps: int, epochs: int, schedule: Schedule) -> float:
    """The learning rate of a step: it grows linearly, then falls as a half cosine (arXiv:1608.03983).

    The number of epochs need not be known before the first steps are over.
    """
    growing = warm_up(steps)
    if step < growing:
        return schedule.rate * max(FIRST_RATE, (step + 1) / growing)
    done = (step - growing) / max(1, epochs * steps - growing)
    return schedule.rate * (1 + math.cos(math.pi * min(1.0, done))) / 2
