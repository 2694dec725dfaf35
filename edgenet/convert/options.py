"""The options of an export. This module does not import TensorFlow, so that wrong values are reported at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgenet.errors import EdgenetError
from edgenet.records.enums import InterfaceType, Quantizer, TextEnum, Variant

MAX_BATCH = 1024
# All that need no further option.
DEFAULT_VARIANTS = tuple(variant for variant in Variant if variant != Variant.MIXED)

_Enum = TypeVar("_Enum", bound=TextEnum)


@dataclass(frozen=True, init=False)
class Options:
    """What to export.

    Args:
        variants: The variants to write. Enum members or their values.
        interface: The dtype of the int8 variant's input and output.
        batch: The number of images in one inference, 1 to 1024.
        quantizer: Who chooses the 8-bit weights.
        keep_float: Layers that stay in float32 in the mixed variant, which is written, too: see
            `edgenet.tflite.layer_names.LayerNames.select`.
        half_arithmetic: Whether float16 files let runtimes compute in half precision.

    Raises:
        EdgenetError: A value is not allowed.
    """

    variants: tuple[Variant, ...]
    interface: InterfaceType
    batch: int
    quantizer: Quantizer
    keep_float: tuple[str, ...]
    half_arithmetic: bool

    def __init__(
        self,
        variants: Sequence[str] = DEFAULT_VARIANTS,
        interface: str = InterfaceType.UINT8,
        batch: int = 1,
        quantizer: str = Quantizer.EDGENET,
        keep_float: str | Sequence[str] = (),
        half_arithmetic: bool = True,
    ) -> None:
        if not variants:
            raise EdgenetError(f"expected at least one of {', '.join(DEFAULT_VARIANTS)}", parameter="variants")
        kept = (keep_float,) if isinstance(keep_float, str) else tuple(keep_float)
        if Variant.MIXED in variants and not kept:
            raise EdgenetError("mixed: name the layers that stay in float32, with keep_float=", parameter="variants")
        if kept:
            variants = tuple(dict.fromkeys((*variants, Variant.MIXED)))
        if not 1 <= batch <= MAX_BATCH:
            raise EdgenetError(f"expected a number from 1 to {MAX_BATCH}, got {batch}", parameter="batch")
        values = {
            "variants": tuple(_member(Variant, variant, "variants", DEFAULT_VARIANTS) for variant in variants),
            "interface": _member(InterfaceType, interface, "io"),
            "batch": batch,
            "quantizer": _member(Quantizer, quantizer, "quantizer"),
            "keep_float": kept,
            "half_arithmetic": half_arithmetic,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the instance is frozen


def _member(enum: type[_Enum], value: str, parameter: str, choices: Sequence[str] = ()) -> _Enum:
    try:
        return enum(value)
    except ValueError:
        text = f"expected one of {', '.join(choices or enum)}, got {str(value)!r}"
        raise EdgenetError(text, parameter=parameter) from None
