"""The library's texts as the command line shows them: parameters become options."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgenet.errors import EdgenetError
from edgenet.terminal import TerminalProgress

# The options of all verbs, by their names in Python.
PARAMETERS = frozenset(
    [
        "alpha",
        "antialias",
        "api",
        "apps",
        "author",
        "baseline",
        "batch",
        "calibration",
        "certificates",
        "channel_order",
        "classes",
        "cooldown",
        "cpus",
        "crop",
        "data",
        "debug",
        "depth_multiplier",
        "description",
        "details",
        "device",
        "drift_only",
        "drop_layer",
        "dry_run",
        "epochs",
        "evaluation",
        "export",
        "force",
        "fresh_head",
        "half_arithmetic",
        "help",
        "http",
        "images",
        "init",
        "input_range",
        "insecure",
        "interpolation",
        "io",
        "json",
        "keep_config",
        "keep_float",
        "keras",
        "labels",
        "lan",
        "latency",
        "layers",
        "license",
        "like",
        "max_accuracy_drop",
        "max_confident_flips",
        "max_drift",
        "max_latency",
        "max_size",
        "min_accuracy",
        "min_agreement",
        "min_speedup",
        "minutes",
        "mirror",
        "model",
        "model_explorer",
        "model_version",
        "name",
        "out",
        "pad_color",
        "page",
        "plot",
        "port",
        "priority",
        "quantizer",
        "reference",
        "report",
        "resize",
        "rounds",
        "scheduler",
        "seconds",
        "seed",
        "serve",
        "size",
        "skip_broken",
        "softmax",
        "threads",
        "top",
        "truth",
        "undecided",
        "variant",
        "variants",
        "wait",
        "weights",
        "workers",
    ]
)
# A parameter, as the library names it: out=, io="float32", keras=False. Not a part of a path.
_PARAMETER = re.compile(r"(?<![\w/\\.'\"-])([a-z][a-z_]*)=(\"[^\"]*\"|True\b|False\b|[\w.,:/-]*[\w/])?")


def as_options(text: str) -> str:
    """A text with each parameter as the option of its name.

    Example:
        >>> as_options('leave keras=False out, or set io="float32"')
        'leave --no-keras out, or set --io float32'
    """
    return _PARAMETER.sub(_replaced, text)


def error_text(error: EdgenetError) -> str:
    """The message of an error, with each parameter as the option of its name.

    Example:
        >>> error_text(EdgenetError("must be 1 or more", parameter="max_size"))
        '--max-size: must be 1 or more'
    """
    text, parameter = str(error), error.parameter
    if parameter in PARAMETERS and text.startswith(f"{parameter}: "):
        text = _option(str(parameter)) + text.removeprefix(str(parameter))
    return as_options(text)


@contextmanager
def shown_progress() -> Iterator[TerminalProgress]:
    """Progress in the terminal until the block ends."""
    progress = TerminalProgress(as_options)
    try:
        yield progress
    finally:
        progress.close()


def _replaced(found: re.Match[str]) -> str:
    name, value = found[1], found[2]
    if name not in PARAMETERS:
        return found[0]
    if value == "False":
        return f"--no-{name.replace('_', '-')}"
    if value in (None, "True"):
        return _option(name)
    return f"{_option(name)} {value.strip(chr(34))}"


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
