"""Devices over ssh, with a program in its place that runs the commands on this machine."""

import json
import os
import stat
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

import edgenet
from edgenet import files
from edgenet.cli import remote
from edgenet.errors import EdgenetError
from edgenet.sweep import ssh_pool
from edgenet.sweep.job import Input, Job, Kind
from edgenet.sweep.ssh_pool import SshPool, Target

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the shell of a board")

# Like ssh: options, "--", the address and the script, which gets standard input. The files of a machine are its own.
SSH = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
if [ -e "{folder}/unreachable" ]; then echo "ssh: connect to host $2 port 22: No route to host" >&2; exit 255; fi
echo x >> "{folder}/calls"
PATH="{folder}/remote:$PATH" XDG_CACHE_HOME="{folder}/cache" exec sh -c "$3"
"""
# A board's edgenet: says what it was called with, and does what the test wants.
EDGENET = """#!{python}
import json, os, sys, time
folder = {folder!r}
with open(folder + "/behaviour.json") as file:
    behaviour = json.load(file)
if sys.argv[1:] == ["--version"]:
    print("edgenet", behaviour["version"])
    sys.exit()
with open(folder + "/arguments", "a") as file:
    print(*sys.argv[1:], sep="|", file=file)
print("a table that nobody reads")
time.sleep(behaviour.get("seconds", 0))
if "error" in behaviour:
    print("Error: " + behaviour["error"], file=sys.stderr)
    sys.exit(1)
with open(sys.argv[sys.argv.index("--json") + 1], "w") as file:
    file.write(behaviour.get("results", ""))
with open(folder + "/ended", "w"):
    pass
"""


@pytest.fixture
def board(tmp_path, monkeypatch, results_text):
    """The folder of a board that is reached by ssh; `behave` says what its edgenet does."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "remote").mkdir()
    for path, text in (
        (tmp_path / "bin" / "ssh", SSH.format(folder=tmp_path)),
        (tmp_path / "remote" / "edgenet", EDGENET.format(python=sys.executable, folder=str(tmp_path))),
    ):
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    # What is printed without a terminal comes out at the end, after the error.
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    behave(tmp_path, results=results_text)
    return tmp_path


@pytest.fixture(scope="session")
def results_text():
    from example_records import RESULTS

    from edgenet import records

    return records.to_json(RESULTS).decode()


def behave(board: Path, version: str = edgenet.__version__, **behaviour):
    (board / "behaviour.json").write_text(json.dumps({"version": version, **behaviour}))


def connect(command="edgenet"):
    return SshPool({"pi5": Target("pi@board", command)}, remote.benchmark, remote.VERSION)


REQUEST = {"variants": ["int8"], "threads": [1, 4], "rounds": 5, "seconds": 0.1, "api": "interpreter"}


def job(board: Path, **options) -> Job:
    path = board / "x.tar.gz"
    if not path.exists():
        path.write_bytes(bytes(range(256)) * 1_000)
    return Job("k", Kind.MEASURE, "x on pi5", REQUEST, {"bundle": Input(path, files.sha256(path))}, "pi5", **options)


def run(pool, sent):
    (worker,) = pool.workers()
    answers, ended = [], threading.Event()
    worker.start(sent, lambda answer: (answers.append(answer), ended.set()))
    assert ended.wait(30)
    return answers[0]


def test_a_bundle_is_copied_once_and_measured(board, results_text):
    with closing(connect()) as pool:
        (worker,) = pool.workers()
        assert (worker.devices, worker.exports, worker.machine) == ({"pi5"}, False, "ssh pi@board")
        answers = [run(pool, job(board)) for _ in range(2)]
    assert [answer.result for answer in answers] == [{"results": results_text}] * 2
    words = (board / "arguments").read_text().splitlines()[0].split("|")
    bundle, out = Path(words[1]), Path(words[3])
    assert bundle.read_bytes() == (board / "x.tar.gz").read_bytes()
    options = "--variants int8 --threads 1,4 --rounds 5 --seconds 0.1 --api interpreter"
    assert words == ["benchmark", str(bundle), "--json", str(out), "--no-keras", *options.split()]
    assert not out.exists()
    # The version, the bundle twice with its copy, the measurement; then without a copy.
    assert len((board / "calls").read_text().split()) == 1 + 4 + 2


def test_a_damaged_copy_is_replaced(board):
    with closing(connect()) as pool:
        run(pool, job(board))
        (copy,) = (board / "cache" / "edgenet" / "sweep").iterdir()
        copy.write_bytes(b"damaged")
        assert run(pool, job(board)).problem is None
        assert copy.read_bytes() == (board / "x.tar.gz").read_bytes()


def test_an_error_there_is_told_here(board):
    behave(board, error="the bundle is damaged; pack it again")
    with closing(connect()) as pool:
        answer = run(pool, job(board))
    assert answer.problem == "pi5 (pi@board), measuring: the bundle is damaged; pack it again"
    assert not answer.is_lost


def test_results_that_are_none(board):
    behave(board, results="{}")
    with closing(connect()) as pool:
        assert run(pool, job(board)).problem.startswith("pi5 (pi@board): its results")


def test_a_measurement_that_hangs_is_ended_on_both_sides(board):
    behave(board, seconds=2)
    with closing(connect()) as pool:
        answer = run(pool, job(board, timeout=0.7))
    assert answer.problem == "pi5 (pi@board): measuring was not done after 0.7 s, so it was ended"
    time.sleep(2)
    assert (board / "arguments").exists() and not (board / "ended").exists()


def test_closing_ends_a_measurement(board):
    behave(board, seconds=50)
    pool = connect()
    answers = []
    pool.workers()[0].start(job(board), answers.append)
    while not (board / "arguments").exists():
        time.sleep(0.05)
    pool.close()
    deadline = time.monotonic() + 20
    while not answers:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answers[0].problem == "pi5 (pi@board): cancelled"


@pytest.mark.parametrize(
    ("version", "command", "error"),
    [
        (
            "0.0.1",
            "edgenet",
            r"^pi5 \(pi@board\) has edgenet 0\.0\.1, this machine has .*; there: pip install edgenet==",
        ),
        (
            "0.0.1",
            "/no/edgenet",
            r"/no/edgenet is not found there; pip install edgenet==.* there, or give the whole path",
        ),
    ],
)
def test_another_or_no_edgenet_there(board, version, command, error):
    behave(board, version=version)
    with pytest.raises(EdgenetError, match=error):
        connect(command)


def test_a_board_that_is_not_there(board):
    (board / "unreachable").touch()
    with pytest.raises(EdgenetError) as error:
        connect()
    assert str(error.value) == (
        "pi5 (pi@board) cannot be reached (ssh: connect to host pi@board port 22: No route to host); `ssh pi@board` "
        "must work without a password"
    )


def test_a_board_that_goes_and_returns(board, monkeypatch):
    monkeypatch.setattr(ssh_pool, "PROBE_SECONDS", 0.1)
    with closing(connect()) as pool:
        (board / "unreachable").touch()
        assert run(pool, job(board)).is_lost
        assert pool.workers() == []
        (board / "unreachable").unlink()
        deadline = time.monotonic() + 20
        while not pool.workers():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert run(pool, job(board)).problem is None


def test_only_measurements_run_over_ssh(board):
    with closing(connect()) as pool:
        answer = run(pool, Job("k", Kind.EXPORT, "x", {}))
    assert answer.problem == "pi5 (pi@board): only measurements run over ssh; start `edgenet worker` there"
