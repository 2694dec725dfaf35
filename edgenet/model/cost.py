"""The cost of MobileNetV1: parameters and multiply-adds, layer by layer (arXiv:1704.04861, section 3)."""

from dataclasses import dataclass

from edgenet.model.architecture import BLOCKS, STEM_FILTERS, scaled
from edgenet.records import ModelSpec

KERNEL = 3


@dataclass(frozen=True)
class Layer:
    """A layer.

    Attributes:
        name: Its name in Keras.
        shape: Of its output, (height, width, channels).
        parameters: Number of weights, with those of its batch normalization.
        multiply_adds: For one image.
    """

    name: str
    shape: tuple[int, int, int]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Block:
    """A depthwise-separable block, compared with the standard convolution that it replaces.

    Attributes:
        name: For instance block01.
        separable: Multiply-adds of the block.
        standard: Multiply-adds of the standard convolution.
    """

    name: str
    separable: int
    standard: int

    @property
    def saving(self) -> float:
        """The cost of the standard convolution, in multiples of the block's."""
        return self.standard / self.separable


def standard(kernel: int, inputs: int, outputs: int, size: int) -> int:
    """Multiply-adds of a convolution: Dk*Dk*M*N*Df*Df (section 3.1 of the paper).

    Args:
        kernel: Height and width of the kernel (Dk).
        inputs: Input channels (M).
        outputs: Output channels (N).
        size: Height and width of the output (Df).
    """
    return kernel * kernel * inputs * outputs * size * size


def depthwise(kernel: int, inputs: int, depth_multiplier: int, size: int) -> int:
    """Multiply-adds of a depthwise convolution: Dk*Dk*M*Df*Df times the multiplier. Arguments as in `standard`."""
    return kernel * kernel * inputs * depth_multiplier * size * size


def separable(kernel: int, inputs: int, outputs: int, size: int, depth_multiplier: int = 1) -> int:
    """Multiply-adds of depthwise and pointwise convolution: Dk*Dk*M*Df*Df + M*N*Df*Df. Arguments as in `standard`."""
    return depthwise(kernel, inputs, depth_multiplier, size) + standard(1, inputs * depth_multiplier, outputs, size)


def layers(spec: ModelSpec) -> list[Layer]:
    """The layers that have weights, and the pooling, in order."""
    size, channels = spec.size // 2, scaled(STEM_FILTERS, spec.alpha)
    rows = [
        Layer(
            "stem_convolution",
            (size, size, channels),
            KERNEL**2 * 3 * channels + 4 * channels,
            standard(KERNEL, 3, channels, size),
        )
    ]
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        size //= stride
        expanded, outputs = channels * spec.depth_multiplier, scaled(filters, spec.alpha)
        rows += [
            Layer(
                f"block{number:02d}_depthwise",
                (size, size, expanded),
                KERNEL**2 * expanded + 4 * expanded,
                depthwise(KERNEL, channels, spec.depth_multiplier, size),
            ),
            Layer(
                f"block{number:02d}_pointwise",
                (size, size, outputs),
                expanded * outputs + 4 * outputs,
                standard(1, expanded, outputs, size),
            ),
        ]
        channels = outputs
    return [
        *rows,
        Layer("pool", (1, 1, channels), 0, 0),
        Layer("logits", (1, 1, spec.classes), channels * spec.classes + spec.classes, channels * spec.classes),
    ]


def blocks(spec: ModelSpec) -> list[Block]:
    """The 13 depthwise-separable blocks, in order."""
    size, channels = spec.size // 2, scaled(STEM_FILTERS, spec.alpha)
    rows = []
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        size //= stride
        outputs = scaled(filters, spec.alpha)
        rows.append(
            Block(
                f"block{number:02d}",
                separable(KERNEL, channels, outputs, size, spec.depth_multiplier),
                standard(KERNEL, channels, outputs, size),
            )
        )
        channels = outputs
    return rows
