"""A process that has imported the heavy packages and forks a child for each command, so that an import costs nothing.

Run as `python -c "import zygote; zygote.serve()" device|tensorflow`. Each line on stdin is a request, a JSON object;
the answer is one line on stdout. The child runs `edgenet.cli.main`, or, for a realistic start, the `edgenet` program.
"""

import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import sys
import time
from pathlib import Path

# Above this many bytes in one process, a command is stopped: the machine has other users.
STOP_BYTES = 4_000_000_000
POLL_SECONDS = 0.1
# Seconds that child processes have to end after their parent.
GRACE_SECONDS = 3
# Subpackages that import TensorFlow.
_NEEDS_TENSORFLOW = ("edgenet.model", "edgenet.convert")


def serve() -> None:
    """Answer requests until stdin ends."""
    _import_all(with_tensorflow=sys.argv[1] == "tensorflow")
    gc.freeze()  # or each child's garbage collector would go through all of it, and so copy its memory
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if not process:
            sys.exit(_run(request))
        answers.write(json.dumps(_wait(process, request["timeout"])) + "\n")
        answers.flush()


def _import_all(with_tensorflow: bool) -> None:
    names = ["numpy", "PIL.Image", "ai_edge_litert.interpreter", "jinja2", "matplotlib.pyplot"]
    if with_tensorflow:
        names += ["tensorflow", "keras", "tf_keras", "h5py"]
    for name in names:
        importlib.import_module(name)
    from PIL import Image

    import edgenet

    Image.init()
    for module in pkgutil.walk_packages(edgenet.__path__, "edgenet."):
        needless = not with_tensorflow and module.name.startswith(_NEEDS_TENSORFLOW)
        if not needless and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _run(request: dict) -> int:
    """Be the child: run the command. Returns its exit code."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    streams = (os.devnull, os.O_RDONLY), *((request[name], os.O_WRONLY | os.O_CREAT) for name in ("stdout", "stderr"))
    for number, (path, mode) in enumerate(streams):
        os.dup2(os.open(path, mode), number)
    if request["real"]:
        program = str(Path(sys.executable).parent / "edgenet")
        os.execv(program, [program, *request["arguments"]])
    from edgenet.cli.main import main

    sys.argv = ["edgenet", *request["arguments"]]
    return main(request["arguments"])


def _wait(process: int, timeout: float) -> dict:
    """Wait for a command and the processes that it started. The answer to its request."""
    begun, most, stopped = time.monotonic(), 0, None
    ended = select.poll()
    ended.register(os.pidfd_open(process), select.POLLIN)
    while not ended.poll(1000 * POLL_SECONDS):
        most = max([most, *map(_peak_bytes, _members(process))])
        if most > STOP_BYTES or time.monotonic() - begun > timeout:
            stopped = "memory" if most > STOP_BYTES else "timeout"
            os.killpg(process, signal.SIGKILL)
            break
    _, status, usage = os.wait4(process, 0)
    seconds = time.monotonic() - begun
    left = _end_members(process)
    code = os.waitstatus_to_exitcode(status)
    return {
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "stopped": stopped,
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "bytes": max(most, usage.ru_maxrss * 1024),
        "left": left,
    }


def _end_members(group: int) -> list[str]:
    """Give the rest of a process group time to end, then end it. Returns the command lines of those that had to be."""
    deadline = time.monotonic() + GRACE_SECONDS
    while members := _members(group):
        if time.monotonic() > deadline:
            left = [Path(f"/proc/{member}/cmdline").read_text().replace("\0", " ")[:200] for member in members]
            os.killpg(group, signal.SIGKILL)
            return left
        time.sleep(0.02)
    return []


def _members(group: int) -> list[int]:
    """The living processes of a group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                state, _, its_group = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:  # ended in the meantime
                continue
            if int(its_group) == group and state != "Z":
                members.append(int(name))
    return members


def _peak_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
