"""A MobileNetV1 by its weights: the bundled ones, Google's for ImageNet, a file of weights, or random ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import edgenet
from edgenet.images import bundled, resize_options
from edgenet.images import labels as class_names
from edgenet.model import published
from edgenet.records import DEFAULT_CLASSES, ModelSpec, Resize

if TYPE_CHECKING:
    import keras

BUNDLED, IMAGENET, RANDOM = "bundled", "imagenet", "random"
NAMES = (BUNDLED, IMAGENET, RANDOM)
# Black and white pixels in the training of all models here.
INPUT_RANGE = "-1,1"


@dataclass(frozen=True)
class NamedWeights:
    """Weights, and the MobileNetV1 that they must be of.

    Attributes:
        weights: BUNDLED, IMAGENET, RANDOM, or the path of a file.
        alpha: Width multiplier; None where a file says it, and for 1.0.
        size: Height and width of the input in pixels; None where a file says it, and for 224.
        classes: The number of classes; None where the weights say it.
        fresh_head: Whether a file without a last layer gets an untrained one.
    """

    weights: str | Path = BUNDLED
    alpha: float | None = None
    size: int | None = None
    classes: int | None = None
    fresh_head: bool = False

    @property
    def is_file(self) -> bool:
        """Whether they are in a file of the user's."""
        return str(self.weights) not in NAMES

    @property
    def name(self) -> str:
        """The name of the model's bundle."""
        if self.is_file:
            return Path(self.weights).name.split(".")[0]
        return bundled.SPEC.name if self.weights == BUNDLED else self._spec.name

    @property
    def input_range(self) -> str | None:
        """The values of black and white pixels; None where a file does not say them."""
        return None if self.is_file else INPUT_RANGE

    @property
    def resize(self) -> Resize | None:
        """How images were resized in training; None where that is not known."""
        if self.weights == IMAGENET or (self.is_file and published.is_file_name(Path(self.weights).name)):
            return resize_options.IMAGENET
        # A file of `edgenet train` was trained like the bundled one.
        return Resize() if not self.is_file or Path(self.weights).suffix == ".npz" else None

    @property
    def labels(self) -> Path | Sequence[str] | None:
        """The class names that are known without a file of them."""
        if self.weights == BUNDLED:
            return bundled.LABELS
        return class_names.imagenet() if self.weights == IMAGENET else None

    @property
    def credits(self) -> dict[str, str]:
        """Who made the weights, if not the user, by the arguments of `edgenet.export`."""
        if self.weights == BUNDLED:
            return {"author": "edgenet", "license": "MIT", "model_version": edgenet.__version__}
        if self.weights == IMAGENET:
            return {"author": "Google; weights by way of Keras Applications", "license": "Apache-2.0"}
        return {}

    def load(self) -> "keras.Model":
        """The model. Needs TensorFlow.

        Raises:
            EdgenetError: The weights are damaged, do not fit, or cannot be downloaded.
        """
        import keras

        from edgenet.model import imagenet, mobilenet, weights

        if self.weights == BUNDLED:
            return weights.bundled()
        if self.weights == IMAGENET:
            return imagenet.load(self._spec.alpha, self._spec.size)
        if self.weights == RANDOM:
            keras.utils.set_random_seed(0)
            return mobilenet.build(self._spec)
        expected = weights.ExpectedSpec(self.size, self.alpha, self.classes, self.fresh_head)
        return weights.load(Path(self.weights), expected)

    @property
    def _spec(self) -> ModelSpec:
        classes = published.CLASSES if self.weights == IMAGENET else self.classes or DEFAULT_CLASSES
        return ModelSpec(size=self.size or 224, alpha=self.alpha or 1.0, classes=classes)
