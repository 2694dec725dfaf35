"""A model: its free parameters, and the preprocessing of its input."""

import math
from dataclasses import dataclass

from edgenet.errors import EdgenetError

# Without labels and weights: the default of the Keras code that this model follows.
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

    Attributes:
        size: Height and width of the input in pixels.
        alpha: Width multiplier.
        depth_multiplier: Depthwise filters for each input channel.
        dropout: Rate before the last layer.
        classes: The number of classes.

    Raises:
        EdgenetError: A value is out of its range.
    """

    size: int = 224
    alpha: float = 1.0
    depth_multiplier: int = 1
    dropout: float = 1e-3
    classes: int = DEFAULT_CLASSES

    def __post_init__(self) -> None:
        _require("size", self.size, isinstance(self.size, int) and self.size >= 32 and self.size % 32 == 0)
        _require("alpha", self.alpha, math.isfinite(self.alpha) and 0.05 <= self.alpha <= 4.0)
        integer = isinstance(self.depth_multiplier, int)
        _require("depth_multiplier", self.depth_multiplier, integer and 1 <= self.depth_multiplier <= 8)
        _require("dropout", self.dropout, 0.0 <= self.dropout < 1.0)
        _require("classes", self.classes, isinstance(self.classes, int) and self.classes >= 2)

    @property
    def name(self) -> str:
        """For instance mobilenet_v1_0.5_96."""
        name = f"mobilenet_v1_{self.alpha:g}_{self.size}"
        return name if self.depth_multiplier == 1 else f"{name}_dm{self.depth_multiplier}"


def _require(name: str, value: float, valid: bool) -> None:
    if not valid:
        raise EdgenetError(f"must be {ALLOWED[name]}, got {value!r}", parameter=name)


@dataclass(frozen=True)
class Preprocessing:
    """The recipe from an image to a model's input; `edgenet.images.preprocess` is the code.

    The image, upright, as 8-bit RGB (or grey, for one channel), is resized, bilinear and antialiased, until it just
    covers a rectangle of height / crop by width / crop (rounded), and the central height by width pixels are kept.
    The input is (pixel - mean) / std. A uint8 input whose scale and zero point are those of the pixels takes the pixels
    themselves.

    Attributes:
        height: Of the input, in pixels.
        width: Of the input, in pixels.
        channels: 3 (colour) or 1 (grey).
        crop: Fraction of the shorter side that is kept.
        mean: For each channel, in the order RGB, of pixels from 0 to 255.
        std: Likewise.
        order: BGR: the channels are swapped after the normalization.
        resize: The resize mode in words; there is only one.
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
        """The smallest and the largest value of the input."""
        channels = list(zip(self.mean, self.std, strict=True))
        return min((0 - mean) / std for mean, std in channels), max((255 - mean) / std for mean, std in channels)
