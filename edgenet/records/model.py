"""A model: its free parameters, and the preprocessing of its input."""

import math
from dataclasses import dataclass

from edgenet.errors import EdgenetError
from edgenet.records.enums import Interpolation, ResizeMode

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
class Resize:
    """How an image of any size becomes one of the model's size; `edgenet.images.preprocess` is the code.

    With `crop`, the image is resized until it just covers a rectangle of height / crop by width / crop (rounded), and
    the central height by width pixels are kept. With `stretch`, all of it is resized to height by width, whatever its
    shape. With `pad`, it is resized until it just fits into height by width, and centred on a colour.

    Keras' `crop_to_aspect_ratio` and `pad_to_aspect_ratio` cut at whole pixels of the image and round sizes down, where
    `crop` and `pad` round to the nearest pixel of the result: at most one pixel of the result away. On ImageNet photos
    at 224 x 224, their pixels differ from those of `crop` and `pad` by 2.4 and 4.3 of 255 on average.

    Attributes:
        mode: The resize mode.
        crop: For `crop`: the fraction of the shorter side that is kept.
        pad: For `pad`: the colour around the image, red, green and blue, 0 to 255.
        interpolation: The interpolation. `area` is the mean of the area that an output pixel covers.
        antialias: Whether bilinear and bicubic interpolation use a wider kernel where they reduce an image, as Pillow
            does; without, only the 2 or 4 pixels next to the position count, as TensorFlow does it by default.
        half_pixel_centers: Whether output pixel i of n from N is at (i + 1/2) N / n - 1/2; without, at i N / n.
        rounded: Whether the result is rounded to integers from 0 to 255.
        exif: Whether the image is turned upright as its EXIF data say.
        background: What is behind transparent parts, red, green and blue; None: the alpha channel is dropped.
        fast_dct: Whether files are decoded as TensorFlow does it: JPEG with libjpeg's fast, less accurate integer DCT;
            grey values of colour files as libjpeg and libpng compute them (`edgenet.images.tensorflow_decoding`).
    """

    mode: ResizeMode = ResizeMode.CROP
    crop: float = 1.0
    pad: tuple[int, ...] = (0, 0, 0)
    interpolation: Interpolation = Interpolation.BILINEAR
    antialias: bool = True
    half_pixel_centers: bool = True
    rounded: bool = True
    exif: bool = True
    background: tuple[int, ...] | None = (255, 255, 255)
    fast_dct: bool = False


@dataclass(frozen=True)
class Preprocessing:
    """The recipe from an image to a model's input; `edgenet.images.preprocess` is the code.

    The image, as 8-bit RGB (or grey, for one channel), is resized to height by width pixels. The input is
    (pixel - mean) / std. An integer input whose scale and zero point are those of the pixels takes the pixels
    themselves, rounded.

    Attributes:
        height: Of the input, in pixels.
        width: Of the input, in pixels.
        channels: 3 (colour) or 1 (grey).
        mean: For each channel, in the order RGB, of pixels from 0 to 255.
        std: Likewise.
        order: BGR: the channels are swapped after the normalization.
        resize: How an image of any size becomes one of this size.
    """

    height: int
    width: int
    channels: int = 3
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    order: str = "RGB"
    resize: Resize = Resize()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    @property
    def dtype(self) -> str:
        """The data type of resized images: uint8 if they are rounded, else float32."""
        return "uint8" if self.resize.rounded else "float32"

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value of the input."""
        channels = list(zip(self.mean, self.std, strict=True))
        return min((0 - mean) / std for mean, std in channels), max((255 - mean) / std for mean, std in channels)
