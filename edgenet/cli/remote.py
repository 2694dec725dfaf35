"""The commands that a sweep runs on another machine, by ssh."""

import shlex
from collections.abc import Mapping
from typing import Any

# Prints "edgenet" and the version.
VERSION = "--version"


def benchmark(request: Mapping[str, Any], bundle: str, out: str) -> str:
    """What follows `edgenet` to measure a bundle.

    Args:
        request: Of a measurement: "variants", "threads", "rounds", "seconds", "api", "cooldown"; what is None or
            missing is left to the command.
        bundle: The bundle, in the words of a shell.
        out: Where its results go, in the words of a shell.
    """
    words = ["benchmark", bundle, "--json", out, "--no-keras"]
    for name in ("variants", "threads"):
        if request.get(name):
            words += [f"--{name}", shlex.quote(",".join(map(str, request[name])))]
    for name in ("rounds", "seconds", "api"):
        if request.get(name) is not None:
            words += [f"--{name}", shlex.quote(str(request[name]))]
    if request.get("cooldown"):
        words.append("--cooldown")
    return " ".join(words)
