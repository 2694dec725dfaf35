"""Workers that are killed or hang, and a scheduler that goes: real processes, with certificates."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from edgenet.errors import EdgenetError
from edgenet.sweep import cluster, file_sets
from edgenet.sweep.job import Input, Job, Kind

pytest.importorskip("distributed")

from clusters import Processes, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="kills processes as on Linux"),
]


@pytest.fixture
def processes(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with closing(Processes(tmp_path, port)) as processes:
        processes.scheduler()
        yield processes


def join(processes, **options):
    return closing(cluster.ClusterPool(processes.address, certificates=processes.certificates, **options))


def long_job(name="long", seconds=60.0, **options):
    return Job("k", Kind.STUB, name, {"process": True, "seconds": seconds}, **options)


def jobs_running(processes) -> list[int]:
    """The process numbers of the jobs that these workers have started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            of_these = os.fsencode(f"TMPDIR={processes.folder}") in (path / "environ").read_bytes().split(b"\0")
            if of_these and b"edgenet.sweep.job_process" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_jobs_files_and_certificates(processes, tmp_path):
    worker = processes.worker("board", "--device", "pi5")
    processes.worker("server", "--export")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(bytes(9_000_000))
    given = Input(tmp_path / "in", file_sets.digest(tmp_path / "in"))
    with join(processes) as pool:
        request = {"process": True, "texts": {"a": "x"}}
        jobs = [Job("k", Kind.STUB, f"{device}", request, {"in": given}, device, True) for device in (None, "pi5")]
        answers = run(pool, jobs)
    assert {name: (answer.problem, answer.worker) for name, answer in answers.items()} == {
        "None": (None, "server"),
        "pi5": (None, "board"),
    }
    begin = time.monotonic()
    with pytest.raises(EdgenetError, match="no Dask scheduler, or one that runs with certificates"):
        cluster.ClusterPool(processes.address.replace("tls", "tcp"))
    assert time.monotonic() - begin < 30
    second = subprocess.run(
        worker.args, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}, timeout=60
    )
    assert second.stderr == 'Error: another worker of this machine has the device "pi5" already; stop it first\n'
    assert second.returncode == 1
    worker.send_signal(signal.SIGINT)
    assert worker.wait(30) == 0
    assert "None: begins" in processes.output("server") and "Traceback" not in processes.output("board")


def test_a_killed_worker_s_job_is_done_by_another_and_its_process_ends(processes):
    first = processes.worker("first", "--export")
    retried = []

    def kill(job, worker):
        if not retried:
            wait_until(lambda: jobs_running(processes))
            first.kill()
            processes.worker("second", "--export")

    with join(processes) as pool:
        jobs = [long_job(seconds=3.0)]
        answers = run(pool, jobs, on_start=kill, on_retry=lambda job, answer: retried.append(answer))
    assert [answer.problem for answer in retried] == ["first: it has ended, or the connection to it was lost"]
    assert answers["long"].problem is None and answers["long"].worker == "second"
    wait_until(lambda: not jobs_running(processes))


def test_a_worker_that_hangs_is_given_up_and_comes_back(processes, monkeypatch):
    monkeypatch.setattr(cluster, "SILENT_SECONDS", 5.0)
    worker = processes.worker("only", "--export")
    retried = []

    def stop(job, to):
        if not retried:
            wait_until(lambda: jobs_running(processes))
            worker.send_signal(signal.SIGSTOP)

    def retry(job, answer):
        retried.append(answer)
        worker.send_signal(signal.SIGCONT)

    with join(processes) as pool:
        answers = run(pool, [long_job(seconds=8.0)], on_start=stop, on_retry=retry)
    assert [answer.problem for answer in retried] == ["only: it has not answered for 5 s"]
    assert answers["long"].problem is None
    assert processes.output("only").count("long: long: cancelled") == 1  # the first one was ended, once it could be


def test_a_client_that_is_killed_leaves_no_job(processes):
    processes.worker("only", "--export")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom edgenet.sweep import cluster\n"
        "from edgenet.sweep.job import Job, Kind\n"
        "pool = cluster.ClusterPool(sys.argv[1], certificates=Path(sys.argv[2]))\n"
        "job = Job('k', Kind.STUB, 'long', {'process': True, 'seconds': 60})\n"
        "pool.workers()[0].start(job, print)\ntime.sleep(60)\n"
    )
    client = subprocess.Popen([sys.executable, "-c", code, processes.address, str(processes.certificates)])
    wait_until(lambda: jobs_running(processes))
    client.kill()
    client.wait()
    wait_until(lambda: not jobs_running(processes))


def test_the_scheduler_goes_and_returns(processes):
    scheduler = processes.scheduler
    worker = processes.worker("only", "--export")
    first = processes._all[0]

    def kill(job, to):
        wait_until(lambda: jobs_running(processes))
        first.kill()
        first.wait()

    begin = time.monotonic()
    with join(processes) as pool, pytest.raises(EdgenetError) as error:
        run(pool, [long_job()], on_start=kill)
    assert str(error.value).startswith(f"the scheduler at {processes.address} is gone (")
    assert str(error.value).endswith("; start it, and run the same command again")
    assert time.monotonic() - begin < 50  # of 60 s that the job would have taken
    processes.wait_for("only", "is gone; waiting for it", worker)
    wait_until(lambda: not jobs_running(processes))
    scheduler()
    processes.wait_for("only", "is ready for", worker, count=2)
    with join(processes) as pool:
        assert run(pool, [long_job(seconds=0.1)])["long"].problem is None
