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
        max_drift: The largest fraction of images whose answer may change in the mixed variant. The layers that stay in
            float32 are then searched for (`edgenet.budget`). None for no such variant.
        max_accuracy_drop: Likewise, the largest loss of accuracy, as a fraction.

    Raises:
        EdgenetError: A value is not allowed.
    """

    variants: tuple[Variant, ...]
    interface: InterfaceType
    batch: int
    quantizer: Quantizer
    keep_float: tuple[str, ...]
    half_arithmetic: bool
    max_drift: float | None
    max_accuracy_drop: float | None

    def __init__(
        self,
        variants: Sequence[str] = DEFAULT_VARIANTS,
        interface: str = InterfaceType.UINT8,
        batch: int = 1,
        quantizer: str = Quantizer.EDGENET,
        keep_float: str | Sequence[str] = (),
        half_arithmetic: bool = True,
        max_drift: float | None = None,
        max_accuracy_drop: float | None = None,
    ) -> None:
        if not variants:
            raise EdgenetError(f"expected at least one of {', '.join(DEFAULT_VARIANTS)}", parameter="variants")
        kept = (keep_float,) if isinstance(keep_float, str) else tuple(keep_float)
        limits = {"max_drift": max_drift, "max_accuracy_drop": max_accuracy_drop}
        for name, limit in limits.items():
            if limit is not None and not 0 <= limit < 1:
                raise EdgenetError(f"expected a fraction from 0 to below 1, got {limit:g}", parameter=name)
            if limit is not None and kept:
                raise EdgenetError(
                    f"{name}= chooses the layers that stay in float32; leave it out", parameter="keep_float"
                )
        has_limit = any(limit is not None for limit in limits.values())
        if Variant.MIXED in variants and not kept and not has_limit:
            raise EdgenetError(
                "mixed: name the layers that stay in float32, with keep_float=, or give max_drift=",
                parameter="variants",
            )
        if kept or has_limit:
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
            **limits,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the instance is frozen


def _member(enum: type[_Enum], value: str, parameter: str, choices: Sequence[str] = ()) -> _Enum:
    try:
        return enum(value)
    except ValueError:
        text = f"expected one of {', '.join(choices or enum)}, got {str(value)!r}"
        raise EdgenetError(text, parameter=parameter) from None
