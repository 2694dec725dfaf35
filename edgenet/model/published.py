"""Which ImageNet weights of MobileNetV1 Google published, as facts that need no TensorFlow."""

from edgenet.errors import EdgenetError

ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
SIZES = (128, 160, 192, 224)
CLASSES = 1000
# Published accuracies are measured on the central 87.5 % of an image's shorter side (256 pixels for 224).
CROP = 0.875


def check(alpha: float, size: int) -> None:
    """Raise EdgenetError when there are no published weights for this alpha (width multiplier) and size in pixels."""
    if alpha not in ALPHAS or size not in SIZES:
        raise EdgenetError(
            f"--weights imagenet: expected an alpha of {', '.join(map(str, ALPHAS))} and a size of "
            f"{', '.join(map(str, SIZES))}, found {alpha:g} and {size}"
        )


def file_name(alpha: float, size: int) -> str:
    """What Keras Applications calls the file of these weights."""
    return f"mobilenet_{ALPHAS[alpha]}_{size}_tf.h5"
