"""The options of the commands that judge variants."""

import argparse
import re
from typing import TYPE_CHECKING

from edgenet.errors import EdgenetError

if TYPE_CHECKING:
    from edgenet.evidence.verdict import Limits

UNITS = {"": 1e6, "b": 1, "kb": 1e3, "mb": 1e6, "kib": 2**10, "mib": 2**20}


def add(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what a variant must keep")
    group.add_argument("--max-drift", type=float, metavar="SHARE", help="images that flip, for instance 0.02")
    group.add_argument("--max-accuracy-drop", type=float, metavar="SHARE", help="against Keras, for instance 0.01")
    group.add_argument("--min-speedup", type=float, metavar="TIMES", help="against float32, on every number of threads")
    group.add_argument("--max-size", type=_bytes, metavar="MB", help="of the file, for instance 1.5, or 900kB")


def of(options: argparse.Namespace) -> "Limits":
    """The limits that were typed. Raises EdgenetError when one is out of its range."""
    from edgenet.evidence.verdict import Limits

    for name in ("max_drift", "max_accuracy_drop"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < 1:
            raise EdgenetError(f"--{name.replace('_', '-')}: expected a share from 0 to below 1, found {value:g}")
    if options.min_speedup is not None and not 0 < options.min_speedup < 1e6:
        raise EdgenetError(f"--min-speedup: expected a number above 0, for instance 1.5, found {options.min_speedup:g}")
    return Limits(options.max_drift, options.max_accuracy_drop, options.min_speedup, options.max_size)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in UNITS or not float(found[1]):
        raise argparse.ArgumentTypeError(f"expected a size in MB, like 1.5 or 900kB, found {text!r}")
    return round(float(found[1]) * UNITS[found[2]])
