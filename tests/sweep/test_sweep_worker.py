"""`edgenet worker` before it works: what it refuses, and where it listens."""

import subprocess
import sys

import pytest
from clusters import in_process

from edgenet.errors import EdgenetError
from edgenet.sweep import machine_lock, worker

distributed = pytest.importorskip("distributed")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], "nothing to do: name the device that this machine is, --device NAME, or give --export"),
        (
            ["--export", "--certificates", "folder"],
            "tcp://127.0.0.1:1: tcp uses no certificates; write tls://, or leave --certificates out",
        ),
        (
            ["--device", "pi5"],
            "tcp://127.0.0.1:1: no scheduler answers there (Connection refused); start it, or correct --scheduler",
        ),
    ],
)
def test_errors_are_one_line(options, error):
    command = [sys.executable, "-m", "edgenet", "worker", "--scheduler", "tcp://127.0.0.1:1", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Error: {error}\n")


@pytest.mark.skipif(not machine_lock._HAS_LOCKS, reason="has no locks")
def test_a_device_has_one_worker_on_a_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        machine_lock.device("pi5"),
        pytest.raises(
            EdgenetError, match=r'^another worker of this machine has the device "pi5" already; stop it first$'
        ),
    ):
        worker.serve("tcp://127.0.0.1:1", devices=["pi5"])


def test_without_certificates_it_listens_on_this_machine_only(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    begun = []

    class Worker(distributed.Worker):
        def __init__(self, *arguments, **options):
            begun.append(options)
            super().__init__(*arguments, **options)

        async def finished(self):
            begun.append(self.listeners[0].bound_address)
            raise KeyboardInterrupt

    monkeypatch.setattr(distributed, "Worker", Worker)
    lines = []
    with in_process() as address, pytest.raises(KeyboardInterrupt):
        worker.serve(address, devices=["pi5"], exports=True, name="board", log=lines.append)
    options, bound, *_ = begun
    assert bound[0] == "127.0.0.1" and options["nthreads"] == 1
    assert lines == [f"board is ready for device pi5, exports, at {address}; press Ctrl-C to stop"]
