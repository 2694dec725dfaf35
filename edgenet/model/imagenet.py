"""Google's ImageNet weights of MobileNetV1, from Keras Applications' download and cache."""

import os
from pathlib import Path

import keras

from edgenet.errors import EdgenetError, first_line
from edgenet.model import weights
from edgenet.model.published import CLASSES, CROP, check, file_name
from edgenet.model.weights import Wish

__all__ = ["CROP", "load"]  # CROP: what `load` gives is measured with it


def load(alpha: float, size: int) -> keras.Model:
    """MobileNetV1 with the published weights for this alpha and size: 1,000 classes.

    Raises EdgenetError when there are none, or when they are neither cached nor to be downloaded.
    """
    check(alpha, size)
    name = file_name(alpha, size)
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    places = [home / "models" / name, home / name]
    if not any(place.exists() for place in places):
        _download(alpha, size, places[0])
    path = next(place for place in places if place.exists())
    return weights.load(path, Wish(size, alpha, CLASSES))


def _download(alpha: float, size: int, place: Path) -> None:
    try:
        keras.applications.MobileNet(input_shape=(size, size, 3), alpha=alpha, weights="imagenet")
    except Exception as error:  # whatever networks and file systems raise
        reason = first_line(error).rpartition(": None -- ")[
            2
        ]  # what stands before it is the address, which comes below
        raise EdgenetError(
            f"{place}: expected the ImageNet weights, found none there and no way to download them ({reason}); "
            f"put https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/{place.name} there"
        ) from error
    if not place.exists():
        raise EdgenetError(f"{place}: expected Keras to put the ImageNet weights there, found none; set KERAS_HOME")
