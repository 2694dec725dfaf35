"""What a diagnosis found, layer by layer."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Kept:
    """An int8 file with one layer kept in other arithmetic, measured on such a file.

    arithmetic: float32 or int16, its output rounded to 8 bits as before; or float32 until here: with all layers before
    it, what they give each other unrounded.

    gain: decibels by which the logits' signal-to-quantization-noise ratio is better. agreeing: how many more images
    keep Keras' top class. bytes: how much larger the file is. time: of one inference, in multiples of the int8 file's.
    """

    arithmetic: str
    gain: float
    agreeing: int
    bytes: int
    time: float


@dataclass(frozen=True)
class LayerNoise:
    """How well an int8 layer gives what the float layer gives, in decibels of signal to quantization noise.

    share: of the noise at the logits, what there is if this layer alone is quantized, its weights and its output, and
    its bias makes good the mean; the errors of many layers add in squares, so that shares sum to about 1. None behind
    the logits. own: decibels, given the same input; so_far: with the noise of all layers before it; None: no difference
    at all. kept: what it would bring, and cost, not to quantize the layer.
    """

    name: str
    kind: str
    share: float | None
    own: float | None
    so_far: float | None
    kept: tuple[Kept, ...]


@dataclass(frozen=True)
class Diagnosis:
    """Which layers of an int8 file are to blame for its drift; the one with the largest share of the noise first.

    images: how many it was measured on; agreeing: how many of them keep Keras' top class. logits: decibels of signal to
    quantization noise there. `files`: the SHA-256 of the two files; `created`: UTC, ISO 8601.
    """

    bundle: str
    variant: str
    images: int
    agreeing: int
    logits: float | None
    layers: tuple[LayerNoise, ...]
    created: str
    versions: dict[str, str]
    files: dict[str, str]

    KIND: ClassVar[str] = "edgenet diagnosis"
    FORMAT: ClassVar[int] = 1
