"""Devices without a worker: each measurement is one `edgenet benchmark` over ssh."""

import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from time import monotonic
from typing import IO, Any

import edgenet
from edgenet import records
from edgenet.errors import EdgenetError
from edgenet.records import Results
from edgenet.sweep.job import Answer, Job, Kind

# Never ask for a password, and notice within a minute that a machine is gone.
_OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15", "ServerAliveCountMax=4")
# ssh ends with this code if there is no connection.
_NO_CONNECTION = 255
_NOT_FOUND = 127
# For what takes no time there.
SHORT_SECONDS = 60.0
# A packed bundle over a slow network.
COPY_SECONDS = 1_800.0
# How often a machine that was lost is looked for.
PROBE_SECONDS = 10.0

# The folder of the bundles that were copied there.
_FOLDER = 'dir="${XDG_CACHE_HOME:-$HOME/.cache}/edgenet/sweep"; mkdir -p "$dir" || exit 1; '
_SUM = 'if [ -f "$dir/NAME" ]; then sha256sum < "$dir/NAME"; fi'
_COPY = 'cat > "$dir/.NAME.$$" && mv "$dir/.NAME.$$" "$dir/NAME" || { rm -f "$dir/.NAME.$$"; exit 1; }'
# The measurement ends with the connection: standard input then ends.
_RUN = """
exec 3<&0
COMMAND >/dev/null </dev/null 3<&- & job=$!
( cat <&3 >/dev/null; kill $job ) >/dev/null 2>&1 & watch=$!
wait $job; code=$?
exec 3<&-
kill $watch 2>/dev/null
[ $code -eq 0 ] && cat "$dir/OUT"
rm -f "$dir/OUT"
exit $code
"""


@dataclass(frozen=True)
class Target:
    """How a device is reached.

    Attributes:
        address: As ssh takes it, such as "pi@board", or a name of ssh's own configuration.
        command: What starts edgenet there, in the words of its shell.
    """

    address: str
    command: str = "edgenet"


class SshWorker:
    """A device, as `edgenet.sweep.job.Worker`."""

    exports = False

    def __init__(self, pool: "SshPool", device: str, target: Target):
        self._pool, self._device, self.target = pool, device, target
        self.name = f"{device} ({target.address})"
        self.machine = f"ssh {target.address}"
        self.devices = frozenset([device])
        self.is_away = False

    def start(self, job: Job, done: Callable[[Answer], None]) -> None:
        threading.Thread(target=self._run, args=(job, done), daemon=True).start()

    def _run(self, job: Job, done: Callable[[Answer], None]) -> None:
        begin = monotonic()
        try:
            answer = Answer(result=self._pool.measure(self, job), worker=self.name, seconds=monotonic() - begin)
        except _ConnectionLostError as error:
            self.is_away = True
            threading.Thread(target=self._pool.probe, args=(self,), daemon=True).start()
            answer = Answer(problem=str(error), is_lost=True, worker=self.name, seconds=monotonic() - begin)
        except EdgenetError as error:
            answer = Answer(problem=str(error), worker=self.name, seconds=monotonic() - begin)
        except Exception as error:  # the job must have an answer
            answer = Answer(problem=f"{self.name}: {error}", worker=self.name, seconds=monotonic() - begin)
        done(answer)


class SshPool:
    """Devices that are reached by ssh.

    Args:
        targets: By the name of the device.
        benchmark: From a request, the bundle and the file of the results, what follows `edgenet` to measure; the last
            two are words of a shell.
        version: What follows `edgenet` to print its version.

    Raises:
        EdgenetError: A device cannot be reached, or has no edgenet or another version.
    """

    def __init__(
        self, targets: Mapping[str, Target], benchmark: Callable[[Mapping[str, Any], str, str], str], version: str
    ):
        self._benchmark, self._version = benchmark, version
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._closed = threading.Event()
        self._workers = [SshWorker(self, device, target) for device, target in targets.items()]
        problems: list[str] = []

        def check(worker: SshWorker) -> None:
            try:
                self._check(worker)
            except EdgenetError as error:
                problems.append(str(error))

        threads = [threading.Thread(target=check, args=(worker,)) for worker in self._workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise EdgenetError(min(problems))

    def workers(self) -> list[SshWorker]:
        return [worker for worker in self._workers if not worker.is_away]

    def close(self) -> None:
        """End all measurements."""
        self._closed.set()
        with self._lock:
            for process in self._processes:
                process.kill()

    def probe(self, worker: SshWorker) -> None:
        """Wait until a machine that was lost is there again."""
        while not self._closed.wait(PROBE_SECONDS):
            with suppress(EdgenetError):
                self._check(worker)
                worker.is_away = False
                return

    def measure(self, worker: SshWorker, job: Job) -> dict[str, str]:
        """Run a measurement. Returns the text of its results, as the answer to such a job."""
        if job.kind is not Kind.MEASURE:
            raise EdgenetError(f"{worker.name}: only measurements run over ssh; start `edgenet worker` there")
        bundle = job.inputs["bundle"]
        name, out = f"{bundle.digest}.tar.gz", f"results-{token_hex(8)}.json"
        if not self._has(worker, name, bundle.digest):
            try:
                with open(bundle.path, "rb") as file:
                    self._ssh(worker, _FOLDER + _COPY.replace("NAME", name), COPY_SECONDS, "copying the bundle", file)
            except OSError as error:
                raise EdgenetError(f"{bundle.path}: cannot be read ({error.strerror})") from error
            if not self._has(worker, name, bundle.digest):
                raise EdgenetError(f"{worker.name}: the bundle there is not what was sent; it was damaged on its way")
        words = self._benchmark(job.request, f'"$dir/{name}"', f'"$dir/{out}"')
        script = _RUN.replace("COMMAND", f"{worker.target.command} {words}").replace("OUT", out)
        text = self._ssh(worker, _FOLDER + script, job.timeout, "measuring")
        records.from_json(Results, text, f"{worker.name}: its results")
        return {"results": text.decode()}

    def _has(self, worker: SshWorker, name: str, digest: str) -> bool:
        found = self._ssh(worker, _FOLDER + _SUM.replace("NAME", name), SHORT_SECONDS, "looking for the bundle")
        return found.split()[:1] == [digest.encode()]

    def _check(self, worker: SshWorker) -> None:
        text = self._ssh(worker, f"{worker.target.command} {self._version}", SHORT_SECONDS, "starting edgenet")
        found = re.search(r"edgenet (\S+)", text.decode(errors="replace"))
        if not found or found[1] != edgenet.__version__:
            raise EdgenetError(
                f"{worker.name} has edgenet {found[1] if found else 'of an unknown version'}, this machine has "
                f"{edgenet.__version__}; there: pip install edgenet=={edgenet.__version__}"
            )

    def _ssh(self, worker: SshWorker, script: str, timeout: float, doing: str, stdin: IO[bytes] | None = None) -> bytes:
        """Run a script in the shell of a machine. Returns what it prints.

        Raises:
            _ConnectionLostError: There is no connection.
            EdgenetError: The script failed, or took too long.
        """
        command = [
            "ssh",
            *(word for option in _OPTIONS for word in ("-o", option)),
            "--",
            worker.target.address,
            script,
        ]
        with tempfile.TemporaryFile() as stderr:
            try:
                process = subprocess.Popen(
                    command, stdin=stdin or subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
                )
            except OSError as error:
                raise EdgenetError(f"ssh cannot be started ({error.strerror}); install an ssh client") from error
            with self._lock:
                self._processes.add(process)
                if self._closed.is_set():
                    process.kill()
            timed_out = threading.Event()

            def end() -> None:
                timed_out.set()
                process.kill()

            timer = threading.Timer(timeout, end)
            timer.daemon = True
            timer.start()
            try:
                # Standard input stays open until the script has ended.
                assert process.stdout
                text = process.stdout.read()
                code = process.wait()
            finally:
                timer.cancel()
                with self._lock:
                    self._processes.discard(process)
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout):
                    if stream:
                        with suppress(OSError):
                            stream.close()
            if code == 0:
                return text
            stderr.seek(0)
            lines = [line.strip() for line in stderr.read().decode(errors="replace").splitlines() if line.strip()]
        last = lines[-1].removeprefix("Error: ")[-400:] if lines else f"exit code {code}"
        if self._closed.is_set():
            raise EdgenetError(f"{worker.name}: cancelled")
        if timed_out.is_set():
            raise EdgenetError(f"{worker.name}: {doing} was not done after {timeout:g} s, so it was ended")
        if code == _NO_CONNECTION:
            raise _ConnectionLostError(
                f"{worker.name} cannot be reached ({last}); `ssh {worker.target.address}` must work without a password"
            )
        if code == _NOT_FOUND:
            raise EdgenetError(
                f"{worker.name}: {worker.target.command} is not found there; pip install "
                f"edgenet=={edgenet.__version__} there, or give the whole path of the command in the plan"
            )
        raise EdgenetError(f"{worker.name}, {doing}: {last}")


class _ConnectionLostError(EdgenetError):
    """There is no connection."""
