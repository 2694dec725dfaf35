"""Runs a command in a child process, and explains in one line why that crashed.

TensorFlow and the libraries that read model files are large C++ programs, which a damaged file can crash. The process
then ends without an error message; this module removes its temporary files and reports the crash.
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
from types import FrameType

from edgenet import files, quiet
from edgenet.cli import logs
from edgenet.errors import EdgenetError
from edgenet.litert import child

MODULE = "edgenet.cli.supervisor"
# The signals that end a program, as far as this system has them.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def run(arguments: Sequence[str]) -> int:
    """Run `edgenet` with these arguments in a child process.

    Returns:
        Its exit code.

    Raises:
        EdgenetError: The process crashed or was killed.
        KeyboardInterrupt: A signal to end came before the command could handle it.
    """
    with tempfile.TemporaryDirectory(prefix="edgenet-", ignore_cleanup_errors=True) as folder:
        journal, output = Path(folder, "journal"), Path(folder, "output")
        request = {"arguments": list(arguments), "journal": str(journal), "held": str(output)}
        process = subprocess.Popen(child.command(MODULE), stdin=subprocess.PIPE, env=child.environment())
        assert process.stdin  # since it is a pipe
        with suppress(OSError), process.stdin:
            process.stdin.write(json.dumps(request).encode() + b"\n")
        with _forwarded(process) as received:
            code = process.wait()
        if not child.is_crash(code):
            return code
        files.remove_temporaries(journal)
        if received:
            raise KeyboardInterrupt
        text = output.read_text(encoding="utf-8", errors="replace") if output.is_file() else ""
        log = logs.write(arguments, text)
        raise EdgenetError(f"{arguments[0]}: {child.explain_exit(code, text)}; log: {log}")


@contextmanager
def _forwarded(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Forward the signals that end a program to the child process, which then ends itself. Yields those received."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
        yield received
        return

    def forward(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        # Windows cannot send SIGINT to a process, but its console sends Ctrl-C to all of them.
        with suppress(OSError, ValueError):
            process.send_signal(number)

    handlers = {number: signal.signal(number, forward) for number in _SIGNALS}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)


if __name__ == "__main__":
    from edgenet.cli.main import main

    # A terminal and the parent both send a signal; the second one may come after the command has ended.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    request = json.loads(sys.stdin.buffer.readline())
    files.journal, quiet.capture_file = Path(request["journal"]), Path(request["held"])
    sys.exit(main(request["arguments"]))
