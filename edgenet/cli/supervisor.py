"""Runs a command in a process of its own, and says in one line why that crashed, if it did.

TensorFlow and the libraries that read model files are large C++ programs, which a damaged file can crash. The command's
own process then dies without a word; this one removes what it has left half-written, and tells.
"""

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edgenet import files, quiet
from edgenet.cli import logs
from edgenet.errors import EdgenetError
from edgenet.litert import child

MODULE = "edgenet.cli.supervisor"
# What tells a program to end, as far as this system has it.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def run(arguments: Sequence[str]) -> int:
    """Run `edgenet` with these arguments. Returns its exit code.

    Raises EdgenetError when its process crashed or was killed, and KeyboardInterrupt when it was told to end.
    """
    with tempfile.TemporaryDirectory(prefix="edgenet-") as folder:
        journal, held = Path(folder, "journal"), Path(folder, "output")
        record = {"arguments": list(arguments), "journal": str(journal), "held": str(held)}
        process = subprocess.Popen(child.command(MODULE), stdin=subprocess.PIPE, env=child.environment())
        with suppress(OSError), process.stdin:
            process.stdin.write(json.dumps(record).encode() + b"\n")
        with _forwarded(process) as received:
            code = process.wait()
        if code >= 0:
            return code
        files.remove_temporaries(journal)
        if received:  # it came before the command was ready to end by itself
            raise KeyboardInterrupt
        text = held.read_text(errors="replace") if held.is_file() else ""
        log = logs.write(arguments, text)
        raise EdgenetError(f"{arguments[0]}: {child.death(code, text)}; log: {log}")


@contextmanager
def _forwarded(process: subprocess.Popen) -> Iterator[list[int]]:
    """Leave it to the process to end itself when this one is told to end. Yields the signals that told so."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def forward(number, _frame) -> None:
        received.append(number)
        with suppress(OSError):
            process.send_signal(number)

    handlers = {number: signal.signal(number, forward) for number in _SIGNALS}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)


if __name__ == "__main__":
    from edgenet.cli.main import main

    # A terminal and the parent both send a signal: what comes after the command has ended itself is late, and no crash.
    for ending in _SIGNALS:
        signal.signal(ending, signal.SIG_IGN)
    request = json.loads(sys.stdin.buffer.readline())
    files.journal, quiet.held_file = Path(request["journal"]), Path(request["held"])
    sys.exit(main(request["arguments"]))
