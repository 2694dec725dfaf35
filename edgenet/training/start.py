"""The network that a training starts from: its weights, width and size, and a last layer for other classes."""

import os
from dataclasses import dataclass
from pathlib import Path

import keras

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.images import bundled
from edgenet.model import imagenet, mobilenet, published, weight_file, weights
from edgenet.model.weight_file import ExpectedSpec
from edgenet.progress import Progress
from edgenet.records import ModelSpec
from edgenet.training.options import BUNDLED, IMAGENET, NONE, TrainOptions

ALPHA, SIZE = 0.75, 160
# Layers that depend on the number of classes.
HEAD = "logits"


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        weights: "imagenet", "bundled", "none", or the path of a file.
        spec: Of the model that is trained; with its classes.
        digest: Of everything that the weights depend on.
        model: With an untrained last layer.
    """

    weights: str
    spec: ModelSpec
    digest: str
    model: keras.Model

    @property
    def is_pretrained(self) -> bool:
        """Whether its features are of use for photos: those of the bundled model know 28 x 28 grey pixels only."""
        return self.weights not in (BUNDLED, NONE)


def find(options: TrainOptions, classes: int, progress: Progress) -> Start:
    """Load the weights, and build the model.

    Args:
        options: The choices of the user.
        classes: The number of classes.
        progress: Gets a note where the weights are not those that were wished for.

    Raises:
        EdgenetError: There are no such weights, they are damaged, or do not fit.
    """
    keras.utils.set_random_seed(options.seed)
    chosen = IMAGENET if options.weights is None else str(options.weights)
    if chosen == IMAGENET:
        try:
            return _imagenet(options, classes, progress)
        except EdgenetError as error:
            if options.weights is not None or options.alpha not in (None, bundled.SPEC.alpha):
                raise
            progress.note(
                f"{error}. The training starts from the bundled weights (alpha {bundled.SPEC.alpha:g}, Fashion-MNIST), "
                "which know much less of photos: expect a lower accuracy; give a file of ImageNet weights with weights="
            )
            chosen = BUNDLED
    if chosen == BUNDLED:
        if options.alpha not in (None, bundled.SPEC.alpha):
            raise EdgenetError(
                f"the bundled weights have alpha {bundled.SPEC.alpha:g}, not {options.alpha:g}; leave it out",
                parameter="alpha",
            )
        spec = ModelSpec(size=options.size or bundled.SPEC.size, alpha=bundled.SPEC.alpha, classes=classes)
        return _start(BUNDLED, weights.bundled(), spec, files.sha256(bundled.WEIGHTS))
    if chosen == NONE:
        spec = ModelSpec(size=options.size or SIZE, alpha=options.alpha or ALPHA, classes=classes)
        return _start(NONE, None, spec, f"seed {options.seed}")
    return _file(Path(chosen), options, classes)


def _imagenet(options: TrainOptions, classes: int, progress: Progress) -> Start:
    alpha, size = ALPHA if options.alpha is None else options.alpha, options.size or SIZE
    # The network is fully convolutional: weights of one size are good for others that are near.
    nearest = min(published.SIZES, key=lambda known: (abs(known - size), known))
    published.check(alpha, nearest)
    name = published.file_name(alpha, nearest)
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    if not any((folder / name).exists() for folder in (home / "models", home)):
        progress.step("downloading the ImageNet weights")
    return _start(IMAGENET, imagenet.load(alpha, nearest), ModelSpec(size=size, alpha=alpha, classes=classes), name)


def _file(path: Path, options: TrainOptions, classes: int) -> Start:
    if not path.exists():
        raise EdgenetError(
            f"{path}: no such file; give a file of weights (.h5, .npz), {IMAGENET}, {BUNDLED} or {NONE}",
            parameter="weights",
        )
    # The size in the name of a file is the one that it was trained with, and only a default here.
    named = ExpectedSpec(None, options.alpha, None, None)
    try:
        spec, _ = weight_file.read_spec(path, named)
        expected, size = named, options.size or spec.size
    except EdgenetError:
        expected = ExpectedSpec(options.size or SIZE, options.alpha, None, None)
        spec, _ = weight_file.read_spec(path, expected)
        size = spec.size
    model = weights.load(path, expected)
    wanted = ModelSpec(size=size, alpha=spec.alpha, depth_multiplier=spec.depth_multiplier, classes=classes)
    return _start(str(path), model, wanted, files.sha256(path))


def _start(name: str, pretrained: keras.Model | None, spec: ModelSpec, digest: str) -> Start:
    model = mobilenet.build(spec)
    if pretrained is not None:
        for layer in model.layers:
            if layer.name != HEAD and layer.weights and layer.name != "dropout":
                layer.set_weights(pretrained.get_layer(layer.name).get_weights())
    return Start(name, spec, digest, model)
