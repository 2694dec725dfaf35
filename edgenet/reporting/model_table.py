"""The cost of a MobileNetV1, as text for the terminal."""

from edgenet.analysis.model_cost import ModelCost, model_cost
from edgenet.records import ModelSpec
from edgenet.reporting.table import Column, Table, as_text


def model_table(spec: ModelSpec) -> str:
    """The layers, the totals, and what each block saves compared with a standard convolution."""
    cost = model_cost(spec)
    return "\n\n".join(
        (
            f"{spec.name}: MobileNetV1 (arXiv:1704.04861), input {spec.size} x {spec.size} x 3, {spec.classes} classes",
            as_text(_layers(cost)),
            f"total: {cost.parameters:,} parameters ({cost.parameters / 1e6:.2f} million), "
            f"{cost.multiply_adds:,} multiply-adds ({cost.multiply_adds / 1e6:.1f} million)",
            as_text(_blocks(cost)),
            f"all blocks: {cost.separable:,} instead of {cost.standard:,}: {cost.saving:.2f}x less",
        )
    )


def _layers(cost: ModelCost) -> Table:
    columns = Column("layer", is_text=True), Column("output"), Column("parameters"), Column("multiply-adds")
    rows = tuple(
        (layer.name, " x ".join(map(str, layer.shape)), f"{layer.parameters:,}", f"{layer.multiply_adds:,}")
        for layer in cost.layers
    )
    return Table(columns, rows)


def _blocks(cost: ModelCost) -> Table:
    columns = (
        Column("multiply-adds", is_text=True),
        Column("depthwise separable"),
        Column("standard convolution"),
        Column("saving"),
    )
    rows = tuple(
        (block.name, f"{block.separable:,}", f"{block.standard:,}", f"{block.saving:.2f}x") for block in cost.blocks
    )
    return Table(columns, rows)
