"""The numbers that the app's code needs: of the recipe, and of the input and output of a .tflite file."""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.images.preprocess import pad_color
from edgenet.images.resize_options import ANTIALIASED
from edgenet.litert.runner import PIXEL_TOLERANCE
from edgenet.records import Interpolation, Preprocessing, Variant, VariantFile
from edgenet.tflite import flatbuffer


@dataclass(frozen=True)
class TensorType:
    """The data type of an input or output: float32, uint8 or int8.

    Integers are round(value / scale) + zero point; a scale of 0 means that they are the values themselves.
    """

    dtype: str
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Arithmetic:
    """How images are resized, without what the recipe says but does not use.

    Attributes:
        antialias: Whether the interpolation is antialiased, which is Pillow's own code: it rounds after each direction.
        half_pixel_centers: As in `Resize`; always so in Pillow and for areas.
        rounded: Whether pixels are integers.
        pad: The colour around the image, for each channel.
    """

    antialias: bool
    half_pixel_centers: bool
    rounded: bool
    pad: tuple[int, ...]


@dataclass(frozen=True)
class Normalization:
    """(pixel - mean) / std for each channel, as RGB; then `quantized`, which are the integers of the input."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    quantized: TensorType


def chosen(variants: tuple[VariantFile, ...]) -> VariantFile:
    """The file for the app: mixed or int8 if there is one, else the first."""
    by_name = {variant.name: variant for variant in variants}
    return by_name.get(Variant.MIXED) or by_name.get(Variant.INT8) or variants[0]


def tensor_types(data: bytes) -> tuple[TensorType, TensorType]:
    """The input and the output of a .tflite file."""
    graph = flatbuffer.read(data).subgraphs[0]
    image, scores = (_tensor_type(graph.tensors[index]) for index in (graph.inputs[0], graph.outputs[0]))
    return image, scores


def _tensor_type(tensor: schema.TensorT) -> TensorType:
    dtype, quantization = flatbuffer.DTYPES[tensor.type].name, tensor.quantization
    if dtype == "float32" or quantization is None or quantization.scale is None or not len(quantization.scale):
        return TensorType(dtype)
    return TensorType(dtype, float(quantization.scale[0]), int(quantization.zeroPoint[0]))


def arithmetic(recipe: Preprocessing, dtype: str) -> Arithmetic:
    """How images are resized for an input of this data type: integers are made of rounded pixels."""
    how = recipe.resize
    antialias = how.antialias and how.interpolation in ANTIALIASED
    half_pixel_centers = how.half_pixel_centers or antialias or how.interpolation == Interpolation.AREA
    return Arithmetic(antialias, half_pixel_centers, how.rounded or antialias or dtype != "float32", pad_color(recipe))


def normalization(recipe: Preprocessing, image: TensorType) -> Normalization:
    """What makes the input of pixels, as `edgenet.litert.runner.as_input` does it.

    An integer input whose values are those of the pixels, nearly so, gets the pixels: then the mean is 0, the standard
    deviation and the scale are 1, and the zero point is 0 (uint8) or -128 (int8).
    """
    mean, std = (tuple(map(float, np.resize(values, recipe.channels))) for values in (recipe.mean, recipe.std))
    if image.dtype == "float32":
        return Normalization(mean, std, image)
    shift = 128 if image.dtype == "int8" else 0
    levels = np.arange(256, dtype=np.float64)[:, None]
    if image.scale:
        values = (levels - np.array(mean)) / np.array(std) / image.scale + image.zero_point + shift
        if np.abs(values - levels).max() > PIXEL_TOLERANCE:
            return Normalization(mean, std, image)
    return Normalization((0.0,) * recipe.channels, (1.0,) * recipe.channels, TensorType(image.dtype, 1.0, -shift))
