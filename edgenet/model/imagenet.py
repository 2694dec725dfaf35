"""Google's ImageNet weights of MobileNetV1, from Keras Applications' download and cache."""

import os
from pathlib import Path

import keras

from edgenet.errors import EdgenetError, first_line
from edgenet.model import weights
from edgenet.model.weights import Wish

ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
SIZES = (128, 160, 192, 224)
# Published accuracies are measured on the central 87.5 % of a picture's shorter side (256 pixels for 224).
CROP = 0.875


def load(alpha: float, size: int) -> keras.Model:
    """MobileNetV1 with the published weights for this alpha and size: 1,000 classes.

    Raises EdgenetError when there are none, or when they are neither cached nor to be downloaded.
    """
    if alpha not in ALPHAS or size not in SIZES:
        raise EdgenetError(
            f"--weights imagenet: expected an alpha of {', '.join(map(str, ALPHAS))} and a size of "
            f"{', '.join(map(str, SIZES))}, found {alpha:g} and {size}"
        )
    name = f"mobilenet_{ALPHAS[alpha]}_{size}_tf.h5"
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    places = [home / "models" / name, home / name]
    if not any(place.exists() for place in places):
        _download(alpha, size, places[0])
    path = next(place for place in places if place.exists())
    return weights.load(path, Wish(size, alpha, 1000))


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
