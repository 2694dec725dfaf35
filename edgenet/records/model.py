"""A model: its free parameters, and the recipe from a picture to its input."""

import math
from dataclasses import dataclass

from edgenet.errors import EdgenetError

# Where no labels and no weights decide it: the default of the builder that this one follows.
DEFAULT_CLASSES = 17

# The range of each parameter of a model.
ALLOWED = {
    "size": "a multiple of 32, from 32 up",
    "alpha": "from 0.05 to 4",
    "depth_multiplier": "an integer from 1 to 8",
    "dropout": "from 0 to below 1",
    "classes": "an integer from 2 up",
}


@dataclass(frozen=True)
class ModelSpec:
    """The free parameters of MobileNetV1 (arXiv:1704.04861, section 3).

    size: height and width of the input in pixels. alpha: width multiplier. depth_multiplier: depthwise filters for
    each input channel. dropout: rate in front of the last layer. classes: number of output classes.

    Raises EdgenetError when a value is out of its range.
    """

    size: int = 224
    alpha: float = 1.0
    depth_multiplier: int = 1
    dropout: float = 1e-3
    classes: int = DEFAULT_CLASSES

    def __post_init__(self):
        _require("size", self.size, isinstance(self.size, int) and self.size >= 32 and self.size % 32 == 0)
        _require("alpha", self.alpha, math.isfinite(self.alpha) and 0.05 <= self.alpha <= 4.0)
        whole = isinstance(self.depth_multiplier, int)
        _require("depth_multiplier", self.depth_multiplier, whole and 1 <= self.depth_multiplier <= 8)
        _require("dropout", self.dropout, 0.0 <= self.dropout < 1.0)
        _require("classes", self.classes, isinstance(self.classes, int) and self.classes >= 2)

    @property
    def name(self) -> str:
        """For instance mobilenet_v1_0.5_96."""
        name = f"mobilenet_v1_{self.alpha:g}_{self.size}"
        return name if self.depth_multiplier == 1 else f"{name}_dm{self.depth_multiplier}"


def _require(field: str, value, holds: bool) -> None:
    if not holds:
        raise EdgenetError(f"{field} must be {ALLOWED[field]}; found {value!r}")


@dataclass(frozen=True)
class Preprocessing:
    """The recipe from a picture to a model's input; `edgenet.images.preprocess` is the code.

    The picture, upright, as 8-bit RGB (or grey, for one channel), is resized, bilinear and antialiased, until it just
    covers a rectangle of height / crop by width / crop (rounded), and the central height by width pixels are cut out.
    The input is (pixel - mean) / std, with a mean and std for each channel, in RGB; with order BGR, the channels are
    swapped afterwards. A uint8 input whose scale and zero point are those of the pixels takes the pixels themselves.
    """

    height: int
    width: int
    channels: int = 3
    crop: float = 1.0
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    order: str = "RGB"
    resize: str = "upright, alpha over white, shorter side to size / crop, bilinear, antialiased, then the centre"

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value that a pixel can become."""
        both = list(zip(self.mean, self.std, strict=True))
        return min((0 - mean) / std for mean, std in both), max((255 - mean) / std for mean, std in both)
