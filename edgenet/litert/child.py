"""Child processes: a module of edgenet run as a program of its own, which answers messages.

Models are loaded in processes of their own: so load time and memory are theirs alone, and a damaged file cannot harm
this process. All children are started here, by one protocol:

- A child imports edgenet from where this process has it, and nothing from the working directory.
- Its first message is its request: one JSON record. After that, each message gets one answer, in order.
- A message is a line of JSON. Where it says so, the bytes of one array follow.
- Keras computes with TensorFlow there, whatever this user's Keras is set to.
- It ends with its standard input, so that it does not outlive its parent.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import edgenet
from edgenet.errors import EdgenetError, first_line

if TYPE_CHECKING:
    import numpy as np

# Seconds for one answer, however slow the machine.
TIMEOUT_SECONDS = 300

# Runs module sys.argv[2] of the edgenet in folder sys.argv[1]. Python puts the working directory first on the path of a
# program given by -c, as an empty string, and from there any numpy.py or secrets.py would be imported.
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
# What libraries print at every start, which explains nothing.
_ROUTINE = ("INFO: ", "WARNING: All log messages before absl", "I0000", "W0000")
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory", "out of memory")


def command(module: str) -> list[str]:
    """The command that runs a module of edgenet in a child process."""
    return [sys.executable, "-c", _BOOT, str(Path(edgenet.__file__).parent), module]


def environment() -> dict[str, str]:
    """The environment of a child process."""
    return {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}


class Child:
    """A child process that runs `module`, given `request`.

    name: what it works on, for messages. timeout: seconds for one answer.

    Raises EdgenetError when the process ends early or does not answer: why it ended, and the last lines that it wrote.
    """

    def __init__(self, module: str, request: Mapping[str, Any], name: str, timeout: float = TIMEOUT_SECONDS):
        self._name, self._timeout = name, timeout
        # A file, not a pipe: however much a library prints, this process does not have to read it meanwhile.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  it stays open with the process
        self._timed_out = False
        self._process = subprocess.Popen(
            command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment(),
        )
        self.send(request)

    @property
    def process(self) -> int:
        """Its process number."""
        return self._process.pid

    def ask(self, message: Any, array: "np.ndarray | None" = None) -> Any:
        """The answer to a message: a JSON value, or an array.

        Raises EdgenetError with the line that the child answers where it cannot do what it is asked.
        """
        self.send(message, array)
        return self.receive()

    def send(self, message: Any, array: "np.ndarray | None" = None) -> None:
        """Send a message without waiting for its answer."""
        with self._deadline(), suppress(OSError):  # that the answer does not come tells more
            _write(self._process.stdin, {"message": message}, array)

    def receive(self) -> Any:
        """Wait for the next answer; the first one is that to the request. Raises EdgenetError as `ask` does."""
        try:
            with self._deadline():
                answer, array = _read(self._process.stdout)
        except (EOFError, ValueError, KeyError, TypeError, OSError) as error:
            raise self._ended() from error
        if "error" in answer:
            raise EdgenetError(answer["error"])
        if "fault" in answer:
            raise EdgenetError(f"{self._name}: {answer['fault']}")
        return answer.get("message") if array is None else array

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what could not be written any more
                stream.close()
        self._stderr.close()

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Kill the process if the block takes too long: what waits for it then comes to its end."""
        timer = threading.Timer(self._timeout, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _ended(self) -> EdgenetError:
        if self._timed_out:
            return EdgenetError(
                f"{self._name}: no answer within {self._timeout:g} s; the file is damaged, or far too large for this "
                "machine"
            )
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace")
        return EdgenetError(f"{self._name}: {death(self._process.returncode, text)}")


def death(code: int | None, text: str) -> str:
    """Why a process ended that should not have, in a sentence.

    code: its exit code, negative for a signal, None if it has not ended. text: what it wrote on stderr.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    lines = [line for line in lines if line and not line.startswith(_ROUTINE)]
    last = f": {' / '.join(lines[-2:])[-400:]}" if lines else ""
    if any(sign in text for sign in _OUT_OF_MEMORY):
        return f"more memory was needed than is available{last}"
    if code is None:
        return f"its process closed the connection{last}"
    if code >= 0:
        return f"its process ended with exit code {code}{last}"
    name = _signal_name(-code)
    if name == "SIGKILL":
        return f"its process was killed (SIGKILL), most likely because the machine ran out of memory{last}"
    return f"its process crashed ({name}){last}; the file is damaged, or this machine cannot run it"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# Answers a message, with the array that came with it, by a JSON value or an array.
Handler = Callable[[Any, Any], Any]


def serve(start: Callable[[dict], tuple[Any, Handler | None]]) -> None:
    """Be a child process: what a module does that is run as a program.

    start: takes the request, and returns the answer to it and what answers each message that follows, None if there is
    no more to answer. An error is the answer where one is raised.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    # Libraries print to stdout too; the answers go where only they go.
    answers, messages = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    with suppress(EOFError):
        request = _read(messages)[0]["message"]
        handler = _answer(answers, lambda: start(request))
        while handler:
            head, array = _read(messages)
            _answer(answers, lambda head=head, array=array: (handler(head["message"], array), None))


def _answer(answers: BinaryIO, make: Callable[[], tuple[Any, Handler | None]]) -> Handler | None:
    """Write the first part of what `make` returns, or the error that it raises. Returns the second part."""
    try:
        made, handler = make()
    except EdgenetError as error:
        _write(answers, {"error": str(error)})
        return None
    except Exception as error:  # each library has exceptions of its own
        memory = isinstance(error, MemoryError)
        _write(answers, {"fault": "more memory was needed than is available" if memory else first_line(error)})
        return None
    if hasattr(made, "dtype"):
        _write(answers, {}, made)
    else:
        _write(answers, {"message": made})
    return handler


def limit_memory(more: int) -> None:
    """Let this process take at most so many bytes of address space more than it has now, where the system can do that.

    A damaged file may ask for any amount: the process then ends with an error instead of filling the machine's memory.
    """
    try:
        import resource

        held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        for limit, value in ((resource.RLIMIT_AS, held + more), (resource.RLIMIT_CORE, 0)):
            resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
    except (ImportError, OSError, ValueError):  # not Linux, or there is a lower limit already
        return


def _write(stream: BinaryIO, head: dict, array: "np.ndarray | None" = None) -> None:
    if array is not None:
        head = {**head, "array": {"dtype": array.dtype.str, "shape": array.shape}}
    stream.write(json.dumps(head).encode() + b"\n")
    if array is not None:
        stream.write(array.tobytes())
    stream.flush()


def _read(stream: BinaryIO) -> "tuple[dict, np.ndarray | None]":
    """Raises EOFError at the end, or in the middle, of a stream."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    if "array" not in head:
        return head, None
    import numpy as np  # here, since not all who start a child need it

    dtype, shape = np.dtype(head["array"]["dtype"]), tuple(head["array"]["shape"])
    data = stream.read(dtype.itemsize * int(np.prod(shape)))
    if len(data) < dtype.itemsize * int(np.prod(shape)):
        raise EOFError
    return head, np.frombuffer(data, dtype).reshape(shape)
