"""Logs of failed commands, with the traceback; the terminal shows one line."""

import platform
import shlex
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import edgenet
from edgenet import cache

# Logs that are kept; older ones go.
MAX_LOGS = 20


def write(arguments: Sequence[str], output: str, error: BaseException | None = None) -> Path:
    """Write a log of a command that failed into the user's cache. Returns its path.

    Args:
        arguments: The arguments of the command.
        output: What libraries printed.
        error: The exception.
    """
    folder = cache.folder("logs")
    path = folder / time.strftime("%Y%m%d-%H%M%S.log", time.gmtime())
    trace = "".join(traceback.format_exception(error)) if error else ""
    head = f"{shlex.join(['edgenet', *arguments])}\nedgenet {edgenet.__version__}, Python {platform.python_version()}"
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{head}, {platform.platform()}\n\n{trace}\n{output}", encoding="utf-8", errors="replace")
        for old in sorted(folder.glob("*.log"))[:-MAX_LOGS]:
            old.unlink(missing_ok=True)
    return path
