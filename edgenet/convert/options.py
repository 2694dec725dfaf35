"""The options of an export. This module does not import TensorFlow, so that wrong values are reported at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgenet.errors import EdgenetError
from edgenet.records.enums import InterfaceType, Quantizer, TextEnum, Variant

MAX_BATCH = 1024

_Enum = TypeVar("_Enum", bound=TextEnum)


@dataclass(frozen=True, init=False)
class Options:
    """What to export.

    Args:
        variants: The variants to write. Enum members or their values.
        interface: The dtype of the int8 variant's input and output.
        batch: The number of images in one inference, 1 to 1024.
        quantizer: Who chooses the 8-bit weights.

    Raises:
        EdgenetError: A value is not allowed.
    """

    variants: tuple[Variant, ...]
    interface: InterfaceType
    batch: int
    quantizer: Quantizer

    def __init__(
        self,
        variants: Sequence[str] = tuple(Variant),
        interface: str = InterfaceType.UINT8,
        batch: int = 1,
        quantizer: str = Quantizer.EDGENET,
    ) -> None:
        if not variants:
            raise EdgenetError(f"expected at least one of {', '.join(Variant)}", parameter="variants")
        if not 1 <= batch <= MAX_BATCH:
            raise EdgenetError(f"expected a number from 1 to {MAX_BATCH}, got {batch}", parameter="batch")
        values = {
            "variants": tuple(_member(Variant, variant, "variants") for variant in variants),
            "interface": _member(InterfaceType, interface, "io"),
            "batch": batch,
            "quantizer": _member(Quantizer, quantizer, "quantizer"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the instance is frozen


def _member(enum: type[_Enum], value: str, parameter: str) -> _Enum:
    try:
        return enum(value)
    except ValueError:
        raise EdgenetError(f"expected one of {', '.join(enum)}, got {str(value)!r}", parameter=parameter) from None
