"""What a model expects for the pixel values 0 to 255: as text, and the common input ranges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgenet.errors import EdgenetError
from edgenet.records import Preprocessing, Resize

CHANNEL_ORDERS = ("RGB", "BGR")
# Of means and standard deviations: more is a typing error.
MAX_VALUE = 1e6
# The smallest fraction of an image's shorter side that a crop may keep.
MIN_CROP = 0.1


def check_channel_order(order: str) -> None:
    """Check the order of the colour channels.

    Raises:
        EdgenetError: It is neither RGB nor BGR.
    """
    if order not in CHANNEL_ORDERS:
        raise EdgenetError(f"must be RGB or BGR, got {order!r}", parameter="channel_order")


@dataclass(frozen=True)
class InputRange:
    """The normalization of a model's input: (pixel - mean) / std, for pixels from 0 to 255.

    Attributes:
        mean: One value for all channels, or one each for red, green and blue.
        std: As many values.
        order: RGB; or BGR: the channels are then swapped after the normalization.
    """

    mean: tuple[float, ...] = (127.5,)
    std: tuple[float, ...] = (127.5,)
    order: str = "RGB"

    @classmethod
    def between(cls, low: float, high: float) -> "InputRange":
        """The input range with `low` for black (0) and `high` for white (255)."""
        std = 255.0 / (high - low)
        return cls((0.0 - low * std,), (std,))

    @classmethod
    def parse(cls, text: str | Sequence[float], order: str = CHANNEL_ORDERS[0]) -> "InputRange":
        """Read an input range from text, or from its numbers.

        Args:
            text: "low,high": the values of black and white. Or six numbers: the means of red, green and blue, then
                their standard deviations, of pixels from 0 to 255; if all six are at most 1, of pixels from 0 to 1.
            order: RGB or BGR.

        Raises:
            EdgenetError: The text or the order is something else.

        Example:
            >>> InputRange.parse("0,1")
            InputRange(mean=(0.0,), std=(255.0,), order='RGB')
        """
        check_channel_order(order)
        if not isinstance(text, str):
            text = ",".join(map(repr, map(float, text)))
        try:
            numbers = tuple(float(number) for number in text.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) == 2 and -MAX_VALUE <= numbers[0] < numbers[1] <= MAX_VALUE:
            limits = cls.between(*numbers)
            return cls(limits.mean, limits.std, order)
        mean, std = numbers[:3], numbers[3:]
        valid = all(abs(value) <= MAX_VALUE for value in mean) and all(0 < value <= MAX_VALUE for value in std)
        if len(numbers) != 6 or not valid:
            raise EdgenetError(
                "must be two numbers, the values of black and white, such as -1,1 or 0,255; or six: the means, then "
                f"the standard deviations, of red, green and blue. Got {text!r}",
                parameter="input_range",
            )
        unit = 255.0 if max(map(abs, numbers)) <= 1 else 1.0
        return cls(tuple(unit * value for value in mean), tuple(unit * value for value in std), order)

    def recipe(self, height: int, width: int, channels: int, resize: Resize = Resize()) -> Preprocessing:
        """The preprocessing for a model with this input.

        Args:
            height: Input height in pixels.
            width: Input width in pixels.
            channels: 3 (colour) or 1 (grey).
            resize: How images are resized.

        Raises:
            EdgenetError: There is neither one mean nor one for each channel.
        """
        if len(self.mean) not in (1, channels):
            raise EdgenetError(
                f"has {len(self.mean)} means, but the model's input has {channels} channel{'s' * (channels > 1)}; "
                "give two numbers, the values of black and white",
                parameter="input_range",
            )
        repeats = channels // len(self.mean)
        return Preprocessing(height, width, channels, self.mean * repeats, self.std * repeats, self.order, resize)


def as_text(recipe: Preprocessing) -> str:
    """The input range of a recipe as text, as `InputRange.parse` reads it."""
    if len(set(recipe.mean)) == len(set(recipe.std)) == 1:
        mean, std = recipe.mean[0], recipe.std[0]
        return ",".join(_number((pixel - mean) / std) for pixel in (0, 255))
    return ",".join(map(_number, (*recipe.mean, *recipe.std)))


def _number(value: float) -> str:
    return repr(round(value, 9) + 0.0).removesuffix(".0")


def parse_input(
    input_range: str | Sequence[float] | None, channel_order: str | None
) -> tuple[InputRange | None, str | None]:
    """Read an input range and a channel order, as far as they are given. Raises EdgenetError for wrong ones."""
    if channel_order is not None:
        check_channel_order(channel_order)
    return None if input_range is None else InputRange.parse(input_range), channel_order


def check_crop(crop: float | None) -> float | None:
    """Check a crop, if it is given, and return it. Raises EdgenetError if it is out of range."""
    if crop is not None and not MIN_CROP <= crop <= 1:
        raise EdgenetError(f"must be a fraction from {MIN_CROP} to 1, got {crop:g}", parameter="crop")
    return crop


# By the text of `describe`, which manifests store. In order: Keras' mode "tf", scaling to 0..1, no scaling, PyTorch's
# ("torch", the mean and standard deviation of ImageNet), and Caffe's ("caffe").
COMMON = {
    "-1,1": InputRange(),
    "0,1": InputRange.between(0, 1),
    "0,255": InputRange.between(0, 255),
    "0.485,0.456,0.406,0.229,0.224,0.225": InputRange.parse("0.485,0.456,0.406,0.229,0.224,0.225"),
    "123.68,116.779,103.939,1,1,1 BGR": InputRange.parse("123.68,116.779,103.939,1,1,1", "BGR"),
}


def common_recipes(recipe: Preprocessing) -> Iterator[Preprocessing]:
    """The same preprocessing with each of the common input ranges that suit its number of channels."""
    for input_range in COMMON.values():
        if len(input_range.mean) in (1, recipe.channels):
            yield input_range.recipe(*recipe.shape, recipe.resize)


def describe(recipe: Preprocessing) -> str:
    """The input range and channel order as text, such as "-1,1" or "123.68,116.779,103.939,1,1,1 BGR".

    The text before the space is what `InputRange.parse` reads; the channel order is left out if it is RGB.
    """
    for text, input_range in COMMON.items():
        same_channels = len(input_range.mean) in (1, recipe.channels)
        if same_channels and input_range.recipe(*recipe.shape, recipe.resize) == recipe:
            return text
    uniform = len(set(recipe.mean)) == len(set(recipe.std)) == 1
    numbers = recipe.range if uniform else (*recipe.mean, *recipe.std)
    if not uniform and max(map(abs, numbers)) <= 1:  # `parse` would take them for those of pixels from 0 to 1
        numbers = tuple(number / 255 for number in numbers)
    text = ",".join(f"{number:.7g}" for number in numbers)
    return text if recipe.order == "RGB" else f"{text} {recipe.order}"


def as_arguments(recipe: Preprocessing) -> str:
    """The input range and channel order as the arguments to pass: `input_range=-1,1`, or with `channel_order="BGR"`."""
    numbers, _, order = describe(recipe).partition(" ")
    return f'input_range={numbers} channel_order="{order}"' if order else f"input_range={numbers}"
