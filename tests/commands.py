"""Running the command line as a user does, and reading what it printed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def heard_interrupts() -> Iterator[None]:
    """Interrupts end Python code and new child processes as usual, although a run in the background ignores them."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")


def start(folder: Path, *arguments: str, python: tuple[str, ...] = (), **options) -> subprocess.Popen:
    """`python -m edgenet` in `folder`, with nothing in its environment that would quieten TensorFlow."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHON"))}
    return subprocess.Popen(
        [sys.executable, *python, "-m", "edgenet", *map(str, arguments)],
        cwd=folder,
        env=environment | options.pop("environment", {}),
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options,
    )


def run(folder: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Start `python -m edgenet` and wait for its end."""
    process = start(folder, *arguments, **options)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def error_of(done: subprocess.CompletedProcess) -> str:
    """The one error line of a command that failed as it should: after progress and notes, if any, and nothing else."""
    *before, last = done.stderr.splitlines() or [""]
    assert done.returncode == 1, done
    assert not done.stdout
    assert last.startswith("Error: "), done.stderr
    assert all(is_progress(line) for line in before), done.stderr
    return last.removeprefix("Error: ")


def output_of(done: subprocess.CompletedProcess) -> list[str]:
    """The lines on stdout of a command that did its work, and showed progress and notes at most on stderr."""
    assert done.returncode == 0, done.stderr
    assert all(is_progress(line) for line in done.stderr.splitlines()), done.stderr
    return done.stdout.splitlines()


def is_progress(line: str) -> bool:
    return line.endswith(" ...") or line.startswith("note: ")


def notes_of(done: subprocess.CompletedProcess) -> list[str]:
    """What a command said on stderr beside its progress."""
    return [line.removeprefix("note: ") for line in done.stderr.splitlines() if line.startswith("note: ")]


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder: the bytes of each file, None for a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def rows(lines: list[str]) -> list[str]:
    """The first column of the table, below its rule."""
    rule = next(number for number, line in enumerate(lines) if line and not line.strip("-"))
    return [line.split()[0] for line in lines[rule + 1 : lines.index("", rule)]]


def results_path(lines: list[str]) -> Path:
    """Where a benchmark wrote its results, as its output says."""
    return Path(next(line for line in lines if line.startswith("Results: ")).removeprefix("Results: "))


def living(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "number (name) state parent group ...", where the name may hold anything.
            state, _, of_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended meanwhile
            continue
        if int(of_group) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def wait_for(holds, seconds: float = 30) -> bool:
    """Wait until something holds, so many seconds at most. Returns whether it does."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
