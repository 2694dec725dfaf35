"""Which ImageNet weights of MobileNetV1 Google published, and their accuracy; needs no TensorFlow.

Source: Keras Applications, `keras.applications.MobileNet`.
"""

import re

from edgenet.errors import EdgenetError

ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
SIZES = (128, 160, 192, 224)
CLASSES = 1000
# The names of weight files in Keras Applications.
_FILE_NAME = re.compile(r"mobilenet_\d_\d_\d+_tf(_no_top)?\.h5")
# Top-1 accuracy of the float models on ImageNet's validation set, one central crop, for the sizes 128, 160, 192, 224.
# Source: the table of the checkpoints 2017_06_14, of which Keras Applications has the weights:
# github.com/tensorflow/models, slim/nets/mobilenet_v1.md of 2017. Those of 2018, which are there now, are others.
_ACCURACY = {
    1.0: (0.641, 0.672, 0.693, 0.707),
    0.75: (0.618, 0.652, 0.674, 0.684),
    0.5: (0.562, 0.599, 0.621, 0.640),
    0.25: (0.413, 0.460, 0.490, 0.506),
}


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


def is_file_name(name: str) -> bool:
    """Whether a file is named like a weight file of Keras Applications, with or without the last layer."""
    return bool(_FILE_NAME.fullmatch(name))


def accuracy(alpha: float, size: int) -> float:
    """The top-1 accuracy on ImageNet's validation set, as a fraction, that was published. Arguments as in `check`."""
    check(alpha, size)
    return _ACCURACY[alpha][SIZES.index(size)]
