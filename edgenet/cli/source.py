"""The options that choose a Keras model and describe its input; several verbs have them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.cli.arguments import add_resize_options, image_size, names, spec_value
from edgenet.errors import EdgenetError
from edgenet.images.input_range import parse_input
from edgenet.images.resize_options import RESIZE_PARAMETERS, ResizeOptions
from edgenet.model import published
from edgenet.named_weights import BUNDLED, IMAGENET, NamedWeights

if TYPE_CHECKING:
    from edgenet.model.classifier import KerasClassifier
    from edgenet.model.weight_file import ExpectedSpec


def add(parser: argparse.ArgumentParser, positional: bool = False) -> None:
    """Add the options to a parser.

    Args:
        parser: Of a verb.
        positional: Whether the model may also be given without an option.
    """
    group = parser.add_argument_group("model", "the bundled one if neither a model nor --weights is given")
    if positional:
        group.add_argument(
            "positional_model",
            type=Path,
            nargs="?",
            metavar="MODEL",
            help="an image classifier: .keras, .h5, a SavedModel folder, or a zip archive of one of these",
        )
    group.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="an image classifier: .keras, .h5, a SavedModel folder, or a zip archive of one of these",
    )
    group.add_argument(
        "--weights",
        metavar="FILE",
        help="weights of a MobileNetV1: imagenet (Google's, downloaded once), .h5, .weights.h5 or .npz",
    )
    group.add_argument("--alpha", type=spec_value("alpha"), help="width multiplier of --weights imagenet (default 1.0)")
    group.add_argument("--classes", type=spec_value("classes"), help="number of classes of --weights, as a check")
    group.add_argument(
        "--fresh-head",
        action="store_true",
        help="add an untrained last layer to weights without one (to measure latency only)",
    )
    group.add_argument(
        "--softmax", action="store_true", help="append a softmax to a model that gives logits, as ML Kit needs it"
    )
    group.add_argument(
        "--drop-layer",
        type=names,
        default=(),
        metavar="NAMES",
        help="leave out custom layers without weights, such as augmentation, by their names or classes",
    )
    group.add_argument(
        "--keep-config",
        action="store_true",
        help="keep layers that only matter in training (augmentation, dropout, noise), which are left out otherwise",
    )
    add_input_options(group)


def add_input_options(group: argparse._ArgumentGroup) -> None:
    """Add the options that describe a model's input and classes."""
    group.add_argument(
        "--size",
        type=image_size,
        metavar="PIXELS",
        help="input size, if the model leaves it free: 224, or height and width, 96x128 (default 224 with --weights "
        "imagenet)",
    )
    group.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="class names in the order of the scores: one on each line, CSV or JSON",
    )
    group.add_argument(
        "--input-range",
        metavar="NUMBERS",
        help="values of black and white pixels: -1,1, 0,1 or 0,255; or six numbers: the means, then the standard "
        "deviations, of red, green and blue (default: found in the model or on labelled images, else -1,1)",
    )
    group.add_argument("--channel-order", metavar="ORDER", help="RGB (default) or BGR")
    add_resize_options(group, default="by the model")


@dataclass(frozen=True)
class Source:
    """The model that the options choose, checked as far as possible without loading it.

    Attributes:
        options: The parsed command line.
        name: Of the model's bundle.
        is_bundled: Whether it is the model that comes with edgenet.
    """

    options: argparse.Namespace
    name: str
    is_bundled: bool

    def load(self) -> "KerasClassifier":
        """Load the model. Needs TensorFlow. Raises EdgenetError if the file is damaged or does not fit the options."""
        from edgenet.inputs import keras_classifier

        options, size, default, input_range = self.options, None, None, self.options.input_range
        if options.model:
            model, size = options.model, options.size
        else:
            model, default = self.weights.load(), self.weights.resize
            input_range = input_range or self.weights.input_range
        return keras_classifier(
            model,
            self.name,
            size,
            input_range,
            options.channel_order,
            resize=resizing(options),
            default_resize=default,
            softmax=options.softmax,
            keep_config=options.keep_config,
            drop_layer=options.drop_layer,
        )

    @property
    def weights(self) -> NamedWeights:
        """The weights, if the model is not a file of its own."""
        typed = self.options
        given = IMAGENET if typed.weights == IMAGENET else Path(typed.weights) if typed.weights else BUNDLED
        return NamedWeights(given, typed.alpha, typed.size, typed.classes, typed.fresh_head)

    @property
    def credits(self) -> dict[str, str]:
        """The makers of a model that is not the user's own, by the arguments of `edgenet.export`."""
        return {} if self.options.model else self.weights.credits

    @property
    def labels(self) -> Path | Sequence[str] | None:
        """The class names: the file given, that of the bundled model, or ImageNet's for its weights; else None."""
        if self.options.labels:
            return Path(self.options.labels)
        return None if self.options.model else self.weights.labels


def resizing(options: argparse.Namespace) -> ResizeOptions:
    """What the options say about resizing. Raises EdgenetError if they are wrong, or contradict each other."""
    return ResizeOptions(**{name: getattr(options, name) for name in RESIZE_PARAMETERS})


def find(options: argparse.Namespace) -> Source:
    """The model that the options choose.

    Everything that can be checked without TensorFlow, which takes seconds to load, is checked here.

    Raises:
        EdgenetError: The options contradict each other, or a file is missing or damaged.
    """
    if positional := getattr(options, "positional_model", None):
        if options.model:
            raise EdgenetError(
                f"the model is given twice, as {positional} and {options.model}; leave one out", parameter="model"
            )
        options.model = positional
    _check_combination(options)
    resizing(options)
    parse_input(options.input_range, options.channel_order)
    for path in (options.model, options.labels, Path(options.weights or ".")):
        if path and str(path) != IMAGENET and not path.exists():
            raise EdgenetError(f"{path}: no such file or folder; check the path")
    _check_weights(options)
    # Packages that read HDF5 are missing where TensorFlow is.
    if options.model and options.model.is_file() and find_spec("h5py"):
        from edgenet.model import container

        if container.file_kind(options.model) is None and (other := container.other_model(options.model)):
            raise EdgenetError(f"{options.model}: expected a Keras image classifier, got: {other}")
    is_bundled = not (options.model or options.weights)
    name = options.model.resolve().stem if options.model else Source(options, "", is_bundled).weights.name
    return Source(options, name, is_bundled)


def _check_combination(options: argparse.Namespace) -> None:
    if options.model and options.weights:
        raise EdgenetError("give model= or weights=, not both")
    if options.weights:
        if isinstance(options.size, tuple):
            raise EdgenetError("MobileNetV1 has a square input; give one number", parameter="size")
        return
    needs_weights = {"alpha": options.alpha, "classes": options.classes, "fresh_head": options.fresh_head or None}
    if not options.model:
        needs_weights["size"] = options.size
    for parameter, value in needs_weights.items():
        if value is not None:
            raise EdgenetError("can only be used with weights= as well; leave it out", parameter=parameter)


def _check_weights(options: argparse.Namespace) -> None:
    if options.weights == IMAGENET:
        published.check(*_alpha_and_size(options))
        if options.classes not in (None, 1000):
            raise EdgenetError(
                f"the ImageNet weights have 1,000 classes, not {options.classes:,}; leave it out", parameter="classes"
            )
        if options.fresh_head:
            raise EdgenetError("the ImageNet weights have a last layer; leave it out", parameter="fresh_head")
    elif options.weights and find_spec("h5py"):
        from edgenet.model import weight_file

        weight_file.read_spec(Path(options.weights), _expected_spec(options))


def _alpha_and_size(options: argparse.Namespace) -> tuple[float, int]:
    return options.alpha or 1.0, options.size or 224


def _expected_spec(options: argparse.Namespace) -> "ExpectedSpec":
    from edgenet.model.weight_file import ExpectedSpec

    return ExpectedSpec(options.size, options.alpha, options.classes, options.fresh_head)
