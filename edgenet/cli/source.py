"""The options that say which Keras model is meant, and what it takes; several verbs have them."""

import argparse
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import edgenet
from edgenet.cli.arguments import in_range
from edgenet.errors import EdgenetError
from edgenet.images import bundled
from edgenet.images import labels as class_names
from edgenet.images.input_range import InputRange, check_order
from edgenet.model import published
from edgenet.records import ModelSpec

if TYPE_CHECKING:
    from edgenet.model.classifier import Classifier

IMAGENET = "imagenet"
# What Keras Applications calls its weights.
_PUBLISHED = re.compile(r"mobilenet_\d_\d_\d+_tf(_no_top)?\.h5")


def add(parser: argparse.ArgumentParser, positional: bool = False) -> None:
    """Give a parser these options. positional: whether the model can be given without an option, too."""
    group = parser.add_argument_group("model", "the bundled one, if neither a model nor --weights is given")
    if positional:
        group.add_argument(
            "positional_model",
            type=Path,
            nargs="?",
            metavar="MODEL",
            help="an image classifier: .keras, .h5 or a SavedModel",
        )
    group.add_argument("--model", type=Path, metavar="FILE", help="an image classifier: .keras, .h5 or a SavedModel")
    group.add_argument(
        "--weights",
        metavar="FILE",
        help="weights of a MobileNetV1: imagenet (Google's, downloaded once), .h5, .weights.h5 or .npz",
    )
    group.add_argument("--alpha", type=in_range("alpha"), help="width multiplier of --weights imagenet (default 1.0)")
    group.add_argument("--classes", type=in_range("classes"), help="output classes, to check those of --weights")
    group.add_argument(
        "--fresh-head", action="store_true", help="an untrained last layer for weights without one: for latency alone"
    )
    add_pictures(group)


def add_pictures(group: argparse._ArgumentGroup) -> None:
    """Give a parser those that say what a model takes and gives."""
    group.add_argument(
        "--size", type=in_range("size"), help="input height and width, where the model leaves them free (default 224)"
    )
    group.add_argument("--labels", type=Path, metavar="FILE", help="class names, a line each, in the model's order")
    group.add_argument(
        "--input-range",
        metavar="NUMBERS",
        help="what black and white become: -1,1 (default), 0,1 or 0,255; or red, green and blue: means, deviations",
    )
    group.add_argument("--channel-order", metavar="ORDER", help="RGB (default) or BGR")
    group.add_argument(
        "--crop",
        type=float,
        metavar="SHARE",
        help="share of a picture's shorter side that is seen (default 1, with ImageNet's weights 0.875)",
    )


def input_of(options: argparse.Namespace) -> tuple[InputRange | None, str | None]:
    """The input range and the order of the channels, as far as they were said. Raises EdgenetError for others."""
    if options.channel_order is not None:
        check_order(options.channel_order)
    declared = None if options.input_range is None else InputRange.parse(options.input_range)
    return declared, options.channel_order


def crop_of(options: argparse.Namespace) -> float | None:
    """What --crop says. Raises EdgenetError when it is out of its range."""
    if options.crop is not None and not 0.1 <= options.crop <= 1:
        raise EdgenetError(f"--crop: expected a share from 0.1 to 1, found {options.crop:g}")
    return options.crop


@dataclass(frozen=True)
class Source:
    """A model that was asked for, checked as far as that goes without loading it."""

    options: argparse.Namespace
    name: str
    is_bundled: bool

    def load(self) -> "Classifier":
        """The model. Needs TensorFlow. Raises EdgenetError when it is not what was asked for."""
        from edgenet.model import imagenet, keras_model, weights

        options, (declared, order) = self.options, input_of(self.options)
        if options.model:
            size = (options.size, options.size) if options.size else None
            crop = options.crop or 1.0
            return keras_model.load(options.model, declared=declared, order=order, size=size, crop=crop)
        if self.is_bundled:
            model, published = weights.bundled(), False
        elif options.weights == IMAGENET:
            model, published = imagenet.load(*self._alpha_and_size()), True
        else:
            wish = weights.Wish(options.size, options.alpha, options.classes, options.fresh_head)
            path = Path(options.weights)
            model, published = weights.load(path, wish), bool(_PUBLISHED.fullmatch(path.name))
        crop = options.crop or (imagenet.CROP if published else 1.0)
        return keras_model.of_keras(model, self.name, declared=declared, order=order, crop=crop)

    @property
    def credits(self) -> dict[str, str]:
        """What is known of the makers of a model that was not brought along, by the fields of `metadata.About`."""
        if self.is_bundled:
            return {"author": "edgenet", "license": "MIT", "version": edgenet.__version__}
        if self.options.weights == IMAGENET:
            return {"author": "Google; weights by way of Keras Applications", "license": "Apache-2.0"}
        return {}

    def labels(self, classes: int) -> list[str]:
        """The names of the classes: those that were named, or the model's own.

        Raises EdgenetError when there are none.
        """
        if self.options.labels:
            names = class_names.read(self.options.labels)
        elif self.is_bundled:
            names = class_names.read(bundled.LABELS)
        elif classes == 1000:
            names = class_names.imagenet()
        else:
            raise EdgenetError(
                f"--labels: expected the names of the {classes} classes of {self.name}, found none; name a file"
            )
        if len(names) != classes:
            raise EdgenetError(
                f"{self.options.labels}: expected a label for each of {classes:,} classes of {self.name}, "
                f"found {len(names):,}"
            )
        return names

    def _alpha_and_size(self) -> tuple[float, int]:
        return self.options.alpha or 1.0, self.options.size or 224


def find(options: argparse.Namespace) -> Source:
    """The model that the options mean. Raises EdgenetError when they contradict each other, or name no file."""
    if positional := getattr(options, "positional_model", None):
        if options.model:
            raise EdgenetError(f"--model: the model is given twice, as {positional} and {options.model}; leave one out")
        options.model = positional
    given = {"--alpha": options.alpha, "--classes": options.classes, "--fresh-head": options.fresh_head or None}
    if options.model and options.weights:
        raise EdgenetError("--model, --weights: expected one of them, found both; leave one out")
    if not options.weights:
        for option, value in {**given, "--size": None if options.model else options.size}.items():
            if value is not None:
                raise EdgenetError(f"{option}: expected --weights with it, found none; leave {option} out")
    crop_of(options)
    for path in (options.model, options.labels, Path(options.weights or ".")):
        if path and str(path) != IMAGENET and not path.exists():
            raise EdgenetError(f"{path}: expected a file, found nothing; name another")
    input_of(options)
    if options.weights == IMAGENET:
        published.check(options.alpha or 1.0, options.size or 224)
    if options.weights == IMAGENET and options.classes not in (None, 1000):
        raise EdgenetError(
            f"--classes: expected 1000, those of ImageNet's weights, found {options.classes}; leave it out"
        )
    if options.weights == IMAGENET and options.fresh_head:
        raise EdgenetError("--fresh-head: expected weights without the last layer, found ImageNet's; leave it out")
    # What a file says by itself is asked before TensorFlow is loaded. Where h5py is missing, TensorFlow is, too.
    if options.weights and options.weights != IMAGENET and find_spec("h5py"):
        from edgenet.model import weight_file

        wish = weight_file.Wish(options.size, options.alpha, options.classes, options.fresh_head)
        weight_file.spec(Path(options.weights), wish)
    if options.model and options.model.is_file() and find_spec("h5py"):
        from edgenet.model import container

        container.kind_of(options.model)
    if options.model:
        name = options.model.resolve().stem
    elif options.weights == IMAGENET:
        name = ModelSpec(size=options.size or 224, alpha=options.alpha or 1.0, classes=1000).name
    elif options.weights:
        name = Path(options.weights).name.split(".")[0]
    else:
        name = bundled.SPEC.name
    return Source(options, name, not (options.model or options.weights))
