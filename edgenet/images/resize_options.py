"""How to resize images: named presets, and the options that change them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

from edgenet.errors import EdgenetError
from edgenet.images.input_range import MIN_CROP, check_crop
from edgenet.records import Interpolation, Resize, ResizeMode

# Published accuracies on ImageNet are measured on the central 87.5% of the shorter side (of 256 pixels for 224).
IMAGENET = Resize(crop=0.875)
# `keras.utils.image_dataset_from_directory`: `tf.io.decode_image`, then `tf.image.resize`.
KERAS_DATASET = Resize(ResizeMode.STRETCH, antialias=False, rounded=False, exif=False, background=None, fast_dct=True)
# `ImageDataGenerator.flow_from_directory` and `keras.utils.load_img`: Pillow's nearest neighbour.
KERAS_GENERATOR = Resize(
    ResizeMode.STRETCH, interpolation=Interpolation.NEAREST, antialias=False, exif=False, background=None
)
# Teachable Machine cuts out the central square.
TEACHABLE_MACHINE = Resize()
# What MediaPipe Tasks does to an image by itself.
MEDIAPIPE = Resize(ResizeMode.STRETCH, antialias=False, half_pixel_centers=False)
# What the Task Library (TensorFlow Lite Support) does to an image by itself, but for rounding in fixed point.
TASK_LIBRARY = Resize(ResizeMode.STRETCH, antialias=False)

PRESETS = {
    "keras-dataset": KERAS_DATASET,
    "keras-generator": KERAS_GENERATOR,
    "teachable-machine": TEACHABLE_MACHINE,
    "imagenet": IMAGENET,
    "mediapipe": MEDIAPIPE,
    "task-library": TASK_LIBRARY,
}

# The interpolations that can be antialiased.
ANTIALIASED = (Interpolation.BILINEAR, Interpolation.BICUBIC)


@dataclass(frozen=True)
class ResizeOptions:
    """How images are to be resized, as far as the user specifies it; None where not.

    Attributes:
        like: The name of a preset.
        resize: The mode: crop, stretch or pad.
        crop: For crop: the fraction of the shorter side that is kept.
        interpolation: nearest, bilinear, bicubic or area.
        antialias: Whether bilinear and bicubic interpolation use a wider kernel where they reduce an image.
        pad_color: For pad: the colour around the image, red, green and blue, 0 to 255; as text, too: "114,114,114".
    """

    like: str | None = None
    resize: str | None = None
    crop: float | None = None
    interpolation: str | None = None
    antialias: bool | None = None
    pad_color: str | Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Raises EdgenetError if a value is wrong, or two of them contradict each other."""
        for parameter, value, allowed in (
            ("like", self.like, list(PRESETS)),
            ("resize", self.resize, list(ResizeMode)),
            ("interpolation", self.interpolation, list(Interpolation)),
        ):
            if value is not None and value not in allowed:
                raise EdgenetError(f"must be one of {', '.join(allowed)}, got {value!r:.60}", parameter=parameter)
        if self.crop is not None and not _is_number(self.crop):
            raise EdgenetError(f"must be a fraction from {MIN_CROP} to 1, got {self.crop!r:.60}", parameter="crop")
        check_crop(self.crop)
        if self.antialias not in (None, True, False):
            raise EdgenetError(f"must be True or False, got {self.antialias!r:.60}", parameter="antialias")
        if self.antialias and self.interpolation is not None and self.interpolation not in ANTIALIASED:
            raise EdgenetError(
                f"{self.interpolation} interpolation is never antialiased; leave one of them out",
                parameter="antialias",
            )
        if self.pad_color is not None:
            object.__setattr__(self, "pad_color", _colour(self.pad_color))
        mode = self.mode
        if self.crop is not None and mode not in (None, ResizeMode.CROP):
            raise EdgenetError(f"only crops have a fraction, but resize={mode}; leave one out", parameter="crop")
        if self.pad_color is not None and mode != ResizeMode.PAD:
            raise EdgenetError("only padding has a colour; give resize=pad, too", parameter="pad_color")
        if self.like is not None and (changed := self._contradictions(PRESETS[self.like])):
            raise EdgenetError(f"{self.like} contradicts {', '.join(changed)}; leave one of them out", parameter="like")

    @property
    def mode(self) -> ResizeMode | None:
        """The resize mode; None if it is not specified."""
        if self.like is not None:
            return PRESETS[self.like].mode
        if self.resize is not None:
            return ResizeMode(self.resize)
        return None if self.crop is None else ResizeMode.CROP

    @property
    def is_given(self) -> bool:
        """Whether anything is specified."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def applied_to(self, default: Resize) -> Resize:
        """The resize that is meant.

        Args:
            default: What is used where nothing is specified. Another mode than its own has the arithmetic that is usual
                for that mode: a crop that of `imagenet`, the others that of `keras-dataset`.
        """
        if self.like is not None:
            return PRESETS[self.like]
        base = default
        if self.mode is not None and self.mode != default.mode:
            base = Resize() if self.mode == ResizeMode.CROP else replace(KERAS_DATASET, mode=self.mode)
        meant = replace(base, **self._changes())
        return meant if meant.interpolation in ANTIALIASED else replace(meant, antialias=False)

    def _changes(self) -> dict[str, Any]:
        """The fields of `Resize` that are specified, but for the mode."""
        given = {
            "crop": self.crop,
            "interpolation": None if self.interpolation is None else Interpolation(self.interpolation),
            "antialias": self.antialias,
            "pad": self.pad_color,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _contradictions(self, preset: Resize) -> list[str]:
        given = {"resize": self.resize, "crop": self.crop, "interpolation": self.interpolation}
        own = {"resize": preset.mode, "crop": preset.crop, "interpolation": preset.interpolation}
        found = [f"{name}={value}" for name, value in given.items() if value is not None and value != own[name]]
        if self.antialias is not None and self.antialias != preset.antialias:
            found.append(f"antialias={self.antialias}")
        return found


# The parameters and options of a user, by name.
RESIZE_PARAMETERS = tuple(field.name for field in fields(ResizeOptions))


def describe(resize: Resize) -> str:
    """How images are resized, in words: "stretch, bilinear, not antialiased (keras-dataset)"."""
    mode = {
        ResizeMode.CROP: f"crop {resize.crop:g}",
        ResizeMode.STRETCH: "stretch",
        ResizeMode.PAD: f"pad {','.join(map(str, resize.pad))}",
    }[resize.mode]
    words = [mode, str(resize.interpolation)]
    if resize.interpolation in ANTIALIASED:
        words.append("antialiased" if resize.antialias else "not antialiased")
    name = next((name for name, preset in PRESETS.items() if preset == resize), None)
    if name is None:
        words += [] if resize.half_pixel_centers else ["from corners"]
        words += [] if resize.exif else ["EXIF ignored"]
    return ", ".join(words) + (f" (like {name})" if name else "")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _colour(text: str | Sequence[int]) -> tuple[int, ...]:
    """Read a colour. Raises EdgenetError if it is none."""
    try:
        values = [float(part) for part in (text.split(",") if isinstance(text, str) else text)]
    except (TypeError, ValueError):
        values = []
    if len(values) != 3 or not all(value.is_integer() and 0 <= value <= 255 for value in values):
        raise EdgenetError(
            f"must be red, green and blue from 0 to 255, such as 114,114,114; got {' '.join(repr(text).split()):.60}",
            parameter="pad_color",
        )
    return tuple(int(value) for value in values)
