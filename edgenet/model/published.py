"""Which ImageNet weights of MobileNetV1 Google published; needs no TensorFlow.

Source: Keras Applications, `keras.applications.MobileNet`.
"""

from edgenet.errors import EdgenetError

ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
SIZES = (128, 160, 192, 224)
CLASSES = 1000


def check(alpha: float, size: int) -> None:
    """Check that there are published weights.

    Args:
        alpha: Width multiplier.
        size: Height and width of the input in pixels.

    Raises:
        EdgenetError: There are none for these values.
    """
    if alpha not in ALPHAS or size not in SIZES:
        raise EdgenetError(
            f"there are ImageNet weights for alpha {', '.join(map(str, ALPHAS))} and size "
            f"{', '.join(map(str, SIZES))}, but not for alpha {alpha:g} and size {size}",
            parameter="weights",
        )


def file_name(alpha: float, size: int) -> str:
    """The name of the weight file in Keras Applications."""
    return f"mobilenet_{ALPHAS[alpha]}_{size}_tf.h5"
