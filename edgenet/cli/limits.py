"""The limits that variants are checked by, as options."""

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgenet.analysis.verdict import Limits

# A decimal number, with a unit behind it.
NUMBER = re.compile(r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?P<unit>[%x]?)", re.ASCII | re.IGNORECASE)
UNITS = {"": 1e6, "b": 1, "kb": 1e3, "mb": 1e6, "kib": 2**10, "mib": 2**20}
# Seconds. Unicode has the micro sign twice.
TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6}


def add(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--max-drift",
        type=fraction,
        metavar="FRACTION",
        help="largest fraction of images whose top class (multi-label: any label) changes, e.g. 2%% or 0.02; 0: none "
        "of these images",
    )
    group.add_argument(
        "--max-confident-flips",
        type=fraction,
        metavar="FRACTION",
        help="largest fraction of images whose top class changes although Keras gave it a probability above 0.5; 0: "
        "none of these images",
    )
    group.add_argument(
        "--max-accuracy-drop",
        type=fraction,
        metavar="FRACTION",
        help="largest drop of accuracy below Keras', e.g. 1%% or 0.01; 0: no image newly wrong",
    )
    group.add_argument(
        "--min-speedup",
        type=speedup,
        metavar="TIMES",
        help="smallest speedup relative to float32, on every number of threads measured, e.g. 1.5 or 1.5x",
    )
    group.add_argument("--max-size", type=size, metavar="MB", help="largest file, e.g. 1.5 (MB) or 900kB")


def of(options: argparse.Namespace) -> "Limits":
    """The limits that were given."""
    from edgenet.analysis.verdict import Limits

    return Limits(
        options.max_drift,
        options.max_accuracy_drop,
        options.min_speedup,
        options.max_size,
        options.max_confident_flips,
    )


def fraction(text: str) -> float:
    """A fraction from 0 to below 1, typed as a percentage or as a number: "2%", "2 %" or "0.02".

    Raises argparse.ArgumentTypeError for anything else.
    """
    found = NUMBER.fullmatch(text.strip())
    if not found or found["unit"] not in ("", "%"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a fraction; give it as 2% or 0.02, for example")
    value = float(found["number"])
    if found["unit"] != "%" and 1 <= value < 100:
        typed = found["number"]
        raise argparse.ArgumentTypeError(f"{typed} is not below 1; did you mean {typed}% or {value / 100:g}?")
    value = value / 100 if found["unit"] == "%" else value
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 0 to below 1 (100%)")
    return abs(value)  # -0 is 0


def speedup(text: str) -> float:
    """A number of times above 0: "1.5" or "1.5x". Raises argparse.ArgumentTypeError for anything else."""
    found = NUMBER.fullmatch(text.strip())
    if not found or found["unit"].lower() not in ("", "x") or not 0 < float(found["number"]) < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of times above 0; give 1.5 or 1.5x, for example")
    return float(found["number"])


def seconds(text: str) -> float:
    """A time above 0 with its unit: "15ms", "800us" or "0.5 s". Raises argparse.ArgumentTypeError for anything else."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?|\.\d{1,12})\s*([^\d\s]*)", text.strip().lower(), re.ASCII)
    if not found or found[2] not in TIMES or not float(found[1]):
        raise argparse.ArgumentTypeError(f"expected a time with its unit, like 15ms, 800us or 0.5s, got {text!r}")
    return float(found[1]) * TIMES[found[2]]


def size(text: str) -> int:
    """A size above 0 in bytes: "1.5" (MB) or "900kB". Raises argparse.ArgumentTypeError for anything else."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in UNITS or not float(found[1]):
        raise argparse.ArgumentTypeError(f"expected a size in MB, like 1.5 or 900kB, found {text!r}")
    return round(float(found[1]) * UNITS[found[2]])
