"""What MobileNetV1 costs as a whole (arXiv:1704.04861, section 3)."""

from dataclasses import dataclass

from edgenet.model import cost
from edgenet.model.cost import Block, Layer
from edgenet.records import ModelSpec


@dataclass(frozen=True)
class ModelCost:
    """The layers of a MobileNetV1, and the totals of their costs."""

    spec: ModelSpec
    layers: tuple[Layer, ...]
    blocks: tuple[Block, ...]

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Of one inference."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def separable(self) -> int:
        """Multiply-adds of all depthwise-separable blocks."""
        return sum(block.separable for block in self.blocks)

    @property
    def standard(self) -> int:
        """Multiply-adds of the standard convolutions that they replace."""
        return sum(block.standard for block in self.blocks)

    @property
    def saving(self) -> float:
        """`standard` as a multiple of `separable`."""
        return self.standard / self.separable


def model_cost(spec: ModelSpec) -> ModelCost:
    """The cost of a model, layer by layer."""
    return ModelCost(spec, tuple(cost.layers(spec)), tuple(cost.blocks(spec)))
