"""Google's ImageNet weights of MobileNetV1, downloaded and cached by Keras Applications."""

import os
from pathlib import Path

import keras

from edgenet.errors import EdgenetError, first_line
from edgenet.model import weights
from edgenet.model.published import CLASSES, check, file_name
from edgenet.model.weight_file import ExpectedSpec

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet"


def load(alpha: float, size: int) -> keras.Model:
    """MobileNetV1 with the published ImageNet weights (1,000 classes).

    Args:
        alpha: Width multiplier.
        size: Height and width of the input in pixels.

    Raises:
        EdgenetError: There are none for these values, or they are neither cached nor can be downloaded.
    """
    check(alpha, size)
    name = file_name(alpha, size)
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    candidates = [home / "models" / name, home / name]
    if not any(path.exists() for path in candidates):
        _download(alpha, size, candidates[0])
    path = next(path for path in candidates if path.exists())
    return weights.load(path, ExpectedSpec(size, alpha, CLASSES))


def _download(alpha: float, size: int, path: Path) -> None:
    try:
        keras.applications.MobileNet(input_shape=(size, size, 3), alpha=alpha, weights="imagenet")
    except Exception as error:  # of networks and file systems
        reason = first_line(error).rpartition(": None -- ")[2]  # the address comes before it
        raise EdgenetError(
            f"{path}: the ImageNet weights are not in this place and cannot be downloaded ({reason}); put "
            f"{_URL}/{path.name} there"
        ) from error
    if not path.exists():
        raise EdgenetError(f"{path}: Keras did not put the ImageNet weights into this place; set KERAS_HOME")
