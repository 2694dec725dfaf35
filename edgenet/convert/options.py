"""What can be asked of an export, known without TensorFlow, so that a wrong wish is answered at once."""

from dataclasses import dataclass

from edgenet.errors import EdgenetError

FLOAT32, FLOAT16, DYNAMIC, INT8 = VARIANTS = ("float32", "float16", "dynamic", "int8")
# What the input and output of a full-integer model may be; mobile libraries load uint8 and float32.
INTERFACES = ("uint8", "int8", "float32")
# Who chooses the 8-bit weights: `edgenet.quantize.quantizer`, or the converter alone.
QUANTIZERS = ("edgenet", "stock")


@dataclass(frozen=True)
class Options:
    """What to export. interface: dtype of the int8 variant's input and output. batch: pictures in one inference.
    apps: whether to ask the Task Library what it finds.

    Raises EdgenetError when a value is out of its range.
    """

    variants: tuple[str, ...] = VARIANTS
    interface: str = "uint8"
    batch: int = 1
    quantizer: str = "edgenet"
    apps: bool = True

    def __post_init__(self):
        names = ", ".join(VARIANTS)
        if not self.variants:
            raise EdgenetError(f"--variants: expected at least one name out of {names}, found none")
        for variant in self.variants:
            if variant not in VARIANTS:
                raise EdgenetError(f"--variants: expected names out of {names}, found {variant!r}")
        if self.interface not in INTERFACES:
            raise EdgenetError(f"--io: expected one of {', '.join(INTERFACES)}, found {self.interface!r}")
        if self.quantizer not in QUANTIZERS:
            raise EdgenetError(f"--quantizer: expected one of {', '.join(QUANTIZERS)}, found {self.quantizer!r}")
        if not 1 <= self.batch <= 1024:
            raise EdgenetError(f"--batch: expected a number from 1 to 1024, found {self.batch}")
