"""Arguments that several verbs have, and their types."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.records import ALLOWED

if TYPE_CHECKING:
    from edgenet.analysis.loading import LoadedResults


def spec_value(field: str) -> Callable[[str], float]:
    """The type of an argument that is a field of `ModelSpec`."""

    def parse(text: str) -> float:
        try:
            return float(text) if field == "alpha" else int(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be {ALLOWED[field]}, got {text!r}") from error

    return parse


def image_size(text: str) -> "int | tuple[int, int]":
    """The type of an argument that is the size of an image: 224, or height and width, 96x128."""
    try:
        sides = tuple(int(side) for side in text.lower().split("x"))
    except ValueError:
        sides = ()
    if len(sides) not in (1, 2):
        raise argparse.ArgumentTypeError(f"must be {ALLOWED['size']}, or HEIGHTxWIDTH, got {text!r}")
    return sides[0] if len(sides) == 1 or sides[0] == sides[1] else (sides[0], sides[1])


def names(text: str) -> tuple[str, ...]:
    """The type of an argument that is several names, separated by commas."""
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise argparse.ArgumentTypeError("give at least one name")
    return found


def add_resize_options(group: argparse._ArgumentGroup, default: str) -> None:
    """Add the options that say how images are resized.

    Args:
        group: Where to.
        default: What happens without them.
    """
    group.add_argument(
        "--like",
        metavar="PRESET",
        help="resize images like keras-dataset (image_dataset_from_directory), keras-generator (flow_from_directory), "
        f"teachable-machine, imagenet, mediapipe or task-library (default: {default})",
    )
    group.add_argument(
        "--resize", metavar="MODE", help="crop (the centre), stretch or pad images of another shape than the model's"
    )
    group.add_argument(
        "--crop",
        type=float,
        metavar="FRACTION",
        help="crop: fraction of an image's shorter side that is kept (default 1)",
    )
    group.add_argument("--interpolation", metavar="METHOD", help="nearest, bilinear, bicubic or area")
    group.add_argument(
        "--antialias",
        action=argparse.BooleanOptionalAction,
        help="use a wider kernel where an image is reduced, or not",
    )
    group.add_argument("--pad-color", metavar="R,G,B", help="pad: colour around the image (default 0,0,0)")


def text(value: str) -> str:
    """The type of an argument that is a text for people."""
    if not value.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return value


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """The bundle that a command works on."""
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="a bundle, packed or not (default: build/mobilenet_v1_0.5_96, that of the bundled model)",
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    """The results that a command works on."""
    parser.add_argument(
        "results",
        type=Path,
        nargs="*",
        metavar="RESULTS",
        help="results files, or bundles, whose newest results count (default: the bundle of the bundled model)",
    )


def default_bundle() -> Path:
    """Where the bundle of the bundled model is by default."""
    from edgenet.images.bundled import SPEC

    return Path("build") / SPEC.name


def print_notes(loaded: "Sequence[LoadedResults]") -> None:
    """Print on stderr what should be known about the choice of results."""
    for note in dict.fromkeys(note for one in loaded for note in one.notes):
        print(f"note: {note}", file=sys.stderr)


def print_next(command: str) -> None:
    """Print what to do next."""
    print(f"\nNext: {command}")
