"""The description of the machine that the tests run on."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

import edgenet
from edgenet.machine import host


def test_the_machine_is_described():
    machine = host.describe()
    assert machine.cpu.strip() == machine.cpu != ""
    assert machine.architecture == platform.machine()
    assert machine.cores == host.cores()
    assert platform.release() in machine.system
    assert machine.versions == host.versions()


def test_versions_are_those_of_the_imported_packages():
    versions = host.versions()
    assert versions["edgenet"] == edgenet.__version__
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert {"ai-edge-litert", "pillow"} <= versions.keys()


def test_packages_that_are_not_installed_have_no_version(monkeypatch):
    def missing(name):
        raise host.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(host.metadata, "version", missing)
    assert host.versions().keys() == {"edgenet", "python"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_cores_are_those_that_the_process_may_use():
    code = (
        "import os; from edgenet.machine import host; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]);"
        "print(host.cores(), host.describe().cores)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1 1\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_that_of_the_kernel():
    with open("/proc/meminfo", encoding="utf-8") as file:
        kilobytes = int(next(line for line in file if line.startswith("MemTotal:")).split()[1])
    assert host.describe().memory_bytes == pytest.approx(kilobytes * 1024, rel=0.01)  # in pages, a few reserved
