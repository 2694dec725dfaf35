"""Where an int8 file loses accuracy, layer by layer."""

from dataclasses import dataclass
from typing import ClassVar

from edgenet.records.bundle import Finding
from edgenet.records.shown import Shown

# Before the name of a layer that stays in float32: so do all layers up to it, or all from it on.
UNTIL, FROM = "until:", "from:"


@dataclass(frozen=True)
class MixedPrecision:
    """An int8 file with one layer in other arithmetic, measured on such a file."""

    # "float32" or "int16", with the layer's output rounded to 8 bits as before; or "float32 until here": all layers up
    # to and including this one, without rounding in between.
    arithmetic: str
    # Gain of the signal-to-quantization-noise ratio at the logits, in decibels.
    sqnr_gain: float
    # How many more images keep the reference's top class, or all labels of a multi-label model.
    images_recovered: int
    # How much larger the file is.
    bytes_added: int
    # Latency as a multiple of the int8 file's.
    latency_ratio: float


@dataclass(frozen=True)
class LayerNoise:
    """The quantization noise of one layer. SQNR: signal-to-quantization-noise ratio, in decibels."""

    name: str
    kind: str
    # Fraction of the noise at the logits that remains if this layer alone is quantized: weights, output, and bias
    # correction. The errors of many layers add in squares, so that these sum to about 1. None after the logits.
    noise_fraction: float | None
    # SQNR of the layer's output given the float model's input; None where there is no difference at all.
    layer_sqnr: float | None
    # SQNR of the layer's output with the noise of all layers before it.
    cumulative_sqnr: float | None
    # What not quantizing the layer would bring, and cost.
    mixed_precision: tuple[MixedPrecision, ...]
    # The noise with only the layer's weights, and with only its output in 8 bits, in the same unit as `noise_fraction`.
    # None for operators without weights, for quiet ones, and in diagnoses of earlier versions.
    weights_fraction: float | None = None
    activations_fraction: float | None = None
    # The name by which an export keeps the layer in float32; empty in diagnoses of earlier versions.
    layer: str = ""
    # Whether it is a part of the model's own pre-processing, before the first layer with weights.
    preprocessing: bool = False


@dataclass(frozen=True)
class IsolatedNoise:
    """The noise at the logits with one part of the model in 8 bits, and the other in float32."""

    # In decibels; None without noise.
    sqnr: float | None
    # Of the int8 file's noise; None for a file without noise.
    noise_fraction: float | None
    # How many images keep the reference's answer.
    agreeing: int


@dataclass(frozen=True)
class Diagnosis(Shown):
    """The layers of an int8 file by their noise, the noisiest first."""

    bundle: str
    variant: str
    # Images that were measured on, and how many of them keep the reference's top class, or all labels of a multi-label
    # model.
    images: int
    agreeing: int
    # SQNR at the logits, in decibels.
    logits_sqnr: float | None
    layers: tuple[LayerNoise, ...]
    # UTC, ISO 8601.
    created: str
    versions: dict[str, str]
    # SHA-256 of the float32 and the int8 file, by their paths in the bundle.
    files: dict[str, str]
    # Whether the model is a multi-label one.
    multi_label: bool = False
    # With all weights, or with the input and all activations in 8 bits. None in diagnoses of earlier versions.
    weights: IsolatedNoise | None = None
    activations: IsolatedNoise | None = None
    # Latency of the float32 file as a multiple of the int8 file's; None in diagnoses of earlier versions.
    float32_latency: float | None = None
    # About the model's own pre-processing.
    findings: tuple[Finding, ...] = ()
    # Layers that an export should keep in float32, as its option takes them; empty where that would bring little.
    keep_float: tuple[str, ...] = ()

    KIND: ClassVar[str] = "edgenet diagnosis"
    FORMAT: ClassVar[int] = 2
