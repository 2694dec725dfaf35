"""The layers of MobileNetV1 (Howard et al., arXiv:1704.04861, table 1) as numbers; needs no TensorFlow."""

# Filters at alpha 1.0 and the stride of the depthwise convolution, block by block.
STEM_FILTERS = 32
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


def scaled(filters: int, alpha: float) -> int:
    """Number of filters after the width multiplier alpha (section 3.3 of the paper)."""
    return max(1, int(filters * alpha))
