"""The verbs of the command line, a module for each: `add` gives its options to a parser, `run` does the work.

Heavy imports stay inside `run`, so that --help answers at once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgenet.errors import EdgenetError
from edgenet.records import ALLOWED

if TYPE_CHECKING:
    from edgenet.analysis.loading import Loaded
    from edgenet.bundle.bundle import Bundle


def in_range(field: str) -> Callable[[str], float]:
    """The type of an argument of `ModelSpec`."""

    def parse(text: str) -> float:
        try:
            return float(text) if field == "alpha" else int(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be {ALLOWED[field]}; found {text!r}") from error

    return parse


def names(text: str) -> tuple[str, ...]:
    """The type of an argument of several names."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """The bundle that a command is about."""
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        metavar="BUNDLE",
        help="a bundle, packed or not (default: the bundle of the bundled model)",
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    """The results that a command is about."""
    parser.add_argument(
        "results",
        type=Path,
        nargs="*",
        metavar="RESULTS",
        help="files of results, or bundles: their newest (default: that of the bundled model)",
    )


def default_bundle() -> Path:
    """Where the bundle of the bundled model lies, if nothing else was said."""
    from edgenet.images.bundled import SPEC

    return Path("build") / SPEC.name


def open_bundle(path: Path) -> "Bundle":
    """The bundle in a folder, or the one that is packed in a file, unpacked into the user's cache.

    The files of a folder are not checked. Raises EdgenetError when it is neither.
    """
    from edgenet.bundle import archive
    from edgenet.bundle import bundle as bundles

    return archive.unpack_to_cache(path) if archive.is_archive(path) else bundles.load(path)


def tell(loaded: "Sequence[Loaded]") -> None:
    """Say on stderr what is to be known of the choice of results."""
    for note in dict.fromkeys(note for one in loaded for note in one.notes):
        print(f"note: {note}", file=sys.stderr)


def require_tensorflow(verb: str) -> None:
    """Raise EdgenetError where TensorFlow is not installed."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever else Keras is used with on this machine
    if not find_spec("tensorflow"):
        raise EdgenetError(
            f"{verb}: expected TensorFlow, found none; run `make export`, or pip install 'edgenet[export]'"
        )
