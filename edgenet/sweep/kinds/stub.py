"""A job that does nothing useful, for tests and benchmarks of the engine."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenet.errors import EdgenetError


def run(request: Mapping[str, Any], inputs: Mapping[str, Path], files: Path | None) -> dict[str, Any]:
    """Sleep, then do what the request says.

    Args:
        request: All of it is optional: "seconds" to sleep; "process": whether a process of its own is started; "texts",
            the contents of the files to make, by their paths; "problem", an error to end with; "exit", the code to end
            the process with.
        inputs: Read, and counted.
        files: The folder to make files in.

    Returns:
        "begin" and "end", in seconds of the machine's monotonic clock; "process", the process number; "bytes" of each
        input; "cores" that the process may use, None where the system does not tell.
    """
    begin = time.monotonic()
    time.sleep(request.get("seconds", 0.0))
    if "exit" in request:
        os._exit(request["exit"])
    if "problem" in request:
        raise EdgenetError(request["problem"])
    for name, text in request.get("texts", {}).items():
        assert files  # since the job says that it makes files
        path = files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {
        "begin": begin,
        "end": time.monotonic(),
        "process": os.getpid(),
        "bytes": {name: sum(map(_size, (path, *path.rglob("*")))) for name, path in inputs.items()},
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


def _size(path: Path) -> int:
    return len(path.read_bytes()) if path.is_file() else 0
