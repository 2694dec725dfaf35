"""The cluster in this process: jobs with files, all workers at once, what ends with it, and that it is quiet."""

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from itertools import pairwise

import pytest

from edgenet.errors import EdgenetError
from edgenet.sweep import dask_settings, file_sets, job_process
from edgenet.sweep.dispatcher import Dispatcher
from edgenet.sweep.job import Input, Job, Kind
from edgenet.sweep.pools import Pools

pytest.importorskip("distributed")

from edgenet.sweep import dask_pool


@pytest.fixture(scope="module")
def pool():
    with closing(dask_pool.LocalPool(2, ["d0", "d1", "d2"])) as pool:
        yield pool


def run(pool, jobs, accepted=lambda job, answer: True):
    answers = {}

    def take(job, answer):
        answers[job.name] = answer
        return accepted(job, answer)

    dispatcher = Dispatcher(pool, take)
    for job in jobs:
        dispatcher.add(job)
    dispatcher.run()
    return answers


def test_workers_share_the_devices(pool):
    first, second = pool.workers()
    assert (first.devices, second.devices) == ({"d0", "d2"}, {"d1"})
    assert first.machine == second.machine and first.exports and second.exports
    assert pool.workers() == [first, second]


def test_a_job_reads_files_where_they_are_and_makes_files(pool, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("123")
    given = Input(tmp_path / "in", file_sets.digest(tmp_path / "in"))
    taken = []

    def take(job, answer):
        taken.append((answer.files / "b" / "c").read_text("utf-8"))
        return True

    request = {"texts": {"b/c": "done"}, "process": True}
    answer = run(pool, [Job("k", Kind.STUB, "x", request, {"in": given}, makes_files=True)], take)["x"]
    assert answer.problem is None and answer.result["bytes"] == {"in": 3}
    assert taken == ["done"] and not answer.files.exists()
    assert answer.worker.startswith("worker ") and answer.seconds > 0


def test_problems_are_told(pool):
    answer = run(pool, [Job("k", Kind.STUB, "x", {"problem": "no such layer"}, attempts=2, makes_files=True)])["x"]
    assert (answer.problem, answer.files, answer.is_lost) == ("no such layer", None, False)


def test_workers_work_at_once_each_on_one_job(pool):
    jobs = [Job("k", Kind.STUB, f"{n}", {"seconds": 0.2}, device=f"d{n % 3}") for n in range(9)]
    spans = {name: (answer.result["begin"], answer.result["end"]) for name, answer in run(pool, jobs).items()}
    for names in (["0", "2", "3", "5", "6", "8"], ["1", "4", "7"]):  # d0 and d2, d1
        ordered = sorted(spans[name] for name in names)
        assert all(a[1] <= b[0] for a, b in pairwise(ordered))
    assert spans["1"][0] < spans["0"][1] and spans["0"][0] < spans["1"][1]


def test_several_pools_are_one(pool):
    with closing(dask_pool.LocalPool(1, ["other"])) as more:
        both = Pools([pool, more])
        assert len(both.workers()) == 3
        jobs = [Job("k", Kind.STUB, device, {}, device=device) for device in ("d0", "other")]
        assert all(answer.problem is None for answer in run(both, jobs).values())


def test_an_interrupt_ends_the_jobs():
    pool = dask_pool.LocalPool(2)
    begun = threading.Event()

    def interrupt(job, answer):
        raise KeyboardInterrupt

    begin = time.monotonic()
    long = Job("k", Kind.STUB, "long", {"process": True, "seconds": 50})
    with closing(pool), pytest.raises(KeyboardInterrupt):
        dispatcher = Dispatcher(pool, interrupt, on_start=lambda job, worker: begun.set())
        dispatcher.add(long)
        dispatcher.add(Job("k", Kind.STUB, "short", {"seconds": 0.5}))
        dispatcher.run()
    assert begun.is_set()
    # The jobs' processes have ended: those that wait for them have returned.
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("Dask-Default") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert time.monotonic() - begin < 40  # of 50


def test_nothing_is_printed_and_nothing_is_left(tmp_path):
    code = (
        "from contextlib import closing\n"
        "from edgenet.sweep import dask_pool\n"
        "from edgenet.sweep.dispatcher import Dispatcher\n"
        "from edgenet.sweep.job import Job, Kind\n"
        "with closing(dask_pool.LocalPool(3)) as pool:\n"
        "    dispatcher = Dispatcher(pool, lambda job, answer: True)\n"
        "    for number in range(6):\n"
        "        request = {'process': number % 2, 'problem': 'x'} if number % 3 else {}\n"
        "        dispatcher.add(Job('k', Kind.STUB, 'x', request, makes_files=True))\n"
        "    dispatcher.run()\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path), "TMP": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_dask_is_imported_for_a_pool_only():
    code = (
        "import sys, edgenet.sweep.dask_pool, edgenet.sweep.cluster, edgenet.sweep.worker, edgenet.sweep.ssh_pool\n"
        "import edgenet.sweep.dispatcher, edgenet.sweep.transfer, edgenet.cli.commands.worker\n"
        "print({'dask', 'distributed', 'numpy'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
    assert job_process.__name__ == job_process.MODULE


def test_without_dask_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(dask_settings, "find_spec", lambda name: None)
    with pytest.raises(EdgenetError, match=r"^a sweep needs the package distributed: pip install 'edgenet\[sweep\]'$"):
        dask_pool.LocalPool(1)
