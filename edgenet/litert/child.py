"""Child processes: a module of edgenet run as a program that answers messages.

Models are loaded in child processes, so that load time and memory are those of one model, and a damaged file cannot
crash this process. All child processes are started here and speak one protocol:

- A child imports edgenet from where its parent did, and nothing from the working directory.
- The first message is the request, a JSON record. Each message gets one answer, in order.
- A message is a line of JSON. If its header describes an array, the bytes of the array follow.
- Keras uses TensorFlow in a child, whatever the user's Keras is configured for.
- A child ends when its standard input is closed, so it does not outlive its parent.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import edgenet
from edgenet.errors import EdgenetError, first_line

if TYPE_CHECKING:
    import numpy as np

# For one answer, on the slowest machine.
TIMEOUT_SECONDS = 300

# Runs module sys.argv[2] of the edgenet in folder sys.argv[1]. For a program given by -c, Python puts an empty string,
# the working directory, first on the path; a numpy.py or secrets.py of the user there would be imported.
_BOOT = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import importlib.util, runpy
root, module = sys.argv[1:]
spec = importlib.util.spec_from_file_location("edgenet", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["edgenet"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["edgenet"])
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
# Lines that libraries print at every start, which explain no error.
_ROUTINE = ("INFO: ", "WARNING: All log messages before absl", "I0000", "W0000")
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory", "out of memory")
# Exit codes of a crash on Windows are NTSTATUS values of severity "error" (learn.microsoft.com: NTSTATUS values).
_NTSTATUS_ERROR = 0xC0000000
_NTSTATUS = {
    0xC0000005: "access violation",
    0xC0000017: "out of memory",
    0xC000001D: "illegal instruction",
    0xC0000094: "integer division by zero",
    0xC00000FD: "stack overflow",
    0xC0000409: "abort",
}


def command(module: str) -> list[str]:
    """The command that runs a module of edgenet in a child process."""
    return [sys.executable, "-c", _BOOT, str(Path(edgenet.__file__).parent), module]


def environment() -> dict[str, str]:
    """The environment of a child process."""
    return {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}


class Child:
    """A child process that runs a module of edgenet.

    Args:
        module: The module to run, which calls `serve`.
        request: Its first message.
        name: What it works on, for error messages.
        timeout: Seconds for one answer.
    """

    def __init__(self, module: str, request: Mapping[str, Any], name: str, timeout: float = TIMEOUT_SECONDS):
        self._name, self._timeout = name, timeout
        # A file, not a pipe: a library may print any amount while nothing reads it.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  it stays open with the process
        self._timed_out = False
        self._process = subprocess.Popen(
            command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment(),
        )
        assert self._process.stdin and self._process.stdout  # since both are pipes
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.send(request)

    @property
    def pid(self) -> int:
        """The process number."""
        return self._process.pid

    def call(self, message: Any, array: "np.ndarray | None" = None) -> Any:
        """Send a message and wait for its answer.

        Args:
            message: Any JSON value.
            array: An array to send with it, of any shape and dtype.

        Returns:
            A JSON value or an array.

        Raises:
            EdgenetError: The child answered with an error, did not answer in time, or ended. In that case the message
                explains how it ended, with the last lines that it printed.
        """
        self.send(message, array)
        return self.receive()

    def send(self, message: Any, array: "np.ndarray | None" = None) -> None:
        """Send a message without waiting for its answer."""
        with self._deadline(), suppress(OSError):  # a broken pipe is explained by `receive`
            _write(self._stdin, {"message": message}, array)

    def receive(self) -> Any:
        """Wait for the next answer; the first one is that to the request. Raises EdgenetError as `call` does."""
        try:
            with self._deadline():
                answer, array = _read(self._stdout)
        except (EOFError, ValueError, KeyError, TypeError, OSError) as error:
            raise self._failure() from error
        if "error" in answer:
            raised = EdgenetError(answer["error"])
            raised.parameter = answer["parameter"]
            raise raised
        if "fault" in answer:
            raise EdgenetError(f"{self._name}: {answer['fault']}")
        return answer.get("message") if array is None else array

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._stdin, self._stdout):
            with suppress(OSError):  # unsent bytes
                stream.close()
        self._stderr.close()

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Kill the process if the block takes too long; reads and writes in the block then end."""
        timer = threading.Timer(self._timeout, self._time_out)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _time_out(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _failure(self) -> EdgenetError:
        if self._timed_out:
            return EdgenetError(
                f"{self._name}: no answer within {self._timeout:g} s; the file is damaged, or much too large for this "
                "machine"
            )
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace")
        return EdgenetError(f"{self._name}: {explain_exit(self._process.returncode, text)}")


def is_crash(code: int) -> bool:
    """Whether an exit code is that of a process that a signal ended, or on Windows a crash."""
    return code < 0 or code >= _NTSTATUS_ERROR


def explain_exit(code: int | None, stderr: str) -> str:
    """Why a process ended early, in a sentence.

    Args:
        code: Its exit code, as of `subprocess.Popen`; None if it has not ended.
        stderr: What it printed.
    """
    lines = [line.strip() for line in stderr.strip().splitlines()]
    lines = [line for line in lines if line and not line.startswith(_ROUTINE)]
    last = f": {' / '.join(lines[-2:])[-400:]}" if lines else ""
    if any(sign in stderr for sign in _OUT_OF_MEMORY):
        return f"more memory was needed than is available{last}"
    if code is None:
        return f"its process closed the connection{last}"
    if not is_crash(code):
        return f"its process ended with exit code {code}{last}"
    name = _signal_name(-code) if code < 0 else _NTSTATUS.get(code, f"exit code 0x{code:08X}")
    if name == "SIGKILL":
        return f"its process was killed (SIGKILL), most likely because the machine ran out of memory{last}"
    return f"its process crashed ({name}){last}; the file is damaged, or this machine cannot run it"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# From a message and its array, or None, to the answer: a JSON value or an array.
Handler = Callable[[Any, Any], Any]


def serve(start: Callable[[dict], tuple[Any, Handler | None]]) -> None:
    """Answer messages until standard input is closed: what a module does when it is run as a child process.

    Args:
        start: From the request to its answer and the function that answers the messages after it, None if there are
            none. An exception becomes an answer that raises EdgenetError in the parent process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    # Libraries also print to stdout: answers get a descriptor of their own, and stdout becomes stderr.
    answers, messages = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    with suppress(EOFError):
        request = _read(messages)[0]["message"]
        handler = _answer(answers, lambda: start(request))
        while handler:
            head, array = _read(messages)
            _answer(answers, partial(_call, handler, head["message"], array))


def _answer(answers: IO[bytes], make: Callable[[], tuple[Any, Handler | None]]) -> Handler | None:
    """Write the first part of what `make` returns, or the error that it raises. Returns the second part."""
    try:
        answer, handler = make()
    except EdgenetError as error:
        _write(answers, {"error": str(error), "parameter": error.parameter})
        return None
    except Exception as error:  # each library has exceptions of its own
        memory = isinstance(error, MemoryError)
        _write(answers, {"fault": "more memory was needed than is available" if memory else first_line(error)})
        return None
    if hasattr(answer, "dtype"):
        _write(answers, {}, answer)
    else:
        _write(answers, {"message": answer})
    return handler


def _call(handler: Handler, message: Any, array: "np.ndarray | None") -> tuple[Any, None]:
    return handler(message, array), None


def limit_memory(extra_bytes: int) -> None:
    """Limit the address space of this process to `extra_bytes` more than it has now. Works on Linux only.

    A damaged file may request any amount of memory: the process then fails instead of filling the machine's memory.
    """
    if sys.platform == "win32":
        return
    try:
        import resource

        held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
        for limit, value in ((resource.RLIMIT_AS, held + extra_bytes), (resource.RLIMIT_CORE, 0)):
            resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
    except (ImportError, OSError, ValueError):  # not Linux, or a lower limit is set
        return


def _write(stream: IO[bytes], head: dict, array: "np.ndarray | None" = None) -> None:
    if array is not None:
        head = {**head, "array": {"dtype": array.dtype.str, "shape": array.shape}}
    stream.write(json.dumps(head).encode() + b"\n")
    if array is not None:
        stream.write(array.tobytes())
    stream.flush()


def _read(stream: IO[bytes]) -> "tuple[dict, np.ndarray | None]":
    """Read a message. Raises EOFError if the stream ends before it is complete."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    if "array" not in head:
        return head, None
    import numpy as np  # here, since not all messages have an array

    dtype, shape = np.dtype(head["array"]["dtype"]), tuple(head["array"]["shape"])
    data = stream.read(dtype.itemsize * int(np.prod(shape)))
    if len(data) < dtype.itemsize * int(np.prod(shape)):
        raise EOFError
    return head, np.frombuffer(data, dtype).reshape(shape)
