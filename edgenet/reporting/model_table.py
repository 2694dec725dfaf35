"""What a model costs, as text for the terminal."""

from edgenet.model import cost
from edgenet.records import ModelSpec
from edgenet.reporting.columns import columns


def model_table(spec: ModelSpec) -> str:
    """The layers, the totals, and what each block saves against a standard convolution."""
    layers, blocks = cost.layers(spec), cost.blocks(spec)
    rows = [
        [layer.name, " x ".join(map(str, layer.shape)), f"{layer.parameters:,}", f"{layer.multiply_adds:,}"]
        for layer in layers
    ]
    parameters = sum(layer.parameters for layer in layers)
    multiply_adds = sum(layer.multiply_adds for layer in layers)
    savings = [[block.name, f"{block.separable:,}", f"{block.standard:,}", f"{block.saving:.2f}x"] for block in blocks]
    separable, standard = sum(block.separable for block in blocks), sum(block.standard for block in blocks)
    return "\n\n".join(
        (
            f"{spec.name}: MobileNetV1 (arXiv:1704.04861), input {spec.size} x {spec.size} x 3, {spec.classes} classes",
            columns([["layer", "output", "parameters", "multiply-adds"]], rows),
            f"total: {parameters:,} parameters ({parameters / 1e6:.2f} million), "
            f"{multiply_adds:,} multiply-adds ({multiply_adds / 1e6:.1f} million)",
            columns([["multiply-adds", "depthwise separable", "standard convolution", "saving"]], savings),
            f"all blocks: {separable:,} instead of {standard:,}: {standard / separable:.2f}x less",
        )
    )
