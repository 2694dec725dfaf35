"""What a model takes for a pixel: as people say it, and the common ways."""

from collections.abc import Iterator
from dataclasses import dataclass

from edgenet.errors import EdgenetError
from edgenet.records import Preprocessing

_EXPECTED = (
    "--input-range: expected two numbers for black and white, like -1,1 or 0,255, or six, the means and then the "
    "deviations of red, green and blue"
)

ORDERS = ("RGB", "BGR")


def check_order(order: str) -> None:
    """Raise EdgenetError for an order of channels that there is not."""
    if order not in ORDERS:
        raise EdgenetError(f"--channel-order: expected RGB or BGR, found {order!r}")


@dataclass(frozen=True)
class InputRange:
    """An input is (pixel - mean) / std, for pixels of 0 to 255. One mean and std, or one for each channel, in RGB; in
    the order BGR, the channels are swapped afterwards."""

    mean: tuple[float, ...] = (127.5,)
    std: tuple[float, ...] = (127.5,)
    order: str = "RGB"

    @classmethod
    def between(cls, low: float, high: float) -> "InputRange":
        """Black is `low`, white is `high`."""
        std = 255.0 / (high - low)
        return cls((0.0 - low * std,), (std,))

    @classmethod
    def parse(cls, text: str, order: str = ORDERS[0]) -> "InputRange":
        """From `low,high`, or from three means and three deviations, of pixels of 0 to 255 or, where all are at most 1,
        of 0 to 1. Raises EdgenetError when it is neither."""
        check_order(order)
        try:
            numbers = tuple(float(number) for number in text.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) == 2 and -1e6 <= numbers[0] < numbers[1] <= 1e6:
            found = cls.between(*numbers)
            return cls(found.mean, found.std, order)
        mean, std = numbers[:3], numbers[3:]
        if len(numbers) != 6 or not all(abs(value) <= 1e6 for value in mean) or not all(0 < v <= 1e6 for v in std):
            raise EdgenetError(f"{_EXPECTED}; found {text!r}")
        unit = 255.0 if max(map(abs, numbers)) <= 1 else 1.0
        return cls(tuple(unit * value for value in mean), tuple(unit * value for value in std), order)

    def recipe(self, height: int, width: int, channels: int, crop: float = 1.0) -> Preprocessing:
        """The whole recipe for a model of that input. Raises EdgenetError when the channels do not fit."""
        if len(self.mean) not in (1, channels):
            raise EdgenetError(
                f"--input-range: expected a mean and deviation for each of {channels} channels, found {len(self.mean)}"
            )
        each = channels // len(self.mean)
        return Preprocessing(height, width, channels, crop, self.mean * each, self.std * each, self.order)


# The usual ones, as options: Keras' "tf" mode, plain scaling, no scaling, PyTorch's ("torch"), and Caffe's ("caffe").
COMMON = {
    "--input-range -1,1": InputRange(),
    "--input-range 0,1": InputRange.between(0, 1),
    "--input-range 0,255": InputRange.between(0, 255),
    "--input-range 0.485,0.456,0.406,0.229,0.224,0.225": InputRange.parse("0.485,0.456,0.406,0.229,0.224,0.225"),
    "--input-range 123.68,116.779,103.939,1,1,1 --channel-order BGR": InputRange.parse(
        "123.68,116.779,103.939,1,1,1", "BGR"
    ),
}


def common(recipe: Preprocessing) -> Iterator[Preprocessing]:
    """The recipe with each of the common ranges instead of its own."""
    for usual in COMMON.values():
        if len(usual.mean) in (1, recipe.channels):
            yield usual.recipe(*recipe.shape, crop=recipe.crop)


def option(recipe: Preprocessing) -> str:
    """The options that say a recipe's range and order: the common ones by their own text."""
    for text, usual in COMMON.items():
        if len(usual.mean) in (1, recipe.channels) and usual.recipe(*recipe.shape, crop=recipe.crop) == recipe:
            return text
    uniform = len(set(recipe.mean)) == len(set(recipe.std)) == 1
    numbers = recipe.range if uniform else (*recipe.mean, *recipe.std)
    if not uniform and max(map(abs, numbers)) <= 1:  # which would be taken for those of pixels from 0 to 1
        numbers = [number / 255 for number in numbers]
    text = "--input-range " + ",".join(f"{number:.7g}" for number in numbers)
    return text if recipe.order == "RGB" else f"{text} --channel-order BGR"
