"""Cores that a process may use: affinity, the quotas of control groups, and the code that uses them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgenet import cores
from edgenet.images import preprocess
from edgenet.machine import host
from edgenet.tflite import graph, operator_runner


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes the files of a machine with 64 cores and these control groups, of either version."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)

    def make(groups: str, files: dict[str, str]) -> Path:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups)
        for name, text in files.items():
            path = tmp_path / "sys/fs/cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


V1 = "4:cpu,cpuacct:/docker/ab\n3:memory:/docker/ab\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("", {}, 64),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),  # in a container, whose group is the mount point
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),  # rounded up
        ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 64),  # more than the machine has
        ("0::/\n", {"cpu.max": "nonsense\n"}, 64),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),  # of a parent group
        ("0::/a/b\n", {"a/cpu.max": "800000 100000", "a/b/cpu.max": "400000 100000"}, 4),
        ("0::/../other\n", {"cpu.max": "200000 100000"}, 2),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 64),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 3),
        (V1, {"cpu/docker/ab/cpu.cfs_quota_us": "200000", "cpu/docker/ab/cpu.cfs_period_us": "100000"}, 2),
        (V1, {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "0"}, 64),
    ],
)
def test_the_quota_of_a_container_counts(machine, groups, files, expected):
    assert cores.available(machine(groups, files)) == expected


def test_the_affinity_counts(machine, monkeypatch):
    root = machine("0::/\n", {"cpu.max": "400000 100000\n"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    assert cores.available(root) == 1


def test_without_affinity_and_quotas_all_cores_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores.available(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.available(tmp_path) == 1


def test_thread_pools_use_the_available_cores(monkeypatch, tiny):
    counts = []
    monkeypatch.setattr(cores, "available", lambda: 3)
    pool, interpreter = preprocess.ThreadPoolExecutor, operator_runner.Interpreter
    monkeypatch.setattr(preprocess, "ThreadPoolExecutor", lambda count: counts.append(count) or pool(count))
    monkeypatch.setattr(
        operator_runner,
        "Interpreter",
        lambda **options: counts.append(options["num_threads"]) or interpreter(**options),
    )
    list(preprocess.load_all([], None))
    whole = graph.Graph(tiny)
    operator_runner.OperatorRunner(whole, whole.operators[0])
    assert counts == [3, 3]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_that_is_bound_to_a_core_has_one():
    code = (
        "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); from edgenet import cores;"
        "from edgenet.machine import host; print(cores.available(), host.cores())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1 1\n"


def test_the_machine_is_described_with_them():
    assert host.cores() == cores.available()


@pytest.fixture(scope="module")
def tiny(tiny_bundle) -> bytes:
    return tiny_bundle.file("float32.tflite").read_bytes()
