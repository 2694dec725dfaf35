"""What MobileNetV1 costs: parameters and multiply-adds, layer by layer (arXiv:1704.04861, section 3)."""

from dataclasses import dataclass

from edgenet.model.architecture import BLOCKS, STEM_FILTERS, scaled
from edgenet.records import ModelSpec

KERNEL = 3


@dataclass(frozen=True)
class Layer:
    """One layer. shape: its output (height, width, channels). parameters: with those of its batch normalization."""

    name: str
    shape: tuple[int, int, int]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Block:
    """Multiply-adds of a depthwise-separable block, and of the standard convolution that it stands for."""

    name: str
    separable: int
    standard: int

    @property
    def saving(self) -> float:
        """How many times as much the standard convolution costs."""
        return self.standard / self.separable


def standard(kernel: int, inputs: int, outputs: int, size: int) -> int:
    """Multiply-adds of a convolution: Dk*Dk*M*N*Df*Df (the paper's section 3.1). `size` is that of the output map."""
    return kernel * kernel * inputs * outputs * size * size


def depthwise(kernel: int, inputs: int, depth_multiplier: int, size: int) -> int:
    """Multiply-adds of a depthwise convolution: Dk*Dk*M*Df*Df, for each filter of an input channel."""
    return kernel * kernel * inputs * depth_multiplier * size * size


def separable(kernel: int, inputs: int, outputs: int, size: int, depth_multiplier: int = 1) -> int:
    """Multiply-adds of a depthwise convolution and a pointwise one: Dk*Dk*M*Df*Df + M*N*Df*Df."""
    return depthwise(kernel, inputs, depth_multiplier, size) + standard(1, inputs * depth_multiplier, outputs, size)


def layers(spec: ModelSpec) -> list[Layer]:
    """The layers that have weights, and the pooling, in order."""
    size, channels = spec.size // 2, scaled(STEM_FILTERS, spec.alpha)
    found = [
        Layer(
            "stem_convolution",
            (size, size, channels),
            KERNEL**2 * 3 * channels + 4 * channels,
            standard(KERNEL, 3, channels, size),
        )
    ]
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        size //= stride
        wide, outputs = channels * spec.depth_multiplier, scaled(filters, spec.alpha)
        found += [
            Layer(
                f"block{number:02d}_depthwise",
                (size, size, wide),
                KERNEL**2 * wide + 4 * wide,
                depthwise(KERNEL, channels, spec.depth_multiplier, size),
            ),
            Layer(
                f"block{number:02d}_pointwise",
                (size, size, outputs),
                wide * outputs + 4 * outputs,
                standard(1, wide, outputs, size),
            ),
        ]
        channels = outputs
    return [
        *found,
        Layer("pool", (1, 1, channels), 0, 0),
        Layer("logits", (1, 1, spec.classes), channels * spec.classes + spec.classes, channels * spec.classes),
    ]


def blocks(spec: ModelSpec) -> list[Block]:
    """The 13 depthwise-separable blocks."""
    size, channels = spec.size // 2, scaled(STEM_FILTERS, spec.alpha)
    found = []
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        size //= stride
        outputs = scaled(filters, spec.alpha)
        found.append(
            Block(
                f"block{number:02d}",
                separable(KERNEL, channels, outputs, size, spec.depth_multiplier),
                standard(KERNEL, channels, outputs, size),
            )
        )
        channels = outputs
    return found
