"""Jobs in processes of their own: how they end, what they may use, and what ends with them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from edgenet.errors import EdgenetError
from edgenet.sweep import machine_lock
from edgenet.sweep.job_process import SINGLE, JobRunner

linux = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks into /proc")


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Other tests of this machine must not be waited for."""
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "locks"))


@pytest.fixture
def runner():
    runner = JobRunner()
    yield runner
    runner.close()


def job(kind="stub", device=None, timeout=60.0, **request):
    return {
        "kind": kind,
        "name": "x on y",
        "request": {"process": True, **request},
        "device": device,
        "timeout": timeout,
    }


def test_a_job_reads_inputs_and_makes_files(runner, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("12345")
    (tmp_path / "out").mkdir()
    result = runner.run("a", job(texts={"b/c.txt": "ä"}), {"folder": tmp_path / "in"}, tmp_path / "out")
    assert result["bytes"] == {"folder": 5}
    assert (tmp_path / "out" / "b" / "c.txt").read_text("utf-8") == "ä"
    assert result["process"] != os.getpid()


def test_a_stub_needs_no_process(runner):
    assert runner.run("a", job(process=False), {}, None)["process"] == os.getpid()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"problem": "the model is damaged; export it again"}, r"^the model is damaged; export it again$"),
        ({"exit": 3}, r"^x on y: its process ended with exit code 3"),
        ({"texts": {"a": ""}}, r"^x on y: AssertionError$"),
        ({"seconds": 60, "timeout": 1.0}, r"^x on y: not done after 1 s, so it was ended; it hangs, or"),
    ],
)
def test_what_went_wrong_is_told(runner, options, error):
    with pytest.raises(EdgenetError, match=error):
        runner.run("a", job(**options), {}, None)


def run_in_thread(runner, token, sent):
    """Start a job. Returns a function that waits for its result or error."""
    outcome = []

    def run():
        try:
            outcome.append(runner.run(token, sent, {}, None))
        except EdgenetError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def wait():
        thread.join(30)
        return outcome[0]

    return wait


def child_of(parent: int) -> int:
    """The process that another one has started."""
    for _ in range(200):
        found = [child.pid for child in psutil.Process(parent).children() if is_job(child.pid)]
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no child process")


def is_job(number: int) -> bool:
    try:
        return b"job_process" in Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False


@linux
def test_a_killed_job_is_explained(runner):
    wait = run_in_thread(runner, "a", job(seconds=60))
    os.kill(child_of(os.getpid()), signal.SIGKILL)
    assert "was killed (SIGKILL), most likely because the machine ran out of memory" in str(wait())


def test_jobs_are_cancelled(runner):
    wait = run_in_thread(runner, "a", job(seconds=60))
    child_of(os.getpid())
    runner.cancel("other")
    runner.cancel("a")
    assert str(wait()) == "x on y: cancelled"
    runner.close()
    with pytest.raises(EdgenetError, match="cancelled"):
        runner.run("b", job(), {}, None)


@linux
def test_a_job_ends_with_its_parent(tmp_path):
    """A measurement must not go on after its worker was killed."""
    code = (
        "from edgenet.sweep.job_process import JobRunner\n"
        "JobRunner().run('a', {'kind': 'stub', 'name': 'x', 'request': {'process': True, 'seconds': 60}, 'device': 'd',"
        " 'timeout': 60}, {}, None)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    number = child_of(parent.pid)
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not is_job(number):
            return
        time.sleep(0.1)
    raise AssertionError("it still runs")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="binds no processes to cores")
def test_jobs_run_on_one_core_and_measurements_on_all(runner, kinds):
    kinds("evaluate", "import os\ndef run(request, inputs, files):\n    return dict(os.environ)")
    environment = runner.run("a", job("evaluate"), {}, None)
    assert {name: environment.get(name) for name in SINGLE} == SINGLE
    cores = "import os\ndef run(request, inputs, files):\n    return [len(os.sched_getaffinity(0)), dict(os.environ)]"
    kinds("measure", cores)
    kinds("export", cores)
    assert runner.run("a", job("export"), {}, None)[0] == 1
    count, environment = runner.run("a", job("measure", "d"), {}, None)
    assert count == len(os.sched_getaffinity(0))
    assert environment.get("OMP_NUM_THREADS") == os.environ.get("OMP_NUM_THREADS")


@pytest.fixture
def kinds(tmp_path, monkeypatch):
    """Replaces a kind of jobs in the processes of jobs."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    (folder / "sitecustomize.py").write_text(
        "import importlib.util, sys, pathlib\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        file = pathlib.Path(__file__).parent / (name + '.py')\n"
        "        if name.startswith('edgenet.sweep.kinds.') and file.exists():\n"
        "            return importlib.util.spec_from_file_location(name, file)\n"
        "sys.meta_path.insert(0, Finder)\n"
    )
    return lambda name, text: (folder / f"edgenet.sweep.kinds.{name}.py").write_text(text)


@pytest.mark.skipif(not machine_lock._HAS_LOCKS, reason="has no locks")
def test_nothing_else_runs_during_a_measurement(kinds):
    text = (
        "import time\ndef run(request, inputs, files):\n"
        "    begin = time.monotonic(); time.sleep(request['sleep']); return [begin, time.monotonic()]"
    )
    for kind in ("measure", "export"):
        kinds(kind, text)
    runners = [JobRunner(number) for number in range(4)]
    sent = [
        job("export", sleep=0.5),
        job("export", sleep=0.5),
        job("measure", "d", sleep=0.3),
        job("export", sleep=0.1),
    ]
    waits = []
    for number, (runner, each) in enumerate(zip(runners, sent, strict=True)):
        waits.append(run_in_thread(runner, str(number), each))
        time.sleep(0.1)  # in this order
    spans = [wait() for wait in waits]
    first, second, measured, late = spans
    assert first[0] < second[1] and second[0] < first[1]  # exports run together
    for other in (first, second, late):
        assert other[1] <= measured[0] or measured[1] <= other[0]
    assert late[0] >= measured[1]  # who comes later does not keep a measurement waiting


@pytest.mark.skipif(not machine_lock._HAS_LOCKS, reason="has no locks")
def test_a_job_that_waits_for_the_machine_is_cancelled(runner):
    with machine_lock.held(exclusive=True):
        wait = run_in_thread(runner, "a", job())
        time.sleep(0.2)
        assert runner.is_waiting("a")
        runner.cancel("a")
        assert str(wait()) == "x on y: cancelled"


@pytest.mark.skipif(not machine_lock._HAS_LOCKS, reason="has no locks")
def test_locks_of_cores_and_devices():
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1:
        with machine_lock.own_core(0) as first, machine_lock.own_core(0) as second:
            assert first != second
    with machine_lock.device("pi 5/ä") as first, machine_lock.device("pi 5/ä") as second:
        assert first and not second
    with machine_lock.device("pi 5/ä") as again:
        assert again
